//! Suite files: parsed, expanded, merged and checked, so that nothing in them can fail later.

mod app;
mod assertions;
mod edit;
mod expand;
mod fields;
mod first;
mod masked;
mod mocks;
mod names;
mod outbound;
mod request;
mod schema;
mod shared;
mod unquoted;
mod upstream;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub(crate) use app::{
    AppPlan, Intercept, PORT, PortText, Ready, Reset, StopSignal, WAYS, is_path, split_command,
};
pub(crate) use assertions::AssertionPlan;
pub(crate) use edit::{
    Addition, Setting, extended, flow, with_mock, with_mock_settings, with_override, with_settings,
};
pub(crate) use first::{Calls, FirstCase, FirstSuite, quoted};
pub(crate) use masked::Masked;
pub(crate) use mocks::{Expect, MockAction, MockPlan, MockSource, Unused};
pub(crate) use names::{CaseToName, case_names, printable};
pub(crate) use outbound::{Extra, OutboundPlan, Severity};
pub(crate) use request::{RequestPlan, RequestSource};
pub(crate) use request::{is_base_url, request_url};
pub(crate) use schema::schema;
pub(crate) use shared::{Shared, SharedSource};
pub(crate) use upstream::{UpstreamCert, UpstreamPlan, is_host_entry};
pub(crate) use yaml::parse as parse_yaml;

use crate::base::document::{Node, Object, Place, Problems};
use crate::base::json;
use crate::hook::Hooks;
use crate::rule::Policy;
use fields::{CONCURRENCY, ENTRY, SETTINGS, SUITE};

/// A suite that has been read; its case files have not been located yet.
#[derive(Debug, Clone)]
pub(crate) struct Suite {
    /// The suite's name, which is the first part of each trial's name.
    pub name: String,
    /// The suite's file.
    pub file: PathBuf,
    /// The merged environment: the process's variables override the env file's, which override the
    /// suite's own.
    pub env: Arc<BTreeMap<String, String>>,
    /// The file's text, for giving the line numbers of faults that are found later.
    pub(crate) text: Arc<str>,
    /// The elements of `cases` (globs, paths and objects), in order.
    pub entries: Vec<Entry>,
    /// Whether no other case may run beside one of this suite.
    pub serial: bool,
    /// How its application is launched, if it says so.
    pub app: Option<AppPlan>,
}

/// One element of `cases`: a glob, a path or an object.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The file or glob.
    pub path: String,
    /// The element's place in the suite.
    pub(crate) place: Place,
    /// Whether it is an object. Objects are never deduplicated, even if several name the same file.
    pub is_object: bool,
    /// The display name, if any.
    pub name: Option<String>,
    /// The reason to ignore the entry, if it has `skip`. An `only` on another entry also ignores it.
    pub skip: Option<String>,
    /// Whether the entry has `only`, so that every entry without it is ignored.
    pub only: bool,
    /// How the entry's cases are replayed.
    pub plan: Arc<Plan>,
}

/// How a case is replayed: the suite's defaults with the entry's overrides applied.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// The request to send.
    pub request: RequestPlan,
    /// The mocks that answer outbound calls.
    pub mocks: Vec<MockPlan>,
    /// Which exchanges of other cases answer too.
    pub shared: Arc<[Shared]>,
    /// What is asserted about the answer.
    pub assertions: AssertionPlan,
    /// What happens to outbound calls that no mock answers.
    pub policy: Policy,
}

/// A file or glob named in a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The path as written, with variables expanded.
    pub path: String,
    /// Its place in the suite, as `line:column: place`.
    pub at: String,
}

/// The environment and options that a suite is read with.
#[derive(Debug, Clone, Default)]
pub(crate) struct SuiteContext {
    /// The process's environment.
    pub process: BTreeMap<String, String>,
    /// The env file's variables, overridden by the process's environment.
    pub env: BTreeMap<String, String>,
    /// Whether `only` is an error, as it is on CI unless allowed.
    pub forbid_only: bool,
}

/// A suite that has been parsed and expanded, but whose hooks are not known yet.
#[derive(Debug)]
pub(crate) struct Draft {
    shown: PathBuf,
    text: Arc<str>,
    value: Value,
    env: BTreeMap<String, String>,
    problems: Problems,
}

