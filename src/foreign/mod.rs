//! Hook files in other languages: one child process per language, for the whole run.

mod child;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::hook::{ForeignFunction, HookFailure, HookKind, Hooks};
use child::Child;

const PYTHON_HOST: &str = include_str!("host.py");
const NODE_HOST: &str = include_str!("host.mjs");

/// The languages that hooks can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Language {
    Python,
    JavaScript,
}

/// The file name extensions of hook files.
const ENDINGS: [(&str, Language); 5] = [
    ("py", Language::Python),
    ("js", Language::JavaScript),
    ("mjs", Language::JavaScript),
    ("ts", Language::JavaScript),
    ("mts", Language::JavaScript),
];

impl Language {
    fn of(file: &Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?;
        let (_, language) = ENDINGS.iter().find(|(known, _)| *known == ending)?;
        Some(*language)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }

    /// Returns the program that runs it, and the variable that overrides the program.
    fn program(self) -> (String, &'static str) {
        let (variable, usual) = match self {
            Self::Python => ("SOFTPROBE_PYTHON", "python3"),
            Self::JavaScript => ("SOFTPROBE_NODE", "node"),
        };
        let given = std::env::var(variable).ok().filter(|v| !v.is_empty());
        (given.unwrap_or_else(|| usual.to_owned()), variable)
    }

    /// Returns the command that loads these files and then answers calls.
    fn command(self, files: &[PathBuf]) -> Command {
        let (program, _) = self.program();
        let mut command = Command::new(&program);
        match self {
            Self::Python => {
                // The folder of the hooks belongs to the user, so write no compiled files to it.
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command.args(["-u", "-c", PYTHON_HOST]);
            }
            Self::JavaScript => {
                if files.iter().any(|file| is_typescript(file)) && wants_flag(&program) {
                    command.args(["--experimental-strip-types", "--no-warnings"]);
                }
                command.args(["--input-type=module", "-e", NODE_HOST, "--"]);
            }
        }
        command.args(files);
        command
    }
}

fn is_typescript(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "ts" || e == "mts")
}

/// Returns whether this Node strips types only if a flag tells it to.
fn wants_flag(program: &str) -> bool {
    let Ok(output) = Command::new(program).arg("--version").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.trim().trim_start_matches('v').split('.');
    let mut next = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    match (next(), next()) {
        (Some(22), Some(minor)) => (6..18).contains(&minor),
        (Some(23), Some(minor)) => minor < 6,
        _ => false,
    }
}

/// Checks that a file's name is that of a hook file.
///
/// # Errors
///
/// A message that lists the extensions.
pub(crate) fn check_name(file: &Path) -> Result<(), String> {
    if Language::of(file).is_some() {
        return Ok(());
    }
    let endings: Vec<String> = ENDINGS.iter().map(|(e, _)| format!(".{e}")).collect();
    Err(format!(
        "`{}` is not a hook file; its name has to end in one of {}",
        file.display(),
        endings.join(", ")
    ))
}

/// The loaded hook files of a run; dropping this ends the child processes.
#[derive(Debug, Default)]
pub(crate) struct HookFiles {
    loaded: HashMap<PathBuf, Result<Hooks, String>>,
    children: Vec<Arc<Child>>,
}

impl HookFiles {
    /// Loads the files: one child process for each language among them, started in `folder`. A call to a
    /// hook may take as long as `limit`.
    pub(crate) fn load(files: &[PathBuf], folder: &Path, limit: Duration) -> Self {
        let mut hooks = Self::default();
        for language in [Language::Python, Language::JavaScript] {
            let own = files.iter().filter(|f| Language::of(f) == Some(language));
            let mut own: Vec<PathBuf> = own.cloned().collect();
            own.sort();
            own.dedup();
            if !own.is_empty() {
                hooks.load_language(language, &own, folder, limit);
            }
        }
        hooks
    }

    /// Returns the hooks of a file.
    ///
    /// # Errors
    ///
    /// Why it could not be loaded.
    pub(crate) fn of(&self, file: &Path) -> Result<Hooks, String> {
        match self.loaded.get(file) {
            Some(loaded) => loaded.clone(),
            None => check_name(file).map(|()| Hooks::new()),
        }
    }

    fn load_language(
        &mut self,
        language: Language,
        files: &[PathBuf],
        folder: &Path,
        limit: Duration,
    ) {
        let mut command = language.command(files);
        command.current_dir(folder);
        let started = Child::start(language.name(), command, limit);
        let (child, ready) = match started {
            Ok(started) => started,
            Err(why) => {
                let (program, variable) = language.program();
                let message = format!(
                    "{} hooks can't be run: {why} (`{program}`; set {variable} to use another program)",
                    language.name()
                );
                for file in files {
                    self.loaded.insert(file.clone(), Err(message.clone()));
                }
                return;
            }
        };
        for file in files {
            let answer = ready["files"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|answer| answer["file"].as_str().map(Path::new) == Some(file));
            self.loaded
                .insert(file.clone(), hooks_of(file, answer, &ready, &child));
        }
        self.children.push(child);
    }
}

impl HookFiles {
    /// Ends the child processes without waiting for what they do.
    pub(crate) fn kill(&self) {
        for child in &self.children {
            child.kill();
        }
    }
}

impl Drop for HookFiles {
    fn drop(&mut self) {
        for child in &self.children {
            child.stop();
        }
    }
}

/// Returns the hooks that a file has, according to the child.
fn hooks_of(
    file: &Path,
    answer: Option<&Value>,
    ready: &Value,
    child: &Arc<Child>,
) -> Result<Hooks, String> {
    let Some(answer) = answer else {
        let why = ready["error"].as_str();
        return Err(why
            .unwrap_or("the process that should load it did not report it")
            .to_owned());
    };
    if let Some(error) = answer["error"].as_str() {
        return Err(format!("it can't be loaded: {error}"));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut hooks = Hooks::new();
    for name in answer["hooks"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let function = FileFunction {
            child: Arc::clone(child),
            file: file.to_owned(),
            name: name.to_owned(),
        };
        hooks = hooks.foreign(&format!("{stem}.{name}"), Arc::new(function));
    }
    Ok(hooks)
}

/// A function that a hook file exports.
struct FileFunction {
    child: Arc<Child>,
    file: PathBuf,
    name: String,
}

impl ForeignFunction for FileFunction {
    fn call(&self, kind: HookKind, payload: Value) -> Result<Value, HookFailure> {
        let call = serde_json::json!({
            "hook": self.name,
            "file": self.file,
            "kind": kind.wire_name(),
            "payload": payload,
        });
        Ok(self.child.call(call)?)
    }
}
