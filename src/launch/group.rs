//! Everything that an application started: its process group, and what left the group but can be found.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use super::processes;

/// The processes of an application.
#[derive(Debug, Clone)]
pub(super) struct Group {
    leader: Pid,
    /// What the environment of each of them holds.
    mark: String,
}

impl Group {
    /// Returns the group that the process with this id leads; `None` for an id that no process has.
    pub(super) fn of(leader: u32, mark: String) -> Option<Self> {
        let leader = Pid::from_raw(i32::try_from(leader).ok()?)?;
        Some(Self { leader, mark })
    }

    /// Returns the id of the group.
    pub(super) fn id(&self) -> i32 {
        self.leader.as_raw_pid()
    }

    /// Returns the processes that run. Where they can't be listed, none of them stands for all.
    pub(super) fn members(&self) -> Vec<Pid> {
        match processes::members(self.id(), &self.mark) {
            Some(ids) => ids.into_iter().filter_map(Pid::from_raw).collect(),
            None => match test_kill_process_group(self.leader) {
                Ok(()) | Err(Errno::PERM) => vec![self.leader],
                Err(_) => Vec::new(),
            },
        }
    }

    /// Returns whether any of its processes runs.
    pub(super) fn lives(&self) -> bool {
        !self.members().is_empty()
    }

    /// Sends a signal to all of them.
    pub(super) fn signal(&self, signal: Signal) {
        // A process that ends meanwhile needs no signal.
        let _ = kill_process_group(self.leader, signal);
        for member in self.members() {
            if processes::group_of(member.as_raw_pid()).is_some_and(|group| group != self.id()) {
                let _ = kill_process(member, signal);
            }
        }
    }

    /// Waits until none of them runs, and returns whether that happened in time.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(2);
        while self.lives() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        true
    }
}
