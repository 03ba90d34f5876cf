//! Any text as a suite: reading never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use softprobe::internals::load_suite;

fuzz_target!(|text: &str| {
    load_suite(text);
});
