//! The two sides of a difference in words.

use std::borrow::Cow;

use super::masked;
use crate::base::json;
use crate::compare::{Excerpt, Matcher, Mismatch, Side, StatusRule, Why};

/// Shown instead of a body in which redacted places must not be printed but can't be found.
pub(crate) const HIDDEN: &str = "(not shown: body.redactions is set, and this is not JSON)";

/// Returns what was accepted at a place.
pub(super) fn change(mismatch: &Mismatch) -> String {
    let [was, is] = short(mismatch);
    format!("{}: {was} -> {is}", mismatch.place).replace('\n', " ")
}

/// Returns what was expected at a place and what is there, whole, without secrets.
pub(super) fn sides(mismatch: &Mismatch) -> [Option<String>; 2] {
    [&mismatch.expected, &mismatch.actual].map(|given| {
        let given = given.as_ref()?;
        Some(side(&masked::side(&mismatch.place, given)))
    })
}

/// Returns why two sides differ, if they don't show it.
pub(super) fn reason_of(mismatch: &Mismatch) -> Option<String> {
    let told = mismatch.why.as_ref().map(why);
    told.or_else(|| masked::is_masked(mismatch).then(|| why(&Why::Masked)))
}

/// Returns what was expected at a place and what is there, of long texts the part around their first difference.
pub(super) fn sides_in_view(mismatch: &Mismatch) -> [Option<String>; 2] {
    match sides(mismatch) {
        [Some(expected), Some(actual)] => around([&expected, &actual]).map(Some),
        sides => sides,
    }
}

/// Returns two texts, or the parts around their first difference if that would not be seen in their beginnings.
pub(super) fn around(texts: [&str; 2]) -> [String; 2] {
    /// How many characters are shown before the difference.
    const BEFORE: usize = 40;
    /// How many are seen at a glance.
    const SEEN: usize = 200;
    let [a, b] = texts;
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    if same <= SEEN {
        return texts.map(str::to_owned);
    }
    texts.map(|text| {
        let mut rest = text.chars().skip(same - BEFORE);
        let shown: String = rest.by_ref().take(BEFORE + SEEN).collect();
        let more = if rest.next().is_some() { "…" } else { "" };
        format!("…{shown}{more} (from character {} on)", same - BEFORE + 1)
    })
}

fn short(mismatch: &Mismatch) -> [String; 2] {
    let sides = match diff(mismatch) {
        Some(diff) => first_lines(&diff),
        None => sides_in_view(mismatch),
    };
    sides.map(|given| match given {
        None => "nothing".to_owned(),
        Some(text) if text.chars().count() > 60 => text.chars().take(60).collect::<String>() + "…",
        Some(text) => text,
    })
}

pub(super) fn in_short(mismatch: &Mismatch) -> String {
    match (&mismatch.expected, &mismatch.actual, &mismatch.why) {
        (None, None, Some(reason)) => why(reason),
        _ => {
            let [expected, actual] = short(mismatch);
            format!("expected {expected}, actual {actual}")
        }
    }
    .replace('\n', " ")
}

/// Returns the first lines of a diff that are on one side alone, from where they differ.
fn first_lines(diff: &str) -> [Option<String>; 2] {
    let line = |sign: char| {
        let mut lines = diff.lines().filter_map(|line| line.strip_prefix(sign));
        lines.next().map(str::to_owned)
    };
    match [line('-'), line('+')] {
        [Some(expected), Some(actual)] => around([&expected, &actual]).map(Some),
        lines => lines,
    }
}

/// Returns the line-by-line diff of a difference, if it may be shown.
pub(super) fn diff(mismatch: &Mismatch) -> Option<Cow<'_, str>> {
    let diff = mismatch.diff.as_deref()?;
    // The lines of a part of a multipart body don't say whose they are.
    let has_secret_part = [&mismatch.expected, &mismatch.actual]
        .iter()
        .any(|side| match side {
            Some(Side::Bytes(excerpt)) => beginning(excerpt).is_some_and(masked::has_secret_part),
            _ => false,
        });
    (!has_secret_part && !masked::hides(&mismatch.place)).then(|| masked::text(diff))
}

