//! Lets requests through to the application, alone or beside each other, in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::trust::{Calls, Concurrency, Trust};

/// How long a request waits for the one before it where it can't be found out who made it: the application may have made it
/// itself, and wait for it.
const LONGEST_DOUBT: Duration = Duration::from_secs(5);

/// Lets requests through.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    trust: Trust,
    begun: u64,
    /// The requests that wait, the first one first.
    queue: VecDeque<u64>,
    open: Vec<Open>,
    is_closed: bool,
    /// Whether a call has named no session since the first request came.
    has_unnamed: bool,
}

/// A request that was let through.
#[derive(Debug)]
struct Open {
    session: String,
    route: String,
    place: Place,
    is_answered: bool,
    calls: Calls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The only one, but for what it causes.
    Alone,
    /// One of several.
    Beside,
    /// The application made it while it answered another one.
    Nested,
}

/// Who made a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// The application.
    Application,
    /// Somebody else.
    Other,
    /// That can't be found out.
    Unknown,
}

/// A place in the queue, which is given up when this is dropped.
struct Ticket<'g> {
    gate: &'g Gate,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.queue.retain(|waiting| *waiting != self.number);
        drop(state);
        self.gate.changed.notify_waiters();
    }
}

impl Gate {
    pub(super) fn new(concurrency: Concurrency) -> Self {
        Self {
            state: Mutex::new(State {
                trust: Trust::new(concurrency),
                begun: 0,
                queue: VecDeque::new(),
                open: Vec::new(),
                is_closed: false,
                has_unnamed: false,
            }),
            changed: Notify::new(),
        }
    }

