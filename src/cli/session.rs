//! `session`: calls of the control API, as commands.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output::{Failed, Output, arguments, invalid};
use super::{Global, files};
use crate::case::Case;
use crate::control::{Action, Call, Closing, Mode, Runtime as _};
use crate::disk::Readers;
use crate::error::SoftprobeError;
use crate::rule::{Policy, Rule};

#[derive(Debug, clap::Subcommand)]
pub(super) enum SessionCommand {
    /// Open a session and print its id
    Start {
        /// What the session is for
        #[arg(long, value_name = "MODE", default_value = "replay", value_parser = Mode::NAMES.map(|(name, _)| name))]
        mode: String,
        /// Start under the strict policy: a call that no rule answers is a miss
        #[arg(long)]
        strict: bool,
        /// Id of the case that a capture session records
        #[arg(long, value_name = "ID")]
        case_id: Option<String>,
        /// Print `export SOFTPROBE_SESSION_ID=…` for a shell to evaluate
        #[arg(long)]
        shell: bool,
    },
    /// Load a case file into the session
    LoadCase {
        /// Case file; `-` is standard input
        file: PathBuf,
        #[command(flatten)]
        id: Id,
    },
    /// Change the session's rules
    #[command(subcommand)]
    Rules(Rules),
    /// Change the session's policy
    #[command(subcommand)]
    Policy(SetPolicy),
    /// Print what has happened in the session
    Stats {
        #[command(flatten)]
        id: Id,
    },
    /// Close the session
    Close {
        #[command(flatten)]
        id: Id,
        /// Have the runtime write a captured case to this file, below the server's folder for captures
        #[arg(long, value_name = "PATH")]
        out: Option<String>,
        /// Write a captured case to this file on this machine
        #[arg(long, value_name = "FILE", conflicts_with = "out")]
        save: Option<PathBuf>,
        /// Close a capture session without saving its capture
        #[arg(long, conflicts_with_all = ["out", "save"])]
        discard: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Rules {
    /// Replace the session's rules
    Apply {
        /// Rules document, `{"version": 1, "rules": […]}` or a single rule, as JSON or YAML; `-` is standard input
        file: PathBuf,
        #[command(flatten)]
        id: Id,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum SetPolicy {
    /// Replace the session's policy
    Set {
        /// Policy document; `-` is standard input
        #[arg(required_unless_present = "strict", conflicts_with = "strict")]
        file: Option<PathBuf>,
        /// Set the strict policy: a call that no rule answers is a miss
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        id: Id,
    },
}

/// The session that a command works on.
#[derive(Debug, clap::Args)]
pub(super) struct Id {
    /// Id of the session
    #[arg(long, value_name = "ID", env = "SOFTPROBE_SESSION_ID")]
    session: String,
}

impl Id {
    pub(super) fn call(&self, global: &Global, action: Action) -> Result<Value, Failed> {
        let id = self.session.trim();
        // The id becomes part of a URL path; nothing else may get into it.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || !id.chars().all(plain) {
            return Err(arguments(format!("`{id}` is not a session id")));
        }
        Ok(global.runtime()?.call(&Call::on(id, action))?)
    }
}

impl SessionCommand {
    pub(super) fn run(self, global: &Global) -> Result<Output, Failed> {
        match self {
            Self::Start {
                mode,
                strict,
                case_id,
                shell,
            } => {
                let started = start(global, &mode, strict, case_id, shell);
                // A shell that evaluates this must not continue with the previous session.
                started.map_err(|failed| match shell && !global.json {
                    true => {
                        let output = failed.into_output();
                        let code = output.code();
                        let undo = format!("unset SOFTPROBE_SESSION_ID; (exit {code})\n");
                        Failed::from(output.text(undo))
                    }
                    false => failed,
                })
            }
            Self::LoadCase { file, id } => {
                let document = files::read_json(&file)?;
                let case = Case::from_document(document);
                let case = case.map_err(|why| invalid(&file, why))?;
                let answer = id.call(global, Action::LoadCase(case.document().clone()))?;
                Ok(changed("loaded", case.id(), &answer))
            }
            Self::Rules(Rules::Apply { file, id }) => {
                let document = files::read_rules(&file)?;
                let rules = Rule::read_document(&document).map_err(|why| invalid(&file, why))?;
                let answer = id.call(global, Action::SetRules(document))?;
                let many = if rules.len() == 1 { "rule" } else { "rules" };
                Ok(changed("set", &format!("{} {many}", rules.len()), &answer))
            }
            Self::Policy(SetPolicy::Set {
                file,
                strict: _,
                id,
            }) => {
                let document = match &file {
                    None => Policy::strict().to_value(),
                    Some(file) => {
                        let document = files::read_json(file)?;
                        Policy::from_value(&document).map_err(|why| invalid(file, why))?;
                        document
                    }
                };
                let answer = id.call(global, Action::SetPolicy(document))?;
                Ok(changed("set", "the policy", &answer))
            }
            Self::Stats { id } => {
                let answer = id.call(global, Action::Stats)?;
                let text = format!("{:#}\n", answer["stats"]);
                Ok(Output::fine(text).fields(&answer))
            }
            Self::Close {
                id,
                out,
                save,
                discard,
            } => {
                if !discard && out.is_none() && save.is_none() {
                    refuse_to_discard(global, &id)?;
                }
                close(global, &id, out, save.as_deref())
            }
        }
    }
}

fn start(
    global: &Global,
    mode: &str,
    strict: bool,
    case_id: Option<String>,
    shell: bool,
) -> Result<Output, Failed> {
    let mut body = json!({"mode": mode});
    if strict {
        body["policy"] = Policy::strict().to_value();
    }
    if let Some(case_id) = case_id {
        if mode != Mode::Capture.name() {
            return Err(arguments("--case-id requires --mode capture"));
        }
        body["caseId"] = case_id.into();
    }
    let runtime = global.runtime()?;
    let answer = runtime.call(&Call::Start { body })?;
    let id = answer["sessionId"]
        .as_str()
        .ok_or_else(|| SoftprobeError::Protocol {
            url: runtime.address().to_owned(),
            message: "the new session has no sessionId".to_owned(),
        })?;
    let text = if shell {
        format!("export SOFTPROBE_SESSION_ID={id}\n")
    } else {
        format!("{id}\n")
    };
    Ok(Output::fine(text).fields(&answer))
}

fn changed(verb: &str, what: &str, answer: &Value) -> Output {
    let revision = &answer["sessionRevision"];
    Output::fine(format!(
        "{verb} {what}; the session's revision is {revision}\n"
    ))
    .fields(answer)
}

/// Refuses to close a session whose capture would be lost.
fn refuse_to_discard(global: &Global, id: &Id) -> Result<(), Failed> {
    let stats = id.call(global, Action::Stats)?;
    let recorded = stats["stats"]["extractedSpans"]
        .as_u64()
        .unwrap_or_default();
    if stats["mode"] == Mode::Capture.name() && recorded > 0 {
        return Err(arguments(format!(
            "the session has captured {recorded} exchanges; give --save FILE or --out PATH, or --discard"
        )));
    }
    Ok(())
}

fn close(
    global: &Global,
    id: &Id,
    out: Option<String>,
    save: Option<&Path>,
) -> Result<Output, Failed> {
    let unrecorded = unrecorded(global, id)?;
    if let Some(path) = save {
        // Write the case before closing the session, so that a full disk loses nothing.
        let case = id.call(global, Action::Case)?;
        files::write(path, &format!("{case:#}\n"), Readers::Owner)?;
    }
    let closing = Closing {
        out,
        include_case: save.is_some(),
    };
    let mut answer = id.call(global, Action::Close(closing))?;
    let mut text = "closed\n".to_owned();
    let mut notes = Vec::new();
    if let Some(path) = save {
        let case = answer["case"].take();
        files::write(path, &format!("{case:#}\n"), Readers::Owner)?;
        notes = Case::from_document(case).map_or_else(|why| vec![why.to_string()], |c| lacks(&c));
        answer["capturePath"] = path.display().to_string().into();
        if let Some(answer) = answer.as_object_mut() {
            answer.shift_remove("case");
        }
    }
    if let Some(path) = answer["capturePath"].as_str() {
        text = format!("closed; the case is in {path}\n");
    }
    notes.extend(unrecorded);
    for note in &notes {
        text.push_str(&format!("warning: {note}\n"));
    }
    Ok(Output::fine(text).fields(&answer).field("warnings", notes))
}

/// Returns a warning about calls that a capture session answered but did not record: the upstream
/// failed, the call is inside TLS, or it is still running.
fn unrecorded(global: &Global, id: &Id) -> Result<Option<String>, Failed> {
    let answer = id.call(global, Action::Stats)?;
    if answer["mode"] != Mode::Capture.name() {
        return Ok(None);
    }
    let stats = &answer["stats"];
    let calls = stats["calls"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let answered = calls
        .iter()
        .filter(|call| call["answer"] != "missed")
        .count();
    let recorded = stats["extractedSpans"].as_u64().unwrap_or_default();
    let recorded = usize::try_from(recorded).unwrap_or(usize::MAX);
    let missing = answered.saturating_sub(recorded);
    Ok((missing > 0).then(|| {
        format!(
            "{missing} of {answered} calls were not recorded: they failed, are inside TLS, or are still running; \
             `softprobe inspect session` lists the calls"
        )
    }))
}

/// Returns what a capture lacks to be replayed, as messages.
fn lacks(case: &Case) -> Vec<String> {
    let mut lacks = Vec::new();
    match case.inbound() {
        Ok(Some(_)) => {}
        Ok(None) => lacks.push(
            "no inbound exchange was captured; send the request through the proxy with the header \
             x-softprobe-session-id, and check that the application answers"
                .to_owned(),
        ),
        Err(several) => lacks.push(format!(
            "{} inbound exchanges were captured, but a case has only one; capture each in its own session",
            several.spans.len()
        )),
    }
    if case.outbound().next().is_none() {
        lacks.push(
            "no outbound call was captured; check that the application's HTTP_PROXY names the proxy, and that \
             its HTTP client uses HTTP_PROXY; calls that name a session which is closed are in the log of the server"
                .to_owned(),
        );
    }
    lacks
}
