//! What a path or a glob means.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};

/// The files that a path or a glob means, sorted by path.
///
/// # Errors
///
/// A message when it is no glob or matches nothing.
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
        return Err(format!("`{pattern}` is not there{}", looked_in(bases)));
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

/// What a path or a glob means.
#[derive(Debug)]
pub(crate) struct Found {
    /// The files, sorted by path.
    pub(crate) files: Vec<PathBuf>,
    /// The folder below which names are taken.
    pub(crate) prefix: PathBuf,
    /// Whether it is a glob.
    pub(crate) is_glob: bool,
    /// Whether there was a link on the way, so that one file may be found by two paths.
    pub(crate) has_links: bool,
}

impl Found {
    /// The file's path below the glob's fixed part, or its name, with `/` and without `.case.json`.
    #[cfg(feature = "cli")]
    pub(crate) fn name_of(&self, file: &Path) -> String {
        let below = file.strip_prefix(&self.prefix).unwrap_or(file);
        let parts = below
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        let name = parts.collect::<Vec<_>>().join("/");
        name.strip_suffix(".case.json").unwrap_or(&name).to_owned()
    }
}

/// What makes a path a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// A glob, split where its fixed part ends.
pub(crate) struct Glob {
    /// What stands before its first wildcard.
    pub(crate) prefix: PathBuf,
    matcher: GlobMatcher,
    /// How deep below the prefix its files are, where that has an end.
    depth: Option<usize>,
}

impl Glob {
    /// `None` for a text without any wildcard.
    ///
    /// # Errors
    ///
    /// A message for one that is no glob.
    pub(crate) fn new(pattern: &str) -> Result<Option<Self>, String> {
        if !pattern.contains(WILDCARDS) {
            return Ok(None);
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
            .map_err(|error| format!("`{pattern}` is not a glob: {}", error.kind()))?;
        let mut prefix = steps[..fixed].join("/");
        if pattern.starts_with('/') && !prefix.starts_with('/') {
            prefix.insert(0, '/');
        }
        Ok(Some(Self {
            prefix: prefix.into(),
            matcher: glob.compile_matcher(),
            // `**`, and what braces may hold, can be of any depth.
            depth: (!rest.contains("**") && !rest.contains('{')).then_some(steps.len() - fixed),
        }))
    }

    /// Whether a path below the prefix fits.
    pub(crate) fn fits(&self, rest: &Path) -> bool {
        self.matcher.is_match(rest)
    }

    fn walk(&self, base: &Path) -> Result<Found, String> {
        let prefix = base.join(&self.prefix);
        // Below the working directory itself, paths are shown without a `./`.
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
                // What can't be looked into may hold cases, and none may vanish without a word.
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

/// A link that leads back up, a link to nothing, or a folder that is not there at all.
fn is_harmless(error: &walkdir::Error) -> bool {
    let kind = error.io_error().map(std::io::Error::kind);
    error.loop_ancestor().is_some() || kind == Some(std::io::ErrorKind::NotFound)
}
