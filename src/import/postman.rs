//! Reads Postman's collections, version 2.1, with the answers that were saved in them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::message::{basic_of, has_body, http_url, push_field, set_body, text_of};
use super::{Entry, Item};
use crate::base::document::{Node, Object, Problems};
use crate::base::encoding::{encode_base64, split_mark};
use crate::base::http::{Headers, Request, Response, split_url};
use crate::base::json;

/// The most folders in each other that are read.
const DEEPEST: usize = 100;

/// Values for `{{name}}`.
pub(crate) type Variables = BTreeMap<String, String>;

/// Returns what a collection holds, in its order. `given` are variables, which come before the collection's own.
///
/// # Errors
///
/// What is wrong with it, each with its place.
pub(crate) fn read(text: &str, given: &Variables) -> Result<Vec<Item>, Vec<String>> {
    let document = parse(text)?;
    let mut problems = Problems::default();
    let mut reader = Reader {
        items: Vec::new(),
        given,
    };
    let read = reader.collection(&document, &mut problems);
    let found = problems
        .without_values()
        .into_result(read.map(|()| reader.items));
    found.map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

/// Returns the variables of an exported environment.
///
/// # Errors
///
/// What is wrong with it, each with its place.
pub(crate) fn read_environment(text: &str) -> Result<Variables, Vec<String>> {
    let document = parse(text)?;
    let mut problems = Problems::default();
    let variables = environment(&document, &mut problems);
    let found = problems.without_values().into_result(variables);
    found.map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

fn parse(text: &str) -> Result<Value, Vec<String>> {
    let (_, text) = split_mark(text);
    json::parse(text).map_err(|error| vec![format!("not JSON: {error}")])
}

fn environment(document: &Value, problems: &mut Problems) -> Option<Variables> {
    let root = Node::root(document);
    let file = root.map(problems)?;
    let Some(values) = file.get("values") else {
        return root.wrong(
            "an environment of Postman, an object with `values`",
            problems,
        );
    };
    let mut variables = Variables::new();
    add_variables(&values, &mut variables, problems)?;
    Some(variables)
}

/// Adds the variables of a list, unless they are disabled or have no value.
fn add_variables(
    list: &Node<'_>,
    variables: &mut Variables,
    problems: &mut Problems,
) -> Option<()> {
    for variable in list.list(problems)? {
        let variable = variable.map(problems)?;
        let is_off = is_true(&variable, "disabled")
            || variable
                .given("enabled")
                .is_some_and(|on| !is_flag(&on, true));
        let name = text_of(&variable, "key").or_else(|| text_of(&variable, "id"));
        if let (Some(name), Some(value), false) = (name, variable.given("value"), is_off)
            && let Some(value) = value.scalar_text(&mut Problems::default())
        {
            variables.insert(name, value);
        }
    }
    Some(())
}

fn is_flag(node: &Node<'_>, wanted: bool) -> bool {
    node.boolean(&mut Problems::default()) == Some(wanted)
}

fn is_true(object: &Object<'_>, name: &str) -> bool {
    object.given(name).is_some_and(|node| is_flag(&node, true))
}

struct Reader<'g> {
    items: Vec<Item>,
    given: &'g Variables,
}

/// What a request has from the folders around it.
#[derive(Clone, Default)]
struct Around<'d> {
    variables: Variables,
    auth: Option<Node<'d>>,
    has_script: bool,
    /// Whether bodies of methods that usually have none are sent.
    keeps_bodies: bool,
    depth: usize,
}

