//! One capture session of a runtime, around a command.

use serde_json::{Value, json};

use super::Run;
use super::driver::driver_command;
use crate::case::Case;
use crate::cli::child::{Ended, exit_code, run_child};
use crate::cli::output::{Failed, Output, arguments};
use crate::cli::session::{unrecorded, unusable};
use crate::cli::{Global, files};
use crate::control::{Action, Call, Closing, Mode, Runtime as _};
use crate::disk::Readers;
use crate::error::SoftprobeError;
use crate::runner::{Interrupts, signal_code};

/// Runs the driver in a capture session, and writes what the session has captured.
pub(super) fn capture(run: &Run, global: &Global) -> Result<Output, Failed> {
    let Some(driver) = &run.driver else {
        return Err(arguments(
            "--out FILE.case.json is the capture of one session around a command, so it needs --driver; for a case each \
             request, give a folder",
        ));
    };
    let launches =
        !run.command.is_empty() || run.launch.app_command.is_some() || run.suite.is_some();
    if launches || run.listen.is_some() {
        return Err(arguments(
            "--out FILE.case.json is the capture of one session of a runtime, which launches no application and writes no \
             suite; give --out a folder",
        ));
    }
    let interrupts = Interrupts::listen();
    let runtime = global.runtime()?;
    let body = json!({"mode": Mode::Capture.name()});
    let started = runtime.call(&Call::Start { body })?;
    let id = started["sessionId"].as_str().unwrap_or_default().to_owned();
    let close = |closing| runtime.call(&Call::on(&id, Action::Close(closing)));
    let mut child = driver_command(driver, global)?;
    child.env("SOFTPROBE_SESSION_ID", &id);
    child.env("SOFTPROBE_RUNTIME_URL", runtime.address());
    let ended = run_child(&mut child, &interrupts).inspect_err(|_| {
        // Nobody would know of it.
        let _ = close(Closing::default());
    })?;
    let kept = || -> Result<(Value, Value), SoftprobeError> {
        let stats = runtime.call(&Call::on(&id, Action::Stats))?;
        let case = runtime.call(&Call::on(&id, Action::Case))?;
        Ok((stats, case))
    };
    let (stats, case) = kept()?;
    // It is written before the session is closed, so that a full disk loses nothing.
    files::write(&run.out, &format!("{case:#}\n"), Readers::Owner)?;
    close(Closing {
        out: None,
        include_case: true,
    })?;
    let faults = match Case::from_document(case) {
        Ok(case) => unusable(&case),
        Err(why) => vec![why.to_string()],
    };
    let notes: Vec<String> = unrecorded(&stats).into_iter().collect();
    let shown = run.out.display().to_string();
    let code = match ended {
        Ended::Exited(status) => exit_code(status),
        Ended::Signal(signal) => signal_code(signal),
    };
    let mut text = format!("the case is in {shown}\n");
    for note in &notes {
        text.push_str(&format!("warning: {note}\n"));
    }
    let output = match (code, faults.is_empty()) {
        (0, true) => Output::fine(text),
        (0, false) => Output::incomplete(text, "unusable_capture", &faults.join("\n")),
        (code, _) => Output::of_failed_command(
            code,
            text,
            format!("the driver ended with exit code {code}"),
        ),
    };
    let output = output
        .field("sessionId", id)
        .field("stats", stats["stats"].clone())
        .field("capturePath", shown)
        .field("warnings", notes);
    Ok(output)
}
