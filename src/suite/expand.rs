//! Expands `${VAR}` and `${VAR:-default}` in the string values of a document.

use std::collections::BTreeMap;

use serde_json::Value;

use super::mocks::is_template;
use crate::base::document::{Place, Problems};

/// The variables, by name.
pub(super) type Variables = BTreeMap<String, String>;

/// Expands the variables in every string in `value`; keys are not expanded, nor are fixtures in a mock with `expand`.
pub(super) fn expand(
    value: &mut Value,
    place: &Place,
    variables: &Variables,
    problems: &mut Problems,
) {
    let fixtures = Fixtures::Variables;
    expand_in(value, place, variables, fixtures, problems);
}

/// What `${fixtures.name}` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fixtures {
    /// A variable, whose name is wrong.
    Variables,
    /// Text that is left for later.
    Left,
}

fn expand_in(
    value: &mut Value,
    place: &Place,
    variables: &Variables,
    fixtures: Fixtures,
    problems: &mut Problems,
) {
    let fixtures = match is_template(value) {
        true => Fixtures::Left,
        false => fixtures,
    };
    match value {
        Value::String(text) if text.contains("${") => {
            match expand_text(text, variables, fixtures, 0) {
                Ok(expanded) => *text = expanded,
                Err(message) => problems.add(place, message),
            }
        }
        Value::Array(elements) => {
            for (n, element) in elements.iter_mut().enumerate() {
                expand_in(element, &place.index(n), variables, fixtures, problems);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                expand_in(member, &place.key(key), variables, fixtures, problems);
            }
        }
        _ => {}
    }
}

/// How deeply `${A:-${B:-…}}` may be nested.
const DEEPEST: usize = 32;

fn expand_text(
    text: &str,
    variables: &Variables,
    fixtures: Fixtures,
    depth: usize,
) -> Result<String, String> {
    if depth > DEEPEST {
        return Err(format!(
            "`${{…:-…}}` is nested more than {DEEPEST} levels deep"
        ));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            // `$${` is a literal `${`.
            out.push_str(&rest[..start]);
            out.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let end = closing(inside)
            .ok_or("`${` is never closed; write `$${` for a literal one".to_owned())?;
        let expression = &inside[..end];
        match fixtures == Fixtures::Left && expression.starts_with("fixtures.") {
            true => out.push_str(&rest[start..start + 2 + end + 1]),
            false => out.push_str(&value_of(expression, variables, depth)?),
        }
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Returns the index of the brace that closes an expression; `text` starts after its `${`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (n, c) in text.char_indices() {
        match c {
            '{' if text[..n].ends_with('$') => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(n);
                }
            }
            _ => {}
        }
    }
    None
}

fn value_of(expression: &str, variables: &Variables, depth: usize) -> Result<String, String> {
    let (name, default) = match expression.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (expression, None),
    };
    let mut chars = name.chars();
    let is_name = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(format!(
            "`${{{expression}}}` is not `${{NAME}}` or `${{NAME:-default}}`; write `$${{` for a literal `${{`"
        ));
    }
    match (variables.get(name), default) {
        (Some(value), None) => Ok(value.clone()),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value.clone()),
        (_, Some(default)) => expand_text(default, variables, Fixtures::Variables, depth + 1),
        (None, None) => Err(format!(
            "the variable `{name}` is not set; set it or give a default: `${{{name}:-…}}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let variables = [("A", "1"), ("EMPTY", ""), ("B", "two")];
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        expand_text(text, &variables, Fixtures::Variables, 0)
    }

    #[test]
    fn variables_expand_as_in_a_shell() {
        for (text, wanted) in [
            ("x${A}y${B}", "x1ytwo"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${GONE:-}", ""),
            ("${GONE:-${A}}", "1"),
            ("$${A}", "${A}"),
            ("$A and {A}", "$A and {A}"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn a_failed_expansion_says_why() {
        assert!(
            expanded("${GONE}")
                .unwrap_err()
                .contains("`GONE` is not set")
        );
        assert!(expanded("${A").unwrap_err().contains("never closed"));
        assert!(expanded("${a-b}").unwrap_err().contains("${NAME}"));
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}x{}", "${A:-".repeat(depth), "}".repeat(depth));
        let expand = |text: String| expand_text(&text, &Variables::new(), Fixtures::Variables, 0);
        assert_eq!(expand(nested(32)).as_deref(), Ok("x"));
        let error = "`${…:-…}` is nested more than 32 levels deep".to_owned();
        assert_eq!(expand(nested(33)), Err(error.clone()));
        assert_eq!(expand(nested(3000)), Err(error));
    }
}
