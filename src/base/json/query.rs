//! JSONPath expressions that are safe to evaluate.
//!
//! The library `serde_json_path` says whether a text is one. It evaluates without a limit, and `$..a..a..a..a` takes
//! time and memory that grow with a power of the document's size; so evaluating is done here.

#[cfg(feature = "embedded")]
mod syntax;
#[cfg(feature = "embedded")]
mod walk;

#[cfg(feature = "embedded")]
use std::fmt;

#[cfg(feature = "embedded")]
use serde_json::Value;
use serde_json_path::JsonPath;

#[cfg(feature = "embedded")]
use walk::{Stop, Walk};

/// A JSONPath expression (RFC 9535).
#[derive(Debug, Clone)]
pub(crate) struct Query {
    text: String,
    #[cfg(feature = "embedded")]
    path: syntax::Path,
}

/// An expression that visits more nodes of a document than an evaluation may.
#[cfg(feature = "embedded")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooCostly {
    /// The expression.
    text: String,
}

#[cfg(feature = "embedded")]
impl fmt::Display for TooCostly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "evaluating `{}` over this body visits more than {} nodes; write a path that is more exact",
            self.text,
            walk::MOST_NODES
        )
    }
}

impl Query {
    /// Parses an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where. Expressions that could cost the parser unbounded time are refused:
    /// those longer than 1,024 bytes, with brackets nested deeper than 32 levels, or with filters nested
    /// deeper than 4.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        guard(text)?;
        JsonPath::parse(text).map_err(|error| {
            let hint = if text.starts_with('$') {
                ""
            } else {
                "; an expression starts with `$`"
            };
            format!("`{text}` is not a JSONPath: {error}{hint}")
        })?;
        Ok(Self {
            text: text.to_owned(),
            // Only a runtime evaluates it.
            #[cfg(feature = "embedded")]
            path: syntax::read(text).ok_or_else(|| format!("`{text}` can't be evaluated"))?,
        })
    }

    /// Returns the expression as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the selected values, each once.
    ///
    /// # Errors
    ///
    /// [`TooCostly`] if it visits more than 1,000,000 nodes.
    #[cfg(feature = "embedded")]
    pub(crate) fn select<'v>(&self, value: &'v Value) -> Result<Vec<&'v Value>, TooCostly> {
        let mut selected = Vec::new();
        self.walk(value, |_, node| {
            selected.push(node);
            0
        })?;
        Ok(selected)
    }

    /// Returns the selected values with their JSON pointers, each once.
    ///
    /// # Errors
    ///
    /// As for [`select`](Self::select).
    #[cfg(feature = "embedded")]
    pub(crate) fn locate<'v>(
        &self,
        value: &'v Value,
    ) -> Result<Vec<(String, &'v Value)>, TooCostly> {
        let mut located = Vec::new();
        self.walk(value, |steps, node| {
            let pointer = walk::pointer(steps);
            let length = pointer.len();
            located.push((pointer, node));
            length
        })?;
        Ok(located)
    }

    /// Returns the JSON pointers of the selected values, each once.
    ///
    /// # Errors
    ///
    /// As for [`select`](Self::select).
    #[cfg(feature = "embedded")]
    pub(crate) fn pointers(&self, value: &Value) -> Result<Vec<String>, TooCostly> {
        let located = self.locate(value)?.into_iter();
        Ok(located.map(|(pointer, _)| pointer).collect())
    }

    /// Calls `found` for each selected node; it returns how many bytes it keeps of it.
    #[cfg(feature = "embedded")]
    fn walk<'v>(
        &self,
        value: &'v Value,
        mut found: impl FnMut(&[walk::Step<'v>], &'v Value) -> usize,
    ) -> Result<(), TooCostly> {
        let walk = Walk::new(value);
        let found = &mut |steps: &[walk::Step<'v>], node| walk.spend_bytes(found(steps, node));
        match walk.all(&self.path, found) {
            Ok(()) | Err(Stop::Found) => Ok(()),
            Err(Stop::TooCostly) => Err(TooCostly {
                text: self.text.clone(),
            }),
        }
    }
}

fn guard(text: &str) -> Result<(), String> {
    if text.len() > 1024 {
        return Err("a JSONPath longer than 1024 bytes is refused".to_owned());
    }
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    let mut filters: Vec<usize> = Vec::new();
    for c in text.chars() {
        if let Some(open) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == open {
                quote = None;
            }
            continue;
        }
        match c {
            '\'' | '"' => quote = Some(c),
            '[' | '(' => depth += 1,
            ']' | ')' => {
                depth = depth.saturating_sub(1);
                filters.retain(|at| *at <= depth);
            }
            '?' => filters.push(depth),
            _ => {}
        }
        if depth > 32 {
            return Err(
                "a JSONPath with brackets nested deeper than 32 levels is refused".to_owned(),
            );
        }
        if filters.len() > 4 {
            return Err(
                "a JSONPath with filters nested deeper than 4 levels is refused".to_owned(),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
#[cfg(feature = "runner")]
mod tests;
