//! Finds and names the case files of a suite.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::shared::SharedMocks;
use crate::disk::{Found, Glob, files, relative};
use crate::suite::{AppPlan, CaseToName, Entry, Plan, Suite, case_names, printable};

/// One case of a suite, with its plan.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// The trial's name, such as `checkout::declined`.
    pub(crate) name: String,
    /// The suite's name.
    pub(crate) suite: Arc<str>,
    /// The suite's file.
    pub(crate) suite_file: Arc<Path>,
    /// The case file.
    pub(crate) file: Arc<Path>,
    /// The case file's path for display.
    pub(crate) shown: PathBuf,
    /// How the case is replayed and judged.
    pub(crate) plan: Arc<Plan>,
    /// The suite's environment.
    pub(crate) env: Arc<BTreeMap<String, String>>,
    /// Why the trial is ignored, if it is.
    pub(crate) ignored: Option<String>,
    /// Whether no other case may run at the same time.
    pub(crate) serial: bool,
    /// The exchanges of other cases that answer this one too.
    pub(crate) shared: Arc<SharedMocks>,
    /// How its application is launched, if the suite or a flag says so; equal for trials that share an application.
    pub(crate) app: Option<Arc<AppPlan>>,
}

/// Returns a trial for every case of a suite, in the order of its entries.
///
/// # Errors
///
/// One line per fault: a glob without a match, or two cases with the same name.
pub(crate) fn trials(suite: &Suite, root: &Path) -> Result<Vec<Trial>, Vec<String>> {
    let folder = suite.file.parent().unwrap_or(root);
    let mut faults = Vec::new();
    let mut found: Vec<(&Entry, Found)> = Vec::new();
    for entry in &suite.entries {
        match files(&entry.path, &[folder, root]) {
            Ok(files) => found.push((entry, files)),
            Err(message) => faults.push(format!(
                "{}:{}: {message}",
                relative(&suite.file).display(),
                suite.at(&entry.place)
            )),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    // Resolve the identity of files only if one may be found twice: that costs more than finding them.
    let twice = found.len() > 1 || found.iter().any(|(_, found)| found.has_links);
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let (mut files, mut owners) = (Vec::new(), Vec::new());
    for (entry, found) in &found {
        let several = found.files.len() > 1;
        let prefix = relative(&found.prefix);
        for path in &found.files {
            if twice && !entry.is_object && !seen.insert(identity(path)) {
                continue;
            }
            files.push(case_file(path, entry, found, several));
            let below = path.strip_prefix(&found.prefix);
            owners.push((
                *entry,
                below.map_or_else(|_| path.clone(), |p| prefix.join(p)),
            ));
        }
    }
    let names = case_names(&files).map_err(|name| {
        vec![format!(
            "{}: cases: two cases are called `{name}`; give one of them another `name`",
            relative(&suite.file).display()
        )]
    })?;
    let maker = TrialMaker::new(suite);
    let named = files.into_iter().zip(owners).zip(names);
    let trials = named
        .map(|((file, (entry, shown)), name)| maker.trial(entry, file.path.into(), shown, &name));
    Ok(trials.collect())
}

/// Returns the name of the case of an entry without wildcards, provided that no other case has that name.
fn literal_name(entry: &Entry) -> String {
    let file = Path::new(&entry.path).file_name().unwrap_or_default();
    let file = file.to_string_lossy();
    let own = file.strip_suffix(".case.json").unwrap_or(&file);
    printable(entry.name.as_deref().unwrap_or(own))
}

/// Returns the one trial of a suite with this name, found without walking folders, or `None` if only the
/// whole list can tell.
pub(crate) fn trial_by_name(suite: &Suite, root: &Path, trial: &str) -> Option<Trial> {
    let prefix = format!("{}::", printable(&suite.name));
    let name = trial.strip_prefix(&prefix)?;
    let folder = suite.file.parent().unwrap_or(root);
    let mut found: Vec<(&Entry, PathBuf)> = Vec::new();
    for entry in &suite.entries {
        let Some(glob) = Glob::new(&entry.path).ok()? else {
            if literal_name(entry) == name {
                let mut files = files(&entry.path, &[folder, root]).ok()?.files;
                found.push((entry, files.pop()?));
            }
            continue;
        };
        if let Some(own) = entry.name.as_deref().map(printable) {
            let below = name.strip_prefix(&own);
            if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                // Whether the entry's name is a prefix depends on how many files its glob finds.
                return None;
            }
            continue;
        }
        for base in [folder, root] {
            for file in [format!("{name}.case.json"), name.to_owned()] {
                let path = base.join(&glob.prefix).join(&file);
                if glob.fits(Path::new(&file)) && path.is_file() {
                    found.push((entry, path));
                }
            }
        }
    }
    found.dedup_by(|(_, a), (_, b)| identity(a) == identity(b));
    match found.as_slice() {
        [(entry, path)] => {
            let shown = relative(path);
            Some(TrialMaker::new(suite).trial(entry, path.as_path().into(), shown, name))
        }
        _ => None,
    }
}

fn case_file(path: &Path, entry: &Entry, found: &Found, shared: bool) -> CaseToName {
    let depth = match path.strip_prefix(&found.prefix) {
        Ok(rest) if found.is_glob => rest.components().count(),
        _ => 1,
    };
    CaseToName {
        path: path.to_owned(),
        name: entry.name.clone(),
        shared: shared && found.is_glob,
        depth,
    }
}

/// What the trials of a suite share.
struct TrialMaker<'s> {
    suite: &'s Suite,
    name: Arc<str>,
    file: Arc<Path>,
    prefix: String,
    only: bool,
    app: Option<Arc<AppPlan>>,
}

impl<'s> TrialMaker<'s> {
    fn new(suite: &'s Suite) -> Self {
        Self {
            suite,
            name: suite.name.as_str().into(),
            file: suite.file.as_path().into(),
            prefix: printable(&suite.name),
            only: suite.entries.iter().any(|entry| entry.only),
            app: suite.app.clone().map(Arc::new),
        }
    }

    fn trial(&self, entry: &Entry, file: Arc<Path>, shown: PathBuf, name: &str) -> Trial {
        let ignored = match &entry.skip {
            Some(reason) => Some(reason.clone()),
            None if self.only && !entry.only => Some("another entry has `only`".to_owned()),
            None => None,
        };
        Trial {
            name: format!("{}::{name}", self.prefix),
            suite: Arc::clone(&self.name),
            suite_file: Arc::clone(&self.file),
            file,
            shown,
            plan: Arc::clone(&entry.plan),
            env: Arc::clone(&self.suite.env),
            ignored,
            serial: self.suite.serial,
            shared: Arc::default(),
            app: self.app.clone(),
        }
    }
}

/// Returns the canonical path of a file, which identifies it however it is reached.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
