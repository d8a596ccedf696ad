//! The lists in `docs/observability.md` are those of the code, and whoever uses a metric's name
//! uses one that exists.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use auth_core::metrics::METRICS;

const CRATES: [&str; 6] = [
    "auth-core",
    "auth-cookie",
    "auth-tower",
    "auth-actix",
    "auth-store",
    "auth-jwks",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The rows of the table under the heading that has this first column, cell by cell.
fn table(first_column: &str) -> Vec<Vec<String>> {
    let docs = read("docs/observability.md");
    let head = format!("| {first_column} |");
    let rows = docs.lines().skip_while(|line| !line.starts_with(&head));
    rows.skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect()
}

fn column(first_column: &str) -> BTreeSet<String> {
    table(first_column)
        .into_iter()
        .map(|row| row[0].clone())
        .collect()
}

/// The library's own code, without its tests.
fn sources() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = Vec::new();
    for name in CRATES {
        walk(&root().join(name).join("src"), &mut found);
    }
    found
}

/// What stands between `before` and the next quotation mark, wherever it occurs.
fn quoted_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(before)
        .filter_map(move |(at, _)| text[at + before.len()..].split('"').next())
}

#[test]
fn every_log_line_has_a_target_that_is_documented() {
    let mut used = BTreeSet::new();
    for source in sources() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            let call = format!("tracing::{level}!(");
            for (at, _) in source.match_indices(&call) {
                let arguments = source[at + call.len()..].trim_start();
                let target = arguments.strip_prefix("target: \"");
                let target = target.and_then(|rest| rest.split('"').next());
                let line = &arguments[..arguments.len().min(80)];
                used.insert(
                    target
                        .unwrap_or_else(|| panic!("no target: {line}"))
                        .to_owned(),
                );
            }
        }
    }
    assert_eq!(used, column("target"));
}

#[test]
fn every_event_is_documented() {
    let source = read("auth-core/src/observe/events.rs");
    let kinds = source.split("pub fn kind(").nth(1).unwrap();
    let kinds = kinds.split("pub fn cause(").next().unwrap();
    let kinds: BTreeSet<String> = quoted_after(kinds, "=> \"").map(str::to_owned).collect();
    assert!(kinds.len() > 10);
    assert_eq!(kinds, column("kind"));
}

#[test]
fn every_metric_is_documented_as_it_is() {
    let rows = table("name");
    let listed: Vec<Vec<String>> = METRICS
        .iter()
        .map(|metric| {
            vec![
                metric.name.to_owned(),
                metric.kind.as_str().to_owned(),
                metric.unit.to_owned(),
                metric.labels.join(", "),
                metric.help.replace('`', ""),
            ]
        })
        .collect();
    let (rows, listed): (BTreeSet<_>, BTreeSet<_>) =
        (rows.into_iter().collect(), listed.into_iter().collect());
    assert_eq!(rows, listed);
}

#[test]
fn advice_and_reasons_are_documented() {
    for (path, ty, column_name) in [
        (
            "auth-core/src/session/replays.rs",
            "impl ReplayAdvice",
            "advice",
        ),
        (
            "auth-core/src/endpoints/health.rs",
            "impl HealthReason",
            "reason",
        ),
    ] {
        let source = read(path);
        let words = source.split(ty).nth(1).unwrap();
        let words = words.split("\n}").next().unwrap();
        let words: BTreeSet<String> = quoted_after(words, "=> \"").map(str::to_owned).collect();
        assert!(!words.is_empty());
        assert_eq!(words, column(column_name), "{path}");
    }
}

#[test]
fn dashboard_and_alerts_use_metrics_that_there_are() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("examples/observability/grafana.json")).unwrap();
    let mut used = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            used.extend(names_in(target["expr"].as_str().unwrap()));
        }
    }
    let listed: BTreeSet<String> = METRICS.iter().map(|it| it.name.to_owned()).collect();
    // The dashboard shows everything that there is.
    assert_eq!(used, listed);
    let operations = read("docs/operations.md");
    let (_, alerts) = operations.split_once("## Alerts").unwrap();
    let alerts = names_in(alerts);
    assert!(alerts.len() >= 8);
    assert!(alerts.is_subset(&listed), "{alerts:?}");
}

/// Names of metrics in an expression, without what Prometheus adds to those of histograms.
fn names_in(text: &str) -> BTreeSet<String> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        .filter(|word| word.starts_with("auth_"))
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
        .collect()
}
