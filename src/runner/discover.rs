//! Finding suites and their case files, and naming the trials.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};

use crate::suite::{CaseFile, Entry, Plan, Suite, case_names, printable};

/// One case of a suite, with what is done with it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The trial's name.
    pub(crate) trial: String,
    /// The suite's name.
    pub(crate) suite: String,
    /// The case file.
    pub(crate) file: PathBuf,
    /// What is done with it.
    pub(crate) plan: Arc<Plan>,
    /// The suite's environment.
    pub(crate) env: Arc<BTreeMap<String, String>>,
    /// Why it is ignored, where it is.
    pub(crate) ignored: Option<String>,
}

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

pub(super) fn looked_in(bases: &[&Path]) -> String {
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
    prefix: PathBuf,
    is_glob: bool,
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
struct Glob {
    prefix: PathBuf,
    matcher: GlobMatcher,
}

impl Glob {
    /// `None` for a text without any wildcard.
    fn new(pattern: &str) -> Result<Option<Self>, String> {
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
        }))
    }

    fn walk(&self, base: &Path) -> Result<Found, String> {
        let prefix = base.join(&self.prefix);
        // Below the working directory itself, paths are shown without a `./`.
        let here = prefix.as_os_str().is_empty();
        let folder = if here { Path::new(".") } else { &prefix };
        let visible = |entry: &DirEntry| {
            entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
        };
        let mut files = Vec::new();
        let walk = WalkDir::new(folder).follow_links(true);
        for entry in walk.into_iter().filter_entry(visible) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if is_harmless(&error) => continue,
                // What can't be looked into may hold cases, and none may vanish without a word.
                Err(error) => return Err(format!("{error}")),
            };
            let rest = entry.path().strip_prefix(folder);
            if let (true, Ok(rest)) = (entry.file_type().is_file(), rest)
                && self.matcher.is_match(rest)
            {
                files.push(prefix.join(rest));
            }
        }
        files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        Ok(Found {
            files,
            prefix,
            is_glob: true,
        })
    }
}

/// A link that leads back up, a link to nothing, or a folder that is not there at all.
fn is_harmless(error: &walkdir::Error) -> bool {
    let kind = error.io_error().map(std::io::Error::kind);
    error.loop_ancestor().is_some() || kind == Some(std::io::ErrorKind::NotFound)
}

/// Every case of a suite, in the order of its entries.
///
/// # Errors
///
/// One line a fault: a glob without match, two cases of one name.
pub(crate) fn cases(suite: &Suite, root: &Path) -> Result<Vec<Case>, Vec<String>> {
    let folder = suite.file.parent().unwrap_or(root);
    let (mut files, mut entries, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen: HashSet<PathBuf> = HashSet::new();
    for entry in &suite.entries {
        let found = match self::files(&entry.path, &[folder, root]) {
            Ok(found) => found,
            Err(message) => {
                faults.push(format!(
                    "{}:{}: {message}",
                    super::relative(&suite.file).display(),
                    suite.at(&entry.place)
                ));
                continue;
            }
        };
        let shared = found.files.len() > 1;
        for path in &found.files {
            if !entry.is_object && !seen.insert(identity(path)) {
                continue;
            }
            files.push(case_file(path, entry, &found, shared));
            entries.push(entry);
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let names = case_names(&files).map_err(|name| {
        vec![format!(
            "{}: cases: two cases are called `{name}`; give one of them another `name`",
            super::relative(&suite.file).display()
        )]
    })?;
    let only = suite.entries.iter().any(|entry| entry.only);
    Ok(files
        .into_iter()
        .zip(entries)
        .zip(names)
        .map(|((file, entry), name)| case(suite, entry, file.path, &name, only))
        .collect())
}

/// The name of a path's only case, where no other claims it.
fn literal_name(entry: &Entry) -> String {
    let file = Path::new(&entry.path).file_name().unwrap_or_default();
    let file = file.to_string_lossy();
    let own = file.strip_suffix(".case.json").unwrap_or(&file);
    printable(entry.name.as_deref().unwrap_or(own))
}

/// The one case of a suite that has this trial name, found without walking folders; `None` where
/// only the whole list can tell.
pub(crate) fn case_by_name(suite: &Suite, root: &Path, trial: &str) -> Option<Case> {
    let prefix = format!("{}::", printable(&suite.name));
    let name = trial.strip_prefix(&prefix)?;
    let folder = suite.file.parent().unwrap_or(root);
    let mut found: Vec<(&Entry, PathBuf)> = Vec::new();
    for entry in &suite.entries {
        let Some(glob) = Glob::new(&entry.path).ok()? else {
            if literal_name(entry) == name {
                let mut files = self::files(&entry.path, &[folder, root]).ok()?.files;
                found.push((entry, files.pop()?));
            }
            continue;
        };
        if let Some(own) = entry.name.as_deref().map(printable) {
            let below = name.strip_prefix(&own);
            if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                // Whether it is a prefix depends on how many files its glob finds.
                return None;
            }
            continue;
        }
        for base in [folder, root] {
            for file in [format!("{name}.case.json"), name.to_owned()] {
                let path = base.join(&glob.prefix).join(&file);
                if glob.matcher.is_match(&file) && path.is_file() {
                    found.push((entry, path));
                }
            }
        }
    }
    found.dedup_by(|(_, a), (_, b)| identity(a) == identity(b));
    let only = suite.entries.iter().any(|entry| entry.only);
    match found.as_slice() {
        [(entry, path)] => Some(case(suite, entry, path.clone(), name, only)),
        _ => None,
    }
}

fn case_file(path: &Path, entry: &Entry, found: &Found, shared: bool) -> CaseFile {
    let depth = match path.strip_prefix(&found.prefix) {
        Ok(rest) if found.is_glob => rest.components().count(),
        _ => 1,
    };
    CaseFile {
        path: path.to_owned(),
        name: entry.name.clone(),
        shared: shared && found.is_glob,
        depth,
    }
}

fn case(suite: &Suite, entry: &Entry, file: PathBuf, name: &str, only: bool) -> Case {
    let ignored = match &entry.skip {
        Some(reason) => Some(reason.clone()),
        None if only && !entry.only => Some("another entry has `only`".to_owned()),
        None => None,
    };
    Case {
        trial: format!("{}::{name}", printable(&suite.name)),
        suite: suite.name.clone(),
        file,
        plan: Arc::clone(&entry.plan),
        env: Arc::clone(&suite.env),
        ignored,
    }
}

/// The file itself, however it is reached.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
