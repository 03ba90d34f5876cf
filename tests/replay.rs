//! The sample runner: runs every case of `suites/` against the application in
//! `examples/checkout.rs`.

use std::process::ExitCode;

use softprobe::{App, Replay};

#[path = "../examples/checkout.rs"]
mod checkout;
#[path = "../hooks/checkout.rs"]
mod checkout_hooks;

fn main() -> ExitCode {
    softprobe::install_logger();
    Replay::new()
        .suites("suites/*.suite.yaml")
        .hooks(checkout_hooks::hooks())
        .app(|proxy| {
            let shop = checkout::Checkout::start(0, Some(&proxy.url()))?;
            Ok(App::new(shop.url(), shop))
        })
        .main()
}
