//! The rule of the wings: a file of `src/` imports only from its own folder and from those above it
//! in ARCHITECTURE.md's table. No imports form a circle.
//!
//! An import counts for the file that defines the imported item, through all re-exports. Unit tests
//! may import anything.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken expectation fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::slice;

/// The path of a module or of an item, from the root of the crate.
type Name = Vec<String>;

/// One file of `src/`, without its comments and its tests.
struct File {
    /// Its code, without `pub use` statements.
    code: String,
    /// Its `pub use` statements.
    handed_on: String,
}

impl File {
    fn read(path: &Path) -> Self {
        Self::parse(&fs::read_to_string(path).unwrap())
    }

    fn parse(text: &str) -> Self {
        let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
        let (mut code, mut handed_on, mut hands_on) = (String::new(), String::new(), false);
        for line in text.lines().map(str::trim) {
            if line.starts_with("//") {
                continue;
            }
            hands_on |= line.starts_with("pub") && line.contains(" use ");
            let part = if hands_on { &mut handed_on } else { &mut code };
            part.push_str(line);
            part.push('\n');
            hands_on &= !line.ends_with(';');
        }
        Self { code, handed_on }
    }
}

struct Source {
    files: BTreeMap<Name, File>,
    /// The re-exports of each file: name, and path of the original.
    handed_on: BTreeMap<Name, BTreeMap<String, Name>>,
}

impl Source {
    fn read() -> Self {
        let mut files = BTreeMap::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        collect(&folder, &Vec::new(), &mut files);
        Self::of(files)
    }

    fn of(files: BTreeMap<Name, File>) -> Self {
        let mut source = Self {
            files,
            handed_on: BTreeMap::new(),
        };
        for (name, file) in &source.files {
            let named = source.paths(&file.handed_on, name);
            source
                .handed_on
                .insert(name.clone(), named.into_iter().collect());
        }
        source
    }

    /// Every path in `text` that begins in this crate, with its local name. A group in braces is
    /// one path per member.
    fn paths(&self, text: &str, file: &[String]) -> Vec<(String, Name)> {
        let mut found = Vec::new();
        let mut before = ' ';
        for (at, c) in text.char_indices() {
            let begins = is_word(c) && !is_word(before) && before != ':';
            before = c;
            let Some((word, _)) = text[at..].split_once("::").filter(|_| begins) else {
                continue;
            };
            let child = || {
                self.files
                    .contains_key(&[file, &[word.to_owned()]].concat())
            };
            if matches!(word, "crate" | "self" | "super") || (word.chars().all(is_word) && child())
            {
                expand(&text[at..], &mut Vec::new(), &mut found);
            }
        }
        for (_, path) in &mut found {
            *path = from_the_root(path, file);
        }
        found
    }

    /// The file that defines the item of a path, through all re-exports.
    fn definer(&self, path: &[String]) -> Name {
        let lengths = (0..=path.len()).rev();
        let mut lengths = lengths.filter(|length| self.files.contains_key(&path[..*length]));
        let (file, rest) = path.split_at(lengths.next().unwrap_or(0));
        let handed_on = rest.first().and_then(|name| self.handed_on[file].get(name));
        match handed_on {
            Some(origin) if origin != path => self.definer(origin),
            _ => file.to_vec(),
        }
    }

    /// The files that each file imports from.
    fn imports(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        self.targets(|file| file.code.clone())
    }

    /// The imports, and the re-exports too.
    fn imports_and_reexports(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        self.targets(|file| [&*file.code, &*file.handed_on].concat())
    }

