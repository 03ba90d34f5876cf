//! The captured answer, in the form in which it is compared.

use std::borrow::Cow;

use crate::base::http::Headers;

/// The captured answer to compare the actual one with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected<'c> {
    /// The captured status.
    pub(crate) status: u16,
    /// The captured headers.
    pub(crate) headers: &'c Headers,
    /// The captured body; `None` when it was not captured.
    pub(crate) body: Option<Cow<'c, [u8]>>,
    /// Where the application was reached, then and now.
    pub(crate) reached: Reached<'c>,
}

/// Where the application under test was reached, as scheme and authority. A redirect to itself names another
/// host and port in each run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reached<'c> {
    /// When the exchange was captured.
    pub(crate) captured: (&'c str, &'c str),
    /// When the actual answer was given.
    pub(crate) actual: (&'c str, &'c str),
    /// The `host` that the suite or a hook gave the request; empty if none.
    pub(crate) named: &'c str,
}