impl Draft {
    /// Parses a suite's text; faults refer to its file as `shown`.
    ///
    /// # Errors
    ///
    /// Returns every fault that keeps the text from being read as YAML, as
    /// `file:line:column: place: message`.
    pub(crate) fn parse(
        shown: &Path,
        text: &str,
        context: &SuiteContext,
    ) -> Result<Self, Vec<String>> {
        let parsed = yaml::parse_with_text(text);
        let (mut value, text) = parsed.map_err(|lines| in_file(shown, lines))?;
        let mut problems = Problems::default();
        let env = merge_env(&mut value, context, &mut problems);
        let app = value.get_mut("app").map(Value::take);
        expand::expand(&mut value, &Place::root(), &env, &mut problems);
        if let Some(mut app) = app {
            // The port is known when the application is launched.
            let mut env = env.clone();
            env.insert("PORT".to_owned(), app::PORT_MARK.to_owned());
            expand::expand(&mut app, &Place::root().key("app"), &env, &mut problems);
            value["app"] = app;
        }
        Ok(Self {
            shown: shown.to_owned(),
            text: text.into(),
            value,
            env,
            problems,
        })
    }

    /// Returns the hook files that the suite names. Faults in the list are left for
    /// [`finish`](Self::finish) to report.
    pub(crate) fn hook_files(&self) -> Vec<Named> {
        let unheard = &mut Problems::default();
        let root = Node::root(&self.value);
        let files = root.map(unheard).and_then(|suite| suite.get("hooks"));
        let files = files.and_then(|node| node.list(unheard));
        let named = files.unwrap_or_default().into_iter().filter_map(|node| {
            let (line, column) = yaml::locate_in(&self.text, &node.place);
            Some(Named {
                path: node.string(unheard)?,
                at: format!("{line}:{column}: {}", node.place),
            })
        });
        named.collect()
    }

    /// Returns the suite, as far as it can be read with these hooks, and every fault in it as
    /// `file:line:column: place: message`. If there is any fault, none of the suite's cases may run.
    pub(crate) fn finish(self, context: &SuiteContext, hooks: &Hooks) -> (Suite, Vec<String>) {
        let Self {
            shown,
            text,
            value,
            env,
            mut problems,
        } = self;
        let reader = Reader { context, hooks };
        let (name, entries) = reader.suite(&value, &mut problems);
        let app = Node::root(&value).value.get("app");
        let app = app.filter(|app| !app.is_null()).and_then(|app| {
            let node = Node::at(app, Place::root().key("app")).lenient();
            AppPlan::read(&node, &mut problems)
        });
        let serial = Node::root(&value).value.get("concurrency");
        let serial = serial.is_some_and(|word| word == "serial");
        let faults = in_file(&shown, yaml::describe(&text, &problems));
        let suite = Suite {
            name: name.unwrap_or_default(),
            file: shown,
            env: Arc::new(env),
            text,
            entries,
            serial: serial || app.as_ref().is_some_and(|app| app.reset.is_some()),
            app,
        };
        (suite, faults)
    }
}

fn in_file(shown: &Path, lines: Vec<String>) -> Vec<String> {
    let shown = shown.display();
    lines.iter().map(|line| format!("{shown}:{line}")).collect()
}

impl Suite {
    /// Returns a place in the suite as `line:column: place`.
    pub(crate) fn at(&self, place: &Place) -> String {
        let (line, column) = yaml::locate_in(&self.text, place);
        format!("{line}:{column}: {place}")
    }
}

/// Merges the suite's `env` into the context's environment, which takes precedence. Variables in its
/// values are expanded from the process's environment alone.
fn merge_env(
    document: &mut Value,
    context: &SuiteContext,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut env = context.env.clone();
    let Some(own) = document.get_mut("env").filter(|own| !own.is_null()) else {
        return env;
    };
    let place = Place::root().key("env");
    expand::expand(own, &place, &context.process, problems);
    for (name, value) in Node::at(own, place)
        .string_map(problems)
        .unwrap_or_default()
    {
        env.entry(name).or_insert(value);
    }
    // Values are expanded only once: any `${` that is left in them is data.
    *own = Value::Null;
    env
}

