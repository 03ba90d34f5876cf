//! Whether requests may go to an application beside each other: only if its calls say which request they belong to.

use std::collections::HashMap;
use std::str::FromStr;

/// How many routes whose calls all name their sessions make up an application of which that is expected of any route.
const ENOUGH_ROUTES: usize = 20;

/// How many requests of a route without any call make it one that is taken to make none.
const ENOUGH_WITHOUT: usize = 3;

/// How many requests go to the application at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Concurrency {
    /// One, until its calls have shown that they name their sessions.
    #[default]
    Auto,
    /// One.
    Serial,
    /// As many as come.
    Parallel,
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "auto" => Ok(Self::Auto),
            "serial" => Ok(Self::Serial),
            "parallel" => Ok(Self::Parallel),
            _ => Err("expected auto, serial or parallel".to_owned()),
        }
    }
}

/// The calls that a request caused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// Those that named the request's session.
    pub(super) named: usize,
    /// Those that named none, and could belong to no other request.
    pub(super) unnamed: usize,
}

/// What is known of an application's calls.
#[derive(Debug, Default)]
pub(super) struct Trust {
    concurrency: Concurrency,
    /// Whether a request's calls have all named its session.
    is_proven: bool,
    /// Whether a call that may belong to a request has named no session.
    has_unnamed: bool,
    /// What the calls of each route have done.
    routes: HashMap<String, Shown>,
    /// How many requests of a route have made no call.
    without: HashMap<String, usize>,
}

/// What the calls of a route have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// All of them have named their sessions.
    Named,
    /// One has not, or may not have.
    Unnamed,
}

impl Trust {
    pub(super) fn new(concurrency: Concurrency) -> Self {
        Self {
            concurrency,
            ..Self::default()
        }
    }

    /// Returns whether the application's calls have shown that they name their sessions.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Returns whether a request of a route must be the only one.
    pub(super) fn stands_alone(&self, route: &str) -> bool {
        match self.concurrency {
            Concurrency::Serial => true,
            Concurrency::Parallel => false,
            Concurrency::Auto if !self.is_proven => true,
            Concurrency::Auto => match self.routes.get(route) {
                Some(shown) => *shown == Shown::Unnamed,
                None if self.without.get(route) >= Some(&ENOUGH_WITHOUT) => false,
                // Other routes may use another client.
                None => self.has_unnamed || self.routes.len() < ENOUGH_ROUTES,
            },
        }
    }

    /// Notes the calls of a request that was the only one when they came.
    pub(super) fn note(&mut self, route: &str, calls: Calls) {
        let Calls { named, unnamed } = calls;
        self.is_proven |= named > 0 && unnamed == 0;
        if unnamed > 0 {
            self.distrust(route);
        } else if named > 0 {
            let shown = self.routes.entry(route.to_owned());
            shown.or_insert(Shown::Named);
        } else {
            *self.without.entry(route.to_owned()).or_default() += 1;
        }
    }

    /// Notes that a call has named no session which may belong to a request of this route.
    pub(super) fn distrust(&mut self, route: &str) {
        self.has_unnamed = true;
        self.routes.insert(route.to_owned(), Shown::Unnamed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: Calls = Calls {
        named: 1,
        unnamed: 0,
    };
    const UNNAMED: Calls = Calls {
        named: 0,
        unnamed: 1,
    };

    #[test]
    fn requests_are_alone_until_their_calls_name_their_sessions() {
        let mut trust = Trust::default();
        assert!(trust.stands_alone("GET /a"));
        trust.note("GET /a", Calls::default());
        trust.note("GET /b", NAMED);
        assert!(trust.stands_alone("GET /a"), "it has shown nothing");
        for _ in 1..ENOUGH_WITHOUT {
            trust.note("GET /a", Calls::default());
        }
        assert!(!trust.stands_alone("GET /a"));
        assert!(!trust.stands_alone("GET /b"));
        assert!(trust.stands_alone("GET /c"), "it may use another client");
        trust.note("GET /c", UNNAMED);
        assert!(trust.stands_alone("GET /c"));
        assert!(!trust.stands_alone("GET /b"));
        trust.note("GET /c", NAMED);
        assert!(trust.stands_alone("GET /c"), "it did not do so always");
        trust.distrust("GET /b");
        assert!(trust.stands_alone("GET /b"));
    }

    #[test]
    fn an_application_whose_routes_all_do_is_trusted_as_a_whole() {
        let mut trust = Trust::default();
        for n in 0..ENOUGH_ROUTES {
            assert!(trust.stands_alone("GET /new"));
            trust.note(&format!("GET /{n}"), NAMED);
        }
        assert!(!trust.stands_alone("GET /new"));
        trust.distrust("GET /2");
        assert!(trust.stands_alone("GET /new"));
        assert!(!trust.stands_alone("GET /1"));
    }

    #[test]
    fn the_user_may_know_better() {
        let mut serial = Trust::new(Concurrency::Serial);
        serial.note("GET /a", NAMED);
        assert!(serial.stands_alone("GET /a"));
        assert!(!Trust::new(Concurrency::Parallel).stands_alone("GET /a"));
    }
}