impl Reader<'_> {
    fn collection(&mut self, document: &Value, problems: &mut Problems) -> Option<()> {
        let root = Node::root(document);
        let file = root.map(problems)?;
        let schema = file.get("info").and_then(|info| {
            let info = info.map(&mut Problems::default())?;
            text_of(&info, "schema")
        });
        match schema {
            Some(schema) if schema.contains("/v2.1") => {}
            Some(schema) if schema.contains("/v2.0") || schema.contains("/v1") => {
                return root.wrong(
                    "a collection of version 2.1; export it again as \"Collection v2.1\"",
                    problems,
                );
            }
            _ => {
                return root.wrong(
                    "a collection of Postman, whose info.schema names version 2.1",
                    problems,
                );
            }
        }
        self.folder(&file, &Around::default(), problems)
    }

    fn folder<'d>(
        &mut self,
        folder: &Object<'d>,
        around: &Around<'d>,
        problems: &mut Problems,
    ) -> Option<()> {
        let mut own = around.inside(folder, problems)?;
        own.depth += 1;
        let list = folder.require("item", problems)?;
        if own.depth > DEEPEST {
            return list.wrong("fewer folders in each other", problems);
        }
        let mut is_right = true;
        for node in list.list(problems)? {
            let Some(item) = node.map(problems) else {
                is_right = false;
                continue;
            };
            let read = match item.given("request") {
                None => self.folder(&item, &own, problems),
                Some(_) => self.item(&node, &item, &own, problems),
            };
            // All of them, so that every fault is told.
            is_right &= read.is_some();
        }
        is_right.then_some(())
    }

    fn item<'d>(
        &mut self,
        node: &Node<'d>,
        item: &Object<'d>,
        around: &Around<'d>,
        problems: &mut Problems,
    ) -> Option<()> {
        let mut own = around.inside(item, problems)?;
        let note = own
            .has_script
            .then_some("the scripts that Postman runs before it are not run");
        let request = item.require("request", problems)?;
        if let Some(object) = request.map(&mut Problems::default()) {
            // A saved answer's request does not repeat it.
            own.auth = object.given("auth").or(own.auth);
            let is_draft = object.given("url").is_none_or(|url| {
                url.string(&mut Problems::default())
                    .is_some_and(|url| url.is_empty())
            });
            if is_draft {
                let name = text_of(item, "name").unwrap_or_default();
                self.items.push(Item::Other(name, "it has no URL"));
                return Some(());
            }
        }
        let mut saved = match item.given("response") {
            Some(saved) => saved.list(problems)?,
            None => Vec::new(),
        };
        saved.retain(|node| node.map(&mut Problems::default()).is_some());
        if saved.is_empty() {
            let (request, unusable_request) = self.request(&request, &own, problems)?;
            self.items.push(Item::Exchange(Box::new(Entry {
                place: node.place.to_string(),
                request,
                answer: Err("no answer is saved with it".to_owned()),
                times_ns: (0, 0),
                unusable_request,
                unusable_answer: None,
                note,
            })));
            return Some(());
        }
        for node in saved {
            let saved = node.map(problems)?;
            let asked = saved.given("originalRequest");
            let (request, unusable_request) =
                self.request(asked.as_ref().unwrap_or(&request), &own, problems)?;
            let (answer, unusable_answer) = answer(&saved, &request.method, problems)?;
            self.items.push(Item::Exchange(Box::new(Entry {
                place: node.place.to_string(),
                request,
                answer,
                times_ns: (0, 0),
                unusable_request,
                unusable_answer,
                note,
            })));
        }
        Some(())
    }

    /// Returns a request, and why it can't be sent as Postman does.
    fn request<'d>(
        &self,
        node: &Node<'d>,
        around: &Around<'d>,
        problems: &mut Problems,
    ) -> Option<(Request, Option<String>)> {
        let fill = |text: &str, node: &Node<'_>, problems: &mut Problems| {
            self.filled(text, around, node, problems)
        };
        // The short form is its URL alone.
        if node.string(&mut Problems::default()).is_some() {
            let url = self.url(node, around, problems)?;
            return Some((Request::new("GET", &url), None));
        }
        let request = node.map(problems)?;
        let url = self.url(&request.require("url", problems)?, around, problems)?;
        let method = text_of(&request, "method").unwrap_or_else(|| "GET".to_owned());
        let method = fill(&method, node, problems)?;
        let mut read = Request::new(method, &url);
        if let Some(list) = request.given("header") {
            for (key, value, field) in fields(&list, problems)? {
                let key = fill(&key, &field, problems)?;
                let value = fill(&value, &field, problems)?;
                let (key, value) = ((&*key, &field), (&*value, &field));
                push_field(&mut read.headers, key, value, problems)?;
            }
        }
        if let Some(basic) = basic_of(&url)
            && !read.headers.contains("authorization")
        {
            read.headers.push("authorization", basic);
        }
        let mut unusable = None;
        let auth = request.given("auth").or_else(|| around.auth.clone());
        if let Some(auth) = auth {
            match self.authorize(&auth, around, &mut read, problems)? {
                Ok(()) => {}
                Err(why) => unusable = Some(why),
            }
        }
        let is_pruned = matches!(&*read.method, "GET" | "HEAD" | "COPY" | "PURGE" | "UNLOCK");
        if let Some(body) = request
            .given("body")
            .filter(|_| !is_pruned || around.keeps_bodies)
        {
            match self.body(&body, around, &mut read.headers, problems)? {
                Ok(body) => read.body = body,
                Err(why) => unusable = Some(why),
            }
        }
        read.headers.remove("content-length");
        Some((read, unusable))
    }

    fn url<'d>(
        &self,
        node: &Node<'d>,
        around: &Around<'d>,
        problems: &mut Problems,
    ) -> Option<String> {
        let (raw, ways) = match node.string(&mut Problems::default()) {
            Some(raw) => (raw, Variables::new()),
            None => {
                let url = node.map(problems)?;
                let mut ways = Variables::new();
                if let Some(list) = url.given("variable") {
                    add_variables(&list, &mut ways, problems)?;
                }
                let Some(raw) = text_of(&url, "raw").or_else(|| url_of_parts(&url)) else {
                    return node.wrong("a URL with `raw` or `host`", problems);
                };
                (raw, ways)
            }
        };
        let raw = self.filled(&raw, around, node, problems)?;
        let Some(whole) = http_url(&raw) else {
            return node.wrong("a URL of http or https", problems);
        };
        let (scheme, host, target) = split_url(&whole)?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let steps = path.split('/').map(|step| match step.strip_prefix(':') {
            Some(name) => match ways.get(name) {
                Some(value) => self.filled(value, around, node, problems),
                None => Some(step.to_owned()),
            },
            None => Some(step.to_owned()),
        });
        let path = steps.collect::<Option<Vec<String>>>()?.join("/");
        Some(match query {
            Some(query) => format!("{scheme}://{host}{path}?{query}"),
            None => format!("{scheme}://{host}{path}"),
        })
    }

    /// Fills in variables, also those in values of others.
    fn filled(
        &self,
        text: &str,
        around: &Around<'_>,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<String> {
        const MOST: usize = 1000;
        let mut text = text.to_owned();
        for _ in 0..MOST {
            let Some((start, name)) = variable(&text) else {
                return Some(text);
            };
            let value = self.given.get(name).or_else(|| around.variables.get(name));
            let Some(value) = value else {
                let name = name.to_owned();
                problems.add(
                    &node.place,
                    format!("the variable `{name}` has no value here; give it with --variable {name}=VALUE or --environment FILE"),
                );
                return None;
            };
            let end = start + name.len() + 4;
            text = format!("{}{value}{}", &text[..start], &text[end..]);
            if text.len() > 1 << 20 {
                break;
            }
        }
        problems.add(
            &node.place,
            "its variables stand for each other without an end",
        );
        None
    }

    /// Adds what authorizes a request; returns why it can't, if it can't.
    fn authorize<'d>(
        &self,
        node: &Node<'d>,
        around: &Around<'d>,
        request: &mut Request,
        problems: &mut Problems,
    ) -> Option<Result<(), String>> {
        let auth = node.map(problems)?;
        let kind = text_of(&auth, "type").unwrap_or_default();
        let mut values = Variables::new();
        if let Some(list) = auth.given(&kind) {
            add_variables(&list, &mut values, problems)?;
        }
        let mut value = |name: &str| {
            let value = values.get(name).map_or("", String::as_str);
            self.filled(value, around, node, problems)
        };
        let mut set = |name: &str, value: String| {
            // What is given by hand stays.
            if !request.headers.contains(name) {
                request.headers.push(name, value);
            }
        };
        match kind.as_str() {
            "" | "noauth" | "inherit" => {}
            "bearer" => set("authorization", format!("Bearer {}", value("token")?)),
            "basic" => {
                let credentials = format!("{}:{}", value("username")?, value("password")?);
                set(
                    "authorization",
                    format!("Basic {}", encode_base64(credentials.as_bytes())),
                );
            }
            "apikey" => {
                let (name, key, place) = (value("key")?, value("value")?, value("in")?);
                match place.as_str() {
                    "query" => {
                        let field = form_urlencoded::Serializer::new(String::new())
                            .append_pair(&name, &key)
                            .finish();
                        request.query = Some(match &request.query {
                            Some(query) => format!("{query}&{field}"),
                            None => field,
                        });
                    }
                    _ if http::HeaderName::from_bytes(name.as_bytes()).is_ok() => set(&name, key),
                    _ => return node.wrong("the name of a header", problems),
                }
            }
            other => {
                return Some(Err(format!(
                    "its authorization `{other}` is made by Postman alone"
                )));
            }
        }
        Some(Ok(()))
    }

    /// Returns the body of a request, or why it can't be made.
    fn body<'d>(
        &self,
        node: &Node<'d>,
        around: &Around<'d>,
        headers: &mut Headers,
        problems: &mut Problems,
    ) -> Option<Result<Vec<u8>, String>> {
        let body = node.map(problems)?;
        let mode = text_of(&body, "mode").unwrap_or_default();
        if is_true(&body, "disabled") {
            return Some(Ok(Vec::new()));
        }
        let mut imply = |kind: &str| {
            if !headers.contains("content-type") {
                headers.push("content-type", kind);
            }
        };
        let text = match mode.as_str() {
            "" | "none" => String::new(),
            "raw" => {
                let Some(raw) = text_of(&body, "raw") else {
                    return Some(Ok(Vec::new()));
                };
                let language = body.given("options").and_then(|options| {
                    let quiet = &mut Problems::default();
                    let raw = options.map(quiet)?.given("raw")?.map(quiet)?;
                    text_of(&raw, "language")
                });
                imply(match language.as_deref() {
                    Some("json") => "application/json",
                    Some("xml") => "application/xml",
                    Some("html") => "text/html",
                    Some("javascript") => "application/javascript",
                    _ => "text/plain",
                });
                self.filled(&raw, around, node, problems)?
            }
            "urlencoded" => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                if let Some(list) = body.given("urlencoded") {
                    for (key, value, field) in fields(&list, problems)? {
                        let key = self.filled(&key, around, &field, problems)?;
                        let value = self.filled(&value, around, &field, problems)?;
                        form.append_pair(&key, &value);
                    }
                }
                let form = form.finish();
                if !form.is_empty() {
                    imply("application/x-www-form-urlencoded");
                }
                form
            }
            "graphql" => {
                imply("application/json");
                let graphql = body.require("graphql", problems)?.map(problems)?;
                let query = self.filled(
                    &text_of(&graphql, "query").unwrap_or_default(),
                    around,
                    node,
                    problems,
                )?;
                let variables = match graphql.given("variables") {
                    None => String::new(),
                    Some(node) => match node.string(&mut Problems::default()) {
                        Some(text) => text,
                        None => json::show(node.value),
                    },
                };
                let variables = self.filled(&variables, around, node, problems)?;
                let variables = match variables.trim() {
                    "" => "{}",
                    variables if json::parse(variables).is_ok() => variables,
                    _ => return node.wrong("JSON as the variables of GraphQL", problems),
                };
                // Numbers keep their digits.
                let operation = text_of(&graphql, "operationName");
                let operation =
                    operation.map(|name| format!("\"operationName\":{},", Value::from(name)));
                format!(
                    "{{{}\"query\":{},\"variables\":{variables}}}",
                    operation.unwrap_or_default(),
                    Value::from(query)
                )
            }
            "formdata" | "file" => {
                return Some(Err(format!(
                    "its body, `{mode}`, is made by Postman alone; softprobe capture run records it as it is sent"
                )));
            }
            _ => return node.wrong("a body in a mode that Postman documents", problems),
        };
        Some(Ok(text.into_bytes()))
    }
}

