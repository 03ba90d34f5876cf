//! Compiles the expressions in documents; an invalid one is a problem at its place.

use regex::Regex;

use super::document::{Node, Problems};
use super::http::is_secret;
use super::json::Query;

/// Compiles a JSONPath.
pub(crate) fn compile_query(text: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Query> {
    Query::parse(text)
        .map_err(|message| problems.add(&node.place, message))
        .ok()
}

/// Compiles a regular expression.
pub(crate) fn compile_regex(text: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Regex> {
    Regex::new(text)
        .map_err(|error| problems.add(&node.place, bad_regex(text, &error)))
        .ok()
}

/// Reads an object of names, each with a regular expression.
pub(crate) fn read_patterns(node: &Node<'_>, problems: &mut Problems) -> Vec<(String, Regex)> {
    let mut patterns = Vec::new();
    for (name, value) in node
        .map(problems)
        .iter()
        .flat_map(|object| object.members())
    {
        let Some(text) = value.scalar_text(problems) else {
            continue;
        };
        let pattern = match is_secret(name) {
            false => compile_regex(&text, &value, problems),
            true => Regex::new(&text)
                .map_err(|_| problems.add(&value.place, "it is not a regular expression"))
                .ok(),
        };
        patterns.extend(pattern.map(|pattern| (name.to_owned(), pattern)));
    }
    patterns
}

/// Returns the message for a regular expression that does not compile.
fn bad_regex(text: &str, error: &regex::Error) -> String {
    let error = error.to_string();
    let reason = error.lines().last().unwrap_or_default();
    let reason = reason.trim_start_matches("error: ");
    format!("`{text}` is not a regular expression: {reason}")
}
