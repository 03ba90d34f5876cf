//! Waits until an application is ready, and says why it is not.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::application::Application;
use super::leader::Ended;
use super::listener::Listener;
use super::{processes, ready};
use crate::base::http::{Host, split_url, without_credentials};
use crate::net::{Client, ClientError, Timeouts};
use crate::suite::Ready;

/// How long one answer about its health may take.
const SLOWEST_HEALTH: Duration = Duration::from_secs(30);
/// How long to wait before looking again whether it is ready: at first, and at the most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// When a port at which it listens by mistake is looked for, and how often.
const LOOKS_ELSEWHERE: Duration = Duration::from_secs(2);
/// Programs that listen for what runs in a container or on another machine, and are no children of the command that says so.
const FORWARDERS: [&str; 12] = [
    "docker-proxy",
    "com.docker",
    "containerd-shim",
    "rootlesskit",
    "rootlessport",
    "slirp4netns",
    "pasta",
    "conmon",
    "gvproxy",
    "limactl",
    "ssh",
    "kubectl",
];

/// How long an application has been waited for.
#[derive(Debug)]
pub(crate) struct Waited {
    pub(crate) elapsed: Duration,
    /// Where it listens, if that is not where it is expected.
    pub(crate) elsewhere: Vec<SocketAddr>,
}

/// Why an application is not ready.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// What happened.
    Failed(String),
    /// A signal arrived.
    Signal(i32),
}

/// What is known of an application's health.
#[derive(Debug, Default)]
struct Health {
    /// The answer that is being waited for.
    asked: Option<Receiver<Result<(), String>>>,
    /// What was wrong with the last one.
    last: Option<String>,
}

