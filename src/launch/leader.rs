//! The first process of an application.

use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

use super::group::Group;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit status, unless the system does not tell it.
    status: Option<ExitStatus>,
}

impl Ended {
    /// Returns whether it ended well.
    pub(super) fn is_success(self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => status.fmt(f),
            None => f.write_str("exit status unknown"),
        }
    }
}

/// The first process of an application.
#[derive(Debug, Default)]
pub(super) struct Leader {
    /// How it ended, once it has.
    status: Mutex<Option<Ended>>,
    ended: Condvar,
}

impl Leader {
    /// Waits for a process in a thread of its own.
    pub(super) fn watch(mut child: Child, group: Arc<Group>) -> Arc<Self> {
        let leader = Arc::new(Self::default());
        let own = Arc::clone(&leader);
        std::thread::spawn(move || {
            let status = child.wait().ok();
            group.leader_ended();
            let mut known = own.status.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(Ended { status });
            own.ended.notify_all();
        });
        leader
    }

    /// Returns how it ended, if it has.
    pub(super) fn ended(&self) -> Option<Ended> {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has ended, for as long as this.
    pub(super) fn wait(&self, limit: Duration) {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .ended
            .wait_timeout_while(status, limit, |status| status.is_none());
        drop(waited);
    }
}

/// Makes the system keep the exit statuses of children for this process, which it does not if whoever started the process
/// ignores `SIGCHLD`.
pub(crate) fn keep_statuses() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let unused = Arc::default();
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGCHLD, unused) {
            log::warn!("exit statuses may be lost: {error}");
        }
    });
}
