//! `SOFTPROBE_LOG=debug`: each control call, each mock registered, each outbound decision.

use log::LevelFilter;

/// Sends this library's log to standard error, as much of it as `SOFTPROBE_LOG` asks for: `error`, `warn`,
/// `info`, `debug` or `trace`. Without the variable, or when the program has a logger already, it does
/// nothing.
///
/// For a program's `main`, such as that of `tests/replay.rs`; the library itself never installs a logger.
/// The log of other crates is left out whatever the variable says: HTTP libraries log headers, and with
/// them secrets.
pub fn install_logger() {
    let Ok(level) = std::env::var("SOFTPROBE_LOG") else {
        return;
    };
    let known: Option<LevelFilter> = level.trim().parse().ok();
    if install(known.unwrap_or(LevelFilter::Debug)) && known.is_none() {
        log::warn!(
            "SOFTPROBE_LOG: `{level}` is not one of off, error, warn, info, debug, trace; using debug"
        );
    }
}

/// Installs the logger of the command: without `SOFTPROBE_LOG` warnings are shown, more with `-v`, all with
/// `-vv`.
pub(crate) fn install_logger_at(verbose: u8) {
    if std::env::var_os("SOFTPROBE_LOG").is_some() {
        return install_logger();
    }
    install(match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    });
}

/// Returns whether there was no logger yet.
fn install(level: LevelFilter) -> bool {
    let mut builder = env_logger::Builder::new();
    builder.filter_module("softprobe", level);
    builder.format_timestamp(None).try_init().is_ok()
}
