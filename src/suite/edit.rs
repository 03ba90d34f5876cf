//! Adds to a suite's text without changing what stands in it: comments, order and layout stay.

use serde_json::{Map, Value};

use super::first::{FirstCase, quoted, with_variables};
use super::masked::Masked;
use super::yaml::{locate_value, parse};
use crate::base::document::{Place, Step};

/// What a suite that stands may lack.
#[derive(Debug)]
pub(crate) struct Addition<'a> {
    /// Elements of `cases`.
    pub(crate) cases: Vec<FirstCase>,
    pub(crate) masked: &'a Masked,
    /// Files with exchanges that belong to no case.
    pub(crate) shared: &'a [String],
}

/// Returns a suite's text with what it lacks of these: cases, matchers for what was masked, shared exchanges. What it says of
/// a place already stays.
///
/// # Errors
///
/// What can't be added where it belongs.
pub(crate) fn extended(text: &str, addition: &Addition<'_>) -> Result<String, String> {
    let Addition {
        cases,
        masked,
        shared,
    } = addition;
    let mut edit = Edit::new(text)?;
    let cases: Vec<String> = cases.iter().map(FirstCase::yaml).collect();
    edit.append_all(&["cases"], &cases)?;
    let Masked {
        answers,
        answer_headers,
        sent,
        sent_queries,
        ..
    } = masked;
    for place in answers {
        let path = edit.section("assertions");
        edit.mask(path, place)?;
    }
    if answer_headers.contains("location") {
        let mut path = edit.section("assertions");
        path.extend(["headers", "ignore"].map(str::to_owned));
        edit.append_new(&path, "location")?;
    }
    for place in sent {
        let path = edit.section("outbound");
        edit.mask(path, place)?;
    }
    for name in sent_queries {
        let mut path = edit.section("outbound");
        path.extend(["query", "ignore"].map(str::to_owned));
        edit.append_new(&path, name)?;
    }
    for file in *shared {
        edit.share(&edit.section("mocks"), file)?;
    }
    Ok(edit.text)
}

/// A setting that says how something is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setting<'a> {
    /// Whether it is about what the application sends; else about its answers.
    pub(crate) is_sent: bool,
    /// Where it stands below `assertions` or `outbound`, such as `body` and `ignore`.
    pub(crate) path: [&'a str; 2],
    /// A JSONPath, or the name of a header or of something in the query.
    pub(crate) name: &'a str,
    /// The matcher, for a setting below `match`.
    pub(crate) matcher: Option<&'a Value>,
}

impl Setting<'_> {
    /// Adds the setting to those of `assertions` or `outbound`.
    pub(crate) fn add_to(&self, settings: &mut Value) {
        let slot = slot(settings, &self.path);
        match (self.matcher, slot) {
            (Some(matcher), slot) => {
                if slot.is_null() {
                    *slot = Value::Object(Map::new());
                }
                slot[self.name] = matcher.clone();
            }
            (None, Value::Array(list)) if list.iter().any(|one| one == self.name) => {}
            (None, Value::Array(list)) => list.push(self.name.into()),
            (None, slot) => *slot = Value::from(vec![self.name]),
        }
    }
}

