//! The `softprobe` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    softprobe::run_command(std::env::args_os())
}
