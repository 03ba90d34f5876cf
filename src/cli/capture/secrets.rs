//! What of an application's command and variables a suite must not hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::base::http::{is_secret_name, without_credentials};
use crate::scrub::{Rules, Scrubber};
use crate::suite::AppPlan;

/// Returns the variables of an application that are or hold secrets.
pub(super) fn secret_variables(plan: &AppPlan) -> BTreeSet<String> {
    let secret = plan.env.iter();
    let secret =
        secret.filter(|(name, value)| names_secret(name) || holds_secret(&value.written()));
    secret.map(|(name, _)| name.clone()).collect()
}

/// Returns the words of an application's command that are or hold secrets, by their positions, with variables in place of
/// those.
pub(super) fn secret_words(plan: &AppPlan) -> BTreeMap<usize, String> {
    let words: Vec<String> = plan.command.iter().map(|word| word.written()).collect();
    let mut hidden = BTreeMap::new();
    for (n, word) in words.iter().enumerate() {
        let before = n.checked_sub(1).map(|before| words[before].as_str());
        let flag = before.filter(|before| before.starts_with('-') && !before.contains('='));
        if let Some((name, value)) = word.split_once('=')
            && (names_secret(name) || holds_secret(value))
        {
            hidden.insert(n, format!("{name}=${{{}}}", variable(name)));
        } else if let Some(flag) = flag.filter(|flag| names_secret(flag) || holds_secret(word)) {
            hidden.insert(n, format!("${{{}}}", variable(flag)));
        } else if holds_secret(word) {
            hidden.insert(n, format!("${{APP_WORD_{n}}}"));
        }
    }
    hidden
}

/// Returns whether a variable or a flag is called like one that holds a secret.
fn names_secret(name: &str) -> bool {
    const PARTS: [&str; 6] = ["PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL"];
    let upper = name.to_ascii_uppercase();
    is_secret_name(name.trim_start_matches('-')) || PARTS.iter().any(|part| upper.contains(part))
}

fn holds_secret(text: &str) -> bool {
    let mut document = json!({ "env": { "value": text } });
    let found = Scrubber::new(Rules::default(), &[]).scrub(&mut document);
    !found.list.is_empty() || without_credentials(text) != text
}

/// Returns the name of a variable for what a flag is given.
fn variable(flag: &str) -> String {
    let upper = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    flag.trim_start_matches('-').chars().map(upper).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::PortText;

    #[test]
    fn secrets_of_a_command_are_given_by_variables() {
        let words = [
            "node",
            "server.js",
            "--port=${PORT}",
            "--smtp-password=x",
            "--token",
            "abc",
            "--db",
            "postgres://u:p@h/d",
            "http://u:p@h/x",
        ];
        let mut plan = AppPlan::of_command(words.iter().map(|word| PortText::new(word)).collect());
        let hidden: Vec<(usize, String)> = secret_words(&plan).into_iter().collect();
        let wanted = [
            (3, "--smtp-password=${SMTP_PASSWORD}"),
            (5, "${TOKEN}"),
            (7, "${DB}"),
            (8, "${APP_WORD_8}"),
        ];
        assert_eq!(hidden, wanted.map(|(n, word)| (n, word.to_owned())));
        for (name, value) in [
            ("SMTP_PASS", "x"),
            ("DB_URL", "pg://u:p@h/d"),
            ("LEVEL", "debug"),
        ] {
            plan.env.push((name.to_owned(), PortText::new(value)));
        }
        let hidden: Vec<String> = secret_variables(&plan).into_iter().collect();
        assert_eq!(hidden, ["DB_URL", "SMTP_PASS"]);
    }
}