/// Returns a suite's text with settings for all of its cases.
///
/// # Errors
///
/// What to write where by hand.
pub(crate) fn with_settings(text: &str, settings: &[Setting<'_>]) -> Result<String, String> {
    let mut edit = Edit::new(text)?;
    for setting in settings {
        let path = edit.path_of(setting.is_sent, setting.path);
        let path = path.map_err(|why| format!("{why}: {}", quoted(setting.name)))?;
        match setting.matcher {
            Some(matcher) => edit.set_match(path, setting.name, matcher)?,
            None => edit.append_new(&path, setting.name)?,
        }
    }
    Ok(edit.text)
}

/// Returns a suite's text with these `assertions` for one of its cases, which stands as a path in `cases`.
///
/// # Errors
///
/// What to write where by hand.
pub(crate) fn with_override(text: &str, case: &str, assertions: &Value) -> Result<String, String> {
    let mut edit = Edit::new(text)?;
    let entry = serde_json::json!({"path": case, "overrides": {"assertions": assertions}});
    let by_hand = || by_hand(&flow(&entry), "cases");
    let list = edit.value.get("cases");
    let index = match list {
        Some(Value::Array(list)) => list.iter().position(|one| one == case),
        _ => None,
    };
    let index = index.ok_or_else(by_hand)?;
    let mut wanted = edit.value.clone();
    wanted["cases"][index] = entry.clone();
    let steps = vec![Step::Key("cases".to_owned()), Step::Index(index)];
    let new = edit.replaced(steps, &flow(&entry)).ok_or_else(by_hand)?;
    edit.take(new, wanted, by_hand)?;
    Ok(edit.text)
}

/// Returns a suite's text with another mock beside `mocks: auto`.
///
/// # Errors
///
/// What to write where by hand.
pub(crate) fn with_mock(text: &str, mock: &Value) -> Result<String, String> {
    let mut edit = Edit::new(text)?;
    let path = edit.section("mocks");
    match edit.at(&path) {
        Some(Value::String(word)) if word == "auto" => edit.extend_auto(&path, "rules", mock)?,
        Some(Value::Object(_)) => {
            let rules = [path, vec!["rules".to_owned()]].concat();
            edit.append(&rules, flow(mock))?;
        }
        _ => edit.append(&path, flow(mock))?,
    }
    Ok(edit.text)
}

/// Returns a suite's text with settings below the `outbound` of one of its mocks, which stands on one line.
///
/// # Errors
///
/// What to write where by hand.
pub(crate) fn with_mock_settings(
    text: &str,
    mock: &str,
    settings: &[Setting<'_>],
) -> Result<String, String> {
    let mut edit = Edit::new(text)?;
    let places = [
        vec!["mocks"],
        vec!["mocks", "rules"],
        vec!["defaults", "mocks"],
        vec!["defaults", "mocks", "rules"],
    ];
    let found = places.into_iter().find_map(|path| {
        let rules = edit.at(&path)?.as_array()?;
        let index = rules.iter().position(|rule| rule["name"] == mock)?;
        Some((path, index, rules[index].clone()))
    });
    let by_hand =
        || format!("the mock `{mock}` can't be edited here; add to its `outbound` by hand");
    let (path, index, mut rule) = found.ok_or_else(by_hand)?;
    let outbound = slot(&mut rule, &["outbound"]);
    settings.iter().for_each(|setting| setting.add_to(outbound));
    let mut wanted = edit.value.clone();
    slot(&mut wanted, &path)[index] = rule.clone();
    let mut steps: Vec<Step> = path
        .iter()
        .map(|name| Step::Key((*name).to_owned()))
        .collect();
    steps.push(Step::Index(index));
    let spot = edit.spot(steps).ok_or_else(by_hand)?;
    let start = edit.offset(&spot);
    if !edit.text[start..].starts_with('{') {
        return Err(by_hand());
    }
    let end = start + closes(&edit.text[start..], '}').ok_or_else(by_hand)? + 1;
    let new = format!(
        "{}{}{}",
        &edit.text[..start],
        flow(&rule),
        &edit.text[end..]
    );
    edit.take(new, wanted, by_hand)?;
    Ok(edit.text)
}

/// Returns a value as YAML on one line, in which `${NAME}` stays a variable.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members = members.iter();
            let members =
                members.map(|(name, value)| format!("{}: {}", with_variables(name), flow(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(elements) if elements.is_empty() => "[]".to_owned(),
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(flow).collect();
            format!("[ {} ]", elements.join(", "))
        }
        Value::String(text) => with_variables(text),
        other => other.to_string(),
    }
}

/// A text that is edited, and what it says.
struct Edit {
    text: String,
    value: Value,
}

/// Where a value stands in a text.
struct Spot {
    /// The line, from 0.
    line: usize,
    /// The column, in bytes from 0.
    column: usize,
}

impl Edit {
    fn new(text: &str) -> Result<Self, String> {
        Ok(Self {
            text: text.to_owned(),
            value: parse(text).map_err(|faults| faults.join("; "))?,
        })
    }

    /// Returns the path of a setting for what the application answers or sends.
    ///
    /// # Errors
    ///
    /// If a case replaces the settings, so that it would have no effect there.
    fn path_of(&self, is_sent: bool, setting: [&str; 2]) -> Result<Vec<String>, String> {
        let part = if is_sent { "outbound" } else { "assertions" };
        let cases = self.value.get("cases").and_then(Value::as_array);
        let mut cases = cases.into_iter().flatten();
        if cases.any(|case| case["overrides"].get(part).is_some()) {
            return Err(format!(
                "a case replaces `{part}` in its `overrides`; add to `{part}.{}` there by hand",
                setting.join(".")
            ));
        }
        let mocks = self
            .value
            .get("mocks")
            .or_else(|| self.value.get("defaults")?.get("mocks"));
        let rules = match mocks {
            Some(Value::Array(rules)) => Some(rules),
            Some(mocks) => mocks.get("rules").and_then(Value::as_array),
            None => None,
        };
        let mut rules = rules.into_iter().flatten();
        if is_sent && rules.any(|rule| rule["outbound"].get(setting[0]).is_some()) {
            return Err(format!(
                "a mock has an `outbound.{}` of its own, which takes precedence; add to `{}` there by hand",
                setting[0],
                setting.join(".")
            ));
        }
        let mut path = self.section(part);
        path.extend(setting.map(str::to_owned));
        Ok(path)
    }

    /// Returns where a section of the suite stands, or belongs: in `defaults` if that has it, else at the top.
    fn section(&self, name: &str) -> Vec<String> {
        let defaults = self.value.get("defaults");
        let within = defaults.is_some_and(|defaults| defaults.get(name).is_some());
        let path = within.then_some("defaults").into_iter().chain([name]);
        path.map(str::to_owned).collect()
    }

    fn lines(&self) -> Vec<&str> {
        self.text.split('\n').collect()
    }

    /// Returns the value at a path of names.
    fn at(&self, path: &[impl AsRef<str>]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.value, |value, name| value.get(name.as_ref()))
    }

    fn spot(&self, steps: Vec<Step>) -> Option<Spot> {
        let (line, column) = locate_value(&self.text, &Place(steps))?;
        let text = self.lines().get(line - 1).copied()?;
        // The parser counts characters.
        let column = text
            .char_indices()
            .nth(column - 1)
            .map_or(text.len(), |(at, _)| at);
        Some(Spot {
            line: line - 1,
            column,
        })
    }

    /// Takes an edited text if it says what it should.
    fn take(
        &mut self,
        text: String,
        wanted: Value,
        by_hand: impl Fn() -> String,
    ) -> Result<(), String> {
        match parse(&text) {
            Ok(value) if value == wanted => {
                (self.text, self.value) = (text, wanted);
                Ok(())
            }
            _ => Err(by_hand()),
        }
    }

    /// Appends an element as [`append_all`](Self::append_all) does.
    fn append(&mut self, path: &[impl AsRef<str>], element: String) -> Result<(), String> {
        self.append_all(path, &[element])
    }

    /// Appends elements, written as YAML, to the list at a path, which may be a single element or nothing. The text is read once
    /// for all of them.
    fn append_all(&mut self, path: &[impl AsRef<str>], new: &[String]) -> Result<(), String> {
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let by_hand = || by_hand(&new.join(", "), &names.join("."));
        let parsed = new.iter().map(|element| parse(element));
        let parsed: Vec<Value> = parsed.collect::<Result<_, _>>().map_err(|_| by_hand())?;
        let mut wanted = self.value.clone();
        let slot = slot(&mut wanted, &names);
        let before = slot.take();
        let mut elements = match &before {
            Value::Null => Vec::new(),
            Value::Array(elements) => elements.clone(),
            one => vec![one.clone()],
        };
        elements.extend(parsed);
        *slot = Value::Array(elements);
        let steps: Vec<Step> = names
            .iter()
            .map(|name| Step::Key((*name).to_owned()))
            .collect();
        let text = match &before {
            Value::Null => {
                let (own, parents) = names.split_last().ok_or_else(by_hand)?;
                let parents: Vec<&str> = parents.to_vec();
                self.with_member(&parents, own, &format!("[ {} ]", new.join(", ")))
            }
            Value::Array(elements) => match self.spot(steps.clone()) {
                Some(spot) if self.lines()[spot.line][spot.column..].starts_with('[') => {
                    self.within_brackets(&spot, ']', &new.join(", "), elements.is_empty())
                }
                _ => self.after_last_element(steps, elements.len(), new),
            },
            _ => self.as_list(steps, new),
        };
        let text = text.ok_or_else(by_hand)?;
        self.take(text, wanted, by_hand)
    }

    /// Appends a text to the list at a path, unless it is there.
    fn append_new(&mut self, path: &[String], text: &str) -> Result<(), String> {
        let is_there = match self.at(path) {
            Some(Value::Array(elements)) => elements.iter().any(|element| element == text),
            Some(one) => one == text,
            None => false,
        };
        match is_there {
            true => Ok(()),
            false => self.append(path, quoted(text)),
        }
    }

    /// Has what stands in place of secrets at a place in bodies stand for any text, unless something is said of the place.
    fn mask(&mut self, mut path: Vec<String>, place: &str) -> Result<(), String> {
        path.push("body".to_owned());
        let is_said = self.at(&path).is_some_and(|body| {
            let lists = |name: &str| {
                let list = body.get(name).and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(|one| one == place || one["path"] == place))
            };
            lists("ignore") || lists("redactions") || body["match"].get(place).is_some()
        });
        if is_said {
            return Ok(());
        }
        path.push("match".to_owned());
        self.set_match(path, place, &"masked".into())
    }

    /// Sets the matcher of a place.
    fn set_match(&mut self, path: Vec<String>, place: &str, matcher: &Value) -> Result<(), String> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut wanted = self.value.clone();
        let shown = flow(matcher);
        let by_hand = || by_hand(&format!("{}: {shown}", quoted(place)), &names.join("."));
        match slot(&mut wanted, &names) {
            slot @ Value::Null => {
                *slot = Value::Object(Map::from_iter([(place.to_owned(), matcher.clone())]));
            }
            Value::Object(members) => drop(members.insert(place.to_owned(), matcher.clone())),
            _ => return Err(by_hand()),
        }
        let text = self.with_member(&names, place, &shown);
        self.take(text.ok_or_else(by_hand)?, wanted, by_hand)
    }

    /// Adds a file to `mocks.shared`.
    fn share(&mut self, path: &[String], file: &str) -> Result<(), String> {
        let element = format!("{{ from: {} }}", quoted(file));
        let mut list = path.to_vec();
        list.push("shared".to_owned());
        let parsed = parse(&element).unwrap_or_default();
        if let Some(Value::Array(there)) = self.at(&list)
            && there.contains(&parsed)
        {
            return Ok(());
        }
        match self.at(path) {
            Some(Value::String(word)) if word == "auto" => {
                self.extend_auto(path, "shared", &parsed)
            }
            Some(Value::Object(_)) | None => self.append(&list, element),
            Some(_) => Err(format!(
                "`mocks` is a list, to which nothing can be shared; write `mocks: {{ rules: […], shared: [ {element} ] }}`"
            )),
        }
    }

    /// Turns the word `auto` at a path into an object that says the same, and has a list with this element too.
    fn extend_auto(&mut self, path: &[String], list: &str, element: &Value) -> Result<(), String> {
        let by_hand = || by_hand(&flow(element), &format!("mocks.{list}"));
        let mut wanted = self.value.clone();
        *slot(&mut wanted, path) = serde_json::json!({"auto": true, list: [element]});
        let steps = path.iter().map(|name| Step::Key(name.clone())).collect();
        let new = format!("{{ auto: true, {list}: [ {} ] }}", flow(element));
        let text = self.replaced(steps, &new);
        self.take(text.ok_or_else(by_hand)?, wanted, by_hand)
    }

    /// Returns the text with a member of the mapping at a path, which may not be there yet.
    fn with_member(&self, path: &[&str], name: &str, value: &str) -> Option<String> {
        // The innermost mapping that is there.
        let mut known = path.len();
        while !matches!(self.at(&path[..known]), Some(Value::Object(_))) {
            known = known.checked_sub(1)?;
        }
        let (there, missing) = path.split_at(known);
        // Names are never taken for variables.
        let mut value = format!("{}: {value}", with_variables(name));
        for name in missing.iter().rev() {
            value = format!("{}: {{ {value} }}", with_variables(name));
        }
        let members = self.at(there)?.as_object()?;
        let steps: Vec<Step> = there
            .iter()
            .map(|name| Step::Key((*name).to_owned()))
            .collect();
        if there.is_empty() {
            let end = match self.text.contains("\r\n") {
                true => "\r\n",
                false => "\n",
            };
            return Some(format!("{}{end}{value}{end}", self.text.trim_end()));
        }
        let spot = self.spot(steps)?;
        let lines = self.lines();
        if lines[spot.line][spot.column..].starts_with('{') {
            return self.within_brackets(&spot, '}', &value, members.is_empty());
        }
        let indent = &lines[spot.line][..spot.column];
        if !indent.chars().all(|c| c == ' ') {
            return None;
        }
        let end = self.end_of_block(spot.line, spot.column);
        Some(self.with_lines(end, &[format!("{indent}{value}")]))
    }

    /// Returns the number of the line after the last one of a block that begins at a line, with this indentation.
    fn end_of_block(&self, first: usize, indent: usize) -> usize {
        let lines = self.lines();
        let mut end = first + 1;
        for (n, line) in lines.iter().enumerate().skip(first + 1) {
            let text = line.trim_start_matches(' ');
            if text.trim_end().is_empty() || text.starts_with('#') {
                continue;
            }
            if line.len() - text.len() < indent {
                break;
            }
            end = n + 1;
        }
        end
    }

    fn with_lines(&self, at: usize, new: &[String]) -> String {
        let mut lines = self.lines();
        let ending = match lines.first().is_some_and(|line| line.ends_with('\r')) {
            true => "\r",
            false => "",
        };
        let new: Vec<String> = new.iter().map(|line| format!("{line}{ending}")).collect();
        let at = at.min(lines.len());
        lines.splice(at..at, new.iter().map(String::as_str));
        lines.join("\n")
    }

    /// Returns the text with an item before the bracket that closes what opens at a spot.
    fn within_brackets(
        &self,
        spot: &Spot,
        closing: char,
        item: &str,
        is_first: bool,
    ) -> Option<String> {
        let start = self.offset(spot);
        let end = start + closes(&self.text[start..], closing)?;
        let before = self.text[..end].trim_end();
        let separator = match (is_first, before.ends_with(',')) {
            (true, _) | (_, true) => " ",
            _ => ", ",
        };
        let gap = if self.text[..end].ends_with(' ') || is_first {
            " "
        } else {
            ""
        };
        Some(format!(
            "{before}{separator}{item}{gap}{}",
            &self.text[end..]
        ))
    }

    fn offset(&self, spot: &Spot) -> usize {
        let lines = self.lines();
        let before = lines.iter().take(spot.line).map(|line| line.len() + 1);
        before.sum::<usize>() + spot.column
    }

    /// Returns the text with elements after the last one of a list that has an element a line.
    fn after_last_element(&self, steps: Vec<Step>, count: usize, new: &[String]) -> Option<String> {
        let mut last = steps;
        last.push(Step::Index(count.checked_sub(1)?));
        let spot = self.spot(last)?;
        let before = &self.lines()[spot.line][..spot.column];
        let indent = before.find('-')?;
        let end = self.end_of_block(spot.line, indent + 1);
        let new = new
            .iter()
            .map(|element| format!("{}- {element}", &before[..indent]));
        Some(self.with_lines(end, &new.collect::<Vec<_>>()))
    }

    /// Returns the text with a single element as a list of that and others.
    fn as_list(&self, steps: Vec<Step>, new: &[String]) -> Option<String> {
        let spot = self.spot(steps.clone())?;
        let lines = self.lines();
        let (before, rest) = lines[spot.line].split_at(spot.column);
        let scalar = scalar(rest)?;
        let indent = before.len() - before.trim_start_matches(' ').len();
        let pad = " ".repeat(indent + 2);
        let mut edited: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let new: String = new
            .iter()
            .map(|element| format!("\n{pad}- {element}"))
            .collect();
        edited[spot.line] = format!(
            "{}\n{pad}- {scalar}{}{new}",
            before.trim_end(),
            &rest[scalar.len()..]
        );
        Some(edited.join("\n"))
    }

    /// Returns the text with another value for a scalar.
    fn replaced(&self, steps: Vec<Step>, value: &str) -> Option<String> {
        let spot = self.spot(steps)?;
        let start = self.offset(&spot);
        let line = self.text[start..].split('\n').next()?;
        let line = line.trim_end_matches('\r');
        let before = self.text[..start].rsplit('\n').next()?;
        let value_there = match before.contains('[') {
            true => element(line),
            false => scalar(line),
        };
        let end = start + value_there?.len();
        Some(format!(
            "{}{value}{}",
            &self.text[..start],
            &self.text[end..]
        ))
    }
}

