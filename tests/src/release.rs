//! What the crates promise to those who depend on them, as far as it can be checked in seconds.
//! `tests/release` checks the rest.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PUBLISHED: [&str; 6] = [
    "auth-actix",
    "auth-cookie",
    "auth-core",
    "auth-jwks",
    "auth-store",
    "auth-tower",
];

/// Whose types appear in our public API, and why. A new major version of one of these is a breaking
/// change of ours.
const IN_OUR_API: &[(&str, &[(&str, &str)])] = &[
    (
        "auth-actix",
        &[
            ("actix_http", "actix-web's own types, by their real names"),
            ("actix_service", "the middleware is a `Transform`"),
            ("actix_web", "it is an adapter for it"),
            ("auth_core", "the rules"),
            ("http", "actix-web's `StatusCode` is that of http 0.2"),
            ("serde_core", "the app's claims are deserialized"),
        ],
    ),
    (
        "auth-cookie",
        &[("auth_core", "it implements `CookieTransport`")],
    ),
    (
        "auth-core",
        &[
            ("serde_core", "the app's claims are read and written by it"),
            ("serde_json", "what the app keeps with a session is JSON"),
        ],
    ),
    ("auth-jwks", &[("auth_core", "it fetches for `RemoteKeys`")]),
    ("auth-store", &[("auth_core", "it implements the stores")]),
    (
        "auth-tower",
        &[
            ("auth_core", "the rules"),
            ("axum", "`session_routes` is a `Router`"),
            ("axum_core", "the extractors' traits"),
            ("http", "requests and responses"),
            ("pin_project_lite", "in a bound that its macro writes"),
            ("serde_core", "the app's claims are deserialized"),
            ("tower_layer", "it is a layer"),
            ("tower_service", "it is a service"),
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features"])
        .args(["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn array<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn packages(metadata: &Value) -> HashMap<&str, &Value> {
    let packages = array(metadata, "packages").iter();
    packages
        .map(|package| (text(package, "id"), package))
        .collect()
}

fn published(metadata: &Value) -> Vec<&Value> {
    let members = array(metadata, "workspace_members");
    let found: Vec<_> = array(metadata, "packages")
        .iter()
        .filter(|package| members.contains(&package["id"]))
        // `publish = false` is an empty list of registries.
        .filter(|package| package["publish"].is_null())
        .collect();
    let mut names: Vec<_> = found.iter().map(|package| text(package, "name")).collect();
    names.sort_unstable();
    assert_eq!(names, PUBLISHED);
    found
}

#[test]
fn what_is_published_says_what_it_is() {
    let metadata = metadata();
    for package in published(&metadata) {
        let name = text(package, "name");
        let folder = root().join(name);
        assert!(text(package, "description").len() > 20, "{name}");
        assert_eq!(text(package, "license"), "MIT OR Apache-2.0", "{name}");
        assert!(!text(package, "rust_version").is_empty(), "{name}");
        assert_eq!(text(package, "readme"), "README.md", "{name}");
        assert!(
            (1..=5).contains(&array(package, "keywords").len()),
            "{name}"
        );
        assert!(!array(package, "categories").is_empty(), "{name}");
        let docs = &package["metadata"]["docs"]["rs"];
        assert_eq!(docs["all-features"], true, "{name} on docs.rs");
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(readme.starts_with(&format!("# {name}\n")), "{name}");
        for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let own = fs::read(folder.join(license)).unwrap();
            assert_eq!(own, fs::read(root().join(license)).unwrap(), "{name}");
        }
    }
}

/// `(major, minor)` of a `rust-version`.
fn rust(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[test]
fn g03_no_dependency_needs_a_newer_rust_than_its_crate_promises() {
    let metadata = metadata();
    let packages = packages(&metadata);
    let nodes: HashMap<_, _> = array(&metadata["resolve"], "nodes")
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    for package in published(&metadata) {
        let promised = rust(text(package, "rust_version"));
        let mut open = vec![text(package, "id")];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let needed = packages[id]["rust_version"].as_str().map(rust);
            assert!(
                needed.is_none_or(|needed| needed <= promised),
                "{} needs {needed:?}, and {} promises {promised:?}",
                text(packages[id], "name"),
                text(package, "name"),
            );
            // Those of tests and builds may need what they like. A crate of ours that a feature
            // brings keeps its own promise, which the feature states.
            let normal = array(nodes[id], "deps").iter().filter(|dependency| {
                let mut kinds = array(dependency, "dep_kinds").iter();
                let name = text(packages[text(dependency, "pkg")], "name");
                let mut declared = array(packages[id], "dependencies").iter();
                let by_feature = name.starts_with("auth-")
                    && declared.any(|own| text(own, "name") == name && own["optional"] == true);
                kinds.any(|kind| kind["kind"].is_null()) && !by_feature
            });
            open.extend(normal.map(|dependency| text(dependency, "pkg")));
        }
        assert!(seen.len() > 5);
    }
}

/// The crates that the paths of a listing begin with.
fn crates_in(listing: &str) -> BTreeSet<&str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in listing.match_indices("::") {
        let before = listing.get(..at).unwrap();
        let start = before
            .rfind(|c: char| !part(c))
            .map_or(0, |found| found + 1);
        let name = before.get(start..).unwrap();
        let is_first = !before.get(..start).unwrap().ends_with("::");
        if is_first && name.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.insert(name);
        }
    }
    found
}

#[test]
fn the_crates_of_paths_are_found() {
    let listing = "pub fn a::b(&self, &http::Uri) -> core::option::Option<<T as x::Y>::Z>";
    let found: Vec<_> = crates_in(listing).into_iter().collect();
    assert_eq!(found, ["a", "core", "http", "x"]);
}

#[test]
fn g08_no_type_of_others_is_in_our_api_but_these() {
    for (name, allowed) in IN_OUR_API {
        let listing = fs::read_to_string(root().join(format!("api/{name}.txt"))).unwrap();
        assert!(listing.lines().count() > 10, "{name}");
        let own = name.replace('-', "_");
        let found: BTreeSet<_> = crates_in(&listing)
            .into_iter()
            .filter(|found| *found != own && !["core", "alloc", "std"].contains(found))
            .collect();
        let expected: BTreeSet<_> = allowed.iter().map(|(name, _reason)| *name).collect();
        assert_eq!(found, expected, "{name}: found and allowed");
    }
    let named: Vec<_> = IN_OUR_API.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, PUBLISHED);
}
