//! The exchanges that are being recorded.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
#[cfg(feature = "runner")]
use std::time::Duration;

use tokio::sync::Notify;
#[cfg(feature = "runner")]
use tokio::time::{Instant, timeout_at};

/// An answer that is passed on while it arrives.
pub(super) trait Arriving: fmt::Debug + Send + Sync {
    /// Records what has arrived, unless it is recorded already.
    fn cut_off(&self);
}

/// The exchanges that are being recorded, from their requests until they are recorded.
#[derive(Debug, Default)]
pub(crate) struct Running {
    list: Mutex<List>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct List {
    begun: u64,
    running: Vec<Exchange>,
}

#[derive(Debug)]
struct Exchange {
    number: u64,
    session: String,
    /// Whether it is a request to the application.
    #[cfg_attr(
        not(feature = "runner"),
        expect(dead_code, reason = "only recordings ask")
    )]
    is_inbound: bool,
    /// Its answer, if that is passed on while it arrives.
    arriving: Option<Arc<dyn Arriving>>,
}

impl Running {
    /// Adds an exchange of a session, and returns its number.
    pub(super) fn begin(&self, session: &str, is_inbound: bool) -> u64 {
        let mut list = self.list();
        list.begun += 1;
        let number = list.begun;
        list.running.push(Exchange {
            number,
            session: session.to_owned(),
            is_inbound,
            arriving: None,
        });
        number
    }

    /// Notes that an exchange's answer is passed on while it arrives.
    pub(super) fn arrives(&self, number: u64, arriving: Arc<dyn Arriving>) {
        let mut list = self.list();
        let mut running = list.running.iter_mut();
        if let Some(exchange) = running.find(|exchange| exchange.number == number) {
            exchange.arriving = Some(arriving);
        }
    }

    /// Removes an exchange, which is recorded.
    pub(super) fn end(&self, number: u64) {
        self.list()
            .running
            .retain(|exchange| exchange.number != number);
        self.changed.notify_waiters();
    }

    /// Records what has arrived of the answers of a session that are still arriving; what is to come of them passes on.
    pub(crate) fn cut_off(&self, session: &str) {
        let arriving: Vec<Arc<dyn Arriving>> = {
            let list = self.list();
            let own = list.running.iter().filter(|own| own.session == session);
            own.filter_map(|own| own.arriving.clone()).collect()
        };
        for arriving in arriving {
            arriving.cut_off();
        }
    }

    /// Returns whether the answer to a session's request is passed on while it arrives.
    #[cfg(feature = "runner")]
    pub(crate) fn is_streaming(&self, session: &str) -> bool {
        let list = self.list();
        let mut own = list.running.iter().filter(|own| own.session == session);
        own.any(|own| own.is_inbound && own.arriving.is_some())
    }

    /// Records what has arrived of all answers that are still arriving.
    #[cfg(feature = "runner")]
    pub(crate) fn cut_off_all(&self) {
        let sessions: Vec<String> = {
            let list = self.list();
            let running = list.running.iter();
            running.map(|own| own.session.clone()).collect()
        };
        for session in sessions {
            self.cut_off(&session);
        }
    }

    /// Waits until the exchanges of a session are recorded; answers that are still arriving are cut off. Returns how many of
    /// them are not recorded after this time.
    #[cfg(feature = "runner")]
    pub(crate) async fn settled(&self, session: &str, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.cut_off(session);
            let left = self.count(session);
            if left == 0 || timeout_at(deadline, changed).await.is_err() {
                return left;
            }
        }
    }

    #[cfg(feature = "runner")]
    fn count(&self, session: &str) -> usize {
        let list = self.list();
        let own = list.running.iter().filter(|own| own.session == session);
        own.count()
    }

    fn list(&self) -> std::sync::MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