/// Returns what to do where a suite can't be edited.
fn by_hand(element: &str, place: &str) -> String {
    format!("it can't be edited here; add `{element}` to `{place}` by hand")
}

/// Returns the value at a path, which is made if it is not there.
fn slot<'v>(value: &'v mut Value, path: &[impl AsRef<str>]) -> &'v mut Value {
    path.iter().fold(value, |value, name| {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        &mut value[name.as_ref()]
    })
}

/// Returns the plain element of a list between brackets that a text begins with.
fn element(text: &str) -> Option<&str> {
    let end = text.find([',', ']'])?;
    let element = text[..end].trim_end();
    (!element.is_empty() && !element.contains(['"', '\'', '{', '['])).then_some(element)
}

/// Returns the scalar that a text begins with, if it ends in this line.
fn scalar(text: &str) -> Option<&str> {
    let end = match text.chars().next()? {
        quote @ ('"' | '\'') => 1 + closing_quote(&text[1..], quote)?,
        '|' | '>' | '[' | '{' | '&' | '*' | '!' => return None,
        _ => text.find(" #").unwrap_or(text.len()),
    };
    Some(text[..end].trim_end())
}

/// Returns where the text after a quote ends, behind the other quote.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote == '"' {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == '\'' && quote == '\'' => drop(chars.next()),
                _ => return Some(at + 1),
            }
        }
    }
    None
}

