//! The predicate `body`: what the body of a request must be.

use regex::Regex;
use serde_json::{Map, Value};

use crate::base::compile::compile_regex;
use crate::base::document::{Node, Problems};
use crate::compare::{BodyRules, COMPARISON_FIELDS};

/// What the body of a request must be. All that is given must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyPredicate {
    /// A text that it must equal, or JSON that it must equal by value.
    pub(super) equals: Option<Value>,
    /// A pattern to find in it.
    pub(super) regex: Option<Regex>,
    /// Fields that it must have as a form.
    pub(super) form: Vec<(String, String)>,
    /// What it must be like, with the rules by which they are compared.
    pub(super) like: Option<BodyRules>,
}

/// The fields of the predicate `body`, apart from those that go with `like`.
pub(super) const BODY_FIELDS: [&str; 4] = ["equals", "regex", "form", "like"];

impl BodyPredicate {
    /// Returns the predicate for bodies like this text.
    #[cfg(feature = "runner")]
    pub(crate) fn like(text: &str, rules: &BodyRules) -> Self {
        Self {
            like: Some(BodyRules {
                expected: Some(text.into()),
                ..rules.clone()
            }),
            ..Self::default()
        }
    }

    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let known = [BODY_FIELDS, COMPARISON_FIELDS].concat();
        let object = node.object(&known, problems)?;
        let mut predicate = Self {
            equals: object.get("equals").map(|node| node.value.clone()),
            ..Self::default()
        };
        if let Some(node) = object.given("regex") {
            let text = node.string(problems)?;
            predicate.regex = compile_regex(&text, &node, problems);
        }
        if let Some(node) = object.given("form") {
            predicate.form = node.string_map(problems).unwrap_or_default();
        }
        let like = object.get("like");
        for name in COMPARISON_FIELDS {
            if let (None, Some(node)) = (&like, object.get(name)) {
                problems.add(
                    &node.place,
                    format!("`{name}` needs `like`, the body to compare with"),
                );
            }
        }
        if let Some(like) = like {
            if cfg!(all(feature = "embedded", not(feature = "runner"))) {
                problems.add(
                    &like.place,
                    "`like` can't be decided without the feature `runner` of softprobe",
                );
            }
            predicate.like = Some(BodyRules {
                expected: Some(like.value.clone()),
                ..BodyRules::read(&object, problems)
            });
        }
        let Self {
            equals,
            regex,
            form,
            like,
        } = &predicate;
        if equals.is_none() && regex.is_none() && form.is_empty() && like.is_none() {
            return node.wrong("`equals`, `regex`, `form` or `like`", problems);
        }
        Some(predicate)
    }

    /// Returns the predicate as it is read.
    pub(super) fn to_value(&self) -> Value {
        let Self {
            equals,
            regex,
            form,
            like,
        } = self;
        let mut value = match like {
            Some(rules) => rules.to_value(),
            None => Map::new(),
        };
        let mut put = |name: &str, member: Option<Value>| {
            if let Some(member) = member {
                value.insert(name.to_owned(), member);
            }
        };
        put("equals", equals.clone());
        put("regex", regex.as_ref().map(|regex| regex.as_str().into()));
        let fields = form
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()));
        let fields = (!form.is_empty()).then(|| fields.collect::<Map<_, _>>().into());
        put("form", fields);
        let like = like.as_ref();
        put("like", like.and_then(|rules| rules.expected.clone()));
        value.into()
    }
}