struct Reader<'d> {
    context: &'d SuiteContext,
    hooks: &'d Hooks,
}

impl Reader<'_> {
    /// Returns the suite's name and entries, as far as they can be read.
    fn suite(&self, value: &Value, problems: &mut Problems) -> (Option<String>, Vec<Entry>) {
        let root = Node::root(value).lenient();
        let Some(suite) = root.fields(&SUITE, problems) else {
            return (None, Vec::new());
        };
        let name = suite.get("name").and_then(|node| {
            let name = node.string(problems)?;
            if name.trim().is_empty() || name.starts_with('-') {
                problems.add(&node.place, "a name must not be empty or start with `-`");
            }
            Some(name)
        });
        if let Some(version) = suite.get("version") {
            version.integer(1, 1, problems);
        }
        if let Some(concurrency) = suite.get("concurrency") {
            concurrency.choice(&CONCURRENCY, problems);
        }
        if let Some(hooks) = suite.get("hooks").filter(|node| !node.value.is_null()) {
            hooks.strings(problems);
        }
        let defaults = suite.get("defaults").filter(|node| !node.value.is_null());
        let defaults = defaults.and_then(|node| node.fields(&SETTINGS, problems));
        let defaults = self.settings(&[Some(suite.clone()), defaults], None, problems);
        let entries = match suite.get("cases") {
            Some(cases) => self.entries(&cases, defaults.as_ref(), problems),
            None => Vec::new(),
        };
        for entry in &entries {
            if entry.only && self.context.forbid_only {
                problems.add(
                    &entry.place.key("only"),
                    "`only` would ignore the other cases on CI; remove it, or allow it with \
                     --allow-only or SOFTPROBE_ALLOW_ONLY=1",
                );
            }
        }
        (name, entries)
    }

    /// Reads each setting from the first of the places that has it, or takes it from `below`. A
    /// setting given in two places is a problem.
    fn settings(
        &self,
        places: &[Option<Object<'_>>],
        below: Option<&Settings>,
        problems: &mut Problems,
    ) -> Option<Settings> {
        let before = problems.0.len();
        let mut find = |name: &str| {
            let mut nodes = places.iter().flatten().filter_map(|o| o.get(name));
            let first = nodes.next();
            if let Some(second) = nodes.next() {
                problems.add(
                    &second.place,
                    format!("`{name}` is also set at the top level; keep one of them"),
                );
            }
            first.filter(|node| !node.value.is_null())
        };
        let (request, policy, mocks) = (find("request"), find("policy"), find("mocks"));
        let (assertions, unused) = (find("assertions"), find("unused"));
        let outbound = find("outbound");
        let hooks = self.hooks;
        let fresh = Settings::default();
        let below = below.unwrap_or(&fresh);
        let settings = Settings {
            request: match request {
                Some(node) => RequestPlan::read(&node, hooks, problems),
                None => Some(below.request.clone()?),
            },
            policy: match policy {
                Some(node) => Policy::read(&node, true, problems),
                None => Some(below.policy.clone()?),
            },
            assertions: match assertions {
                Some(node) => AssertionPlan::read(&node, hooks, problems),
                None => Some(below.assertions.clone()?),
            },
            unused: match unused {
                Some(node) => mocks::read_unused(&node, problems),
                None => below.unused,
            },
            outbound: match outbound {
                Some(node) => outbound::read(&node, hooks, problems),
                None => below.outbound.clone(),
            },
            shared: match &mocks {
                Some(node) => mocks::read_shared(node, problems),
                None => None,
            }
            .unwrap_or_else(|| Arc::clone(&below.shared)),
            mocks: match mocks {
                Some(node) => mocks::read(&node, &below.mocks, hooks, problems)?,
                None => below.mocks.clone(),
            },
        };
        (problems.0.len() == before).then_some(settings)
    }

    fn entries(
        &self,
        cases: &Node<'_>,
        defaults: Option<&Settings>,
        problems: &mut Problems,
    ) -> Vec<Entry> {
        let nodes = match cases.value {
            Value::Array(_) => cases.list(problems).unwrap_or_default(),
            _ => vec![cases.clone()],
        };
        if nodes.is_empty() {
            problems.add(&cases.place, "a suite needs at least one case");
        }
        nodes
            .iter()
            .filter_map(|node| self.entry(node, defaults, problems))
            .collect()
    }

    /// Reads an entry as far as possible and adds what is wrong with it to `problems`.
    fn entry(
        &self,
        node: &Node<'_>,
        defaults: Option<&Settings>,
        problems: &mut Problems,
    ) -> Option<Entry> {
        let mut entry = Entry {
            path: String::new(),
            place: node.place.clone(),
            is_object: node.value.is_object(),
            name: None,
            skip: None,
            only: false,
            plan: defaults.map(Settings::plan).unwrap_or_default(),
        };
        if !entry.is_object {
            entry.path = read_path(node, problems)?;
            return Some(entry);
        }
        let object = node.fields(&ENTRY, problems)?;
        let path = object.get("path");
        entry.path = path.and_then(|path| read_path(&path, problems))?;
        if let Some(name) = object.get("name") {
            entry.name = name.string(problems);
            if entry.name.as_deref().is_some_and(|n| n.trim().is_empty()) {
                problems.add(&name.place, "a name must not be empty");
            }
        }
        if let Some(skip) = object.get("skip") {
            entry.skip = read_skip(&skip, problems);
        }
        if let Some(only) = object.get("only") {
            entry.only = only.boolean(problems).unwrap_or_default();
        }
        if let Some(overrides) = object.get("overrides").filter(|n| !n.value.is_null()) {
            let overrides = overrides.fields(&SETTINGS, problems);
            let settings = overrides
                .and_then(|overrides| self.settings(&[Some(overrides)], defaults, problems));
            entry.plan = settings.map_or(entry.plan, |settings| settings.plan());
        }
        Some(entry)
    }
}

