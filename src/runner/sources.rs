//! What suites are loaded from, and the environment in which they are read.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::refusal::Refusal;
use crate::base::encoding::split_mark;
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
    let process: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let env_file = sources.env_file.as_ref().map(|file| root.join(file));
    Ok(SuiteContext {
        env: environment(&process, env_file.as_deref())?,
        process,
        forbid_only: on_ci() && !sources.allow_only,
    })
}

/// Returns whether the run is one of a continuous integration.
pub(crate) fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| !["", "0", "false"].contains(&ci.as_str()))
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
    let shown = relative(file);
    let text = std::fs::read_to_string(file).map_err(|error| {
        Refusal::invalid(vec![format!("{}: can't be read: {error}", shown.display())])
    })?;
    let pairs = read_env(&text).map_err(|faults| {
        let faults = faults.into_iter();
        let lines =
            faults.map(|EnvFault { line, what }| format!("{}:{line}: {what}", shown.display()));
        Refusal::invalid(lines.collect())
    })?;
    for (name, value) in pairs {
        env.entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    Ok(env)
}

/// What is wrong with a line of an env file, by its number from 1.
#[derive(Debug)]
struct EnvFault {
    line: usize,
    what: &'static str,
}

/// Reads `NAME=value` lines. A value is taken as written, or as written between quotes: nothing in it is
/// expanded or unescaped.
///
/// # Errors
///
/// Every fault with its line. None shows the line itself, which may hold a secret.
fn read_env(text: &str) -> Result<Vec<(&str, &str)>, Vec<EnvFault>> {
    let (mut pairs, mut faults) = (Vec::new(), Vec::new());
    let (_, text) = split_mark(text);
    for (n, line) in text.lines().enumerate() {
        let fault = |what| EnvFault { line: n + 1, what };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            faults.push(fault("not a `NAME=value` line; a comment starts with `#`"));
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.starts_with(|c: char| !c.is_ascii_digit());
        if is_name {
            pairs.push((name, without_quotes(value)));
        } else {
            faults.push(fault("the name before `=` is not one of a variable"));
        }
    }
    match faults.is_empty() {
        true => Ok(pairs),
        false => Err(faults),
    }
}

/// Returns what is between the quotes of a value that is one quoted text.
fn without_quotes(value: &str) -> &str {
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let inside = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inside.contains(quote)).then_some(inside)
    });
    quoted.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_written() {
        let text = "\u{feff}# a comment\n\nA=pa$$word\r\nB=$2b$10$abc # no comment\nexport C={\"k\":\"v w\"}\n D = https://x/?a=$b&c='d' \nE=\n_f2=\"a\" and \"b\"\nG=' $x '\nH=\"it's\"\nI='\n";
        assert_eq!(
            read_env(text).unwrap(),
            [
                ("A", "pa$$word"),
                ("B", "$2b$10$abc # no comment"),
                ("C", "{\"k\":\"v w\"}"),
                ("D", "https://x/?a=$b&c='d'"),
                ("E", ""),
                ("_f2", "\"a\" and \"b\""),
                ("G", " $x "),
                ("H", "it's"),
                ("I", "'"),
            ]
        );
    }

    #[test]
    fn a_line_that_would_be_read_otherwise_than_meant_is_refused_by_its_number() {
        for (text, wanted) in [
            ("A=1\nhunter2\n", "not a `NAME=value` line"),
            ("A=1\nmy name=hunter2\n", "not one of a variable"),
            ("A=1\n2A=hunter2\n", "not one of a variable"),
            ("A=1\n=hunter2\n", "not one of a variable"),
        ] {
            let faults = read_env(text).unwrap_err();
            assert_eq!((faults.len(), faults[0].line), (1, 2), "{text}");
            let what = faults[0].what;
            assert!(what.contains(wanted) && !what.contains("hunter2"), "{what}");
        }
    }
}
