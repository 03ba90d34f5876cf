//! Finds the files that a path or a glob matches.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};

/// Returns the files that a path or a glob matches, sorted by path.
///
/// # Errors
///
/// A message if the pattern is not a valid glob or matches nothing.
pub(crate) fn files(pattern: &str, bases: &[&Path]) -> Result<Found, String> {
    for base in bases {
        let path = base.join(pattern);
        if path.is_file() {
            return Ok(Found {
                prefix: path.parent().unwrap_or(base).to_owned(),
                has_links: false,
                files: vec![path],
                is_glob: false,
            });
        }
    }
    let glob = Glob::new(pattern)?;
    let Some(glob) = glob else {
        if bases.iter().any(|base| base.join(pattern).is_dir()) {
            return Err(format!(
                "`{pattern}` is a folder; name a file, or a glob such as `{}/**/*.case.json`",
                pattern.trim_end_matches('/')
            ));
        }
        return Err(format!("`{pattern}` does not exist{}", looked_in(bases)));
    };
    for base in bases {
        let found = glob.walk(base)?;
        if !found.files.is_empty() {
            return Ok(found);
        }
    }
    Err(format!("`{pattern}` matches no file{}", looked_in(bases)))
}

pub(crate) fn looked_in(bases: &[&Path]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for base in bases {
        let base = base.display().to_string();
        if !(base.is_empty() || shown.contains(&base)) {
            shown.push(base);
        }
    }
    match shown.is_empty() {
        true => String::new(),
        false => format!("; looked in {}", shown.join(" and in ")),
    }
}

/// The files that a path or a glob matches.
#[derive(Debug)]
pub(crate) struct Found {
    /// The files, sorted by path.
    pub(crate) files: Vec<PathBuf>,
    /// The folder that names are relative to.
    pub(crate) prefix: PathBuf,
    /// Whether the pattern is a glob.
    pub(crate) is_glob: bool,
    /// Whether a link was followed, so that one file may be found by two paths.
    pub(crate) has_links: bool,
}

impl Found {
    /// Returns the file's path below the prefix, with `/` as the separator and without `.case.json`.
    #[cfg(feature = "runner")]
    pub(crate) fn name_of(&self, file: &Path) -> String {
        let below = file.strip_prefix(&self.prefix).unwrap_or(file);
        let parts = below
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        let name = parts.collect::<Vec<_>>().join("/");
        name.strip_suffix(".case.json").unwrap_or(&name).to_owned()
    }
}

/// The characters that make a path a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// How the names of files end in which differences of a case wait for a decision.
pub(crate) const PENDING: &str = ".pending.json";

fn is_pending(path: &Path) -> bool {
    path.to_string_lossy().ends_with(PENDING)
}

/// How deeply the braces of a glob may be nested: the library recurses into them.
const DEEPEST_BRACES: usize = 16;

fn brace_depth(pattern: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in pattern.chars() {
        match c {
            '{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A glob, split after its fixed part.
pub(crate) struct Glob {
    /// The path before its first segment with a wildcard.
    pub(crate) prefix: PathBuf,
    matcher: GlobMatcher,
    /// Whether the pattern names files that wait for a decision.
    finds_pending: bool,
    /// How deep below the prefix its files can be; `None` for any depth.
    depth: Option<usize>,
}

impl Glob {
    /// Parses a glob; `None` for a path without wildcards.
    ///
    /// # Errors
    ///
    /// A message if the pattern is not a valid glob.
    pub(crate) fn new(pattern: &str) -> Result<Option<Self>, String> {
        if !pattern.contains(WILDCARDS) {
            return Ok(None);
        }
        if brace_depth(pattern) > DEEPEST_BRACES {
            return Err(format!(
                "`{}…` is not a valid glob: its braces are nested more than {DEEPEST_BRACES} levels deep",
                pattern.chars().take(40).collect::<String>()
            ));
        }
        let steps: Vec<&str> = pattern.split('/').collect();
        let fixed = steps
            .iter()
            .take_while(|step| !step.contains(WILDCARDS))
            .count();
        let rest = steps[fixed..].join("/");
        let glob = GlobBuilder::new(&rest)
            .literal_separator(true)
            .build()
            .map_err(|error| format!("`{pattern}` is not a valid glob: {}", error.kind()))?;
        let mut prefix = steps[..fixed].join("/");
        if pattern.starts_with('/') && !prefix.starts_with('/') {
            prefix.insert(0, '/');
        }
        Ok(Some(Self {
            prefix: prefix.into(),
            matcher: glob.compile_matcher(),
            finds_pending: is_pending(Path::new(&rest)),
            // `**` and the contents of braces can match at any depth.
            depth: (!rest.contains("**") && !rest.contains('{')).then_some(steps.len() - fixed),
        }))
    }

    /// Returns whether a path below the prefix matches. What waits for a decision about a case is no case.
    pub(crate) fn fits(&self, rest: &Path) -> bool {
        self.matcher.is_match(rest) && (self.finds_pending || !is_pending(rest))
    }

    fn walk(&self, base: &Path) -> Result<Found, String> {
        let prefix = base.join(&self.prefix);
        // In the working directory itself, paths are shown without a `./`.
        let here = prefix.as_os_str().is_empty();
        let folder = if here { Path::new(".") } else { &prefix };
        let visible = |entry: &DirEntry| {
            entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
        };
        let (mut files, mut has_links) = (Vec::new(), false);
        let mut walk = WalkDir::new(folder).follow_links(true);
        if let Some(depth) = self.depth {
            walk = walk.max_depth(depth);
        }
        for entry in walk.into_iter().filter_entry(visible) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if is_harmless(&error) => continue,
                // A folder that can't be read may contain cases, and none may be dropped silently.
                Err(error) => return Err(format!("{error}")),
            };
            has_links |= entry.path_is_symlink() && entry.depth() > 0;
            let rest = entry.path().strip_prefix(folder);
            if let (true, Ok(rest)) = (entry.file_type().is_file(), rest)
                && self.fits(rest)
            {
                files.push(prefix.join(rest));
            }
        }
        files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        Ok(Found {
            files,
            prefix,
            is_glob: true,
            has_links,
        })
    }
}

/// Returns whether an error is harmless: a link that leads back up, a dangling link, or a missing folder.
fn is_harmless(error: &walkdir::Error) -> bool {
    let kind = error.io_error().map(std::io::Error::kind);
    error.loop_ancestor().is_some() || kind == Some(std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_braces_have_a_limit() {
        let nested = |depth: usize| format!("{}b{}*.json", "{a,".repeat(depth), "}".repeat(depth));
        assert!(Glob::new(&nested(16)).is_ok_and(|glob| glob.is_some()));
        for depth in [17, 2000, 100_000] {
            let refused = Glob::new(&nested(depth)).err().unwrap();
            assert!(
                refused.contains("nested more than 16 levels deep"),
                "{refused}"
            );
            assert!(refused.len() < 200, "{refused}");
        }
    }
}
