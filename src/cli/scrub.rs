//! `scrub`: removes secrets from captures, in place.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::answer::{Answer, Exit, Failed, invalid};
use super::files;
use super::validate::counted;
use crate::case::Case;
use crate::scrub::{Finding, Findings, Rules, Scrubber};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Removed are: credentials of authorization headers, cookies, tokens (by header, by member and \
    parameter names such as access_token or password, and by shape), card numbers, e-mail addresses. The same value \
    always becomes the same placeholder, in every file and every run. E-mail addresses and card numbers keep their shape.\n\n\
    A placeholder is a hash of its value. Who guesses the value can confirm it by that: SOFTPROBE_SCRUB_KEY keys the \
    hash.\n\n\
    --rules takes {\"headers\": [\"x-tenant\"], \"jsonPaths\": [\"$.customer.name\"]}."
)]
pub(super) struct Scrub {
    /// Case files, or globs of them
    #[arg(value_name = "FILES", required = true)]
    files: Vec<String>,
    /// A JSON file of further header names, and of JSONPaths into request and response bodies
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Only reports, and exits with 1 where a secret stands
    #[arg(long)]
    check: bool,
    /// The key of the placeholders' hash
    #[arg(long, hide = true, env = "SOFTPROBE_SCRUB_KEY", hide_env_values = true)]
    key: Option<String>,
}

impl Scrub {
    pub(super) fn run(self) -> Result<Answer, Failed> {
        let rules = match &self.rules {
            None => Rules::default(),
            Some(path) => {
                Rules::read(&files::read_json(path)?).map_err(|why| invalid(path, why))?
            }
        };
        let key = self.key.unwrap_or_default();
        let mut scrubber = Scrubber::new(rules, key.as_bytes());
        // All are read before any is written: a secret of one may stand in another.
        let mut documents: Vec<(PathBuf, Value)> = Vec::new();
        for path in files::find(&self.files)? {
            let document = files::read_json(&path)?;
            Case::from_document(document.clone()).map_err(|why| invalid(&path, why))?;
            scrubber.collect(&document);
            documents.push((path, document));
        }
        let (mut text, mut told, mut dirty) = (String::new(), Vec::new(), 0);
        for (path, mut document) in documents {
            let Findings { list, opaque } = scrubber.scrub(&mut document);
            let shown = path.display().to_string();
            for Finding { place, kind } in &list {
                text.push_str(&format!("{shown}: {place}: {kind}\n"));
            }
            for place in &opaque {
                text.push_str(&format!("{shown}: {place}: can't be looked into\n"));
            }
            dirty += usize::from(!list.is_empty());
            let rewrite = !list.is_empty() && !self.check;
            if rewrite {
                files::write(&path, &format!("{document:#}\n"))?;
            }
            let list = list
                .iter()
                .map(|f| json!({"place": f.place, "kind": f.kind}));
            told.push(json!({
                "file": shown,
                "findings": list.collect::<Vec<_>>(),
                "opaque": opaque,
                "rewritten": rewrite,
            }));
        }
        let total = told.len();
        if self.check && dirty > 0 {
            let message = format!(
                "secrets stand in {dirty} of {}; softprobe scrub removes them",
                counted(total, "file")
            );
            let answer = Answer::failed(Exit::Failure, "secrets_found", message);
            return Err(Box::new(answer.text(text).field("files", told)));
        }
        text.push_str(&match dirty {
            0 => format!("{}: no secret\n", counted(total, "file")),
            _ => format!("rewrote {dirty} of {}\n", counted(total, "file")),
        });
        Ok(Answer::fine(text).field("files", told))
    }
}
