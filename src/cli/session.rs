//! `session`: calls of the control API, as commands.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output::{Exit, Failed, Output, arguments, invalid};
use super::{Global, files};
use crate::case::Case;
use crate::control::{Action, Call, Closing, Mode, Runtime as _, SCHEMA_VERSION, SPEC_VERSION};
use crate::disk::Readers;
use crate::error::{SoftprobeError, UNKNOWN_SESSION};
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
        /// Start under the policy in this file, as JSON or YAML
        #[arg(long, value_name = "FILE", conflicts_with = "strict")]
        policy: Option<PathBuf>,
        /// Load this case file into the session
        #[arg(long, value_name = "FILE")]
        case: Option<PathBuf>,
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
        #[command(flatten)]
        file: Document,
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
        /// Close a capture session even if its runtime does not keep captures
        #[arg(long, conflicts_with_all = ["out", "save"])]
        discard: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Rules {
    /// Replace the session's rules
    Apply {
        /// Rules document, `{"version": 1, "rules": […]}` or a single rule, as JSON or YAML; `-` is standard input
        #[command(flatten)]
        file: Document,
        #[command(flatten)]
        id: Id,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum SetPolicy {
    /// Replace the session's policy
    Set {
        /// Policy document, as JSON or YAML; `-` is standard input
        #[arg(required_unless_present_any = ["strict", "file_flag"], conflicts_with = "strict")]
        file: Option<PathBuf>,
        /// The document, as the argument without a flag
        #[arg(long = "file", value_name = "FILE", conflicts_with_all = ["strict", "file"])]
        file_flag: Option<PathBuf>,
        /// Set the strict policy: a call that no rule answers is a miss
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        id: Id,
    },
}

/// The file that a command reads.
#[derive(Debug, clap::Args)]
pub(super) struct Document {
    /// File to read; `-` is standard input
    #[arg(required_unless_present = "file_flag")]
    file: Option<PathBuf>,
    /// The file, as the argument without a flag
    #[arg(long = "file", value_name = "FILE", conflicts_with = "file")]
    file_flag: Option<PathBuf>,
}

impl Document {
    fn path(self) -> PathBuf {
        self.file.or(self.file_flag).unwrap_or_default()
    }
}

/// The session that a command works on.
#[derive(Debug, clap::Args)]
pub(super) struct Id {
    /// Id of the session
    #[arg(long, value_name = "ID", env = "SOFTPROBE_SESSION_ID")]
    session: String,
}

/// Checks that a text can be a session's id: it becomes part of a URL's path, and nothing else may get into that.
pub(super) fn checked_id(text: &str) -> Result<&str, Failed> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.chars().all(plain) && text.chars().any(|c| c != '.') {
        true => Ok(text),
        false => Err(arguments(format!("`{text}` is not a session id"))),
    }
}

impl Id {
    pub(super) fn call(&self, global: &Global, action: Action) -> Result<Value, Failed> {
        let id = self.checked()?;
        Ok(global.runtime()?.call(&Call::on(id, action))?)
    }

    fn checked(&self) -> Result<&str, Failed> {
        checked_id(self.session.trim())
    }
}

impl SessionCommand {
    pub(super) fn run(self, global: &Global) -> Result<Output, Failed> {
        match self {
            Self::Start {
                mode,
                strict,
                policy,
                case,
                case_id,
                shell,
            } => {
                let started = Start {
                    mode,
                    strict,
                    policy,
                    case,
                    case_id,
                }
                .run(global, shell);
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
                let case = read_case(&file.path())?;
                let answer = id.call(global, Action::LoadCase(case.document().clone()))?;
                let output = changed("loaded", case.id(), &answer);
                Ok(output
                    .field("caseId", case.id())
                    .field("traceCount", case.trace_count()))
            }
            Self::Rules(Rules::Apply { file, id }) => {
                let file = file.path();
                let document = files::read_rules(&file)?;
                let rules = Rule::read_document(&document).map_err(|why| invalid(&file, why))?;
                let answer = id.call(global, Action::SetRules(document))?;
                let many = if rules.len() == 1 { "rule" } else { "rules" };
                let output = changed("set", &format!("{} {many}", rules.len()), &answer);
                Ok(output.field("ruleCount", rules.len()))
            }
            Self::Policy(SetPolicy::Set {
                file,
                file_flag,
                strict: _,
                id,
            }) => {
                let document = match file.or(file_flag) {
                    None => Policy::strict().to_value(),
                    Some(file) => read_policy(&file)?,
                };
                let answer = id.call(global, Action::SetPolicy(document))?;
                Ok(changed("set", "the policy", &answer))
            }
            Self::Stats { id } => stats(global, &id),
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

/// Prints what has happened in a session.
pub(super) fn stats(global: &Global, id: &Id) -> Result<Output, Failed> {
    let answer = id.call(global, Action::Stats)?;
    let stats = &answer["stats"];
    let text = format!("{stats:#}\n");
    Ok(Output::fine(text)
        .fields(&answer)
        .field("hits", stats["injectedSpans"].clone())
        .field("misses", stats["strictMisses"].clone()))
}

fn read_case(file: &Path) -> Result<Case, Failed> {
    let case = Case::from_document(files::read_json(file)?);
    case.map_err(|why| invalid(file, why))
}

fn read_policy(file: &Path) -> Result<Value, Failed> {
    let document = files::read_rules(file)?;
    Policy::from_value(&document).map_err(|why| invalid(file, why))?;
    Ok(document)
}

/// What a session is started with.
struct Start {
    mode: String,
    strict: bool,
    policy: Option<PathBuf>,
    case: Option<PathBuf>,
    case_id: Option<String>,
}

impl Start {
    fn run(self, global: &Global, shell: bool) -> Result<Output, Failed> {
        let Self {
            mode,
            strict,
            policy,
            case,
            case_id,
        } = self;
        let mut body = json!({"mode": mode});
        if strict {
            body["policy"] = Policy::strict().to_value();
        }
        if let Some(file) = policy {
            body["policy"] = read_policy(&file)?;
        }
        if let Some(case_id) = case_id {
            if mode != Mode::Capture.name() {
                return Err(arguments("--case-id requires --mode capture"));
            }
            body["caseId"] = case_id.into();
        }
        // Everything is read before a session is open.
        let case = case.map(|file| read_case(&file)).transpose()?;
        let runtime = global.runtime()?;
        let mut answer = runtime.call(&Call::Start { body })?;
        let id = answer["sessionId"]
            .as_str()
            .ok_or_else(|| SoftprobeError::Protocol {
                url: runtime.address().to_owned(),
                message: "the new session has no sessionId".to_owned(),
            })?
            .to_owned();
        if let Some(case) = case {
            let load = Action::LoadCase(case.document().clone());
            match runtime.call(&Call::on(&id, load)) {
                Ok(loaded) => answer["sessionRevision"] = loaded["sessionRevision"].clone(),
                Err(error) => {
                    // Nobody would know of it.
                    let _ = runtime.call(&Call::on(&id, Action::Close(Closing::default())));
                    return Err(error.into());
                }
            }
        }
        let text = match shell {
            true => format!("export SOFTPROBE_SESSION_ID={id}\n"),
            false => format!("{id}\n"),
        };
        Ok(Output::fine(text)
            .fields(&answer)
            .field("mode", mode)
            .field("specVersion", SPEC_VERSION)
            .field("schemaVersion", SCHEMA_VERSION))
    }
}

fn changed(verb: &str, what: &str, answer: &Value) -> Output {
    let revision = &answer["sessionRevision"];
    Output::fine(format!(
        "{verb} {what}; the session's revision is {revision}\n"
    ))
    .fields(answer)
}

/// Refuses to close a session whose capture would be lost, because its runtime does not keep captures.
fn refuse_to_discard(global: &Global, id: &Id) -> Result<(), Failed> {
    let kept = global.runtime()?.call(&Call::Capture {
        id: id.checked()?.to_owned(),
    });
    if let Err(SoftprobeError::Runtime(refused)) = kept
        && refused.code.as_deref() == Some(UNKNOWN_SESSION)
    {
        return Ok(());
    }
    let stats = id.call(global, Action::Stats)?;
    let recorded = stats["stats"]["extractedSpans"]
        .as_u64()
        .unwrap_or_default();
    if stats["mode"] == Mode::Capture.name() && recorded > 0 {
        return Err(arguments(format!(
            "the session has captured {recorded} exchanges, and this runtime does not keep them; give --save FILE or \
             --out PATH, or --discard"
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
    if let Some(path) = save {
        // Write the case before closing the session, so that a full disk loses nothing.
        let case = id.call(global, Action::Case)?;
        files::write(path, &format!("{case:#}\n"), Readers::Owner)?;
    }
    let last = id.call(global, Action::Stats)?;
    let kept = out.as_ref().map(|_| id.call(global, Action::Case));
    let closing = Closing {
        out,
        include_case: save.is_some(),
    };
    let mut answer = id.call(global, Action::Close(closing))?;
    let mut text = "closed\n".to_owned();
    let (mut notes, mut faults) = (Vec::new(), Vec::new());
    let mut captured = kept.transpose()?;
    if let Some(path) = save {
        let case = answer["case"].take();
        files::write(path, &format!("{case:#}\n"), Readers::Owner)?;
        captured = Some(case);
        answer["capturePath"] = path.display().to_string().into();
        if let Some(answer) = answer.as_object_mut() {
            answer.shift_remove("case");
        }
    }
    match captured.map(Case::from_document) {
        Some(Ok(case)) => (faults, notes) = (unusable(&case), may_lack(&case)),
        Some(Err(why)) => faults = vec![why.to_string()],
        None => {}
    }
    if let Some(path) = answer["capturePath"].as_str() {
        text = format!("closed; the case is in {path}\n");
    }
    notes.extend(unrecorded(&last));
    for note in &notes {
        text.push_str(&format!("warning: {note}\n"));
    }
    let output = match faults.is_empty() {
        true => Output::fine(text),
        // The session is closed all the same.
        false => Output::all_failed(Exit::Failure, "unusable_capture", faults).text(text),
    };
    Ok(output
        .fields(&answer)
        .field("stats", last["stats"].clone())
        .field("warnings", notes))
}

/// Returns a warning about calls that a capture session answered but did not record: the upstream
/// failed, the call is inside TLS, or it is still running.
pub(super) fn unrecorded(answer: &Value) -> Option<String> {
    if answer["mode"] != Mode::Capture.name() {
        return None;
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
    (missing > 0).then(|| {
        format!(
            "{missing} of {answered} calls were not recorded: they failed, are inside TLS, or are still running; \
             `softprobe inspect session` lists the calls"
        )
    })
}

/// Returns why a capture can't be replayed, as messages.
pub(super) fn unusable(case: &Case) -> Vec<String> {
    let mut lacks = Vec::new();
    if let Some((exchange, why)) = case.unusable() {
        lacks.push(format!(
            "{}: it was not recorded whole: {why}",
            exchange.summary()
        ));
    }
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
    lacks
}

/// Returns what a capture may lack, as messages.
fn may_lack(case: &Case) -> Vec<String> {
    let mut lacks = Vec::new();
    if case.outbound().next().is_none() {
        lacks.push(
            "no outbound call was captured; check that the application's HTTP_PROXY names the proxy, and that \
             its HTTP client uses HTTP_PROXY; calls that name a session which is closed are in the log of the server"
                .to_owned(),
        );
    }
    lacks
}
