//! Names of case files, made of the method and the path of the request.

use std::path::{Path, PathBuf};

/// The longest name before its number and its ending, in bytes.
const LONGEST: usize = 80;

/// The ending of case files.
pub(super) const ENDING: &str = ".case.json";

/// Returns the name of a case: `get-items-7`.
pub(super) fn name(method: &str, path: &str) -> String {
    let mut name = String::new();
    for c in format!("{method}/{path}").chars() {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            // Other alphabets have words as well.
            c if c.is_alphanumeric() => name.extend(c.to_lowercase()),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
        if name.len() >= LONGEST {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    match path.chars().any(char::is_alphanumeric) {
        true => name.to_owned(),
        false => format!("{name}-root"),
    }
}

/// Returns the paths of the cases of a name, without a number and then from 2 on, beginning at this one.
pub(super) fn paths(folder: &Path, name: &str, from: usize) -> impl Iterator<Item = PathBuf> {
    (from.max(1)..).map(move |n| {
        folder.join(match n {
            1 => format!("{name}{ENDING}"),
            n => format!("{name}-{n}{ENDING}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_words_of_the_request() {
        for (method, path, wanted) in [
            ("GET", "/items/7", "get-items-7"),
            ("POST", "/v1/charge_cards/", "post-v1-charge-cards"),
            ("GET", "/", "get-root"),
            ("GET", "/../../etc/passwd", "get-etc-passwd"),
            ("GET", "/%2e%2e/CON", "get-2e-2e-con"),
            ("DELETE", "/straße/ΑΒ", "delete-straße-αβ"),
        ] {
            assert_eq!(name(method, path), wanted);
        }
        let long = name("GET", &"/ab".repeat(100));
        assert!(long.len() <= LONGEST + 4 && long.starts_with("get-ab-ab"));
        let mut paths = paths(Path::new("cases"), "get-a", 1);
        assert_eq!(paths.next(), Some("cases/get-a.case.json".into()));
        assert_eq!(paths.next(), Some("cases/get-a-2.case.json".into()));
    }
}