impl<'d> Around<'d> {
    /// Returns what stands around what is in a folder.
    fn inside(&self, folder: &Object<'d>, problems: &mut Problems) -> Option<Self> {
        let mut own = self.clone();
        if let Some(variables) = folder.given("variable") {
            add_variables(&variables, &mut own.variables, problems)?;
        }
        if let Some(auth) = folder.given("auth") {
            own.auth = Some(auth);
        }
        let quiet = &mut Problems::default();
        let behavior = folder
            .given("protocolProfileBehavior")
            .and_then(|own| own.map(quiet));
        own.keeps_bodies |= behavior.is_some_and(|own| is_true(&own, "disableBodyPruning"));
        let events = folder.given("event").and_then(|events| events.list(quiet));
        own.has_script |= events.into_iter().flatten().any(|event| {
            let quiet = &mut Problems::default();
            let event = event.map(quiet);
            event.is_some_and(|event| {
                text_of(&event, "listen").as_deref() == Some("prerequest") && has_lines(&event)
            })
        });
        Some(own)
    }
}

/// Returns whether the script of an event has a line.
fn has_lines(event: &Object<'_>) -> bool {
    let quiet = &mut Problems::default();
    let script = event.given("script").and_then(|script| script.map(quiet));
    let Some(lines) = script.and_then(|script| script.given("exec")) else {
        return false;
    };
    match lines.strings(&mut Problems::default()) {
        Some(lines) => lines.iter().any(|line| !line.trim().is_empty()),
        None => lines
            .string(&mut Problems::default())
            .is_some_and(|line| !line.trim().is_empty()),
    }
}

