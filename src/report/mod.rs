//! Reports of outcomes, for display and for machines. They depend on nothing but the outcomes.

mod causes;
mod json;
mod junit;
mod libtest;
mod outcome;
mod text;
mod words;

pub(crate) use json::run_value;
pub(crate) use junit::junit;
pub(crate) use libtest::{Listed, Printer, Style, list, log_lines};
pub(crate) use outcome::{
    Acceptance, CaseOutcome, End, ExtraCalls, Fault, Finding, Launched, Note, Rerun, RunOutcome,
    SentDifference, SentRequest, Skip, Unacceptable, Verdict, Written,
};
pub(crate) use text::{Detail, Palette};
pub(crate) use words::{
    HIDDEN, NOTHING_SEEN, accepted, late_call, mask, note, summary, unacceptable, warnings,
};
pub(crate) use words::{side, why};

#[cfg(test)]
mod tests;
