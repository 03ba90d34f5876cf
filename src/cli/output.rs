//! The result of a command: human-readable text or one JSON document, and an exit code.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::base::{visible, with_causes};
use crate::error::SoftprobeError;
use crate::runner::{Refusal, RefusalKind, signal_code};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: it succeeded.
    Fine,
    /// 1: it failed, or found a difference.
    Failure,
    /// 2: its arguments are invalid.
    Arguments,
    /// 3: no runtime answered.
    Unreachable,
    /// 4: the session is closed or was never open.
    SessionNotFound,
    /// 5: a file or document given to it is invalid.
    InvalidInput,
    /// 10: the doctor found a fault.
    DoctorFoundFault,
    /// 20: a suite failed.
    SuiteFailed,
    /// 128 plus the signal number: it was interrupted.
    Signal(u8),
    /// The exit code of a command that was run.
    OfCommand(u8),
}

impl Exit {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failure => 1,
            Self::Arguments => 2,
            Self::Unreachable => 3,
            Self::SessionNotFound => 4,
            Self::InvalidInput => 5,
            Self::DoctorFoundFault => 10,
            Self::SuiteFailed => 20,
            Self::Signal(code) | Self::OfCommand(code) => code,
        }
    }
}

/// The result of a command.
#[derive(Debug)]
pub(super) struct Output {
    exit: Exit,
    /// Human-readable text for standard output.
    text: String,
    /// The fields of the JSON document besides `status`, `exitCode` and `error`.
    fields: Map<String, Value>,
    /// What is wrong: a code, and one or more messages, which go to standard error without `--json`.
    fault: Option<(String, Vec<String>)>,
    /// Whether everything has been printed already.
    said: bool,
}

/// The result of a command that could not do its work or found a fault.
#[derive(Debug)]
pub(super) struct Failed(Box<Output>);

impl Failed {
    /// Returns what is wrong.
    pub(super) fn messages(&self) -> Vec<String> {
        let fault = self.0.fault.iter();
        fault.flat_map(|(_, messages)| messages.clone()).collect()
    }

    /// Returns what is printed.
    pub(super) fn into_output(self) -> Output {
        *self.0
    }
}

impl From<Output> for Failed {
    fn from(output: Output) -> Self {
        Self(Box::new(output))
    }
}

impl Output {
    /// Creates a successful result with this text.
    pub(super) fn fine(text: impl Into<String>) -> Self {
        Self {
            exit: Exit::Fine,
            text: text.into(),
            fields: Map::new(),
            fault: None,
            said: false,
        }
    }

    /// Creates a successful result that has been printed already.
    pub(super) fn silent() -> Self {
        Self {
            said: true,
            ..Self::fine("")
        }
    }

    /// Creates the result of another command, which has printed all there is.
    pub(super) fn of_command(code: u8) -> Self {
        Self {
            exit: Exit::OfCommand(code),
            ..Self::silent()
        }
    }

    /// Creates a failed result that has come to something, which the text tells.
    pub(super) fn incomplete(text: impl Into<String>, code: &str, message: &str) -> Self {
        Self::failed(Exit::Failure, code, message).text(text)
    }

    /// Creates the result of a command that ran another one, which failed with this exit code.
    pub(super) fn of_failed_command(
        code: u8,
        text: impl Into<String>,
        message: impl Display,
    ) -> Self {
        Self::failed(Exit::OfCommand(code), "command_failed", message).text(text)
    }

    /// Creates a failed result with one message.
    pub(super) fn failed(exit: Exit, code: &str, message: impl Display) -> Self {
        Self {
            exit,
            text: String::new(),
            fields: Map::new(),
            fault: Some((code.to_owned(), vec![message.to_string()])),
            said: false,
        }
    }

    /// Creates a failed result with several messages: a line each on standard error, or the list
    /// `errors` in the JSON document.
    pub(super) fn all_failed(exit: Exit, code: &str, messages: Vec<String>) -> Self {
        let answer = Self::failed(exit, code, "").field("errors", messages.clone());
        Self {
            fault: Some((code.to_owned(), messages)),
            ..answer
        }
    }

    /// Returns the exit code.
    pub(super) fn code(&self) -> u8 {
        self.exit.code()
    }

    /// Sets the human-readable text, replacing any earlier text.
    #[must_use]
    pub(super) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds a field to the JSON document.
    #[must_use]
    pub(super) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the members of an object to the JSON document.
    #[must_use]
    pub(super) fn fields(mut self, value: &Value) -> Self {
        self.fields
            .extend(value.as_object().cloned().unwrap_or_default());
        self
    }