/// Returns the first variable in a text: where `{{` stands, and its name.
fn variable(text: &str) -> Option<(usize, &str)> {
    let mut from = 0;
    while let Some(start) = text[from..].find("{{") {
        let start = from + start;
        let rest = &text[start + 2..];
        let name = rest.split_once("}}").map(|(name, _)| name);
        // What is no name is JSON.
        let is_name = |name: &&str| {
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "{}\":,".contains(c))
        };
        if let Some(name) = name.filter(is_name) {
            return Some((start, name));
        }
        from = start + 1;
    }
    None
}

/// Returns a saved answer, or why there is none, and why it can't be compared.
fn answer(
    saved: &Object<'_>,
    method: &str,
    problems: &mut Problems,
) -> Option<(Result<Response, String>, Option<String>)> {
    let Some(code) = saved.given("code") else {
        return Some((Err("its saved answer has no status".to_owned()), None));
    };
    let code_node = code;
    let Some(status) = code_node.status(problems).filter(|status| *status >= 200) else {
        return code_node.wrong("the status of an answer, from 200 on", problems);
    };
    let mut answer = Response::new(status);
    if let Some(list) = saved.given("header") {
        for (key, value, field) in fields(&list, problems)? {
            let (key, value) = ((&*key, &field), (&*value, &field));
            push_field(&mut answer.headers, key, value, problems)?;
        }
    }
    let mut unusable = None;
    if has_body(method, status) {
        let body = match saved.given("body") {
            Some(body) => body.string(problems)?,
            None => {
                unusable = Some("the body of its answer is not saved with it".to_owned());
                String::new()
            }
        };
        set_body(&mut answer, body.into_bytes());
    }
    Some((Ok(answer), unusable))
}

