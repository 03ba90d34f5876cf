//! Brings an application back to its first state.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::output::Output;
use super::setting::Setting;
use crate::net::{Client, ClientError, Timeouts};
use crate::suite::{PortText, Reset};

/// How many of the last lines of a command that fails are shown.
const SHOWN_LINES: usize = 10;

/// Brings the application at a URL back to its first state. A command is ended when a signal arrives.
///
/// # Errors
///
/// Why that failed.
pub(crate) fn reset(
    reset: &Reset,
    url: &str,
    setting: &Setting,
    limit: Duration,
    is_interrupted: &dyn Fn() -> bool,
) -> Result<(), String> {
    match reset {
        Reset::Request { method, path } => {
            let client = Client::to_application(Timeouts::Whole(limit), &setting.roots);
            request(&client, method, path, url, limit)
        }
        Reset::Command(words) => command(words, setting, limit, is_interrupted),
    }
}

fn request(
    client: &Client,
    method: &str,
    path: &str,
    url: &str,
    limit: Duration,
) -> Result<(), String> {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", url.trim_end_matches('/')))
        .body(Vec::new())
        .map_err(|error| format!("{method} {path}: {error}"))?;
    match client.send(request) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(format!(
            "{method} {path} was answered with {}",
            answer.status
        )),
        Err(ClientError::Timeout) => Err(format!(
            "{method} {path} was not answered within {} ms (`startTimeoutMs`)",
            limit.as_millis()
        )),
        Err(error) => Err(format!("{method} {path}: {error}")),
    }
}

fn command(
    words: &[PortText],
    setting: &Setting,
    limit: Duration,
    is_interrupted: &dyn Fn() -> bool,
) -> Result<(), String> {
    let shown: Vec<String> = words.iter().map(|word| word.at(setting.port)).collect();
    let failed = |why: String| format!("`{}` {why}", shown.join(" "));
    let output = Output::start(None, None);
    let (output, writer) = output.map_err(|error| failed(error.to_string()))?;
    let other = writer
        .try_clone()
        .map_err(|error| failed(error.to_string()))?;
    let mut command = setting.command(words);
    let child = command.stdout(Stdio::from(writer)).stderr(other).spawn();
    let mut child = child.map_err(|error| failed(format!("can't be started: {error}")))?;
    drop(command);
    let deadline = Instant::now() + limit;
    let mut why = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => break format!("failed ({status})"),
            Err(error) => break format!("can't be waited for: {error}"),
            Ok(None) if is_interrupted() => break "was broken off".to_owned(),
            Ok(None) if Instant::now() >= deadline => {
                break format!(
                    "took longer than {} ms (`startTimeoutMs`)",
                    limit.as_millis()
                );
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // What it left in its group ends with it, and so does it itself if it still runs.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
    let lines = output.lines_since(0, SHOWN_LINES).lines;
    if !lines.is_empty() {
        why = format!("{why}; it wrote:\n    {}", lines.join("\n    "));
    }
    Err(failed(why))
}
