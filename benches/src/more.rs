//! What a cache does beyond one token at a time: many tokens, several threads, much memory.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use allocation_counter::measure;
use auth_core::revocation::{Revocation, Revocations, StalePolicy};
use auth_core::session::SessionId;
use auth_core::{Algorithm, SystemClock, Timestamp};

use crate::harness::{Effort, Random, Run, Table, median, timed};
use crate::tower_side::{Carried, call, no_op, ours, request, run};
use crate::world::World;

/// A hit with 0, 1,000 and 1,000,000 sessions revoked; cookies among others.
pub fn lists(effort: Effort, world: &World) -> Vec<crate::harness::Figure> {
    let mut table = Table::new("A hit with a revocation list, and with other cookies");
    let token = &world.token;
    let base = table.baseline("tower: no-op layer", run(no_op(), token, Carried::Bearer));
    table.against(
        base,
        "hit, no list",
        run(ours(&world.with_cache()), token, Carried::Bearer),
    );
    for entries in [0_u64, 1_000, 1_000_000] {
        let revocations = revoked(entries);
        let auth = world.builder().with_revocations(revocations).build();
        let auth = auth.expect("complete");
        table.against(
            base,
            format!("hit, {entries} revoked"),
            run(ours(&auth), token, Carried::Bearer),
        );
    }
    for others in [0, 50] {
        let carried = Carried::CookieAmong(others);
        let base = table.baseline(
            format!("tower: no-op layer, cookie among {others}"),
            run(no_op(), token, carried.clone()),
        );
        table.against(
            base,
            format!("hit, cookie among {others}"),
            run(ours(&world.with_cache()), token, carried),
        );
    }
    table.measure(effort)
}

fn revoked(entries: u64) -> Revocations {
    let revocations = Revocations::new(StalePolicy::FailOpen, Arc::new(SystemClock));
    for n in 0..entries {
        let spread = u128::from(n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        revocations.add(&Revocation::Session {
            id: SessionId::from_bytes(spread.to_be_bytes()),
            until: Timestamp::from_secs(4_000_000_000),
        });
    }
    revocations
}

/// Requests of which a part carries a token of the last ten thousand, the rest one never seen.
pub fn mixed(effort: Effort, world: &World) {
    let mut table = Table::new("Requests with many tokens, HS256, cache for 10,000");
    let tokens = Arc::new(world.tokens(60_000));
    let base = table.baseline(
        "tower: no-op layer",
        choosing(no_op(), Arc::clone(&tokens), 0),
    );
    for percent in [100, 99, 90, 50, 0] {
        let service = ours(&world.with_cache());
        table.against(
            base,
            format!("{percent} % seen before"),
            choosing(service, Arc::clone(&tokens), percent),
        );
    }
    table.against(
        base,
        "without the cache",
        choosing(ours(&world.without_cache()), tokens, 0),
    );
    table.measure(effort);
}

/// The first 5,000 tokens are in use; the others come once in a while, which is as good as never.
fn choosing<S>(mut service: S, tokens: Arc<Vec<String>>, percent: usize) -> Run
where
    S: tower_service::Service<
            http::Request<()>,
            Response = http::Response<Vec<u8>>,
            Error = std::convert::Infallible,
        > + 'static,
{
    const USED: usize = 5_000;
    let mut random = Random::new(7);
    let mut fresh = USED;
    let mut warm = percent == 0;
    Box::new(move |calls| {
        if !std::mem::replace(&mut warm, true) {
            for token in &tokens[..USED] {
                assert!(call(&mut service, request(token, &Carried::Bearer)));
            }
        }
        timed(
            calls,
            || {
                let index = if random.below(100) < percent {
                    random.below(USED)
                } else {
                    fresh = if fresh + 1 < tokens.len() {
                        fresh + 1
                    } else {
                        USED
                    };
                    fresh
                };
                request(&tokens[index], &Carried::Bearer)
            },
            |request| call(&mut service, request),
        )
    })
}

/// One token, used by one thread and by two.
pub fn threads(effort: Effort, world: &World) -> f64 {
    println!("\n### One token on one and on two threads\n");
    println!("| | ns on one thread | ns on each of two | ratio |");
    println!("|---|---:|---:|---:|");
    let auth = world.with_cache();
    let token = world.token.clone();
    let guard = auth.guard();
    let ratio = line(effort, "ours, hit: the whole request", || {
        let mut service = ours(&auth);
        let token = token.clone();
        Box::new(move |calls| {
            timed(
                calls,
                || request(&token, &Carried::Bearer),
                |request| call(&mut service, request),
            )
        })
    });
    line(effort, "no-op layer: the whole request", || {
        let mut service = no_op();
        let token = token.clone();
        Box::new(move |calls| {
            timed(
                calls,
                || request(&token, &Carried::Bearer),
                |request| call(&mut service, request),
            )
        })
    });
    drop(guard);
    ratio
}

type Work = Box<dyn FnMut(usize) -> Duration + Send>;

fn line(effort: Effort, name: &str, work: impl Fn() -> Work) -> f64 {
    const CALLS: usize = 20_000;
    let mut alone = Vec::new();
    let mut together = Vec::new();
    for _ in 0..effort.rounds {
        alone.extend(on_threads(1, CALLS, &work));
        together.extend(on_threads(2, CALLS, &work));
    }
    let (alone, together) = (median(alone), median(together));
    println!(
        "| {name} | {alone:.0} | {together:.0} | {:.2} |",
        together / alone
    );
    together / alone
}

/// Nanoseconds per call on each of so many threads that do the same at the same time.
fn on_threads(count: usize, calls: usize, work: &impl Fn() -> Work) -> Vec<f64> {
    let barrier = Arc::new(Barrier::new(count));
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let (barrier, mut work) = (Arc::clone(&barrier), work());
            std::thread::spawn(move || {
                work(100);
                barrier.wait();
                work(calls).as_nanos() as f64 / calls as f64
            })
        })
        .collect();
    let ended = threads.into_iter().map(|thread| thread.join());
    ended.map(|taken| taken.expect("no panic")).collect()
}

/// Bytes for each cached token, and for each revocation.
pub fn memory() -> f64 {
    const TOKENS: usize = 4_000;
    println!("\n### Memory\n");
    let world = World::new(Algorithm::Hs256);
    let tokens = world.tokens(TOKENS);
    let auth = world.with_cache();
    let mut service = ours(&auth);
    assert!(call(&mut service, request(&world.token, &Carried::Bearer)));
    let resident = resident_bytes();
    let info = measure(|| {
        for token in &tokens {
            assert!(call(&mut service, request(token, &Carried::Bearer)));
        }
    });
    let resident = resident_bytes().saturating_sub(resident);
    let held = auth.cache_status().expect("there is a cache").tokens - 1;
    let each = info.bytes_current as f64 / held as f64 + 16.0;
    println!(
        "- cached token of {} bytes: {each:.0} bytes asked of the allocator, its slot included \
         ({:.0} bytes of resident memory more, {held} tokens)",
        world.token.len(),
        resident as f64 / held as f64,
    );
    let mut kept = None;
    for entries in [10_000, 100_000, 1_000_000] {
        let info = measure(|| kept = Some(revoked(entries)));
        println!(
            "- {entries} revoked sessions: {:.1} bytes each",
            info.bytes_current as f64 / entries as f64
        );
    }
    each
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.map_or(0, |pages: usize| pages * 4096)
}