    fn targets(&self, text: impl Fn(&File) -> String) -> BTreeMap<Name, BTreeSet<Name>> {
        let is_test = |name: &Name| name.iter().any(|part| part.ends_with("tests"));
        // The crate root re-exports from every wing.
        let files = self.files.iter();
        let files = files.filter(|(name, _)| !name.is_empty() && !is_test(name));
        files
            .map(|(name, file)| {
                let paths = self.paths(&text(file), name).into_iter();
                let targets = paths.map(|(_, path)| self.definer(&path));
                (
                    name.clone(),
                    targets.filter(|found| found != name).collect(),
                )
            })
            .collect()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every file of a folder by its module, such as `guard::silent`.
fn collect(folder: &Path, module: &Name, files: &mut BTreeMap<Name, File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let inner = [&**module, slice::from_ref(&name)].concat();
        if path.is_dir() {
            collect(&path, &inner, files);
        } else if name == "mod" || name == "lib" {
            files.insert(module.clone(), File::read(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(inner, File::read(&path));
        }
    }
}

/// Parses one path with its groups, and returns the rest of the text.
fn expand<'t>(text: &'t str, path: &mut Name, found: &mut Vec<(String, Name)>) -> &'t str {
    let depth = path.len();
    let mut rest = text.trim_start();
    while !rest.starts_with('{') {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end > 0 {
            path.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(more) if !more.starts_with('<') => rest = more.trim_start(),
            _ => {
                let renamed = rest.strip_prefix(" as ").map(|more| {
                    let end = more.find(|c| !is_word(c)).unwrap_or(more.len());
                    more.split_at(end)
                });
                let own = path.last().unwrap().clone();
                let (name, behind) =
                    renamed.map_or((own, rest), |(name, rest)| (name.into(), rest));
                found.push((name, path.clone()));
                path.truncate(depth);
                return behind.trim_start_matches('*');
            }
        }
    }
    let mut group = rest[1..].trim_start();
    while !group.is_empty() && !group.starts_with('}') {
        group = expand(group, path, found).trim_start();
        group = group.strip_prefix(',').unwrap_or(group).trim_start();
    }
    path.truncate(depth);
    group.strip_prefix('}').unwrap_or_default()
}

fn from_the_root(path: &[String], file: &[String]) -> Name {
    let ups = path.iter().take_while(|part| *part == "super").count();
    match path[0].as_str() {
        "crate" => path[1..].to_vec(),
        "self" => [file, &path[1..]].concat(),
        _ => [&file[..file.len().saturating_sub(ups)], &path[ups..]].concat(),
    }
}

/// The wings from the ground up: the first column of the table under "The wings of auth-core".
fn wings() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("## The wings of auth-core").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

/// The imports that run up or sideways: from a file outside of the wings, or from a lower row of
/// the table.
fn runs_up(source: &Source, wings: &[String]) -> Vec<String> {
    let floor = |name: &Name| wings.iter().position(|wing| Some(wing) == name.first());
    let mut wrong = Vec::new();
    for (name, targets) in source.imports_and_reexports() {
        for found in targets {
            if floor(&found).is_none() || floor(&found) > floor(&name) {
                wrong.push(format!("{} imports {}", name.join("::"), found.join("::")));
            }
        }
    }
    wrong
}

/// The imports that form a circle. A folder's `mod.rs` may import its own files, and these may
/// import it.
fn circles(source: &Source) -> Vec<String> {
    let mut imports = source.imports();
    for (name, targets) in &mut imports {
        targets.retain(|found| found.split_last().is_none_or(|(_, folder)| folder != name));
    }
    let leads_back = |name: &Name, target: &Name| {
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![target]);
        while let Some(next) = ahead.pop() {
            if seen.insert(next) {
                ahead.extend(imports.get(next).into_iter().flatten());
            }
        }
        seen.contains(name)
    };
    let edges = imports.iter();
    let edges = edges.flat_map(|(name, targets)| targets.iter().map(move |found| (name, found)));
    edges
        .filter(|(name, found)| leads_back(name, found))
        .map(|(name, found)| format!("{} imports {}", name.join("::"), found.join("::")))
        .collect()
}

#[test]
fn every_folder_is_a_wing_and_every_wing_a_folder() {
    let files = Source::read().files.into_keys();
    let folders: BTreeSet<String> = files.filter_map(|name| name.first().cloned()).collect();
    assert_eq!(folders, wings().into_iter().collect());
}

#[test]
fn a_wing_imports_only_from_wings_above_it_in_the_table() {
    let wrong = runs_up(&Source::read(), &wings());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&Source::read());
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn the_rule_sees_through_groups_new_names_and_what_is_handed_on() {
    let ground_and_roof = |ground: &str| {
        let files = [
            ("", "pub use roof::Roof;"),
            ("ground", ground),
            (
                "roof",
                "pub use self::tile::{Tile as Roof, slate};\nmod tile;",
            ),
            ("roof::tile", "use crate::ground::floor;\npub struct Tile;"),
        ];
        let named = files.map(|(name, text)| {
            let parts = name.split("::").filter(|part| !part.is_empty());
            (parts.map(str::to_owned).collect(), File::parse(text))
        });
        let source = Source::of(named.into());
        let wings = ["ground", "roof"].map(str::to_owned);
        (runs_up(&source, &wings), circles(&source).len())
    };
    let up = || vec!["ground imports roof::tile".to_owned()];
    for text in [
        "use crate::roof::Roof;",
        "use crate::{\n    ground::x,\n    roof::{self as y, Roof as Z},\n};",
        "use super::roof::tile;",
        "fn f() {}\nfn g() -> crate::roof::tile::Tile {\n",
        "impl From<crate::roof::Roof> for u8 {}",
        "use crate::Roof;",
    ] {
        let (mut wrong, circles) = ground_and_roof(text);
        wrong.retain(|line| line != "ground imports roof");
        assert_eq!((wrong, circles), (up(), 2), "{text}");
    }
    assert_eq!(ground_and_roof("pub(crate) use crate::roof::Roof;").0, up());
    for text in [
        "// use crate::roof::Roof;",
        "/// [Roof](crate::roof::Roof)",
        "use std::fmt;\n\n#[cfg(test)]\nmod tests {\n    use crate::roof::Roof;\n}",
    ] {
        assert_eq!(ground_and_roof(text), (Vec::new(), 0), "{text}");
    }
}
