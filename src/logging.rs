//! `SOFTPROBE_LOG=debug`: each control call, each mock registered, each outbound decision.

use log::LevelFilter;

/// Lets `SOFTPROBE_LOG` (`error`, `warn`, `info`, `debug`, `trace`) decide what of this library goes to
/// standard error, unless the program has a logger already. Without the variable nothing is installed.
///
/// Other crates stay silent whatever it says: HTTP libraries log headers, and with them secrets.
pub(crate) fn init() {
    init_from_environment();
}

/// The same for the command: without the variable warnings are shown, with `-v` more, with `-vv` all.
#[cfg(feature = "cli")]
pub(crate) fn init_at(verbose: u8) {
    if std::env::var_os("SOFTPROBE_LOG").is_some() {
        return init_from_environment();
    }
    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_module("softprobe", level);
    let _ = builder.format_timestamp(None).try_init();
}

fn init_from_environment() {
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
