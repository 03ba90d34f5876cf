//! Suite files: read, expanded, merged and checked until nothing in them can fail later.

mod assertions;
mod expand;
mod fields;
mod mocks;
mod names;
mod request;
mod schema;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub(crate) use assertions::AssertionPlan;
pub(crate) use mocks::{Expect, MockAction, MockPlan, MockSource, Unused};
pub(crate) use names::{CaseToName, case_names, printable};
pub(crate) use request::{RequestPlan, RequestSource};
pub(crate) use request::{is_base_url, request_url};
pub(crate) use schema::schema;
#[cfg(test)]
pub(crate) use yaml::parse as parse_yaml;

use crate::base::document::{Node, Object, Place, Problems};
use crate::hook::Hooks;
use crate::rule::Policy;
use fields::{ENTRY, SETTINGS, SUITE};

/// A suite, ready to find its cases.
#[derive(Debug, Clone)]
pub(crate) struct Suite {
    /// Its name: the first part of its trials' names.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// The process's environment, the env file's and the suite's own, merged.
    pub env: Arc<BTreeMap<String, String>>,
    /// The file's text, for the lines of faults that are found later.
    pub(crate) text: Arc<str>,
    /// The globs, paths and entries of `cases`, in order.
    pub entries: Vec<Entry>,
}

/// One glob, path or entry of `cases`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// A file or a glob.
    pub path: String,
    /// Where it stands in the suite.
    pub(crate) place: Place,
    /// Whether it is an object: each of those is its own, also for one file.
    pub is_object: bool,
    /// The display name.
    pub name: Option<String>,
    /// Why it is ignored, where it is; `only` elsewhere ignores it as well.
    pub skip: Option<String>,
    /// Whether every entry without this is ignored.
    pub only: bool,
    /// What is done with its cases.
    pub plan: Arc<Plan>,
}

/// What is done with a case: the suite's defaults with the entry's overrides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// What is sent.
    pub request: RequestPlan,
    /// What answers the outbound calls.
    pub mocks: Vec<MockPlan>,
    /// What is asserted.
    pub assertions: AssertionPlan,
    /// What happens to other outbound calls.
    pub policy: Policy,
}

/// A file or a glob that a suite names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// As it is written, variables expanded.
    pub path: String,
    /// Where, as `line:column: place`.
    pub at: String,
}

/// What a suite is read against.
#[derive(Debug, Clone, Default)]
pub(crate) struct SuiteContext {
    /// The process's environment.
    pub process: BTreeMap<String, String>,
    /// The process's environment over the env file's.
    pub env: BTreeMap<String, String>,
    /// Whether `only` is an error: on CI, unless it was allowed.
    pub forbid_only: bool,
}

/// A suite that is parsed and expanded, and whose hooks are not known yet.
#[derive(Debug)]
pub(crate) struct Draft {
    shown: PathBuf,
    text: Arc<str>,
    value: Value,
    env: BTreeMap<String, String>,
    problems: Problems,
}

impl Draft {
    /// Parses a suite's text; `shown` names its file in faults.
    ///
    /// # Errors
    ///
    /// Every fault that keeps it from being YAML, as `file:line:column: place: message`.
    pub(crate) fn parse(
        shown: &Path,
        text: &str,
        context: &SuiteContext,
    ) -> Result<Self, Vec<String>> {
        let mut value = yaml::parse(text).map_err(|lines| in_file(shown, lines))?;
        let mut problems = Problems::default();
        let env = merge_env(&mut value, context, &mut problems);
        expand::expand(&mut value, &Place::root(), &env, &mut problems);
        Ok(Self {
            shown: shown.to_owned(),
            text: text.into(),
            value,
            env,
            problems,
        })
    }

    /// The hook files that it names; what is wrong with their list, [`finish`](Self::finish) says.
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

    /// The suite as far as it can be read with these hooks, and every fault in it as
    /// `file:line:column: place: message`: where there is one, none of its cases may run.
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
        let faults = in_file(&shown, yaml::describe(&text, &problems));
        let suite = Suite {
            name: name.unwrap_or_default(),
            file: shown,
            env: Arc::new(env),
            text,
            entries,
        };
        (suite, faults)
    }
}

fn in_file(shown: &Path, lines: Vec<String>) -> Vec<String> {
    let shown = shown.display();
    lines.iter().map(|line| format!("{shown}:{line}")).collect()
}

impl Suite {
    /// A place in the suite as `line:column: place`.
    pub(crate) fn at(&self, place: &Place) -> String {
        let (line, column) = yaml::locate_in(&self.text, place);
        format!("{line}:{column}: {place}")
    }
}

/// The suite's `env` below what the context has; its values see the process alone.
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
    // Expanded once: a value that contains `${` now is data.
    *own = Value::Null;
    env
}

struct Reader<'d> {
    context: &'d SuiteContext,
    hooks: &'d Hooks,
}

impl Reader<'_> {
    /// The suite's name and its entries, as far as they can be read.
    fn suite(&self, value: &Value, problems: &mut Problems) -> (Option<String>, Vec<Entry>) {
        let root = Node::root(value).lenient();
        let Some(suite) = root.fields(&SUITE, problems) else {
            return (None, Vec::new());
        };
        let name = suite.get("name").and_then(|node| {
            let name = node.string(problems)?;
            if name.trim().is_empty() || name.starts_with('-') {
                problems.add(
                    &node.place,
                    "a name is not empty and does not start with `-`",
                );
            }
            Some(name)
        });
        if let Some(version) = suite.get("version") {
            version.integer(1, 1, problems);
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

    /// Reads the settings from the first place that has each; both having one is a problem.
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
                    format!("`{name}` stands at the top level too; keep one of them"),
                );
            }
            first.filter(|node| !node.value.is_null())
        };
        let (request, policy, mocks) = (find("request"), find("policy"), find("mocks"));
        let (assertions, unused) = (find("assertions"), find("unused"));
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

    /// An entry, as far as it can be read: what is wrong with it is in `problems`.
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
                problems.add(&name.place, "a name is not empty");
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
        problems.add(&node.place, "a file or a glob is wanted here");
        return None;
    }
    Some(path)
}

/// `true`, or the reason; `false` skips nothing.
fn read_skip(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    match node.value {
        Value::Bool(true) => Some("skipped by the suite".to_owned()),
        Value::Bool(false) | Value::Null => None,
        Value::String(text) if text == "true" => Some("skipped by the suite".to_owned()),
        Value::String(text) if text == "false" || text.is_empty() => None,
        Value::String(reason) => Some(reason.clone()),
        _ => node.wrong("true, false or a reason", problems),
    }
}

/// Settings while they are read and merged.
#[derive(Debug, Clone)]
struct Settings {
    request: Option<RequestPlan>,
    policy: Option<Policy>,
    mocks: Vec<MockPlan>,
    assertions: Option<AssertionPlan>,
    unused: Option<Unused>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request: Some(RequestPlan::default()),
            policy: Some(Policy::default()),
            mocks: Vec::new(),
            assertions: Some(AssertionPlan::default()),
            unused: None,
        }
    }
}

impl Settings {
    fn plan(&self) -> Arc<Plan> {
        let Self {
            request,
            policy,
            mocks,
            assertions,
            unused,
        } = self.clone();
        let mocks = mocks.into_iter().map(|mut mock| {
            mock.unused = mock.unused.or(unused);
            mock
        });
        Arc::new(Plan {
            request: request.unwrap_or_default(),
            mocks: mocks.collect(),
            assertions: assertions.unwrap_or_default(),
            policy: policy.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
