//! Any bytes as an OTLP message: what decodes also encodes, and comes back unchanged. Only ids of an invalid
//! length are read and can't be written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use softprobe::internals::{decode_otlp, encode_otlp};

fuzz_target!(|bytes: &[u8]| {
    if let Some(document) = decode_otlp(bytes) {
        match encode_otlp(&document) {
            Ok(encoded) => assert_eq!(decode_otlp(&encoded), Some(document)),
            Err(why) => assert!(why.contains("bytes as hex or base64"), "{why}"),
        }
    }
    if let Ok(document) = serde_json::from_slice(bytes)
        && let Ok(encoded) = encode_otlp(&document)
    {
        decode_otlp(&encoded).expect("a message that was encoded");
    }
});
