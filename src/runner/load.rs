//! Loading suites: their files, their environment, their hooks, their cases.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Args;
use super::discover::{self, Case};
use super::{Refusal, relative};
use crate::hook::Hooks;
use crate::hookfile::{HookFiles, check_name};
use crate::suite::{Named, Suite, SuiteContext};

/// What suites are loaded from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// Suite files and globs of them.
    pub(crate) patterns: Vec<String>,
    /// A file of `NAME=value` lines.
    pub(crate) env_file: Option<String>,
    /// The hooks that are registered in code.
    pub(crate) hooks: Hooks,
    /// Files of hooks in other languages, for every suite.
    pub(crate) hook_files: Vec<String>,
    /// How long a call of such a hook may take.
    pub(crate) hook_timeout: Duration,
    /// Whether `only` is allowed on CI.
    pub(crate) allow_only: bool,
}

/// Suites that were loaded, with the processes of their hook files.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) suites: Vec<Suite>,
    pub(super) hooks: HookFiles,
}

/// A suite's text, and the hook files that it names.
struct Draft {
    file: PathBuf,
    text: String,
    hook_files: Vec<(Named, Result<PathBuf, String>)>,
}

/// Loads the suites; every fault in all of them is told at once.
pub(super) fn load(sources: &Sources, root: &Path) -> Result<Loaded, Refusal> {
    if sources.patterns.is_empty() {
        return Err(Refusal::from(
            "there is no suite to run; name one with --suite, SOFTPROBE_SUITE or Replay::suites"
                .to_owned(),
        ));
    }
    let context = context(sources, root)?;
    let mut faults = Vec::new();
    let drafts = drafts(sources, &context, root, &mut faults);
    let mut common = Vec::new();
    for file in &sources.hook_files {
        match hook_file(file, &[root]) {
            Ok(path) => common.push(path),
            Err(why) => faults.push(format!("--hooks: {why}")),
        }
    }
    let named = drafts.iter().flat_map(|draft| &draft.hook_files);
    let files: Vec<PathBuf> = named
        .filter_map(|(_, path)| path.clone().ok())
        .chain(common.iter().cloned())
        .collect();
    let loaded = HookFiles::load(&files, root, sources.hook_timeout);
    let mut hooks = sources.hooks.clone();
    for file in &common {
        match loaded.of(file) {
            Ok(own) => hooks = hooks.merge(own),
            Err(why) => faults.push(format!("--hooks: {}: {why}", relative(file).display())),
        }
    }
    let mut suites = Vec::new();
    for draft in drafts {
        match read(draft, &context, hooks.clone(), &common, &loaded, root) {
            Ok(suite) => suites.push(suite),
            Err(lines) => faults.extend(lines),
        }
    }
    if faults.is_empty() {
        Ok(Loaded {
            suites,
            hooks: loaded,
        })
    } else {
        Err(Refusal::invalid(faults))
    }
}

/// The suites' files, each read once.
fn drafts(
    sources: &Sources,
    context: &SuiteContext,
    root: &Path,
    faults: &mut Vec<String>,
) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for pattern in &sources.patterns {
        let found = match discover::files(pattern, &[root]) {
            Ok(found) => found.files,
            Err(message) => {
                faults.push(format!("suite {message}"));
                continue;
            }
        };
        for file in found {
            if drafts.iter().any(|draft| draft.file == file) {
                continue;
            }
            match std::fs::read_to_string(&file) {
                Ok(text) => drafts.push(Draft {
                    hook_files: hook_files(&file, &text, context, root),
                    file,
                    text,
                }),
                Err(error) => faults.push(format!(
                    "{}: can't be read: {error}",
                    relative(&file).display()
                )),
            }
        }
    }
    drafts
}

fn hook_files(
    suite: &Path,
    text: &str,
    context: &SuiteContext,
    root: &Path,
) -> Vec<(Named, Result<PathBuf, String>)> {
    let folder = suite.parent().unwrap_or(root);
    Suite::hook_files(text, context)
        .into_iter()
        .map(|named| {
            let path = hook_file(&named.path, &[folder, root]);
            (named, path)
        })
        .collect()
}

/// The hook file of that name: found as case files are.
fn hook_file(name: &str, folders: &[&Path]) -> Result<PathBuf, String> {
    check_name(Path::new(name))?;
    let found = folders.iter().map(|folder| folder.join(name));
    let mut found = found.filter(|path| path.is_file());
    let Some(path) = found.next() else {
        return Err(format!(
            "`{name}` is not there{}",
            discover::looked_in(folders)
        ));
    };
    path.canonicalize()
        .map_err(|error| format!("`{name}`: {error}"))
}

