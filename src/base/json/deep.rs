//! JSON that is nested more deeply than `serde_json` reads unasked.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Error;

/// How deeply the JSON that is read may be nested; what is nested more deeply is text.
pub(crate) const DEEPEST: usize = 1000;

/// Parses a text. A nesting beyond what `serde_json` takes unasked costs a second attempt, on a stack of its own.
///
/// # Errors
///
/// Why it is not JSON, or that it is nested more than [`DEEPEST`] levels deep.
pub(crate) fn from_text<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Error> {
    told(text).map(|(value, _)| value)
}

/// Parses a text as [`from_text`] does, and returns whether it is nested so deeply that a function with large frames
/// needs [`with_room`] to walk it.
pub(super) fn told<'t, T: Deserialize<'t>>(text: &'t str) -> Result<(T, bool), Error> {
    match serde_json::from_str(text) {
        Err(error) if error.to_string().starts_with("recursion limit exceeded") => {
            if depth(text) > DEEPEST {
                return Err(Error::custom(format!(
                    "it is nested more than {DEEPEST} levels deep"
                )));
            }
            with_room(|| {
                let mut reader = serde_json::Deserializer::from_str(text);
                reader.disable_recursion_limit();
                let value = T::deserialize(&mut reader)?;
                reader.end().map(|()| (value, true))
            })
        }
        read => read.map(|value| (value, false)),
    }
}

/// Calls a function that recurses as deeply as JSON may be nested, on a stack that is large enough.
pub(crate) fn with_room<R>(run: impl FnOnce() -> R) -> R {
    /// What a thousand levels take in a build without optimisation, many times over; it is address space, of
    /// which only what is used becomes memory.
    const STACK: usize = 64 * 1024 * 1024;
    stacker::grow(STACK, run)
}

/// Returns how deeply the lists and objects of a text are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in outside_texts(text.as_bytes()) {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Returns the bytes of JSON that are in none of its texts.
pub(crate) fn outside_texts(json: &[u8]) -> impl Iterator<Item = u8> {
    let (mut quoted, mut escaped) = (false, false);
    json.iter().copied().filter(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return !quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn a_thousand_levels_are_read_and_one_more_is_told() {
        for levels in [1, 127, 128, 1000] {
            let text = nested(levels);
            let value: Value = from_text(&text).unwrap();
            assert_eq!(value.to_string(), text);
        }
        let error = from_text::<Value>(&nested(1001)).unwrap_err().to_string();
        assert_eq!(error, "it is nested more than 1000 levels deep");
        // What is wrong otherwise is told as ever, and brackets in texts do not count.
        let text = format!("{}x", nested(200));
        let error = from_text::<Value>(&text).unwrap_err().to_string();
        assert_eq!(error, "trailing characters at line 1 column 402");
        let quoted = format!("[{:?}, {}]", "[\"{".repeat(2000), nested(200));
        assert!(from_text::<Value>(&quoted).is_ok());
    }
}
