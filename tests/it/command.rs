//! Runs the real `softprobe` binary in tests.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::{Watch, output, watch};

/// Returns the binary as a command with these arguments, without the settings that the tests
/// inherited from their environment.
pub(crate) fn softprobe(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_softprobe"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("CARGO_MANIFEST_DIR");
    crate::support::without_settings(&mut command);
    command
}

/// The output and exit code of a command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = output(command);
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Panics unless the command exited with this code and printed every one of these texts.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, texts: &[&str]) -> &Self {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{all}");
        for text in texts {
            assert!(all.contains(text), "{text:?} is not in\n{all}");
        }
        self
    }

    /// Returns the only JSON document on standard output. Panics unless its `exitCode`, `status`
    /// and `error` agree with the exit code of the process.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr));
        assert_eq!(document["exitCode"], self.code, "{document}");
        let status = if self.code == 0 { "ok" } else { "fail" };
        assert_eq!(document["status"], status, "{document}");
        assert_eq!(document["error"]["code"].is_string(), self.code != 0);
        assert_eq!(document["error"]["message"].is_string(), self.code != 0);
        document
    }
}

/// Runs the binary in a folder.
pub(crate) fn run_in(folder: &Path, args: &[&str]) -> Output {
    Output::of(softprobe(args).current_dir(folder))
}

/// Runs the binary in the current folder.
pub(crate) fn run(args: &[&str]) -> Output {
    Output::of(&mut softprobe(args))
}

/// A `softprobe serve` or `softprobe proxy` process; it is killed when this is dropped.
pub(crate) struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    watch: Option<Watch>,
    /// The JSON document that it printed on startup, with the addresses it listens at.
    pub(crate) said: Value,
}

impl Served {
    /// Starts the runtime and its proxy on free ports, with these further arguments.
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::start_with(more, &[])
    }

    pub(crate) fn start_with(more: &[&str], env: &[(&str, &str)]) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0"];
        Self::of(softprobe(&[&args[..], more].concat()).envs(env.iter().copied()))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let watch = watch(&child);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        // The document ends with a brace in the first column.
        while !text.ends_with("\n}\n") {
            if stdout.read_line(&mut text).unwrap() == 0 {
                let mut stderr = String::new();
                child.stderr.unwrap().read_to_string(&mut stderr).unwrap();
                panic!("the process did not start: {text}{stderr}");
            }
        }
        Self {
            said: serde_json::from_str(&text).unwrap(),
            stdout,
            watch: Some(watch),
            child,
        }
    }

    /// Lets the process live for as long as it takes, and throws away what it logs.
    pub(crate) fn endures(mut self) -> Self {
        drop(self.watch.take());
        if let Some(mut stderr) = self.child.stderr.take() {
            // A full pipe would hold the process up.
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        }
        self
    }

    pub(crate) fn url(&self) -> String {
        self.said["runtimeUrl"].as_str().unwrap().to_owned()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        address(&self.url())
    }

    pub(crate) fn proxy(&self) -> SocketAddr {
        address(self.said["proxyUrl"].as_str().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        crate::support::kill(signal, self.child.id());
    }

    /// Stops the process; returns its exit code and what it printed in the meantime.
    pub(crate) fn stop(mut self) -> Output {
        self.signal("-TERM");
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> Output {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        Output {
            code: self.child.wait().unwrap().code().unwrap_or(-1),
            stdout,
            stderr,
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub(crate) fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}