/// Returns where the bracket is that closes the one that a text begins with.
fn closes(text: &str, closing: char) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' if !before.is_alphanumeric() => {
                at += 1 + closing_quote(&text[at + 1..], c)?;
                before = c;
                continue;
            }
            '#' if before.is_whitespace() => {
                at += text[at..].find('\n')?;
                continue;
            }
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return (c == closing).then_some(at);
                }
            }
            _ => {}
        }
        before = c;
        at += c.len_utf8();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn extend(text: &str) -> String {
        let masked = Masked {
            answers: BTreeSet::from(["$.token".to_owned()]),
            sent: BTreeSet::from(["$.key".to_owned()]),
            sent_queries: BTreeSet::from(["api_key".to_owned()]),
            ..Masked::default()
        };
        let shared = ["../cases/shared.json".to_owned()];
        let skipped = FirstCase {
            skip: Some("too large".to_owned()),
            ..FirstCase::new("../cases/b.case.json")
        };
        let addition = Addition {
            cases: vec![FirstCase::new("../cases/a.case.json"), skipped],
            masked: &masked,
            shared: &shared,
        };
        let extended = super::extended(text, &addition).unwrap();
        // What is there is not added again.
        let again = Addition {
            cases: Vec::new(),
            ..addition
        };
        assert_eq!(
            super::extended(&extended, &again).as_deref(),
            Ok(&*extended)
        );
        extended
    }

    #[test]
    fn lists_and_mappings_of_a_line_each_get_lines() {
        let text = "\
# first
name: shop   # a name

cases:
  # the first one
  - ../cases/old.case.json # keep
  - path: ../cases/x.case.json
    skip: later

  # and that's all

policy: {externalHttp: strict}
outbound:
  difference: fail

  body:
    match:
      $.at: timestamp
mocks: auto # as it was
assertions:
    body:
        ignore: [ $.id ]
";
        let wanted = "\
# first
name: shop   # a name

cases:
  # the first one
  - ../cases/old.case.json # keep
  - path: ../cases/x.case.json
    skip: later
  - ../cases/a.case.json
  - { path: ../cases/b.case.json, skip: too large }

  # and that's all

policy: {externalHttp: strict}
outbound:
  difference: fail

  body:
    match:
      $.at: timestamp
      \"$.key\": masked
  query: { ignore: [ api_key ] }
mocks: { auto: true, shared: [ { from: ../cases/shared.json } ] } # as it was
assertions:
    body:
        ignore: [ $.id ]
        match: { \"$.token\": masked }
";
        assert_eq!(extend(text), wanted);
    }

    #[test]
    fn brackets_get_items() {
        let text = "\
name: shop
cases: [ ../cases/old.case.json, 'it''s ], here.case.json' ]
defaults:
  outbound: {query: {ignore: [nonce]}}
  mocks: { auto: true, shared: [] }
  assertions: {}
";
        let wanted = "\
name: shop
cases: [ ../cases/old.case.json, 'it''s ], here.case.json', ../cases/a.case.json, { path: ../cases/b.case.json, skip: too large } ]
defaults:
  outbound: {query: {ignore: [nonce, api_key]}, body: { match: { \"$.key\": masked } }}
  mocks: { auto: true, shared: [ { from: ../cases/shared.json } ] }
  assertions: { body: { match: { \"$.token\": masked } } }
";
        assert_eq!(extend(text), wanted);
    }

    #[test]
    fn one_glob_becomes_a_list() {
        let text = "name: shop\ncases: ../cases/*.case.json # all\nmocks:\n  auto: true\n";
        let wanted = "\
name: shop
cases:
  - ../cases/*.case.json # all
  - ../cases/a.case.json
  - { path: ../cases/b.case.json, skip: too large }
mocks:
  auto: true
  shared: [ { from: ../cases/shared.json } ]
assertions: { body: { match: { \"$.token\": masked } } }
outbound: { body: { match: { \"$.key\": masked } }, query: { ignore: [ api_key ] } }
";
        assert_eq!(extend(text), wanted);
    }

    #[test]
    fn what_can_not_be_edited_is_told() {
        let text = "name: shop\nbase: &cases [ ../cases/old.case.json ]\ncases: *cases\n";
        let masked = Masked::default();
        let addition = Addition {
            cases: vec![FirstCase::new("../cases/a.case.json")],
            masked: &masked,
            shared: &[],
        };
        let why = extended(text, &addition).unwrap_err();
        assert_eq!(
            why,
            "it can't be edited here; add `../cases/a.case.json` to `cases` by hand"
        );
        let list = "name: shop\ncases: []\nmocks: []\n";
        let shared = ["s.json".to_owned()];
        let addition = Addition {
            cases: Vec::new(),
            masked: &masked,
            shared: &shared,
        };
        let why = extended(list, &addition).unwrap_err();
        assert!(why.contains("`mocks` is a list"), "{why}");
    }
}
