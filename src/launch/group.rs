//! Everything that an application started: its process group, and what left the group but can be found.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use super::processes;

/// The processes of an application.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    /// Whether the group is known to be empty: its number may be another group's by now.
    is_empty: AtomicBool,
    /// What the environment of each of them holds.
    mark: String,
}

impl Group {
    /// Returns the group that the process with this id leads; `None` for an id that no process has.
    pub(super) fn of(leader: u32, mark: String) -> Option<Arc<Self>> {
        let leader = Pid::from_raw(i32::try_from(leader).ok()?)?;
        Some(Arc::new(Self {
            leader,
            is_empty: AtomicBool::new(false),
            mark,
        }))
    }

    /// Returns the id of the group.
    pub(super) fn id(&self) -> i32 {
        self.leader.as_raw_pid()
    }

    /// Notes that the leader has ended, which it may have done as the last of its group.
    pub(super) fn leader_ended(&self) {
        let is_empty = test_kill_process_group(self.leader) == Err(Errno::SRCH);
        self.is_empty.store(is_empty, Ordering::SeqCst);
    }

    /// Returns the id of the group, as long as it may have members.
    fn open_id(&self) -> Option<i32> {
        (!self.is_empty.load(Ordering::SeqCst)).then(|| self.id())
    }

    /// Returns the processes that run. Where they can't be listed, the leader stands for all.
    pub(super) fn members(&self) -> Vec<Pid> {
        let group = self.open_id();
        match processes::members(group, &self.mark) {
            Some(ids) => ids.into_iter().filter_map(Pid::from_raw).collect(),
            None if group.is_none() => Vec::new(),
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
        let group = self.open_id();
        // A process that ends meanwhile needs no signal.
        if group.is_some() {
            let _ = kill_process_group(self.leader, signal);
        }
        for member in self.members() {
            let own = processes::group_of(member.as_raw_pid());
            if own.is_some() && own != group {
                let _ = kill_process(member, signal);
            }
        }
    }

    /// Waits until none of them runs, and returns whether that happened in time and before `hurry`.
    pub(super) fn wait(&self, limit: Duration, hurry: &dyn Fn() -> bool) -> bool {
        let start = Instant::now();
        let mut pause = Duration::from_millis(2);
        while self.lives() {
            if start.elapsed() >= limit || hurry() {
                return false;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        true
    }
}