    /// Waits until a request of a route may go on as this session; returns whether it may, which it may not once the gate is
    /// closed.
    ///
    /// `made_by` is asked only for a request that has to wait.
    pub(super) async fn enter(
        &self,
        session: &str,
        route: &str,
        made_by: impl FnOnce() -> Maker,
    ) -> bool {
        let number = {
            let mut state = self.state();
            state.begun += 1;
            let number = state.begun;
            state.queue.push_back(number);
            number
        };
        let ticket = Ticket { gate: self, number };
        let mut made_by = Some(made_by);
        let mut overtakes = None;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.is_closed {
                    return false;
                }
                let may = state.may_enter(number, route);
                let may = may.or_else(|| state.may_overtake(overtakes));
                if let Some(place) = may {
                    state.open.push(Open {
                        session: session.to_owned(),
                        route: route.to_owned(),
                        place,
                        is_answered: false,
                        calls: Calls::default(),
                    });
                    break;
                }
            }
            if let Some(made_by) = made_by.take() {
                overtakes = match made_by() {
                    Maker::Application => Some(Instant::now()),
                    Maker::Unknown => Some(Instant::now() + LONGEST_DOUBT),
                    Maker::Other => None,
                };
                continue;
            }
            match overtakes {
                Some(when) if when > Instant::now() => {
                    let _ = tokio::time::timeout_at(when, changed).await;
                }
                _ => changed.await,
            }
        }
        drop(ticket);
        true
    }

    /// Lets a request through at once that the application made while it answered another one.
    pub(super) fn enter_nested(&self, session: &str, route: &str) {
        self.state().open.push(Open {
            session: session.to_owned(),
            route: route.to_owned(),
            place: Place::Nested,
            is_answered: false,
            calls: Calls::default(),
        });
    }

    /// Notes that a request was answered.
    pub(super) fn answered(&self, session: &str) {
        if let Some(open) = self.state().find(session) {
            open.is_answered = true;
        }
        self.changed.notify_waiters();
    }

    /// Notes a call of a request, which named it or could belong to no other.
    pub(super) fn note_call(&self, session: &str, is_named: bool) {
        if let Some(open) = self.state().find(session) {
            match is_named {
                true => open.calls.named += 1,
                false => open.calls.unnamed += 1,
            }
        }
    }

    /// Notes a call that named no session, and may belong to any of several requests.
    pub(super) fn note_stray(&self) {
        self.state().trust.note_stray();
        self.note_unnamed();
    }

    /// Notes a call that named no session, whomever it belongs to.
    pub(super) fn note_unnamed(&self) {
        let mut state = self.state();
        state.has_unnamed |= state.begun > 0;
    }

    /// Ends a request: what comes now belongs to it no more.
    pub(super) fn leave(&self, session: &str) {
        let mut state = self.state();
        let Some(n) = state.open.iter().position(|open| open.session == session) else {
            return;
        };
        let Open {
            route,
            place,
            calls,
            ..
        } = state.open.remove(n);
        if place == Place::Alone || calls.unnamed > 0 {
            state.trust.note(&route, calls);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns whether a session's request runs.
    pub(super) fn is_open(&self, session: &str) -> bool {
        self.state().find(session).is_some()
    }

    /// Returns the sessions to which a call that names none may belong.
    pub(super) fn owners(&self) -> Vec<String> {
        let state = self.state();
        let is_alone = state.open.iter().any(|open| open.place == Place::Alone);
        // The application waits for what it has asked itself.
        let innermost = state
            .open
            .iter()
            .rev()
            .find(|open| open.place == Place::Nested && !open.is_answered);
        let alone = state.open.iter().find(|open| open.place == Place::Alone);
        match (is_alone, innermost.or(alone)) {
            (true, Some(only)) => vec![only.session.clone()],
            _ => state.open.iter().map(|open| open.session.clone()).collect(),
        }
    }

    /// Returns how many requests run.
    pub(super) fn running(&self) -> usize {
        self.state().open.len()
    }

    /// Returns whether the application's calls have shown that they name their sessions.
    pub(super) fn is_proven(&self) -> bool {
        self.state().trust.is_proven()
    }

    /// Returns whether a call has named no session since the first request came.
    pub(super) fn has_unnamed(&self) -> bool {
        self.state().has_unnamed
    }

    /// Lets no more requests through.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_waiters();
    }

    /// Waits until no request runs or waits.
    pub(super) async fn idle(&self) {
        let is_idle = |state: &State| state.open.is_empty() && state.queue.is_empty();
        self.until(is_idle).await;
    }

    /// Waits until all requests that were answered are over.
    pub(super) async fn settled(&self) {
        let is_settled = |state: &State| !state.open.iter().any(|open| open.is_answered);
        self.until(is_settled).await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_so(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&mut self, session: &str) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.session == session)
    }

    /// Returns the place of a request in the queue, if it may go on now.
    fn may_enter(&self, number: u64, route: &str) -> Option<Place> {
        if self.queue.front() != Some(&number) {
            return None;
        }
        match self.trust.stands_alone(route) {
            true => self.open.is_empty().then_some(Place::Alone),
            false => {
                let is_alone = self.open.iter().any(|open| open.place == Place::Alone);
                (!is_alone).then_some(Place::Beside)
            }
        }
    }

    /// Returns the place of a request that the application has made, or may have, while it answers another one.
    fn may_overtake(&self, from: Option<Instant>) -> Option<Place> {
        let is_time = from.is_some_and(|from| from <= Instant::now());
        let runs = self.open.iter().any(|open| !open.is_answered);
        (is_time && runs).then_some(Place::Nested)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn other() -> Maker {
        Maker::Other
    }

    async fn named(gate: &Gate, session: &str, route: &str) {
        assert!(gate.enter(session, route, other).await);
        gate.note_call(session, true);
        gate.answered(session);
        gate.leave(session);
    }

    #[tokio::test]
    async fn requests_wait_until_the_one_before_is_over() {
        let gate = Arc::new(Gate::new(Concurrency::Auto));
        assert!(gate.enter("a", "GET /", other).await);
        let own = Arc::clone(&gate);
        let second = tokio::spawn(async move { own.enter("b", "GET /", other).await });
        tokio::task::yield_now().await;
        gate.answered("a");
        tokio::task::yield_now().await;
        assert_eq!(gate.owners(), ["a"], "its calls may still come");
        gate.leave("a");
        assert!(second.await.unwrap());
        assert_eq!(gate.owners(), ["b"]);
    }

    #[tokio::test]
    async fn proven_routes_run_beside_each_other() {
        let gate = Gate::new(Concurrency::Auto);
        named(&gate, "a", "GET /").await;
        assert!(gate.enter("b", "GET /", other).await);
        assert!(gate.enter("c", "GET /", other).await);
        assert_eq!(gate.owners(), ["b", "c"]);
        gate.leave("b");
        gate.leave("c");
        assert_eq!(gate.running(), 0);
    }

    #[tokio::test]
    async fn what_the_application_asks_itself_does_not_wait() {
        let gate = Gate::new(Concurrency::Auto);
        assert!(gate.enter("a", "GET /", other).await);
        assert!(gate.enter("b", "GET /b", || Maker::Application).await);
        assert_eq!(gate.owners(), ["b"], "the application waits for it");
        gate.answered("b");
        assert_eq!(gate.owners(), ["a"]);
        gate.leave("b");
        gate.leave("a");
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_may_have_asked_itself_waits_for_a_while() {
        let gate = Gate::new(Concurrency::Serial);
        assert!(gate.enter("a", "GET /", other).await);
        assert!(gate.enter("b", "GET /b", || Maker::Unknown).await);
    }

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_through() {
        let gate = Arc::new(Gate::new(Concurrency::Serial));
        assert!(gate.enter("a", "GET /", other).await);
        let own = Arc::clone(&gate);
        let second = tokio::spawn(async move { own.enter("b", "GET /", other).await });
        tokio::task::yield_now().await;
        gate.close();
        assert!(!second.await.unwrap());
        // It was not answered, and is not waited for.
        gate.settled().await;
        gate.answered("a");
        gate.leave("a");
        gate.idle().await;
    }
}
