//! Integration tests: what a user sees, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a runner process marks where its output starts"
)]

mod breakage;
mod cases;
mod contract;
mod harness;
mod proxy;
mod sdk;
mod suites;
mod support;
mod tidy;
