//! A child process that runs hooks: line-delimited JSON, with calls multiplexed by id.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::screen;

/// How long loading the hook files may take.
const SLOWEST_START: Duration = Duration::from_secs(60);
/// How long a process may take to end after its input has ended.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process may take to answer a ping after a call took too long.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of its standard error is quoted after a crash, in bytes.
const MOST_QUOTED: usize = 4 * 1024;

/// The longest line of the child's standard error that is passed on whole.
const LONGEST_LINE: u64 = 64 * 1024;

/// Where to send the result of a call, or why there is none.
type Waiting = Sender<Result<Value, String>>;

/// A running child process.
pub(super) struct Child {
    language: &'static str,
    limit: Duration,
    next_id: AtomicU64,
    /// Lines for its standard input; `None` once it has to end. A separate thread writes them, since a
    /// child that does not read would block the writer.
    input: Mutex<Option<Sender<String>>>,
    /// Disconnects once all output of the process has been passed on.
    said: Mutex<Receiver<()>>,
    shared: Arc<Shared>,
}

/// What the child's threads share with its callers.
#[derive(Default)]
struct Shared {
    waiting: Mutex<HashMap<String, Waiting>>,
    /// Why the process ended, once it has.
    ended: Mutex<Option<String>>,
    process: Mutex<Option<std::process::Child>>,
    stderr: Mutex<VecDeque<u8>>,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

impl Child {
    /// Starts the process, waits until it has loaded its files, and returns it with its message about
    /// them.
    ///
    /// # Errors
    ///
    /// Why the process did not start, or did not finish loading.
    pub(super) fn start(
        language: &'static str,
        mut command: Command,
        limit: Duration,
    ) -> Result<(Arc<Self>, Value), String> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the process did not start: {error}"))?;
        let pipes = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err("the process has no pipes".to_owned());
        };
        let shared = Arc::new(Shared::default());
        *lock(&shared.process) = Some(process);
        let (input, lines) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let (quiet, is_quiet) = mpsc::channel::<()>();
        let (saying, said) = mpsc::channel::<()>();
        std::thread::spawn(move || write(stdin, &lines));
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || pass_on(stderr, &shared, quiet)
        });
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                read(stdout, &shared, &ready, &is_quiet);
                drop(saying);
            }
        });
        let child = Self {
            language,
            limit,
            next_id: AtomicU64::new(1),
            input: Mutex::new(Some(input)),
            said: Mutex::new(said),
            shared,
        };
        match is_ready.recv_timeout(SLOWEST_START) {
            Ok(ready) => Ok((Arc::new(child), ready)),
            Err(RecvTimeoutError::Timeout) => Err(format!(
                "its files were not loaded within {} seconds",
                SLOWEST_START.as_secs()
            )),
            Err(RecvTimeoutError::Disconnected) => Err(child.shared.why_ended()),
        }
    }

    /// Calls a hook and waits for its result.
    ///
    /// # Errors
    ///
    /// How the hook failed, that it took too long, or that the process has ended.
    pub(super) fn call(&self, call: Value) -> Result<Value, String> {
        let name = call["hook"].as_str().unwrap_or_default().to_owned();
        match self.ask(call, self.limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                // A hook that blocks its process would hold up all later calls.
                if self
                    .ask(Value::from_iter([("ping", true)]), PATIENCE)
                    .is_err()
                {
                    self.end_because(&format!("`{name}` blocked it, so it was killed"));
                }
                Err(format!(
                    "it gave no answer within {} ms; --hook-timeout allows more",
                    self.limit.as_millis()
                ))
            }
            Err(RecvTimeoutError::Disconnected) => Err(format!(
                "the process of the {} hooks ended: {}",
                self.language,
                self.shared.why_ended()
            )),
        }
    }

    /// Sends a message and waits for the reply.
    fn ask(
        &self,
        mut message: Value,
        limit: Duration,
    ) -> Result<Result<Value, String>, RecvTimeoutError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        message["id"] = id.as_str().into();
        let (sender, receiver) = mpsc::channel();
        lock(&self.shared.waiting).insert(id.clone(), sender);
        let sent = match (&*lock(&self.input), &*lock(&self.shared.ended)) {
            (Some(input), None) => input.send(json::show(&message) + "\n").is_ok(),
            _ => false,
        };
        let answer = match sent {
            true => receiver.recv_timeout(limit),
            false => Err(RecvTimeoutError::Disconnected),
        };
        lock(&self.shared.waiting).remove(&id);
        answer
    }

    /// Kills the process, and records this as the reason for its end.
    fn end_because(&self, why: &str) {
        lock(&self.shared.ended).get_or_insert_with(|| why.to_owned());
        if let Some(process) = lock(&self.shared.process).as_mut() {
            let _ = process.kill();
        }
    }

    /// Ends the process at once.
    pub(super) fn kill(&self) {
        if lock(&self.input).take().is_some() {
            self.end_because("the run was broken off");
            let _ = self.shared.exit_status(GRACE);
        }
    }

    /// Stops the process: closes its input first, so that it can end by itself.
    pub(super) fn stop(&self) {
        if lock(&self.input).take().is_none() {
            return;
        }
        let ended = self.shared.exit_status(GRACE).is_some();
        if let Some(mut process) = lock(&self.shared.process).take()
            && !ended
        {
            let _ = process.kill();
            let _ = process.wait();
        }
        // Wait until the last output of its hooks has been passed on to the user.
        let _ = lock(&self.said).recv_timeout(GRACE);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn why_ended(&self) -> String {
        let ended = lock(&self.ended);
        ended.clone().unwrap_or_else(|| "it was stopped".to_owned())
    }

    /// Returns how the process ended, or `None` if it has not ended within `limit` or
    /// `stop` has taken it.
    fn exit_status(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            // Lock only briefly each time: another thread may want to kill the process.
            let status = lock(&self.process).as_mut()?.try_wait().ok()?;
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn write(mut stdin: ChildStdin, lines: &Receiver<String>) {
    for line in lines {
        // The thread that reads from the process notices that it is gone.
        if stdin.write_all(line.as_bytes()).is_err() || stdin.flush().is_err() {
            return;
        }
    }
}

/// Reads a reply, with numbers that keep their digits.
fn reply(line: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let reply = json::from_text(text).map_err(|error| error.to_string())?;
    Ok(json::parse_inexact(text).unwrap_or(reply))
}

/// Reads the child's replies until its output ends.
fn read(stdout: ChildStdout, shared: &Shared, ready: &Sender<Value>, is_quiet: &Receiver<()>) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        match reply(&line) {
            Ok(reply) if reply["ready"] == true => {
                let _ = ready.send(reply);
            }
            Ok(mut reply) if reply["id"].is_string() => {
                let id = reply["id"].as_str().unwrap_or_default();
                // No caller waits for a reply that comes too late.
                if let Some(waiting) = lock(&shared.waiting).remove(id) {
                    let answer = match reply["error"].as_str() {
                        Some(error) => Err(error.to_owned()),
                        None => Ok(reply["result"].take()),
                    };
                    let _ = waiting.send(answer);
                }
            }
            _ if line.trim_ascii().is_empty() => {}
            // Still a reply, but with something in it that the JSON parser refuses.
            Err(error) if let Some(id) = id_of(&line) => {
                if let Some(waiting) = lock(&shared.waiting).remove(&id) {
                    let _ = waiting.send(Err(format!("its result is not valid JSON: {error}")));
                }
            }
            // Any other line comes from a program that a hook started, and is for the user.
            _ => {
                screen::write(&line);
            }
        }
        line.clear();
    }
    // Its last output may still be on the way, and a program that it started may hold the pipe open.
    let _ = is_quiet.recv_timeout(Duration::from_millis(500));
    let status = shared.exit_status(GRACE);
    let mut why = status.map_or_else(|| "it closed its output".to_owned(), |s| s.to_string());
    let quoted: Vec<u8> = lock(&shared.stderr).iter().copied().collect();
    let quoted = String::from_utf8_lossy(&quoted);
    if !quoted.trim().is_empty() {
        why.push_str(&format!("; it said:\n{}", quoted.trim()));
    }
    lock(&shared.ended).get_or_insert(why);
    lock(&shared.waiting).clear();
}

/// Returns the id at the start of a reply that does not parse: `{"id": "42", …`.
fn id_of(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let rest = text.trim_start().strip_prefix("{\"id\":")?.trim_start();
    let id = rest.strip_prefix('"')?.split('"').next()?;
    (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then(|| id.to_owned())
}

/// Copies the child's standard error to our own line by line, so that no other line lands inside one, and
/// keeps the end of it for crash reports.
fn pass_on(stderr: ChildStderr, shared: &Shared, _quiet: Sender<()>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        // A line without an end is passed on in pieces.
        let mut piece = stderr.by_ref().take(LONGEST_LINE);
        match piece.read_until(b'\n', &mut line) {
            Ok(n) if n > 0 => {}
            _ => return,
        }
        screen::write(&line);
        let mut kept = lock(&shared.stderr);
        kept.extend(&line);
        let excess = kept.len().saturating_sub(MOST_QUOTED);
        kept.drain(..excess);
        line.clear();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves the value consistent, so a poisoned lock can still be used.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
use crate::base::json;
