//! Which session a call belongs to: the contract's five ways, in their order.

use base64::Engine as _;

use crate::http::{Headers, SESSION_HEADER};
use crate::runtime::Oracle;

/// What a call's headers say about its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Correlation {
    /// It belongs to this session, which is open.
    Session(String),
    /// No session is open at all.
    Idle,
    /// It fits none of those that are open, and why.
    None(String),
}

/// Finds the session; the first way that names one decides, also when that one is not open.
pub(super) fn correlate(headers: &Headers, oracle: &dyn Oracle) -> Correlation {
    let open = oracle.open_sessions();
    if open.is_empty() {
        return Correlation::Idle;
    }
    let named = from_header(headers)
        .or_else(|| from_tracestate(headers))
        .or_else(|| from_credentials(headers))
        .or_else(|| oracle.session_of_trace(&trace_id(headers)?));
    match named {
        Some(session) if open.contains(&session) => Correlation::Session(session),
        Some(session) => Correlation::None(closed(&session)),
        None => match open.as_slice() {
            [only] => Correlation::Session(only.clone()),
            several => Correlation::None(format!(
                "it carries no session: the application passed neither `tracestate` nor \
                 `traceparent` on, and {} sessions were open",
                several.len()
            )),
        },
    }
}

/// The reason for a call whose session is gone.
pub(super) fn closed(session: &str) -> String {
    format!("its session `{session}` is closed or unknown")
}

fn from_header(headers: &Headers) -> Option<String> {
    let value = headers.text(SESSION_HEADER)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn from_tracestate(headers: &Headers) -> Option<String> {
    let entries: Vec<(String, String)> = headers
        .all("tracestate")
        .flat_map(|value| {
            let text = String::from_utf8_lossy(value).into_owned();
            text.split(',')
                .filter_map(|entry| {
                    let (key, value) = entry.trim().split_once('=')?;
                    Some((key.trim().to_owned(), value.trim().to_owned()))
                })
                .collect::<Vec<_>>()
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    // `sp=<id>,<revision>` of old captures needs no care: the comma ends the entry.
    [SESSION_HEADER, "sp"].iter().find_map(|wanted| {
        let (_, session) = entries.iter().find(|(key, _)| key == wanted)?;
        Some(session.clone())
    })
}

fn from_credentials(headers: &Headers) -> Option<String> {
    let value = headers.text("proxy-authorization")?;
    let (scheme, encoded) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let user = text.split_once(':').map_or(text.as_str(), |(user, _)| user);
    (!user.is_empty()).then(|| user.to_owned())
}

fn trace_id(headers: &Headers) -> Option<String> {
    let value = headers.text("traceparent")?;
    let mut parts = value.trim().split('-');
    let trace_id = parts.nth(1)?;
    (trace_id.len() == 32).then(|| trace_id.to_ascii_lowercase())
}