/// Reads a suite with the hooks that it may name.
fn read(
    draft: Draft,
    context: &SuiteContext,
    mut hooks: Hooks,
    common: &[PathBuf],
    loaded: &HookFiles,
    root: &Path,
) -> Result<Suite, Vec<String>> {
    let Draft {
        file,
        text,
        hook_files,
    } = draft;
    let shown = relative(&file);
    let mut lines = Vec::new();
    let mut seen = common.to_vec();
    for (Named { path, at }, found) in hook_files {
        let own = found.and_then(|file| {
            // A file that is named twice would make each of its names ambiguous.
            if seen.contains(&file) {
                return Ok(Hooks::new());
            }
            seen.push(file.clone());
            loaded.of(&file).map_err(|why| format!("`{path}`: {why}"))
        });
        match own {
            Ok(own) => hooks = hooks.merge(own),
            Err(why) => lines.push(format!("{}:{at}: {why}", shown.display())),
        }
    }
    match Suite::parse(&shown, &text, context, &hooks) {
        Ok(mut suite) if lines.is_empty() => {
            suite.file = file;
            Ok(suite)
        }
        Ok(suite) => {
            let named = suite.entries.iter();
            let named = named.map(|entry| (entry.path.clone(), suite.at(&entry.place)));
            lines.extend(missing(&file, named, root));
            Err(lines)
        }
        Err(error) => {
            lines.extend(error.lines);
            let named = error.named.into_iter().map(|Named { path, at }| (path, at));
            lines.extend(missing(&file, named, root));
            Err(lines)
        }
    }
}

/// The case files and globs of a suite that match nothing, for a suite that has other faults as well.
fn missing(
    suite: &Path,
    named: impl Iterator<Item = (String, String)>,
    root: &Path,
) -> Vec<String> {
    let folder = suite.parent().unwrap_or(root);
    let faults = named.filter_map(|(path, at)| {
        let why = discover::files(&path, &[folder, root]).err()?;
        Some(format!("{}:{at}: {why}", relative(suite).display()))
    });
    faults.collect()
}

/// The cases that the arguments ask for.
pub(super) fn select(suites: &[Suite], args: &Args, root: &Path) -> Result<Vec<Case>, Refusal> {
    let flags = &args.flags;
    let (filters, skip) = (args.filters.as_slice(), flags.skip.as_slice());
    if let (true, [name], []) = (flags.exact, filters, skip) {
        let mut found = suites
            .iter()
            .filter_map(|suite| discover::case_by_name(suite, root, name));
        if let Some(case) = found.next() {
            return Ok(if flags.ignored && case.ignored.is_none() {
                Vec::new()
            } else {
                vec![case]
            });
        }
    }
    let mut cases = cases(suites, root)?;
    let known = cases.len();
    cases.retain(|case| args.selects(&case.trial));
    if flags.exact && cases.is_empty() && !filters.is_empty() {
        return Err(Refusal::invalid(vec![format!(
            "no case is called {}; {known} cases are known, --list shows them",
            filters.join(" or ")
        )]));
    }
    if args.wants_cases && cases.is_empty() {
        return Err(Refusal::invalid(vec![format!(
            "no case's name fits the filters; {known} cases are known, --list shows them"
        )]));
    }
    if flags.ignored {
        cases.retain(|case| case.ignored.is_some());
    }
    Ok(cases)
}

/// Every case of the suites.
fn cases(suites: &[Suite], root: &Path) -> Result<Vec<Case>, Refusal> {
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for suite in suites {
        match discover::cases(suite, root) {
            Ok(found) => cases.extend(found),
            Err(lines) => faults.extend(lines),
        }
    }
    faults.extend(same_names(&cases));
    if faults.is_empty() {
        Ok(cases)
    } else {
        Err(Refusal::invalid(faults))
    }
}

/// Loads the suites and finds their cases, as a run would; how many suites there are, and their case files.
pub(crate) fn check(sources: &Sources, root: &Path) -> Result<(usize, Vec<PathBuf>), Refusal> {
    let loaded = load(sources, root)?;
    let cases = cases(&loaded.suites, root)?;
    let mut files: Vec<PathBuf> = cases.into_iter().map(|case| case.file).collect();
    files.sort();
    files.dedup();
    Ok((loaded.suites.len(), files))
}

fn context(sources: &Sources, root: &Path) -> Result<SuiteContext, Refusal> {
    let on_ci = std::env::var("CI").is_ok_and(|ci| !["", "0", "false"].contains(&ci.as_str()));
    let process: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let env_file = sources.env_file.as_ref().map(|file| root.join(file));
    Ok(SuiteContext {
        env: environment(&process, env_file.as_deref())?,
        process,
        forbid_only: on_ci && !sources.allow_only,
    })
}

/// Two suites may not have a trial of the same name.
fn same_names(cases: &[Case]) -> Vec<String> {
    let mut by_name: HashMap<&str, &Case> = HashMap::new();
    let mut faults = Vec::new();
    for case in cases {
        if let Some(other) = by_name.insert(&case.trial, case) {
            faults.push(format!(
                "two cases are called {}: {} and {}; give the suites different names",
                case.trial,
                other.file.display(),
                case.file.display()
            ));
        }
    }
    faults
}

/// The process's environment over the env file's.
fn environment(
    process: &BTreeMap<String, String>,
    file: Option<&Path>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut env = process.clone();
    let Some(file) = file else {
        return Ok(env);
    };
    let refuse = |error: dotenvy::Error| {
        Refusal::invalid(vec![format!("{}: {error}", relative(file).display())])
    };
    for pair in dotenvy::from_path_iter(file).map_err(refuse)? {
        let (name, value) = pair.map_err(refuse)?;
        env.entry(name).or_insert(value);
    }
    Ok(env)
}