/// Returns one side of a difference in words.
pub(crate) fn side(side: &Side) -> String {
    match side {
        Side::Json(value) => json::show(value),
        Side::Bytes(excerpt) => excerpt_text(excerpt),
        Side::Status(status) => status.to_string(),
        Side::StatusRule(rule) => status_rule(rule),
        Side::Values(values) => values.join(" | "),
        Side::Pattern(pattern) if pattern.is_empty() => "any value".to_owned(),
        Side::Pattern(pattern) => format!("a value that matches /{pattern}/"),
        Side::Elements(count) => format!("{count} element{}", if *count == 1 { "" } else { "s" }),
        Side::Fitting(wanted) => matcher(wanted),
        Side::Text(text) => text.clone(),
        Side::Hidden => HIDDEN.to_owned(),
    }
}

/// Returns the beginning of a body as text, if it is text; a character cut off at the end is
/// dropped.
pub(super) fn beginning(Excerpt { start, len }: &Excerpt) -> Option<&str> {
    match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && start.len() < *len => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// Returns the beginning of a body, for display.
fn excerpt_text(excerpt: &Excerpt) -> String {
    const MOST: usize = 400;
    let Excerpt { start, len } = excerpt;
    match beginning(excerpt) {
        Some("") => "an empty body".to_owned(),
        Some(text) if text.len() == *len && text.chars().count() <= MOST => {
            masked::text(text).into_owned()
        }
        Some(text) => {
            let text = masked::text(text);
            let start: String = text.chars().take(MOST).collect();
            format!("{start}… ({len} bytes)")
        }
        None => {
            let shown: Vec<String> = start.iter().take(32).map(|b| format!("{b:02x}")).collect();
            let more = if *len > 32 { " …" } else { "" };
            format!("{len} bytes: {}{more}", shown.join(" "))
        }
    }
}

fn status_rule(rule: &StatusRule) -> String {
    match rule {
        StatusRule::Captured => "the captured status".to_owned(),
        StatusRule::OneOf(list) => {
            let list: Vec<String> = list.iter().map(u16::to_string).collect();
            list.join(" or ")
        }
        StatusRule::Range(Some(min), Some(max)) => format!("{min} to {max}"),
        StatusRule::Range(Some(min), None) => format!("at least {min}"),
        StatusRule::Range(None, Some(max)) => format!("at most {max}"),
        StatusRule::Range(None, None) => "any status".to_owned(),
    }
}

fn matcher(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Type(kind) => format!("a value of type {kind}"),
        Matcher::Regex(pattern) => format!("a string that matches /{pattern}/"),
        Matcher::Uuid => "a UUID".to_owned(),
        Matcher::Timestamp => "an RFC 3339 timestamp".to_owned(),
        Matcher::Near { near, by } => format!("a number within {by} of {near}"),
    }
}

/// Returns the explanation of a difference in words.
pub(crate) fn why(why: &Why) -> String {
    match why {
        Why::Kinds { expected, actual } => format!("expected {expected}, found {actual}"),
        Why::ActualIsNoJson(why) => {
            "the expected body is JSON, but the actual one is not".to_owned() + &reason(why)
        }
        Why::ExpectedIsNoJson(why) => {
            "the actual body is JSON, but the expected one is not".to_owned() + &reason(why)
        }
        Why::NeitherIsJson(why) => {
            format!("compared as text; the actual body looks like JSON, but is not: {why}")
        }
        Why::Repeated { in_expected } => format!(
            "this member appears more than once in the {} body, and parsers disagree about which one counts",
            which(*in_expected)
        ),
        Why::NoJson => "the actual body is not JSON".to_owned(),
        Why::TooCostly(why) => why.to_string(),
        Why::SelectsNothing => "the path selects nothing in the actual body".to_owned(),
        Why::Masked => "what differs is masked".to_owned(),
        Why::WhiteSpace => "they differ only in white space or line ends".to_owned(),
        Why::FirstByte(at) => format!("the first difference is at byte {at}"),
        Why::NoElementFits => "no remaining element of the actual array matches".to_owned(),
        Why::FitsNoElement => "it matches no remaining element of the expected array".to_owned(),
        Why::TooMany(most) => format!(
            "at most {most} elements can be compared without regard to order; compare the array in order, \
             or ignore it"
        ),
        Why::Hook { name, reason: None } => format!("hook `{name}`"),
        Why::Hook {
            name,
            reason: Some(reason),
        } => format!("hook `{name}`: {reason}"),
    }
}

fn reason(why: &Option<String>) -> String {
    why.as_ref().map_or(String::new(), |why| format!(": {why}"))
}

pub(super) fn which(in_expected: bool) -> &'static str {
    if in_expected { "expected" } else { "actual" }
}
