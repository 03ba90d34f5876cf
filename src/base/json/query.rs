//! JSONPath expressions that are safe to evaluate.

#[cfg(feature = "embedded")]
use serde_json::Value;
use serde_json_path::JsonPath;

/// A JSONPath expression (RFC 9535).
#[derive(Debug, Clone)]
pub(crate) struct Query {
    text: String,
    #[cfg(feature = "embedded")]
    path: JsonPath,
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
        let path = JsonPath::parse(text).map_err(|error| {
            let hint = if text.starts_with('$') {
                ""
            } else {
                "; an expression starts with `$`"
            };
            format!("`{text}` is not a JSONPath: {error}{hint}")
        })?;
        // Only a runtime evaluates it.
        #[cfg(not(feature = "embedded"))]
        drop(path);
        Ok(Self {
            text: text.to_owned(),
            #[cfg(feature = "embedded")]
            path,
        })
    }

    /// Returns the expression as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the selected values.
    #[cfg(feature = "embedded")]
    pub(crate) fn select<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        self.path.query(value).all()
    }

    /// Returns the selected values with their JSON pointers.
    #[cfg(feature = "embedded")]
    pub(crate) fn locate<'v>(&self, value: &'v Value) -> Vec<(String, &'v Value)> {
        self.path
            .query_located(value)
            .iter()
            .map(|node| (node.location().to_json_pointer(), node.node()))
            .collect()
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
mod tests {
    use super::*;

    #[test]
    fn costly_expressions_are_refused_before_they_are_parsed() {
        let deep = format!("${}", "[?@.a".repeat(6));
        assert!(
            Query::parse(&deep)
                .unwrap_err()
                .contains("nested deeper than 4")
        );
        let wide = format!("${}", "(".repeat(40));
        assert!(Query::parse(&wide).unwrap_err().contains("deeper than 32"));
        assert!(
            Query::parse(&"$".repeat(2000))
                .unwrap_err()
                .contains("1024")
        );
        assert!(
            Query::parse("items")
                .unwrap_err()
                .contains("starts with `$`")
        );
    }
}
