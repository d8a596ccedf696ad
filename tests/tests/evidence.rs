//! The tables of docs/internals/evidence.md, and what the dependencies must not be older than.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all functions with `#[test]`, or `#[tokio::test]` and the like, in the tree.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !["target", "node_modules", ".git"].contains(&&*name) {
                tests_in(&path, found);
            }
        } else if name.ends_with(".rs") {
            note_tests(&std::fs::read_to_string(&path).unwrap(), found);
        }
    }
}

fn note_tests(source: &str, found: &mut BTreeSet<String>) {
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.ends_with("test]") || line.contains("::test(");
        } else if let Some(name) = function(line) {
            if is_test {
                found.insert(name.to_owned());
            }
            is_test = false;
        }
    }
    // A macro makes the fuzz targets into tests, by their bare names.
    if let Some((_, targets)) = source.split_once("\ntargets![") {
        let targets = targets.split(']').next().unwrap_or_default();
        let names = targets.split(',').map(str::trim);
        found.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
}

fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// The rows of the tables under headings that begin with `heading`: their cells.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section = document
        .split("\n## ")
        .find(|section| section.starts_with(heading));
    let lines = section.unwrap_or_else(|| panic!("no section {heading}"));
    lines
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

#[test]
fn every_advisory_and_every_requirement_has_tests_that_exist() {
    let document = std::fs::read_to_string(root().join("docs/internals/evidence.md")).unwrap();
    let mut tests = BTreeSet::new();
    tests_in(&root(), &mut tests);
    for (heading, least) in [("Advisories", 45), ("Requirements", 50)] {
        let rows = rows(&document, heading);
        assert!(rows.len() >= least, "{heading}: {} rows", rows.len());
        for row in rows {
            let [id, what, named] = &row[..] else {
                panic!("three cells: {row:?}");
            };
            assert!(!id.is_empty() && !what.is_empty(), "{row:?}");
            let named: Vec<&str> = named
                .split(", ")
                .map(|name| name.trim_matches('`'))
                .collect();
            assert!(!named.is_empty() && named != [""], "{id} has no test");
            for name in named {
                assert!(tests.contains(name), "{id}: there is no test {name}");
            }
        }
    }
}

/// Numbers of a version, without what comes after a `-` or `+`.
fn version(text: &str) -> Vec<u64> {
    let plain = text.split(['-', '+']).next().unwrap_or_default();
    plain
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[test]
fn g05_no_dependency_is_older_than_its_last_advisory() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut seen = 0;
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split('"').nth(1))
                .unwrap_or_default()
        };
        let name = field("name = ");
        let floor = match name {
            // RUSTSEC-2026-0044 to -0048.
            "aws-lc-sys" => "0.39.0",
            // RUSTSEC-2022-0055.
            "axum-core" => "0.3.0",
            // RUSTSEC-2017-0005.
            "cookie" => "0.7.6",
            // RUSTSEC-2024-0332, RUSTSEC-2026-0258. actix-web is still on 0.3, which has no later
            // release; `cargo deny check advisories` says what is known of it.
            "h2" if field("version = ").starts_with("0.3.") => "0.3.26",
            "h2" => "0.4.16",
            // CVE-2026-25537.
            "jsonwebtoken" => "10.3.0",
            // RUSTSEC-2024-0363.
            "sqlx" | "sqlx-core" => "0.8.1",
            // RUSTSEC-2026-0178.
            "tokio-postgres" => "0.7.18",
            _ => continue,
        };
        seen += 1;
        let locked = field("version = ");
        assert!(
            version(locked) >= version(floor),
            "{name} {locked} < {floor}"
        );
    }
    assert!(seen >= 6, "{seen} packages");
}

/// RUSTSEC-2023-0071 has no fix: no crate that is published may bring `rsa` along.
#[test]
fn g05_no_published_crate_depends_on_rsa() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let packages: Vec<(&str, Vec<&str>)> = lock
        .split("[[package]]")
        .skip(1)
        .map(|package| {
            let name = package.split('"').nth(1).unwrap_or_default();
            let listed = package.split("dependencies = [").nth(1).unwrap_or_default();
            let names = listed.split('"').skip(1).step_by(2);
            (
                name,
                names
                    .map(|name| name.split(' ').next().unwrap_or(name))
                    .collect(),
            )
        })
        .collect();
    let mut reached: BTreeSet<&str> =
        ["auth-store", "auth-jwks", "auth-tower", "auth-actix"].into();
    loop {
        let more: BTreeSet<&str> = packages
            .iter()
            .filter(|(name, _)| reached.contains(name))
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        let before = reached.len();
        reached.extend(more);
        if reached.len() == before {
            break;
        }
    }
    assert!(reached.contains("aws-lc-rs") && !reached.contains("rsa"));
}
