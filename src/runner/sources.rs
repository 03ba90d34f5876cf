//! What suites are loaded from, and the environment in which they are read.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::refusal::Refusal;
use crate::disk::relative;
use crate::hook::Hooks;
use crate::suite::SuiteContext;

/// What suites are loaded from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// Suite files and globs.
    pub(crate) patterns: Vec<String>,
    /// A file of `NAME=value` lines.
    pub(crate) env_file: Option<String>,
    /// The hooks registered in code.
    pub(crate) hooks: Hooks,
    /// Files of hooks in other languages, for every suite.
    pub(crate) hook_files: Vec<String>,
    /// How long a call to a hook in these files may take.
    pub(crate) hook_timeout: Duration,
    /// Whether `only` is allowed on CI.
    pub(crate) allow_only: bool,
}

/// Returns the context in which suites are read.
///
/// # Errors
///
/// A refusal that says what is wrong with the env file.
pub(super) fn context(sources: &Sources, root: &Path) -> Result<SuiteContext, Refusal> {
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

/// Returns the variables of the env file and of the process; those of the process take precedence.
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
