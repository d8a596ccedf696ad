//! What the pages say of the tree is true: links, paths and names lead somewhere, and every guide is
//! compiled.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

/// Every file that people read or write, relative to the root, but for what tools bring along.
fn files() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&root(), "", &mut found);
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if !entry.file_type().unwrap().is_dir() {
            found.insert(path);
        } else if !["target", "node_modules", "output", ".git"].contains(&&*name) {
            collect(&entry.path(), &format!("{path}/"), found);
        }
    }
}

fn pages() -> Vec<String> {
    let pages: Vec<String> = files()
        .into_iter()
        .filter(|path| path.ends_with(".md"))
        .collect();
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// What is outside of code blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1);
    targets
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// How a heading is linked to: lower case, hyphens for spaces, no punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_guide_is_compiled() {
    let compiled = include_str!("lib.rs");
    let guides = pages();
    let guides = guides.iter().filter(|path| path.starts_with("docs/"));
    let mut seen = 0;
    for guide in guides {
        seen += 1;
        let has_rust = read(guide).contains("```rust");
        let listed = compiled.contains(&format!("\"../../{guide}\""));
        assert_eq!(listed, has_rust, "{guide}: is it in `compiled!`?");
    }
    assert!(seen > 10);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut followed = 0;
    for page in pages() {
        let text = read(&page);
        let conflict = ["<", ">"].map(|sign| format!("\n{} ", sign.repeat(7)));
        assert!(!conflict.iter().any(|mark| text.contains(mark)), "{page}");
        for target in links(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            // Addresses, and rustdoc's own links, which rustdoc checks.
            if path.contains(':') || !(path.is_empty() || path.contains(['/', '.'])) {
                continue;
            }
            followed += 1;
            let here = root().join(&page);
            let leads_to = match path {
                "" => here.clone(),
                _ => here.parent().unwrap().join(path),
            };
            assert!(leads_to.exists(), "{page}: {target}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(leads_to).unwrap();
                assert!(anchors(&text).contains(anchor), "{page}: {target}");
            }
        }
    }
    assert!(followed > 20, "{followed}");
}

/// Paths and names of other projects, and of what is made when something runs.
const ELSEWHERE: &[&str] = &[
    "ignore_startup_parameters",
    "Pragma",
    "SecurityScheme::OpenIdConnect",
    "access_token_issuer",
    "application/",
    "attacks.md",
    "end_session_endpoint",
    "fuzz/artifacts/NAME/",
    "large_client_header_buffers",
    "microsoft:identityserver:ID",
    "requestedAccessTokenVersion",
    "tests/output/browser",
    "urn:zitadel:iam:org:project:id:PROJECT:aud",
];

#[test]
fn paths_and_names_in_the_pages_are_those_of_the_tree() {
    let files = files();
    let mut words = BTreeSet::new();
    let prose_or_data = [".md", ".json", ".lock"];
    for file in &files {
        if prose_or_data.iter().any(|ending| file.ends_with(ending)) {
            continue;
        }
        if let Ok(text) = fs::read_to_string(root().join(file)) {
            let word = |c: char| !(c.is_alphanumeric() || c == '_');
            words.extend(text.split(word).map(str::to_owned));
        }
    }
    let mut checked = 0;
    // The pages for people who come from elsewhere name what they know.
    for page in pages().iter().filter(|path| !path.contains("/migrate/")) {
        for code in prose(&read(page)).split('`').skip(1).step_by(2) {
            if ELSEWHERE.contains(&code) {
                continue;
            }
            let fits = if is_path(code) {
                let path = code.trim_end_matches('/');
                let below = format!("/{path}");
                files.iter().any(|file| {
                    let file = format!("/{file}");
                    file.ends_with(&below) || file.contains(&format!("{below}/"))
                })
            } else if is_name(code) {
                let last = code.trim_end_matches("()").rsplit("::").next();
                words.contains(last.unwrap_or_default())
            } else {
                continue;
            };
            checked += 1;
            assert!(
                fits,
                "{page}: nothing here is called `{code}`; a name of others goes into ELSEWHERE"
            );
        }
    }
    assert!(checked > 500, "{checked}");
}

fn is_path(code: &str) -> bool {
    let plain = code
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let file = [".rs", ".md", ".toml", ".js", ".mjs", ".json", ".txt"]
        .iter()
        .any(|ending| code.ends_with(ending));
    plain && (file || code.contains('/')) && !code.starts_with('/')
}

fn is_name(code: &str) -> bool {
    let code = code.strip_suffix("()").unwrap_or(code);
    code.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && code
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}
