//! The log: with `SOFTPROBE_LOG=debug`, every control call, registered mock and outbound decision.

use std::io::Write as _;

use log::LevelFilter;

use crate::base::visible_line;
use crate::screen;

/// Sends this library's log to standard error, at the level in `SOFTPROBE_LOG`: `error`, `warn`, `info`,
/// `debug` or `trace`. Without the variable, or if the program already has a logger, it does nothing.
///
/// Call it in a program's `main`, such as that of `tests/replay.rs`; the library itself never installs a
/// logger. Other crates' logs are always left out, because HTTP libraries log headers, which may contain
/// secrets.
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

/// Installs the logger of the command. Without `SOFTPROBE_LOG`, it shows warnings, more with `-v`, and
/// everything with `-vv`.
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

/// Standard error, beside the line that shows how a run goes on.
struct Screen;

impl std::io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        screen::write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns whether there was no logger yet.
fn install(level: LevelFilter) -> bool {
    let mut builder = env_logger::Builder::new();
    builder.filter_module("softprobe", level);
    // One line each, whatever traffic puts into it: neither can a message forge another nor change the terminal.
    builder.format(|out, record| {
        let message = record.args().to_string();
        writeln!(
            out,
            "[{:<5} {}] {}",
            record.level(),
            record.target(),
            visible_line(&message)
        )
    });
    builder.target(env_logger::Target::Pipe(Box::new(Screen)));
    builder.try_init().is_ok()
}