    /// Adds a list of objects to the JSON document and, if there is only one, its members too.
    #[must_use]
    pub(super) fn one_or_all(self, name: &str, all: Vec<Value>) -> Self {
        let answer = match all.as_slice() {
            [one] => self.fields(one),
            _ => self,
        };
        answer.field(name, all)
    }

    /// Prints the result: one JSON document, or the text unless `quiet` is set, and any messages.
    pub(super) fn print(&self, as_json: bool, quiet: bool) -> ExitCode {
        let Self {
            exit,
            text,
            fields,
            fault,
            said,
        } = self;
        if *said {
            return ExitCode::from(exit.code());
        }
        if as_json {
            let status = match exit {
                Exit::Fine => "ok",
                _ => "fail",
            };
            let mut document = json!({"status": status, "exitCode": exit.code()});
            if let Some((code, messages)) = fault {
                document["error"] = json!({"code": code, "message": messages.join("\n")});
            }
            for (name, value) in fields {
                document[name] = value.clone();
            }
            if let Err(error) = print(&format!("{document:#}\n")) {
                return unprinted(&error);
            }
        } else {
            if let Err(error) = print(&visible(if quiet { "" } else { text })) {
                return unprinted(&error);
            }
            for message in fault.iter().flat_map(|(_, messages)| messages) {
                let _ = writeln!(std::io::stderr(), "error: {}", visible(message));
            }
        }
        ExitCode::from(exit.code())
    }
}

/// Writes to standard output. A closed pipe is not an error: its reader needs no more output.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.or_else(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

fn unprinted(error: &std::io::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: standard output: {error}");
    ExitCode::from(Exit::Failure.code())
}

/// Creates the failure for a file that can't be read or written, or whose content is invalid.
pub(super) fn invalid(path: &Path, why: impl Display) -> Failed {
    let message = format!("{}: {why}", path.display());
    Failed::from(Output::failed(Exit::InvalidInput, "invalid_input", message))
}

/// Creates a failure of any other kind.
pub(super) fn failure(code: &str, message: impl Display) -> Failed {
    Failed::from(Output::failed(Exit::Failure, code, message))
}

/// Creates the failure of a command that a signal interrupted.
pub(super) fn interrupted(signal: i32) -> Failed {
    let exit = Exit::Signal(signal_code(signal));
    let message = format!("interrupted by signal {signal}");
    Failed::from(Output::failed(exit, "interrupted", message))
}

/// Creates the failure for arguments that are invalid or can't be combined.
pub(super) fn arguments(message: impl Display) -> Failed {
    Failed::from(Output::failed(
        Exit::Arguments,
        "invalid_arguments",
        message,
    ))
}

impl From<SoftprobeError> for Failed {
    fn from(error: SoftprobeError) -> Self {
        let (exit, code) = match &error {
            SoftprobeError::Unreachable { .. } | SoftprobeError::Timeout { .. } => {
                (Exit::Unreachable, "runtime_unreachable".to_owned())
            }
            SoftprobeError::Runtime(refused) => (
                of_refusal(&error, refused.status),
                refused
                    .code
                    .clone()
                    .unwrap_or_else(|| "runtime_error".to_owned()),
            ),
            SoftprobeError::Case(_) | SoftprobeError::CaseLoad(_) => {
                (Exit::InvalidInput, "invalid_input".to_owned())
            }
            SoftprobeError::Listen { .. } | SoftprobeError::Exposed { .. } => {
                (Exit::Failure, "listen_failed".to_owned())
            }
            SoftprobeError::Protocol { .. } => (Exit::Failure, "not_a_runtime".to_owned()),
            _ => (Exit::Failure, "failure".to_owned()),
        };
        Failed::from(Output::failed(exit, &code, with_causes(&error)))
    }
}

/// Returns the exit code for a runtime's refusal.
fn of_refusal(error: &SoftprobeError, status: u16) -> Exit {
    match status {
        _ if error.is_unknown_session() => Exit::SessionNotFound,
        400 | 413 => Exit::InvalidInput,
        _ => Exit::Failure,
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        let Refusal { lines, kind } = refusal;
        let (exit, code) = match kind {
            RefusalKind::Unreachable => (Exit::Unreachable, "runtime_unreachable"),
            RefusalKind::Invalid => (Exit::InvalidInput, "invalid_input"),
            RefusalKind::Arguments => (Exit::Arguments, "invalid_arguments"),
            RefusalKind::Signal(signal) => (Exit::Signal(signal_code(signal)), "interrupted"),
            RefusalKind::Failure => (Exit::Failure, "failure"),
        };
        Failed::from(Output::all_failed(exit, code, lines))
    }
}
