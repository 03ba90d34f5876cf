//! `scrub`: removes secrets from captures, in place.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::files::{self, CaseFile};
use super::output::{Exit, Failed, Output, invalid};
use super::validate::counted;
use crate::disk::Readers;
use crate::scrub::{Rules, Scrubber, SecretFound, SecretsFound, rewrite};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Removes credentials in authorization headers, cookies, tokens (recognised by header, by member and \
    parameter names such as access_token or password, and by shape), private keys, card numbers and e-mail addresses. The same value \
    always becomes the same placeholder, in every file and every run. E-mail addresses and card numbers keep their shape.\n\n\
    A placeholder is a hash of its value, so a guess of the value can be confirmed; to prevent that, set \
    SOFTPROBE_SCRUB_KEY, which keys the hash.\n\n\
    --rules takes a file such as {\"headers\": [\"x-tenant\"], \"jsonPaths\": [\"$.customer.name\"]}."
)]
pub(super) struct Scrub {
    /// Case files or globs
    #[arg(value_name = "FILES", required = true)]
    files: Vec<String>,
    /// JSON or YAML file with further header names, and with JSONPaths into request and response bodies
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Only report secrets, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Key for the hash in placeholders
    #[arg(long, hide = true, env = "SOFTPROBE_SCRUB_KEY", hide_env_values = true)]
    key: Option<String>,
}

impl Scrub {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let rules = match &self.rules {
            None => Rules::default(),
            Some(path) => {
                Rules::read(&files::read_rules(path)?).map_err(|why| invalid(path, why))?
            }
        };
        let key = self.key.unwrap_or_default();
        let mut scrubber = Scrubber::new(rules, key.as_bytes());
        // Read all files before writing any: a secret found in one may also be in another.
        let cases = files::read_all(files::find(&self.files)?)?;
        for file in &cases {
            scrubber.collect(file.case.document());
        }
        let mut report = Report::default();
        for CaseFile { path, text, case } in cases {
            let document = case.document();
            let mut clean = document.clone();
            let findings = scrubber.scrub(&mut clean);
            let rewritten = clean != *document && !self.check;
            if rewritten {
                files::write(&path, &rewrite(&text, document, &clean), Readers::Owner)?;
            }
            report.add(&path.display().to_string(), findings, rewritten);
        }
        report.answer(self.check)
    }
}

/// What was found in all files.
#[derive(Default)]
struct Report {
    text: String,
    files: Vec<Value>,
    /// How many files contain secrets, or did before they were rewritten.
    dirty: usize,
    /// How many bodies are not text.
    opaque: usize,
    /// How many bodies could not be read.
    unread: usize,
}

impl Report {
    fn add(&mut self, file: &str, findings: SecretsFound, rewritten: bool) {
        let SecretsFound {
            list,
            opaque,
            unread,
        } = findings;
        for SecretFound { place, kind } in &list {
            self.text.push_str(&format!("{file}: {place}: {kind}\n"));
        }
        for place in &unread {
            let line =
                format!("{file}: {place}: its encoding is not known, so it was not searched\n");
            self.text.push_str(&line);
        }
        self.dirty += usize::from(!list.is_empty());
        self.opaque += opaque.len();
        self.unread += unread.len();
        let list = list
            .iter()
            .map(|f| json!({"place": f.place, "kind": f.kind}));
        self.files.push(json!({
            "file": file,
            "findings": list.collect::<Vec<_>>(),
            "notText": opaque,
            "unread": unread,
            "rewritten": rewritten,
        }));
    }

    fn answer(self, check: bool) -> Result<Output, Failed> {
        let Self {
            mut text,
            files,
            dirty,
            opaque,
            unread,
        } = self;
        let total = counted(files.len(), "file");
        if opaque > 0 {
            let bodies = if opaque == 1 { "body is" } else { "bodies are" };
            text.push_str(&format!(
                "{opaque} {bodies} not text and can't be searched\n"
            ));
        }
        let failed = |code: &str, message: String| Output::failed(Exit::Failure, code, message);
        let failed = if check && dirty > 0 {
            let message =
                format!("found secrets in {dirty} of {total}; softprobe scrub removes them");
            Some(failed("secrets_found", message))
        } else if unread > 0 {
            let message = format!(
                "{unread} encoded {} could not be read and may contain secrets; capture without content-encoding",
                if unread == 1 { "body" } else { "bodies" }
            );
            Some(failed("not_looked_into", message))
        } else {
            None
        };
        let summary = match dirty {
            0 => format!("{total}: no secrets\n"),
            _ => format!("rewrote {dirty} of {total}\n"),
        };
        match failed {
            Some(answer) => Err(Failed::from(answer.text(text).field("files", files))),
            None => Ok(Output::fine(text + &summary).field("files", files)),
        }
    }
}