fn read_path(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let path = node.string(problems)?;
    if path.trim().is_empty() {
        problems.add(&node.place, "a path or a glob must not be empty");
        return None;
    }
    Some(path)
}

/// Reads `skip` and returns the reason; `true` has a default reason, and `false` skips nothing.
fn read_skip(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    if json::number_text(node.value).is_some() {
        return node.wrong("true, false or a reason", problems);
    }
    match node.value {
        Value::Bool(true) => Some("skipped by the suite".to_owned()),
        Value::Bool(false) | Value::Null => None,
        Value::String(text) if ["no", "off", "n"].contains(&&*text.trim().to_ascii_lowercase()) => {
            problems.add(
                &node.place,
                format!("`{text}` is not a reason; write `false`, or leave `skip` out"),
            );
            None
        }
        Value::String(text) if text == "true" => Some("skipped by the suite".to_owned()),
        Value::String(text) if text == "false" || text.is_empty() => None,
        Value::String(reason) => Some(reason.clone()),
        _ => node.wrong("true, false or a reason", problems),
    }
}

/// Settings that are being read and merged.
#[derive(Debug, Clone)]
struct Settings {
    request: Option<RequestPlan>,
    policy: Option<Policy>,
    mocks: Vec<MockPlan>,
    shared: Arc<[Shared]>,
    assertions: Option<AssertionPlan>,
    unused: Option<Unused>,
    outbound: OutboundPlan,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request: Some(RequestPlan::default()),
            policy: Some(Policy::default()),
            mocks: Vec::new(),
            shared: Arc::default(),
            assertions: Some(AssertionPlan::default()),
            unused: None,
            outbound: OutboundPlan::default(),
        }
    }
}

impl Settings {
    fn plan(&self) -> Arc<Plan> {
        let Self {
            request,
            policy,
            mocks,
            shared,
            assertions,
            unused,
            outbound,
        } = self.clone();
        let mocks = mocks.into_iter().map(|mut mock| {
            mock.unused = mock.unused.or(unused);
            mock.outbound = mock.outbound.over(&outbound);
            mock
        });
        Arc::new(Plan {
            request: request.unwrap_or_default(),
            mocks: mocks.collect(),
            shared,
            assertions: assertions.unwrap_or_default(),
            policy: policy.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
