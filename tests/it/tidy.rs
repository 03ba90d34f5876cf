//! The import table of `ARCHITECTURE.md`: which module may use which.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads the table between its two marks: `| module | may import |`.
fn table(text: &str) -> BTreeMap<String, Vec<String>> {
    let start = text
        .find("<!-- imports -->")
        .expect("the table's first mark");
    let end = text
        .find("<!-- /imports -->")
        .expect("the table's last mark");
    text[start..end]
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let words: Vec<String> = line
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            (words[0].clone(), words[1..].to_vec())
        })
        .collect()
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

/// The modules of ours that a source text names, but in its tests.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    code.split("crate::")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest[..end.unwrap_or(rest.len())].to_owned()
        })
        .collect()
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let table = table(&std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    let src = root().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut faults = Vec::new();
    for file in files {
        let below = file.strip_prefix(&src).unwrap();
        let first = below
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        // What holds everything together may use everything.
        if ["lib", "cli"].contains(&module.as_str()) {
            continue;
        }
        let Some(allowed) = table.get(&module) else {
            faults.push(format!("`{module}` is not in the table"));
            continue;
        };
        for used in imports(&std::fs::read_to_string(&file).unwrap()) {
            if used != module && !allowed.contains(&used) {
                faults.push(format!("{} uses {used}", below.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_import_that_is_not_allowed_would_be_found() {
    // What the root re-exports is to be taken from its own module.
    assert_eq!(imports("use crate::Proxy;"), ["Proxy"]);
    assert_eq!(
        imports("use crate::runtime::Oracle;\n// crate::case\n"),
        ["runtime"]
    );
    assert_eq!(
        imports("#[cfg(test)]\nuse crate::case::X;"),
        Vec::<String>::new()
    );
}

#[test]
fn some_crates_stand_in_one_file_alone() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for (word, wanted) in [
        ("serde_yaml::", "yaml.rs"),
        ("Agent::config_builder", "client.rs"),
    ] {
        let users: Vec<_> = files
            .iter()
            .filter(|file| std::fs::read_to_string(file).unwrap().contains(word))
            .collect();
        assert_eq!(users.len(), 1, "{word}: {users:?}");
        assert!(users[0].ends_with(wanted), "{users:?}");
    }
}