/// Returns the names and values of a list that are neither disabled nor without a name, or of the lines of a text.
fn fields<'d>(list: &Node<'d>, problems: &mut Problems) -> Option<Vec<(String, String, Node<'d>)>> {
    if let Some(lines) = list.string(&mut Problems::default()) {
        let lines = lines.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.map(|(name, value)| {
            (
                name.trim().to_owned(),
                value.trim().to_owned(),
                list.clone(),
            )
        });
        return Some(lines.collect());
    }
    let mut fields = Vec::new();
    for field in list.list(problems)? {
        let object = field.map(problems)?;
        let value = object.given("value");
        let value = value.and_then(|value| value.scalar_text(&mut Problems::default()));
        if let Some(name) = text_of(&object, "key").filter(|_| !is_true(&object, "disabled")) {
            fields.push((name, value.unwrap_or_default(), field.clone()));
        }
    }
    Some(fields)
}

/// Returns a URL of which only the parts are given.
fn url_of_parts(url: &Object<'_>) -> Option<String> {
    let quiet = &mut Problems::default();
    let joined = |name: &str, separator: &str| {
        let node = url.given(name)?;
        if let Some(text) = node.string(&mut Problems::default()) {
            return Some(text);
        }
        let parts = node.list(&mut Problems::default())?;
        let parts = parts.iter().map(|part| {
            let text = part.string(&mut Problems::default());
            text.or_else(|| text_of(&part.map(&mut Problems::default())?, "value"))
        });
        Some(parts.collect::<Option<Vec<String>>>()?.join(separator))
    };
    let mut whole = joined("host", ".")?;
    if let Some(protocol) = text_of(url, "protocol") {
        whole = format!("{protocol}://{whole}");
    }
    if let Some(port) = text_of(url, "port") {
        whole = format!("{whole}:{port}");
    }
    if let Some(path) = joined("path", "/") {
        whole = format!("{whole}/{}", path.trim_start_matches('/'));
    }
    let query = url.given("query").and_then(|query| fields(&query, quiet));
    let query = query
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value, _)| format!("{name}={value}"));
    let query = query.collect::<Vec<_>>().join("&");
    Some(match query.as_str() {
        "" => whole,
        query => format!("{whole}?{query}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn collection(change: impl FnOnce(&mut Value)) -> String {
        let mut document = json!({
            "info": {
                "name": "shop",
                "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
            },
            "variable": [
                {"key": "base", "value": "https://{{host}}/v1"},
                {"key": "host", "value": "shop.example"},
                {"key": "off", "value": "x", "disabled": true},
            ],
            "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
            "item": [
                {"name": "orders", "item": [{
                    "name": "create",
                    "request": {
                        "method": "POST",
                        "header": [
                            {"key": "x-shop", "value": "{{host}}"},
                            {"key": "x-off", "value": "1", "disabled": true},
                        ],
                        "url": {
                            "raw": "{{base}}/orders/:id?page=2",
                            "host": ["{{base}}"], "path": ["orders", ":id"],
                            "variable": [{"key": "id", "value": "7"}],
                        },
                        "body": {
                            "mode": "raw", "raw": "{\"a\": {\"b\": \"{{host}}\"}}",
                            "options": {"raw": {"language": "json"}},
                        },
                    },
                    "response": [{
                        "name": "created", "code": 201, "status": "Created",
                        "header": [
                            {"key": "Content-Type", "value": "application/json"},
                            {"key": "Content-Encoding", "value": "gzip"},
                        ],
                        "body": "{\"id\": 7}",
                    }],
                }]},
                {"name": "health", "request": "shop.example/health"},
            ],
        });
        change(&mut document);
        document.to_string()
    }

    fn given() -> Variables {
        Variables::from([("token".to_owned(), "abc".to_owned())])
    }

    fn entries(change: impl FnOnce(&mut Value)) -> Vec<Entry> {
        let items = read(&collection(change), &given()).unwrap();
        let entries = items.into_iter().map(|item| match item {
            Item::Exchange(entry) => *entry,
            Item::Other(what, _) => panic!("{what}"),
        });
        entries.collect()
    }

    #[test]
    fn a_request_has_its_variables_its_authorization_and_its_saved_answer() {
        let entries = entries(|_| {});
        let Entry {
            place,
            request,
            answer,
            ..
        } = &entries[0];
        assert_eq!(place, "item[0].item[0].response[0]");
        assert_eq!(request.to_string(), "POST shop.example/v1/orders/7?page=2");
        assert_eq!(request.scheme, "https");
        assert_eq!(request.body, br#"{"a": {"b": "shop.example"}}"#);
        let headers: Vec<_> = request.headers.iter().collect();
        let wanted: [(&str, &[u8]); 3] = [
            ("x-shop", b"shop.example"),
            ("authorization", b"Bearer abc"),
            ("content-type", b"application/json"),
        ];
        assert_eq!(headers, wanted);
        let answer = answer.as_ref().unwrap();
        assert_eq!((answer.status, &*answer.body), (201, &br#"{"id": 7}"#[..]));
        assert_eq!(answer.headers.names(), ["content-type"]);
        let health = &entries[1];
        assert_eq!(health.request.to_string(), "GET shop.example/health");
        assert_eq!(health.answer, Err("no answer is saved with it".to_owned()));
    }

    #[test]
    fn each_saved_answer_has_its_own_request() {
        let entries = entries(|document| {
            let saved = &mut document["item"][0]["item"][0]["response"];
            let mut second = saved[0].clone();
            second["code"] = 404.into();
            second["originalRequest"] = json!({"method": "GET", "url": {"raw": "{{base}}/none"}});
            saved.as_array_mut().unwrap().push(second);
        });
        assert_eq!(entries[1].request.to_string(), "GET shop.example/v1/none");
        assert_eq!(entries[1].answer.as_ref().unwrap().status, 404);
    }

    #[test]
    fn bodies_and_authorizations_are_made_as_postman_does() {
        let request = |change: Value| {
            let mut entries = entries(|document| {
                let own = &mut document["item"][0]["item"][0];
                own["response"] = json!([]);
                for (name, value) in change.as_object().unwrap() {
                    own["request"][name] = value.clone();
                }
            });
            let entry = entries.remove(0);
            (entry.request, entry.unusable_request.unwrap_or_default())
        };
        let (form, _) = request(json!({"body": {"mode": "urlencoded", "urlencoded": [
            {"key": "q", "value": "a b"}, {"key": "off", "value": "1", "disabled": true},
            {"key": "host", "value": "{{host}}"},
        ]}}));
        assert_eq!(form.body, b"q=a+b&host=shop.example");
        assert_eq!(
            form.headers.text("content-type").unwrap(),
            "application/x-www-form-urlencoded"
        );
        let (graphql, _) = request(json!({"body": {"mode": "graphql", "graphql": {
            "query": "{ a }", "variables": "{\"id\": 12345678901234567890123}", "operationName": "b",
        }}}));
        let wanted =
            r#"{"operationName":"b","query":"{ a }","variables":{"id": 12345678901234567890123}}"#;
        assert_eq!(graphql.body, wanted.as_bytes());
        let (_, why) = request(json!({"body": {"mode": "formdata", "formdata": []}}));
        assert!(why.contains("`formdata`"), "{why}");
        let (key, _) = request(json!({"auth": {"type": "apikey", "apikey": [
            {"key": "key", "value": "api key"}, {"key": "value", "value": "k&1"}, {"key": "in", "value": "query"},
        ]}}));
        assert_eq!(key.query.as_deref(), Some("page=2&api+key=k%261"));
        let (basic, _) = request(json!({"auth": {"type": "basic", "basic": [
            {"key": "username", "value": "me"}, {"key": "password", "value": "secret"},
        ]}}));
        assert_eq!(
            basic.headers.text("authorization").unwrap(),
            "Basic bWU6c2VjcmV0"
        );
        let (none, why) = request(json!({"auth": {"type": "noauth"}}));
        assert_eq!(
            (none.headers.text("authorization"), why.as_str()),
            (None, "")
        );
        let (_, why) = request(json!({"auth": {"type": "oauth2", "oauth2": []}}));
        assert!(why.contains("`oauth2`"), "{why}");
    }

    #[test]
    fn what_postman_leaves_out_is_left_out() {
        let item = |change: fn(&mut Value)| {
            entries(|document| change(&mut document["item"][0]["item"][0]))
        };
        // Bodies of methods that have none, drafts, and rows without a name.
        let pruned = item(|own| own["request"]["method"] = "GET".into());
        assert!(pruned[0].request.body.is_empty());
        assert!(!pruned[0].request.headers.contains("content-type"));
        let kept = item(|own| {
            own["request"]["method"] = "GET".into();
            own["protocolProfileBehavior"] = json!({"disableBodyPruning": true});
        });
        assert!(!kept[0].request.body.is_empty());
        let rows = item(|own| own["request"]["header"] = json!([{"key": "", "value": null}]));
        assert_eq!(rows[0].request.headers.len(), 2);
        let lines = item(|own| own["request"]["header"] = "x-a: 1\nx-b: 2".into());
        assert_eq!(lines[0].request.headers.len(), 4);
        let draft = collection(|document| {
            document["item"][0]["item"][0]["request"] = json!({"method": "GET", "header": []})
        });
        let items = read(&draft, &given()).unwrap();
        assert_eq!(items[0], Item::Other("create".to_owned(), "it has no URL"));
        // An answer whose body is not known is not one without a body.
        let unknown = item(|own| own["response"][0]["body"] = Value::Null);
        assert!(unknown[0].unusable_answer.is_some());
        // The request of an answer has the authorization of its item.
        let own = item(|own| {
            own["request"]["auth"] = json!({"type": "noauth"});
            own["response"][0]["originalRequest"] = json!({"url": {
                "protocol": "https", "host": ["shop", "example"], "port": "8443", "path": ["a", {"value": "b"}],
                "query": [{"key": "q", "value": "1"}, {"key": "off", "value": "1", "disabled": true}],
            }});
        });
        assert_eq!(own[0].request.to_string(), "GET shop.example:8443/a/b?q=1");
        assert!(own[0].request.headers.is_empty());
    }

    #[test]
    fn a_script_before_a_request_is_told() {
        let script = |lines: Value| json!([{"listen": "prerequest", "script": {"exec": lines}}]);
        assert!(
            entries(|document| document["event"] = script(json!(["pm.x()"])))[1]
                .note
                .is_some()
        );
        assert!(
            entries(|document| document["event"] = script(json!([""])))[1]
                .note
                .is_none()
        );
    }

    #[test]
    fn an_environment_has_its_enabled_values() {
        let text = r#"{"name": "test", "values": [
            {"key": "a", "value": "1", "enabled": true}, {"key": "b", "value": "2", "enabled": false}
        ]}"#;
        let wanted = Variables::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(read_environment(text), Ok(wanted));
        assert!(read_environment("{}").unwrap_err()[0].contains("an object with `values`"));
    }

    #[test]
    fn each_fault_is_told_with_its_place() {
        let faults =
            |change: fn(&mut Value)| read(&collection(change), &given()).unwrap_err().join("; ");
        let unknown = faults(|document| document["variable"] = json!([]));
        assert!(
            unknown
                .starts_with("item[0].item[0].request.url: the variable `base` has no value here"),
            "{unknown}"
        );
        let circle = faults(|document| document["variable"][1]["value"] = "{{base}}".into());
        assert!(circle.contains("stand for each other"), "{circle}");
        let old = faults(|document| {
            document["info"]["schema"] = "https://x/collection/v2.0.0/collection.json".into()
        });
        assert!(old.contains("export it again"), "{old}");
        assert!(faults(|document| *document = json!({"a": 1})).contains("a collection of Postman"));
        let url = faults(|document| document["item"][1]["request"] = "ftp://a/".into());
        assert!(
            url.starts_with("item[1].request: expected a URL of http or https"),
            "{url}"
        );
        let status =
            faults(|document| document["item"][0]["item"][0]["response"][0]["code"] = 99.into());
        assert!(
            status.starts_with("item[0].item[0].response[0].code"),
            "{status}"
        );
        let mode = faults(|document| {
            document["item"][0]["item"][0]["request"]["body"]["mode"] = "odd".into()
        });
        assert!(mode.contains("a mode that Postman documents"), "{mode}");
        let both = faults(|document| {
            document["item"][0]["item"][0]["request"]["url"] = "ftp://a/".into();
            document["item"][1]["request"] = "ftp://a/".into();
        });
        assert_eq!(both.matches("a URL of http").count(), 2, "{both}");
        assert!(read("x", &given()).unwrap_err()[0].starts_with("not JSON"));
    }

    #[test]
    fn only_names_in_braces_are_variables() {
        assert_eq!(variable(r#"{"a":{{"b"}}}"#), None);
        assert_eq!(variable("{{{b}}}"), Some((1, "b")));
        assert_eq!(variable("a{{$guid}}"), Some((1, "$guid")));
        assert_eq!(variable("{{}} {{ a }}"), None);
    }
}
