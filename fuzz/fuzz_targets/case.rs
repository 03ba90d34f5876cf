//! Any text as a case file: reading never panics, and a case read from text is the same as one read from
//! its parsed document.

#![no_main]

use libfuzzer_sys::fuzz_target;
use softprobe::{Case, Predicate};

fuzz_target!(|text: &str| {
    let Ok(case) = text.parse::<Case>() else {
        return;
    };
    let again = Case::from_document(case.document().clone()).expect("a case read before");
    assert_eq!(case.exchanges().len(), again.exchanges().len());
    for (one, other) in case.exchanges().iter().zip(again.exchanges()) {
        assert_eq!(one.request, other.request);
        assert_eq!(one.response().ok(), other.response().ok());
        assert_eq!(one.span(), other.span());
        one.replayable_request();
        if let Ok(response) = one.response() {
            response.replayable();
        }
    }
    assert_eq!(case.inbound().is_ok(), again.inbound().is_ok());
    let _ = case.find(&Predicate::outbound().host_suffix("example"));
    let _ = case.find_all(&Predicate::new().path("/v1?x=1"));
});
