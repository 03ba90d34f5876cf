//! Integration tests: what a user sees, over real sockets.

mod breakage;
mod cases;
mod contract;
mod harness;
mod proxy;
mod sdk;
mod suites;
mod support;
mod tidy;
