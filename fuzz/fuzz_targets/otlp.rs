//! Any bytes as an OTLP message: what decodes also encodes, and comes back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use softprobe::internals::{decode_otlp, encode_otlp};

fuzz_target!(|bytes: &[u8]| {
    if let Some(document) = decode_otlp(bytes) {
        let encoded = encode_otlp(&document).expect("a document that was decoded");
        let again = decode_otlp(&encoded).expect("a message that was encoded");
        assert_eq!(document, again);
    }
    if let Ok(document) = serde_json::from_slice(bytes)
        && let Some(encoded) = encode_otlp(&document)
    {
        decode_otlp(&encoded).expect("a message that was encoded");
    }
});
