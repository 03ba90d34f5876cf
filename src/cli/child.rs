//! Runs a command that the user gave, to its end.

use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::output::{Failed, arguments, failure};
use crate::runner::{Interrupts, Outran, signal_code, until_signal};

/// What would make the command launch an application of its own, or listen where the proxy does.
pub(super) const SETTINGS: [&str; 5] = [
    "SOFTPROBE_APP_COMMAND",
    "SOFTPROBE_READY",
    "SOFTPROBE_INTERCEPT",
    "SOFTPROBE_APP_OUTPUT",
    "SOFTPROBE_PROXY_LISTEN",
];

/// How a command ended.
pub(super) enum Ended {
    Exited(ExitStatus),
    /// This signal arrived meanwhile.
    Signal(i32),
}

/// Runs a command to its end. A signal that only this process got is passed on; after a while, the command is killed.
pub(super) fn run_child(command: &mut Command, interrupts: &Interrupts) -> Result<Ended, Failed> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .map_err(|error| arguments(format!("`{program}` can't be run: {error}")))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let send = |signal| pid.map(|pid| kill_process(pid, signal));
    let status: Arc<Mutex<Option<ExitStatus>>> = Arc::default();
    let own = Arc::clone(&status);
    let outran = until_signal(
        interrupts,
        move || {
            let ended = child.wait().ok();
            *own.lock().unwrap_or_else(PoisonError::into_inner) = ended;
        },
        |signal| {
            // A terminal sends the others to the command as well.
            let on_terminal = std::io::stdin().is_terminal();
            let passed_on = match signal {
                SIGTERM => Some(Signal::TERM),
                SIGHUP => Some(Signal::HUP),
                SIGINT if !on_terminal => Some(Signal::INT),
                SIGQUIT if !on_terminal => Some(Signal::QUIT),
                _ => None,
            };
            passed_on.map(send);
        },
    );
    match outran {
        Outran::Signal { signal, done } => {
            if !done {
                send(Signal::KILL);
            }
            Ok(Ended::Signal(signal))
        }
        Outran::Done | Outran::Gone => {
            let status = *status.lock().unwrap_or_else(PoisonError::into_inner);
            // One that is not known must not count as success.
            let unknown = || {
                failure(
                    "failure",
                    format!("`{program}` ended, but its exit status is unknown"),
                )
            };
            status.map(Ended::Exited).ok_or_else(unknown)
        }
    }
}

/// Returns a command's exit code as a shell does.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(1),
        (None, signal) => signal_code(signal.unwrap_or_default()),
    }
}