impl Application {
    /// Waits until it is ready. `watch` is told again and again how long that takes, and returns a signal that ends the wait.
    ///
    /// # Errors
    ///
    /// Why it is not ready, with the last lines that it wrote.
    pub(crate) fn wait_until_ready(
        &self,
        watch: &mut dyn FnMut(&Waited) -> Option<i32>,
    ) -> Result<(), NotReady> {
        let start = Instant::now();
        let mut waited = Waited {
            elapsed: Duration::ZERO,
            elsewhere: Vec::new(),
        };
        let mut looks = LOOKS_ELSEWHERE;
        let mut pause = SHORTEST_PAUSE;
        let mut health = Health::default();
        loop {
            // What has ended can't become ready: another process may listen there.
            if let Some(how) = self.how_ended() {
                return Err(NotReady::Failed(self.never_ready(how)));
            }
            let why = match self.check(&mut health) {
                Ok(()) => match self.stranger() {
                    Some(stranger) => return Err(NotReady::Failed(stranger)),
                    None => return Ok(()),
                },
                Err(why) => why,
            };
            waited.elapsed = start.elapsed();
            if waited.elapsed >= looks {
                waited.elsewhere = self.elsewhere();
                looks += LOOKS_ELSEWHERE;
            }
            if waited.elapsed >= self.plan.start_limit {
                return Err(NotReady::Failed(self.too_late(&why)));
            }
            if let Some(signal) = watch(&waited) {
                return Err(NotReady::Signal(signal));
            }
            self.pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Checks whether it is ready.
    fn check(&self, health: &mut Health) -> Result<(), String> {
        match &self.plan.ready {
            Ready::Listens => {}
            Ready::Line(_) if self.output.has_wanted() => {}
            Ready::Line(text) => return Err(format!("it wrote no line with `{text}`")),
            Ready::Path(path) => {
                let asked = health.asked.take().unwrap_or_else(|| self.ask(path));
                match asked.try_recv() {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(why)) => health.last = Some(why),
                    Err(TryRecvError::Empty) => health.asked = Some(asked),
                    Err(TryRecvError::Disconnected) => {}
                }
                let unknown = || format!("GET {path} was not answered");
                return Err(health.last.clone().unwrap_or_else(unknown));
            }
        }
        self.tries_to_listen()
    }

    /// Asks it about its health in a thread of its own, so that its end and a signal are noticed meanwhile.
    fn ask(&self, path: &str) -> Receiver<Result<(), String>> {
        let (sender, answer) = mpsc::channel();
        let (url, path) = (
            format!("{}{path}", self.url.trim_end_matches('/')),
            path.to_owned(),
        );
        let client =
            Client::to_application(Timeouts::Whole(SLOWEST_HEALTH), &self.plan.upstreams.roots);
        std::thread::spawn(move || sender.send(ask(&client, &url, &path)));
        answer
    }

    /// Returns a message if a process listens at its URL that can't be part of it: a run would be about that one. One that began
    /// after it, and is not of another run, may have been started by a supervisor for it, which is only told.
    fn stranger(&self) -> Option<String> {
        let (_, authority, _) = split_url(&self.url)?;
        if !Host::read(authority).is_loopback() {
            return None;
        }
        let owners = processes::listening_at(&ready::addresses(&self.url).ok()?);
        let own = self.processes();
        let is_known = |owner: &Listener| {
            own.contains(&owner.process)
                || FORWARDERS
                    .iter()
                    .any(|name| owner.program.starts_with(name))
        };
        if owners.iter().any(is_known) {
            return None;
        }
        let Listener {
            process,
            program,
            began,
            is_launched,
        } = owners.first()?;
        let url = without_credentials(&self.url);
        let what =
            format!("process {process} (`{program}`), which it did not start, listens at {url}");
        if !is_launched && self.began.is_some_and(|launch| *began >= launch) {
            log::warn!("{what}; if that is not the application, choose another `port`");
            return None;
        }
        Some(format!(
            "{what} instead of it; choose another `port`{}",
            self.last_words()
        ))
    }

    /// Returns where it listens, if that is only where it is not expected.
    fn elsewhere(&self) -> Vec<SocketAddr> {
        if self.listens() {
            return Vec::new();
        }
        processes::listeners(&self.processes())
    }

    fn never_ready(&self, how: Ended) -> String {
        let hint = match how.is_success() {
            true => "; it has to keep running, and its standard input is empty",
            false => "",
        };
        format!(
            "it ended before it was ready ({how}{hint}){}",
            self.last_words()
        )
    }

    fn too_late(&self, why: &str) -> String {
        let elsewhere = self.elsewhere();
        let elsewhere = match elsewhere.as_slice() {
            [] => String::new(),
            found => format!("; {}", listens_elsewhere(found, self.setting.port())),
        };
        format!(
            "it was not ready within {} ms (`startTimeoutMs`): {why}{elsewhere}{}",
            self.plan.start_limit.as_millis(),
            self.last_words()
        )
    }
}

/// Asks an application about its health.
fn ask(client: &Client, url: &str, path: &str) -> Result<(), String> {
    let request = ureq::http::Request::get(url).body(Vec::new());
    let request = request.map_err(|error| format!("GET {path}: {error}"))?;
    match client.send(request) {
        Ok(answer) if (200..400).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(format!("GET {path} was answered with {}", answer.status)),
        Err(ClientError::Timeout) => Err(format!(
            "GET {path} was not answered within {} s",
            SLOWEST_HEALTH.as_secs()
        )),
        Err(error) => Err(format!("GET {path}: {error}")),
    }
}

/// Returns a sentence about an application that listens elsewhere than at its port.
pub(crate) fn listens_elsewhere(found: &[SocketAddr], port: u16) -> String {
    let shown: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
    let shown = shown.join(" and ");
    match found.iter().find(|address| address.port() == port) {
        Some(address) => {
            let mut url = *address;
            url.set_port(0);
            let host = url.to_string();
            let host = host.trim_end_matches(":0");
            format!("it listens at {shown} alone: say `url: http://{host}:${{PORT}}` in `app`")
        }
        None => format!(
            "it listens at {shown}, but its port is {port}: have it read PORT, give it `${{PORT}}` in its command or in `env`, or say \
             `port: {}` in `app`",
            found.first().map(SocketAddr::port).unwrap_or_default()
        ),
    }
}
