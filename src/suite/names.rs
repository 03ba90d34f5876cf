//! Gives every case of a suite a unique name.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// A case file, with what its name is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaseToName {
    /// The file.
    pub(crate) path: PathBuf,
    /// The entry's display name, if any.
    pub(crate) name: Option<String>,
    /// Whether its entry matched several files, which makes the display name a prefix.
    pub(crate) shared: bool,
    /// How many of the path's last components are below the glob's fixed prefix; at least 1.
    pub(crate) depth: usize,
}

/// Returns the case name of each file, in order; names that would collide keep more of their paths.
///
/// # Errors
///
/// Returns a name that two of the files cannot avoid sharing.
pub(crate) fn case_names(files: &[CaseToName]) -> Result<Vec<String>, String> {
    let mut depths: Vec<usize> = files.iter().map(|file| file.depth.max(1)).collect();
    loop {
        let names: Vec<String> = files
            .iter()
            .zip(&depths)
            .map(|(file, &depth)| name_at(file, depth))
            .collect();
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (n, name) in names.iter().enumerate() {
            by_name.entry(name).or_default().push(n);
        }
        let mut collisions: Vec<_> = by_name.into_iter().filter(|(_, n)| n.len() > 1).collect();
        if collisions.is_empty() {
            return Ok(names);
        }
        collisions.sort_unstable();
        for (name, members) in collisions {
            let mut grew = false;
            for n in members {
                let file = &files[n];
                let grows = (file.name.is_none() || file.shared)
                    && depths[n] < components(&file.path).len();
                if grows {
                    depths[n] += 1;
                    grew = true;
                }
            }
            if !grew {
                return Err(name.to_owned());
            }
        }
    }
}

fn name_at(file: &CaseToName, depth: usize) -> String {
    let parts = components(&file.path);
    let tail = parts[parts.len().saturating_sub(depth)..].join("/");
    let tail = tail.strip_suffix(".case.json").unwrap_or(&tail);
    printable(&match &file.name {
        None => tail.to_owned(),
        Some(name) if file.shared => format!("{name}/{tail}"),
        Some(name) => name.clone(),
    })
}

fn components(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect()
}

/// Returns the text with every control character replaced by `_`.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, depth: usize) -> CaseToName {
        CaseToName {
            path: path.into(),
            name: None,
            shared: false,
            depth,
        }
    }

    #[test]
    fn names_are_paths_below_the_prefix() {
        let names = case_names(&[
            file("/p/cases/happy.case.json", 1),
            file("/p/cases/declined/expired-card.case.json", 2),
            file("/p/cases/od\td.case.json", 1),
        ]);
        let wanted = ["happy", "declined/expired-card", "od_d"];
        assert_eq!(names.unwrap(), wanted);
    }

    #[test]
    fn files_that_would_collide_keep_more_of_their_paths() {
        let names = case_names(&[file("/p/a/x.case.json", 1), file("/p/b/x.case.json", 1)]);
        assert_eq!(names.unwrap(), ["a/x", "b/x"]);
    }

    #[test]
    fn display_names_are_prefixes_for_several_files_and_never_repeated() {
        let named = |path: &str, shared| CaseToName {
            name: Some("smoke".to_owned()),
            shared,
            ..file(path, 1)
        };
        let names = case_names(&[named("/a.case.json", true), named("/b.case.json", true)]);
        assert_eq!(names.unwrap(), ["smoke/a", "smoke/b"]);
        let names = case_names(&[named("/a.case.json", false), named("/b.case.json", false)]);
        assert_eq!(names.unwrap_err(), "smoke");
    }
}
