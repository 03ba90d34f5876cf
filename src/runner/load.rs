//! Loads suites: their files and their hooks.

use std::path::{Path, PathBuf};

use super::refusal::Refusal;
use super::select::trials;
use super::share::shared_faults;
use super::sources::{Sources, context};
use super::upstreams::check_files;
use crate::disk::{files, looked_in, relative};
use crate::foreign::{HookFiles, check_name};
use crate::hook::Hooks;
use crate::suite::{self, Draft, Suite, SuiteContext};

/// Loaded suites, with the processes of their hook files.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) suites: Vec<Suite>,
    pub(super) hooks: HookFiles,
}

/// A suite before its hooks are resolved, with the hook files that it names.
struct SuiteDraft {
    file: PathBuf,
    draft: Draft,
    /// For each hook file, its place in the suite, and its path or why it was not found.
    hook_files: Vec<(String, Result<PathBuf, String>)>,
}

/// Loads the suites, and reports every fault in all of them at once.
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
    let named = drafts.iter().flat_map(|named| &named.hook_files);
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
    for named in drafts {
        match finish(named, &context, hooks.clone(), &common, &loaded, root) {
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

/// Reads the suites' files, each once.
fn drafts(
    sources: &Sources,
    context: &SuiteContext,
    root: &Path,
    faults: &mut Vec<String>,
) -> Vec<SuiteDraft> {
    let mut found_files: Vec<PathBuf> = Vec::new();
    for pattern in &sources.patterns {
        match files(pattern, &[root]) {
            Ok(found) => found_files.extend(found.files),
            Err(message) => faults.push(format!("suite {message}")),
        }
    }
    let mut drafts: Vec<SuiteDraft> = Vec::new();
    for file in found_files {
        if drafts.iter().any(|named| named.file == file) {
            continue;
        }
        match draft(file, context, root) {
            Ok(draft) => drafts.push(draft),
            Err(lines) => faults.extend(lines),
        }
    }
    drafts
}

fn draft(file: PathBuf, context: &SuiteContext, root: &Path) -> Result<SuiteDraft, Vec<String>> {
    let shown = relative(&file);
    let text = std::fs::read_to_string(&file)
        .map_err(|error| vec![format!("{}: can't be read: {error}", shown.display())])?;
    let draft = Draft::parse(&shown, &text, context)?;
    let folder = file.parent().unwrap_or(root);
    let named = draft
        .hook_files()
        .into_iter()
        .map(|suite::Named { path, at }| {
            let found = hook_file(&path, &[folder, root]);
            (format!("{}:{at}", shown.display()), found)
        });
    Ok(SuiteDraft {
        hook_files: named.collect(),
        draft,
        file,
    })
}

/// Returns the path of a hook file, found in the same way as case files.
fn hook_file(name: &str, folders: &[&Path]) -> Result<PathBuf, String> {
    check_name(Path::new(name))?;
    let found = folders.iter().map(|folder| folder.join(name));
    let mut found = found.filter(|path| path.is_file());
    let Some(path) = found.next() else {
        return Err(format!("`{name}` does not exist{}", looked_in(folders)));
    };
    path.canonicalize()
        .map_err(|error| format!("`{name}`: {error}"))
}

/// Returns the suite with its hooks resolved, or everything that is wrong with it.
fn finish(
    named: SuiteDraft,
    context: &SuiteContext,
    mut hooks: Hooks,
    common: &[PathBuf],
    loaded: &HookFiles,
    root: &Path,
) -> Result<Suite, Vec<String>> {
    let SuiteDraft {
        file,
        draft,
        hook_files,
    } = named;
    let mut faults = Vec::new();
    let mut seen = common.to_vec();
    for (at, found) in hook_files {
        let own = found.and_then(|file| {
            // A file that is merged twice would make each of its names ambiguous.
            if seen.contains(&file) {
                return Ok(Hooks::new());
            }
            let own = loaded.of(&file);
            let own = own.map_err(|why| format!("`{}`: {why}", relative(&file).display()));
            seen.push(file);
            own
        });
        match own {
            Ok(own) => hooks = hooks.merge(own),
            Err(why) => faults.push(format!("{at}: {why}")),
        }
    }
    let (mut suite, found) = draft.finish(context, &hooks);
    faults.extend(found);
    if !faults.is_empty() {
        faults.extend(missing(&suite, &file, root));
        return Err(faults);
    }
    if let Some(app) = &mut suite.app {
        let folder = file.parent().unwrap_or(root);
        app.upstreams.resolve(folder);
        if let Err(why) = check_files(&app.upstreams) {
            return Err(vec![format!("{}: app.{why}", relative(&file).display())]);
        }
        let folder = app
            .folder
            .as_ref()
            .map_or(root.to_owned(), |cwd| folder.join(cwd));
        app.folder = Some(folder.canonicalize().unwrap_or(folder));
    }
    suite.file = file;
    let faults = shared_faults(&suite, root);
    match faults.is_empty() {
        true => Ok(suite),
        false => Err(faults),
    }
}

/// Returns messages for the case paths and globs that match nothing, for a suite that has other faults.
fn missing(suite: &Suite, file: &Path, root: &Path) -> Vec<String> {
    let folder = file.parent().unwrap_or(root);
    let faults = suite.entries.iter().filter_map(|entry| {
        let why = files(&entry.path, &[folder, root]).err()?;
        let at = suite.at(&entry.place);
        Some(format!("{}:{at}: {why}", suite.file.display()))
    });
    faults.collect()
}

/// Loads the suites and finds their cases, as a run would. Returns the number of suites, and their case
/// files.
pub(crate) fn check(
    sources: &Sources,
    root: &Path,
) -> Result<(usize, Vec<std::sync::Arc<Path>>), Refusal> {
    let loaded = load(sources, root)?;
    let trials = trials(&loaded.suites, root)?;
    let mut files: Vec<_> = trials.into_iter().map(|trial| trial.file).collect();
    files.sort();
    files.dedup();
    Ok((loaded.suites.len(), files))
}
