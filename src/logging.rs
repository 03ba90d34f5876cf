//! `SOFTPROBE_LOG=debug`: each control call, each mock registered, each outbound decision.

use log::LevelFilter;

/// Lets `SOFTPROBE_LOG` (`error`, `warn`, `info`, `debug`, `trace`) decide what of this library goes to
/// standard error, unless the program has a logger already. Without the variable nothing is installed.
///
/// Other crates stay silent whatever it says: HTTP libraries log headers, and with them secrets.
pub(crate) fn init() {
    let Ok(level) = std::env::var("SOFTPROBE_LOG") else {
        return;
    };
    let known: Option<LevelFilter> = level.trim().parse().ok();
    let mut builder = env_logger::Builder::new();
    builder.filter_module("softprobe", known.unwrap_or(LevelFilter::Debug));
    // A logger that is there already is the program's own choice.
    let installed = builder.format_timestamp(None).try_init();
    if installed.is_ok() && known.is_none() {
        log::warn!(
            "SOFTPROBE_LOG: `{level}` is not one of off, error, warn, info, debug, trace; debug it is"
        );
    }
}
