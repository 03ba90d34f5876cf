//! Runs work that a signal can end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// How long running cases may take to finish after an interrupt.
const GRACE: Duration = Duration::from_secs(2);

/// Returns the signals that end a run in order: all that usually end a process, but those that were ignored when it
/// began, as `nohup` does it.
pub(crate) fn ending_signals() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0)
        .collect()
}

/// What came first, the end of the work or a signal.
pub(crate) enum Outran {
    /// The work finished.
    Done,
    /// A signal arrived.
    Signal {
        signal: i32,
        /// Whether the work finished soon after.
        done: bool,
    },
    /// The work ended without finishing: it panicked.
    Gone,
}

/// The signals that have arrived.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    last: AtomicI32,
    count: AtomicUsize,
}

impl Arrived {
    /// Returns how many have arrived.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns the last one.
    pub(crate) fn last(&self) -> Option<i32> {
        (self.count() > 0).then(|| self.last.load(Ordering::SeqCst))
    }
}

/// The signals that arrive while it lives; the first one ends the run.
#[derive(Debug)]
pub(crate) struct Interrupts {
    handle: Option<Handle>,
    pub(crate) arrived: Arc<Arrived>,
    sender: Sender<Told>,
    told: Receiver<Told>,
}

#[derive(Debug)]
enum Told {
    Ended { well: bool },
    Signal(i32),
}

impl Interrupts {
    /// Takes the signals from now on, so that none of them ends the process by itself.
    pub(crate) fn listen() -> Self {
        let (sender, told) = mpsc::channel();
        let arrived = Arc::<Arrived>::default();
        let signals = Signals::new(ending_signals());
        let handle = signals.as_ref().ok().map(Signals::handle);
        if let Ok(mut signals) = signals {
            let (sender, arrived) = (sender.clone(), Arc::clone(&arrived));
            std::thread::spawn(move || {
                for signal in signals.forever() {
                    arrived.last.store(signal, Ordering::SeqCst);
                    arrived.count.fetch_add(1, Ordering::SeqCst);
                    if sender.send(Told::Signal(signal)).is_err() {
                        return;
                    }
                }
            });
        }
        Self {
            handle,
            arrived,
            sender,
            told,
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.close();
        }
    }
}

/// Does the work on its own thread, so that this one can react to a signal at once by calling
/// `stop` with it.
pub(crate) fn until_signal(
    interrupts: &Interrupts,
    work: impl FnOnce() + Send + 'static,
    stop: impl FnOnce(i32),
) -> Outran {
    let (sender, told) = (interrupts.sender.clone(), &interrupts.told);
    std::thread::spawn(move || {
        let well = catch_unwind(AssertUnwindSafe(work)).is_ok();
        let _ = sender.send(Told::Ended { well });
    });
    match told.recv() {
        Ok(Told::Signal(signal)) => {
            stop(signal);
            // Give running cases time to finish; a second signal ends the wait.
            let ended = told.recv_timeout(GRACE);
            Outran::Signal {
                signal,
                done: matches!(ended, Ok(Told::Ended { well: true })),
            }
        }
        Ok(Told::Ended { well: true }) => Outran::Done,
        Ok(Told::Ended { well: false }) | Err(_) => Outran::Gone,
    }
}
