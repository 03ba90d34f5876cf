//! Reports of outcomes, for display and for machines. They depend on nothing but the outcomes.

mod annotations;
mod causes;
mod first;
mod html;
mod json;
mod junit;
mod junit_merge;
mod libtest;
mod markdown;
mod masked;
mod outcome;
mod sides;
mod telling;
mod text;
mod together;
mod told;
mod trace;
mod words;

pub(crate) use annotations::annotations;
pub(crate) use first::first_fault;
pub(crate) use html::page;
pub(crate) use json::run_value;
pub(crate) use junit::junit;
pub(crate) use junit_merge::JunitReport;
pub(crate) use libtest::{Listed, Printer, Style, list, log_lines};
pub(crate) use markdown::{
    MOST_BYTES as MOST_MARKDOWN, failure as markdown_of_failure, summary as markdown,
};
pub(crate) use outcome::{
    Acceptance, Bodies, CapturedCall, CaseOutcome, End, ExtraCalls, Fault, FieldDifference,
    Finding, Launched, MissedCall, NearestExchange, NotAnswering, Note, Rerun, RunOutcome,
    SentDifference, SentRequest, Skip, Unacceptable, Verdict, Written,
};
pub(crate) use sides::{HIDDEN, side, why};
pub(crate) use text::{Detail, Palette};
pub(crate) use told::{CaseReport, CauseReport, MOST_SHARDS, RunReport};
pub(crate) use trace::trace;
pub(crate) use words::{
    NOTHING_SEEN, accepted, came_to, late_call, mask, note, summary, unacceptable, warnings,
};

#[cfg(test)]
mod tests;
