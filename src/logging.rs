//! `SOFTPROBE_LOG=debug`: each control call, each mock registered, each outbound decision.

/// Lets `SOFTPROBE_LOG` decide what goes to standard error, unless the program has a logger already.
///
/// [`Softprobe`](crate::Softprobe) and the runner call it; without the variable nothing is installed.
pub(crate) fn init() {
    if std::env::var_os("SOFTPROBE_LOG").is_some() {
        let env = env_logger::Env::new().filter("SOFTPROBE_LOG");
        // A logger that is there already is the program's own choice.
        let _ = env_logger::Builder::from_env(env)
            .format_timestamp(None)
            .try_init();
    }
}
