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
    /// How many cases of requests that are over are being written.
    writing: usize,
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
    /// The request that the application answered when it made this one.
    cause: Option<String>,
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
    /// Its answer goes on without an end in sight.
    Streaming,
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
                writing: 0,
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
                    state.open(session, route, place);
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

    /// Lets a request through at once that the application made while it answered that other one.
    pub(super) fn enter_nested(&self, session: &str, route: &str, cause: &str) {
        let mut state = self.state();
        state.open(session, route, Place::Nested);
        if let Some(open) = state.find(session) {
            open.cause = Some(cause.to_owned());
        }
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
        let mut state = self.state();
        let State { open, trust, .. } = &mut *state;
        open.iter().for_each(|open| trust.distrust(&open.route));
        drop(state);
        self.note_unnamed();
    }

    /// Notes a call that named no session, whomever it belongs to.
    pub(super) fn note_unnamed(&self) {
        let mut state = self.state();
        state.has_unnamed |= state.begun > 0;
    }

    /// Ends a request: what comes now belongs to it no more, and its case is to be written.
    pub(super) fn leave(&self, session: &str) {
        let mut state = self.state();
        state.writing += 1;
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

    /// Notes that the case of a request that is over was written.
    pub(super) fn written(&self) {
        self.state().writing -= 1;
        self.changed.notify_waiters();
    }

    /// Lets others through beside a request whose answer goes on without an end in sight; returns whether it held them up.
    pub(super) fn streams(&self, session: &str) -> bool {
        let mut state = self.state();
        let Some(open) = state.find(session) else {
            return false;
        };
        let holds_up = open.place == Place::Alone;
        if holds_up {
            open.place = Place::Streaming;
        }
        drop(state);
        self.changed.notify_waiters();
        holds_up
    }

    /// Returns whether a session's request runs.
    pub(super) fn is_open(&self, session: &str) -> bool {
        self.state().find(session).is_some()
    }

    /// Returns the sessions to which a call that names none may belong.
    pub(super) fn owners(&self) -> Vec<String> {
        self.state().owners()
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

    /// Returns whether no more requests are let through.
    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Lets no more requests through.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_waiters();
    }

    /// Waits until no request runs or waits, and all cases are written.
    pub(super) async fn idle(&self) {
        let is_idle =
            |state: &State| state.open.is_empty() && state.queue.is_empty() && state.writing == 0;
        self.until(is_idle).await;
    }

    /// Waits until all requests that were answered are over, and their cases written.
    pub(super) async fn settled(&self) {
        let is_settled =
            |state: &State| state.writing == 0 && !state.open.iter().any(|open| open.is_answered);
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
    fn open(&mut self, session: &str, route: &str, place: Place) {
        // Of several that it has made, it can't be told which one has made another.
        let mut alone = self.open.iter().filter(|open| open.place == Place::Alone);
        let is_first = !self.open.iter().any(|open| open.place == Place::Nested);
        let cause = alone.next().filter(|_| place == Place::Nested && is_first);
        let cause = cause.map(|alone| alone.session.clone());
        self.open.push(Open {
            session: session.to_owned(),
            route: route.to_owned(),
            place,
            is_answered: false,
            cause,
            calls: Calls::default(),
        });
    }

    /// Returns the sessions to which a call that names none may belong.
    fn owners(&self) -> Vec<String> {
        let sessions = |open: &mut dyn Iterator<Item = &Open>| -> Vec<String> {
            open.map(|open| open.session.clone()).collect()
        };
        let alone = self.open.iter().find(|open| open.place == Place::Alone);
        let Some(alone) = alone else {
            let mut open = self.open.iter();
            return sessions(&mut open);
        };
        // The application waits for what it has asked itself.
        let waits_for = |cause: &Open| {
            let mut nested = self.open.iter();
            nested.any(|n| !n.is_answered && n.cause.as_ref() == Some(&cause.session))
        };
        let nested = self.open.iter();
        let mut innermost = nested
            .filter(|open| open.place == Place::Nested && !open.is_answered && !waits_for(open));
        let innermost = sessions(&mut innermost);
        match innermost.is_empty() {
            true => vec![alone.session.clone()],
            false => innermost,
        }
    }

    fn find(&mut self, session: &str) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.session == session)
    }

    /// Returns the place of a request in the queue, if it may go on now.
    fn may_enter(&self, number: u64, route: &str) -> Option<Place> {
        if self.queue.front() != Some(&number) {
            return None;
        }
        match self.trust.stands_alone(route) {
            true => {
                let mut others = self.open.iter();
                let is_free = others.all(|open| open.place == Place::Streaming);
                is_free.then_some(Place::Alone)
            }
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
        // Of a chain, the application works at the innermost; of two at a time, at either.
        gate.enter_nested("c", "GET /c", "a");
        gate.enter_nested("d", "GET /d", "c");
        assert_eq!(gate.owners(), ["d"]);
        assert!(gate.enter("e", "GET /e", || Maker::Application).await);
        assert_eq!(gate.owners(), ["d", "e"]);
        for session in ["c", "d", "e"] {
            gate.answered(session);
        }
        assert_eq!(gate.owners(), ["a"]);
    }

    #[tokio::test]
    async fn an_answer_without_an_end_holds_nobody_up() {
        let gate = Arc::new(Gate::new(Concurrency::Serial));
        assert!(gate.enter("a", "GET /events", other).await);
        let own = Arc::clone(&gate);
        let second = tokio::spawn(async move { own.enter("b", "GET /", other).await });
        tokio::task::yield_now().await;
        assert!(gate.streams("a"));
        assert!(second.await.unwrap());
        assert_eq!(gate.owners(), ["b"]);
        assert!(!gate.streams("c"));
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
        gate.written();
        gate.idle().await;
    }
}
