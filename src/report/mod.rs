//! Reports: outcomes as people and machines read them.

#[cfg(feature = "cli")]
mod json;
mod junit;
mod text;

#[cfg(feature = "cli")]
pub(crate) use json::run_value;
pub(crate) use junit::junit;
pub(crate) use text::{NO_CALL, Palette, text};

/// The text with every secret in it replaced.
pub(crate) fn mask(text: String, secrets: &[String]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text, |text, secret| {
            text.replace(secret.as_str(), "[masked]")
        })
}
