//! Describes how texts and bytes differ.

use similar::TextDiff;

use super::mismatch::{Excerpt, MessagePlace, Mismatch, Side, Why};

/// The number of characters after which a difference would not be seen in the beginning of a text.
const LATE: usize = 200;

/// Returns how two bodies differ, as texts or as bytes.
pub(super) fn differing(expected: &[u8], actual: &[u8]) -> Mismatch {
    let side = |body: &[u8]| Side::Bytes(Excerpt::of(body));
    let mut mismatch = Mismatch::new(MessagePlace::Body, side(expected), side(actual));
    match (std::str::from_utf8(expected), std::str::from_utf8(actual)) {
        (Ok(expected), Ok(actual)) if same_but_white_space(expected, actual) => {
            let both = expected.chars().zip(actual.chars());
            let same = both.take_while(|(a, b)| a == b).count();
            mismatch.expected = Some(Side::Text(visible(expected, same)));
            mismatch.actual = Some(Side::Text(visible(actual, same)));
            mismatch.why = Some(Why::WhiteSpace);
        }
        (Ok(expected), Ok(actual)) => {
            mismatch.diff = line_diff(expected, actual);
            let both = expected.char_indices().zip(actual.chars());
            let same = both.take_while(|((_, a), b)| a == b);
            let (chars, bytes) =
                same.fold((0, 0), |(n, _), ((at, c), _)| (n + 1, at + c.len_utf8()));
            if mismatch.diff.is_none() && chars > LATE {
                mismatch.expected = Some(Side::Text(visible(expected, chars)));
                mismatch.actual = Some(Side::Text(visible(actual, chars)));
                mismatch.why = Some(Why::FirstByte(bytes));
            }
        }
        _ => {
            let both = expected.iter().zip(actual);
            let same = both.take_while(|(a, b)| a == b).count();
            mismatch.why = Some(Why::FirstByte(same));
            if same >= FIRST_BYTES {
                mismatch.expected = Some(Side::Text(bytes_around(expected, same)));
                mismatch.actual = Some(Side::Text(bytes_around(actual, same)));
            }
        }
    }
    mismatch
}

/// The number of bytes that the beginning of a body shows.
const FIRST_BYTES: usize = 32;

/// Returns the bytes of a body around one of them.
fn bytes_around(body: &[u8], at: usize) -> String {
    const AROUND: usize = 8;
    let from = at - AROUND;
    let shown = body.iter().skip(from).take(2 * AROUND);
    let shown: Vec<String> = shown.map(|byte| format!("{byte:02x}")).collect();
    let more = if body.len() > from + 2 * AROUND {
        " …"
    } else {
        ""
    };
    format!(
        "{} bytes, from {from}: … {}{more}",
        body.len(),
        shown.join(" ")
    )
}

/// Returns whether two different texts are equal without their white space.
pub(super) fn same_but_white_space(expected: &str, actual: &str) -> bool {
    let (a, b) = (expected.split_whitespace(), actual.split_whitespace());
    a.flat_map(str::chars).eq(b.flat_map(str::chars))
}

/// Returns the part of a text around a character, in quotes, with all white space but blanks escaped.
fn visible(text: &str, around: usize) -> String {
    const BEFORE: usize = 40;
    const AFTER: usize = 80;
    let first = around.saturating_sub(BEFORE);
    let mut out = if first > 0 { "…\"" } else { "\"" }.to_owned();
    let mut rest = text.chars().skip(first);
    for c in rest.by_ref().take(around - first + AFTER) {
        match c {
            ' ' => out.push(c),
            c if c.is_whitespace() || c.is_control() => out.extend(c.escape_debug()),
            c => out.push(c),
        }
    }
    out.push('"');
    if rest.next().is_some() {
        out.push('…');
    }
    out
}

/// Returns the differing lines with some context; `None` for single lines and very long texts.
pub(super) fn line_diff(expected: &str, actual: &str) -> Option<String> {
    const LARGEST: usize = 256 * 1024;
    let lines = expected.lines().count().max(actual.lines().count());
    if lines < 2 || expected.len().max(actual.len()) > LARGEST {
        return None;
    }
    let diff = TextDiff::from_lines(expected, actual);
    Some(
        diff.unified_diff()
            .context_radius(2)
            .missing_newline_hint(false)
            .to_string(),
    )
}
