//! Checks what `ARCHITECTURE.md` promises about the code: which rooms may use which, which rooms
//! are pure, and that neither rooms nor files depend on each other in a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Reads the `| room | may import |` table between its two markers: whether each room is pure, and
/// which rooms it may use.
fn table(text: &str) -> BTreeMap<String, (bool, Vec<String>)> {
    let start = text
        .find("<!-- imports -->")
        .expect("ARCHITECTURE.md should have the table's opening marker");
    let end = text
        .find("<!-- /imports -->")
        .expect("ARCHITECTURE.md should have the table's closing marker");
    text[start..end]
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let words = line.split('`').skip(1).step_by(2);
            let words: Vec<String> = words.map(str::to_owned).collect();
            let pure = line.contains("(P)");
            (words[0].clone(), (pure, words[1..].to_vec()))
        })
        .collect()
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
            into.push(path);
        }
    }
    into.sort();
}

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

/// Returns a source text without its comments and tests.
fn code(text: &str) -> String {
    let text = text.replace("#[cfg(test)]\nmod tests;", "");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns every path in a text that starts with `crate::` or `super::`, with its groups expanded.
fn paths(code: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for start in ["crate::", "super::"] {
        let mut rest = code;
        while let Some(at) = rest.find(start) {
            let before = rest[..at].chars().next_back();
            let path = &rest[at..];
            rest = &rest[at + start.len()..];
            // `super::super::` counts once, and `$crate::` belongs to a macro.
            if before.is_none_or(|c| !c.is_alphanumeric() && !"_:$".contains(c)) {
                unfold(path, &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Adds one path, or each path of a group, to `found`; returns the text after it.
fn unfold<'t>(
    text: &'t str,
    before: &mut Vec<String>,
    found: &mut BTreeSet<Vec<String>>,
) -> &'t str {
    let mut rest = text.trim_start();
    let depth = before.len();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            rest = group.trim_start();
            while !rest.starts_with('}') && !rest.is_empty() {
                rest = unfold(rest, before, found).trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            }
            rest = rest.strip_prefix('}').unwrap_or(rest);
            break;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        if word.is_empty() {
            rest = rest.get(1..).unwrap_or_default();
            break;
        }
        before.push(word.to_owned());
        if let Some(next) = behind.strip_prefix("::")
            && next.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '{')
        {
            rest = next;
            continue;
        }
        found.insert(before.clone());
        // `use a::B as C`
        rest = match behind.trim_start().strip_prefix("as ") {
            Some(renamed) => renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
            None => behind,
        };
        break;
    }
    before.truncate(depth);
    rest
}

/// The code of the crate's files, by module path.
struct Crate {
    files: BTreeMap<Vec<String>, String>,
}

impl Crate {
    fn read() -> Self {
        let src = root().join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        let files = files.iter().map(|file| {
            let below = file.strip_prefix(&src).unwrap().with_extension("");
            let steps = below.iter().map(|step| step.to_string_lossy().into_owned());
            let mut module: Vec<String> = steps.collect();
            if ["mod", "lib"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            (module, code(&std::fs::read_to_string(file).unwrap()))
        });
        Self {
            files: files.collect(),
        }
    }

    /// Returns the module that defines what a path in the module `from` names.
    fn resolve(&self, from: &[String], path: &[String]) -> Vec<String> {
        let mut module: Vec<String> = match path[0].as_str() {
            "crate" => Vec::new(),
            _ => from[..from.len() - 1].to_vec(),
        };
        for step in &path[1..] {
            if step == "super" {
                module.pop();
                continue;
            }
            let below = [module.as_slice(), std::slice::from_ref(step)].concat();
            if self.files.contains_key(&below) {
                module = below;
                continue;
            }
            // An item: if its module re-exports it from a child, the child defines it.
            if let Some(child) = self.reexported(&module, step) {
                module.push(child);
            }
            break;
        }
        module
    }

    /// Returns the child from which a module re-exports an item, if any.
    fn reexported(&self, module: &[String], item: &str) -> Option<String> {
        let code = self.files.get(module)?;
        let uses = code.split("use ").skip(1);
        uses.filter_map(|text| {
            let mut found = BTreeSet::new();
            unfold(text.split(';').next()?, &mut Vec::new(), &mut found);
            found
                .into_iter()
                .find(|path| path.len() == 2 && path[1] == item)
        })
        .map(|path| path[0].clone())
        .find(|child| {
            let below = [module, std::slice::from_ref(child)].concat();
            self.files.contains_key(&below)
        })
    }

    /// Returns the modules that each module uses.
    fn uses(&self) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
        let used = self.files.iter().map(|(module, code)| {
            let all = paths(code).into_iter();
            let mut used: BTreeSet<_> = all.map(|path| self.resolve(module, &path)).collect();
            used.remove(module);
            (module.clone(), used)
        });
        used.collect()
    }
}

/// The rooms that tie the others together; they may use everything.
const GLUE: [&str; 3] = ["cli", "internals", "main"];

fn room(module: &[String]) -> &str {
    module.first().map_or("lib", String::as_str)
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table = table(&std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    let mut faults = BTreeSet::new();
    for (module, used) in Crate::read().uses() {
        let own = room(&module);
        if own == "lib" || GLUE.contains(&own) {
            continue;
        }
        let Some((_, allowed)) = table.get(own) else {
            faults.insert(format!("`{own}` is not in the table"));
            continue;
        };
        for other in used.iter().map(|used| room(used)) {
            if other != own && other != "base" && !allowed.iter().any(|a| a == other) {
                faults.insert(format!("{} uses {other}", module.join("/")));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What a pure room must not use: files, sockets, threads, clocks, the environment, processes,
/// randomness.
const IMPURE: [&str; 12] = [
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::net::Tcp",
    "Instant",
    "SystemTime",
    "io::stdout",
    "io::stderr",
    "getrandom",
    "tokio",
    "ureq",
];

#[test]
fn pure_rooms_touch_nothing_outside() {
    let table = table(&std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    let mut faults = Vec::new();
    let mut pure = BTreeSet::new();
    for (module, code) in &Crate::read().files {
        if table.get(room(module)).is_some_and(|(pure, _)| *pure) {
            pure.insert(room(module).to_owned());
            let found = IMPURE.iter().filter(|word| code.contains(**word));
            faults.extend(found.map(|word| format!("{}: {word}", module.join("/"))));
        }
    }
    assert!(pure.len() > 8, "{pure:?}");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn there_are_no_cyclic_imports() {
    let uses = Crate::read().uses();
    // If this code no longer understood the imports, it would find no cycle either.
    let edges: usize = uses.values().map(BTreeSet::len).sum();
    assert!(edges > 2 * uses.len(), "{edges} imports of {}", uses.len());
    let files = circle(&uses);
    assert!(files.is_none(), "files: {files:#?}");
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, used) in uses.iter().filter(|(module, _)| room(module) != "lib") {
        let own = room(module);
        let others = used.iter().map(|used| room(used).to_owned());
        rooms
            .entry(own.to_owned())
            .or_default()
            .extend(others.filter(|other| other != own && other != "lib"));
    }
    let rooms = circle(&rooms);
    assert!(rooms.is_none(), "rooms: {rooms:#?}");
}

/// Returns a cycle in the graph of uses, if any.
fn circle<N: Ord + Clone>(uses: &BTreeMap<N, BTreeSet<N>>) -> Option<Vec<N>> {
    fn visit<N: Ord + Clone>(
        node: &N,
        uses: &BTreeMap<N, BTreeSet<N>>,
        way: &mut Vec<N>,
        done: &mut BTreeSet<N>,
    ) -> Option<Vec<N>> {
        if let Some(at) = way.iter().position(|known| known == node) {
            return Some(way[at..].to_vec());
        }
        if !done.insert(node.clone()) {
            return None;
        }
        way.push(node.clone());
        let found = uses
            .get(node)
            .into_iter()
            .flatten()
            .find_map(|next| visit(next, uses, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    uses.keys()
        .find_map(|node| visit(node, uses, &mut Vec::new(), &mut done))
}

#[test]
fn a_forbidden_import_would_be_found() {
    let found = |text: &str| -> Vec<String> {
        let found = paths(&code(text)).into_iter();
        found.map(|path| path.join("::")).collect()
    };
    assert_eq!(
        found("use crate::a::{B, c::{D, e}};\n// crate::x::Y\nfn f() -> super::g::H {}"),
        [
            "crate::a::B",
            "crate::a::c::D",
            "crate::a::c::e",
            "super::g::H"
        ]
    );
    assert_eq!(
        found("#[cfg(test)]\nuse crate::case::X;"),
        Vec::<String>::new()
    );
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        uses
    };
    assert_eq!(circle(&uses(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert!(circle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
}

#[test]
fn some_crates_are_used_in_only_one_file() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for (word, wanted) in [
        ("serde_yaml::", "yaml.rs"),
        ("Agent::config_builder", "client.rs"),
        ("libtest_mimic::", "pool.rs"),
    ] {
        let users: Vec<_> = files
            .iter()
            .filter(|file| std::fs::read_to_string(file).unwrap().contains(word))
            .collect();
        assert_eq!(users.len(), 1, "{word}: {users:?}");
        assert!(users[0].ends_with(wanted), "{users:?}");
    }
}
