//! `captureOnly`: what is left out of recorded exchanges.

use serde_json::{Map, Value};

#[cfg(feature = "embedded")]
use crate::base::compile::compile_query;
#[cfg(feature = "embedded")]
use crate::base::document::{Node, Problems};
use crate::base::json::Query;

/// What is left out of a recorded exchange.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redaction {
    /// Names of headers whose values are left out.
    pub(crate) headers: Vec<String>,
    /// Values in JSON bodies that are left out.
    pub(crate) paths: Vec<Query>,
}

impl Redaction {
    /// Returns whether nothing is left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.paths.is_empty()
    }

    #[cfg(feature = "embedded")]
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(&["redactHeaders", "redactJsonPaths"], problems)?;
        let mut redaction = Self::default();
        if let Some(node) = object.given("redactHeaders") {
            redaction.headers = node.strings(problems)?;
        }
        let paths = object.given("redactJsonPaths");
        for node in paths
            .and_then(|node| node.list(problems))
            .unwrap_or_default()
        {
            let text = node.string(problems)?;
            redaction.paths.push(compile_query(&text, &node, problems)?);
        }
        Some(redaction)
    }

    /// Returns it as it is read.
    pub(super) fn to_value(&self) -> Value {
        let mut value = Map::new();
        let paths: Vec<String> = self
            .paths
            .iter()
            .map(|path| path.text().to_owned())
            .collect();
        for (name, list) in [
            ("redactHeaders", &self.headers),
            ("redactJsonPaths", &paths),
        ] {
            if !list.is_empty() {
                value.insert(name.to_owned(), list.clone().into());
            }
        }
        value.into()
    }
}
