//! What authentication costs: ours, others', and the bare cryptography, in one process.
//!
//! `benches/run` builds and starts this; README.md beside it says what the figures mean.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured here runs in real time"
)]

mod actix_side;
mod clock;
mod harness;
mod load;
mod more;
mod raw;
mod tower_side;
mod world;
mod wrong;

use std::time::Duration;

use auth_core::Algorithm;
use harness::{Effort, Figure, Table, added, target};
use world::World;

const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Hs256,
    Algorithm::Es256,
    Algorithm::EdDsa,
    Algorithm::Rs256,
];

const QUICK: Effort = Effort {
    rounds: 31,
    batch: Duration::from_millis(2),
};
const THOROUGH: Effort = Effort {
    rounds: 201,
    ..QUICK
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => all(true),
        ["quick"] => all(false),
        ["wrong"] => wrong::tables(),
        ["names"] => HsTable::new().names(),
        ["repeat", name, calls] => {
            let calls = calls.parse().expect("a number");
            assert!(HsTable::new().0.repeat(name, calls), "see `names`");
        }
        _ => {
            eprintln!("usage: auth-benches [quick | wrong | names | repeat NAME CALLS]");
            std::process::exit(2);
        }
    }
}

/// Everything that is measured with HS256 in one table, for profilers.
struct HsTable(Table);

impl HsTable {
    fn new() -> Self {
        let world = World::new(Algorithm::Hs256);
        let mut table = Table::new("HS256");
        fill(&mut table, &world);
        tower_side::fill_peers(&mut table, &world);
        actix_side::fill_peers(&mut table, &world);
        Self(table)
    }

    fn names(&self) {
        for name in self.0.names() {
            println!("{name}");
        }
    }
}

fn fill(table: &mut Table, world: &World) {
    raw::fill(table, world);
    tower_side::fill(table, world);
    actix_side::fill(table, world);
}

fn all(thorough: bool) {
    let effort = if thorough { THOROUGH } else { QUICK };
    let mut tables = Vec::new();
    for algorithm in ALGORITHMS {
        let world = World::new(algorithm);
        println!();
        world.describe();
        let mut table = Table::new(format!("{algorithm:?}"));
        fill(&mut table, &world);
        if algorithm == Algorithm::Hs256 {
            tower_side::fill_peers(&mut table, &world);
            actix_side::fill_peers(&mut table, &world);
        }
        tables.push((algorithm, table.measure(effort)));
    }
    let world = World::new(Algorithm::Hs256);
    let lists = more::lists(effort, &world);
    more::mixed(effort, &world);
    let threads = more::threads(effort, &world);
    let memory = more::memory();
    let (rounds, length) = if thorough { (15, 2000) } else { (5, 500) };
    let load = load::measure(rounds, Duration::from_millis(length), &world);
    targets(&tables, &lists, threads, memory, &load);
}

const PEERS: [&str; 6] = [
    "jsonwebtoken by hand",
    "axum-jwt-auth 0.7",
    "jwt-authorizer 0.15",
    "tower-oauth2-resource-server 0.12",
    "actix-web-httpauth 0.8 + jsonwebtoken",
    "actix-jwt-auth-middleware 0.5",
];

fn targets(
    tables: &[(Algorithm, Vec<Figure>)],
    lists: &[Figure],
    threads: f64,
    memory: f64,
    load: &[(&str, f64)],
) {
    println!("\n### Targets\n");
    println!("| | figure | target | |");
    println!("|---|---:|---:|---|");
    let of = |algorithm: Algorithm, name: &str| {
        let (_, figures) = tables.iter().find(|(own, _)| *own == algorithm)?;
        added(figures, name)
    };
    let raw = |algorithm| {
        let one = of(algorithm, "raw: aws-lc-rs")?;
        Some(one.min(of(algorithm, "raw: RustCrypto")?))
    };
    let ratio = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
    let hs = Algorithm::Hs256;
    let peer = PEERS
        .iter()
        .filter_map(|name| of(hs, name))
        .min_by(f64::total_cmp);
    for (side, miss) in [("axum", "ours, miss"), ("actix", "ours on actix, miss")] {
        let own = of(hs, miss);
        target(
            &format!("HS256 miss of raw, {side}"),
            ratio(own, raw(hs)),
            3.0,
            Some(2.2),
        );
        target(
            &format!("HS256 miss of the best peer, {side}"),
            ratio(own, peer),
            0.4,
            None,
        );
        for (algorithm, limit, stretch) in [
            (Algorithm::Es256, 1.04, 1.02),
            (Algorithm::EdDsa, 1.04, 1.02),
            (Algorithm::Rs256, 1.10, 1.05),
        ] {
            // The backend that we use: another one's speed is not ours to add to.
            let raw = of(algorithm, "raw: aws-lc-rs");
            let own = ratio(of(algorithm, miss), raw);
            target(
                &format!("{algorithm:?} miss of raw, {side}"),
                own,
                limit,
                Some(stretch),
            );
        }
    }
    for algorithm in ALGORITHMS {
        for (side, hit) in [("axum", "ours, hit"), ("actix", "ours on actix, hit")] {
            let own = ratio(of(algorithm, hit), peer);
            let what = format!("{algorithm:?} hit of the best peer's HS256, {side}");
            target(&what, own, 1.0 / 30.0, Some(1.0 / 60.0));
        }
    }
    target(
        "one hot token on two threads",
        Some(threads),
        2.0,
        Some(1.2),
    );
    let total = |name: &str| {
        let found = lists.iter().find(|figure| figure.name == name);
        found.map(|figure| figure.total)
    };
    let hit = total("hit, no list");
    let empty = ratio(total("hit, 0 revoked"), hit);
    target("hit request with an empty list", empty, 1.03, None);
    let million = ratio(total("hit, 1000000 revoked"), hit);
    target("hit request with 1 M revoked", million, 1.3, None);
    target(
        "KiB of memory per cached token",
        Some(memory / 1024.0),
        1.3,
        None,
    );
    for (name, ratio) in load.iter().filter(|(name, _)| !name.ends_with("no auth")) {
        let limit = if name.ends_with("hit") { 0.95 } else { 0.72 };
        // More is better here.
        let verdict = if *ratio >= limit { "met" } else { "missed" };
        println!("| requests per second, {name} | {ratio:.3} | {limit:.3} | {verdict} |");
    }
}
