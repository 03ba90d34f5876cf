//! A terminal at which a command runs.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use nix::pty::Winsize;

use crate::support::{Watch, watch};

/// The rows of the terminal; enough to hold all that a test prints.
const ROWS: u16 = 200;

fn screen(columns: u16) -> vt100::Parser {
    let size = |number| std::num::NonZeroU16::new(number).unwrap();
    vt100::Parser::new(size(ROWS), size(columns), 0)
}

/// A command on a terminal, and what is seen there.
pub(crate) struct Terminal {
    child: Child,
    _watch: Watch,
    master: File,
    seen: Vec<u8>,
    screen: vt100::Parser,
}

impl Terminal {
    /// Starts a command at a terminal of so many columns.
    pub(crate) fn start(command: &mut Command, columns: u16) -> Self {
        let size = Winsize {
            ws_row: ROWS,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = nix::pty::openpty(Some(&size), None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let spawned = command.stdin(side()).stdout(side()).stderr(side()).spawn();
        let child = spawned.unwrap();
        let watch = watch(&child);
        // The command's own ends of the terminal close with it, so that reading ends.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self {
            child,
            _watch: watch,
            master: File::from(pty.master),
            seen: Vec::new(),
            screen: screen(columns),
        }
    }

    /// Types a text.
    pub(crate) fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Returns the id of the command's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Changes the number of columns, and clears the picture of what was there before.
    pub(crate) fn resize(&mut self, columns: u16) {
        let size = rustix::termios::Winsize {
            ws_row: ROWS,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.master, size).unwrap();
        self.screen = screen(columns);
    }

    fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        match self.master.read(&mut part) {
            Ok(read @ 1..) => {
                self.seen.extend_from_slice(&part[..read]);
                self.screen.process(&part[..read]);
                true
            }
            // A terminal whose last user is gone is an error to read from.
            _ => false,
        }
    }

    /// Waits until a text is on the screen.
    pub(crate) fn shows(&mut self, text: &str) {
        while !self.screen().contains(text) {
            assert!(self.read(), "{text:?} is not shown:\n{}", self.screen());
        }
    }

    /// Returns what is on the screen now.
    pub(crate) fn screen(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits for the end, and returns the exit code, what is left on the screen, and all that was written.
    pub(crate) fn ends(mut self) -> (i32, String, String) {
        while self.read() {}
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let written = String::from_utf8_lossy(&self.seen).replace("\r\n", "\n");
        (code, self.screen(), written)
    }
}
