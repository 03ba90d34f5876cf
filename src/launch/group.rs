//! Everything that a process started: its process group, and what can be found by a mark in its environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use super::processes;

/// Returns the name of a variable that nothing else has, and the mark that it is in an environment. Its name differs each time,
/// so that whatever is started inside of what carries one mark carries it as well.
pub(super) fn new_mark(what: &str) -> (String, String) {
    let name = format!("{what}_{:016x}", fastrand::u64(..));
    let mark = format!("{name}=1");
    (name, mark)
}

/// Processes that end together.
#[derive(Debug)]
pub(super) struct Group {
    /// The leader of their process group, if they have one of their own.
    leader: Option<Pid>,
    /// Whether the process group is known to be empty: its number may be another group's by now.
    is_empty: AtomicBool,
    /// What the environment of each of them holds.
    mark: String,
}

impl Group {
    /// Returns the group that the process with this id leads; `None` for an id that no process has.
    pub(super) fn of(leader: u32, mark: String) -> Option<Arc<Self>> {
        let leader = Pid::from_raw(i32::try_from(leader).ok()?)?;
        Some(Arc::new(Self {
            leader: Some(leader),
            ..Self::marked(mark)
        }))
    }

    /// Returns the processes that only a mark tells from others.
    pub(super) fn marked(mark: String) -> Self {
        Self {
            leader: None,
            is_empty: AtomicBool::new(false),
            mark,
        }
    }

    /// Returns the id of the process group, if there is one.
    pub(super) fn id(&self) -> Option<i32> {
        self.leader.map(Pid::as_raw_pid)
    }

    /// Notes that the leader has ended, which it may have done as the last of its group.
    pub(super) fn leader_ended(&self) {
        let is_empty = |leader| test_kill_process_group(leader) == Err(Errno::SRCH);
        self.is_empty
            .store(self.leader.is_some_and(is_empty), Ordering::SeqCst);
    }

    /// Returns the leader, as long as its process group may have members.
    fn open(&self) -> Option<Pid> {
        self.leader
            .filter(|_| !self.is_empty.load(Ordering::SeqCst))
    }

    /// Returns the processes that run. Where they can't be listed, the leader stands for all.
    pub(super) fn members(&self) -> Vec<Pid> {
        let leader = self.open();
        if let Some(ids) = processes::members(leader.map(Pid::as_raw_pid), &self.mark) {
            return ids.into_iter().filter_map(Pid::from_raw).collect();
        }
        let lives =
            |leader: &Pid| matches!(test_kill_process_group(*leader), Ok(()) | Err(Errno::PERM));
        leader.filter(lives).into_iter().collect()
    }

    /// Returns whether any of its processes runs. Looks again before it says no: a process that is just becoming another program
    /// shows no environment, and so no mark.
    pub(super) fn lives(&self) -> bool {
        const LOOKS: usize = 3;
        const PAUSE: Duration = Duration::from_millis(5);
        (0..LOOKS).any(|look| {
            if look > 0 {
                std::thread::sleep(PAUSE);
            }
            !self.members().is_empty()
        })
    }

    /// Sends a signal to all of them.
    pub(super) fn signal(&self, signal: Signal) {
        let leader = self.open();
        // A process that ends meanwhile needs no signal.
        if let Some(leader) = leader {
            let _ = kill_process_group(leader, signal);
        }
        for member in self.members() {
            let group = processes::group_of(member.as_raw_pid());
            if group.is_some() && group != leader.map(Pid::as_raw_pid) {
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

    /// Ends all of them by a signal, and by force if that takes longer than this. Returns whether the signal was enough.
    pub(super) fn end(&self, signal: Signal, limit: Duration, hurry: &dyn Fn() -> bool) -> bool {
        /// How long killed processes may take to be gone.
        const SLOWEST_KILL: Duration = Duration::from_secs(1);
        if !self.lives() {
            return true;
        }
        self.signal(signal);
        let has_ended = self.wait(limit, hurry);
        if !has_ended {
            self.signal(Signal::KILL);
            self.wait(SLOWEST_KILL, &|| false);
        }
        has_ended
    }
}
