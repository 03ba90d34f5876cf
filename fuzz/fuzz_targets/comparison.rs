//! Any two bodies, one per line: a body equals itself, and exactly equal bodies are equal in the default mode too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use softprobe::internals::Compared;

fuzz_target!(|text: &str| {
    let (expected, actual) = text.split_once('\n').unwrap_or((text, text));
    let pair = |a: &str, b: &str| Compared::new(a.to_owned(), b.to_owned());
    assert_eq!(pair(expected, expected).differences(), 0);
    let exact = pair(expected, actual).exactly().differences();
    assert_eq!(
        exact == 0,
        pair(actual, expected).exactly().differences() == 0
    );
    if exact == 0 {
        assert_eq!(pair(expected, actual).differences(), 0);
    }
});
