//! Integration tests: what a user sees, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a runner process marks where its output starts"
)]

mod bless;
mod breakage;
mod broken;
mod cases;
mod ci;
mod command;
mod commands;
mod contract;
mod dist;
mod docs;
mod endure;
mod envoy;
mod faults;
mod files;
mod harness;
mod hookfiles;
mod import;
mod java;
mod languages;
mod launch;
mod limits;
mod moving_in;
mod noise;
mod numbers;
mod outbound;
mod proxy;
mod recording;
mod reports;
mod rights;
mod runners;
mod sample;
mod schema;
mod sdk;
mod secure;
mod server;
mod suite_run;
mod suites;
mod support;
mod terminal;
mod tidy;
mod tls;
