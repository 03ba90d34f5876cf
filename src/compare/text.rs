//! Describes how texts and bytes differ.

use similar::TextDiff;

use super::mismatch::{AnswerPlace, Excerpt, Mismatch, Side, Why};

/// Returns how two bodies differ, as texts or as bytes.
pub(super) fn differing(expected: &[u8], actual: &[u8]) -> Mismatch {
    let side = |body: &[u8]| Side::Bytes(Excerpt::of(body));
    let mut mismatch = Mismatch::new(AnswerPlace::Body, side(expected), side(actual));
    match (std::str::from_utf8(expected), std::str::from_utf8(actual)) {
        (Ok(expected), Ok(actual)) => mismatch.diff = line_diff(expected, actual),
        _ => {
            let both = expected.iter().zip(actual);
            let same = both.take_while(|(a, b)| a == b).count();
            mismatch.why = Some(Why::FirstByte(same));
        }
    }
    mismatch
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
