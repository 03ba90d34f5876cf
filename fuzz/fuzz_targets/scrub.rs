//! Any text as a capture: scrubbing keeps it a document of the same kind, and leaves nothing for a second
//! pass.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use softprobe::Case;
use softprobe::internals::scrub;

fuzz_target!(|text: &str| {
    let Some((clean, found)) = scrub(text) else {
        return;
    };
    serde_json::from_str::<Value>(&clean).expect("a scrubbed document is JSON");
    if found == 0 {
        assert_eq!(clean, text);
    }
    if text.parse::<Case>().is_ok() {
        clean.parse::<Case>().expect("a scrubbed case is a case");
    }
    let (again, _) = scrub(&clean).expect("a scrubbed document is JSON");
    assert_eq!(clean, again);
});
