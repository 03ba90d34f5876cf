//! Secrets in the JSON of rules and policies.

use serde_json::Value;

use crate::base::http::is_secret;

/// Masks the values of secret headers wherever a rule, a policy or a response names them: in `headers` and
/// `headerMatch`, and among the attributes of `traceTags` and `traceTagEquals`.
pub(crate) fn mask_secret_headers(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(mask_secret_headers),
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    (
                        "headers" | "headerMatch" | "traceTags" | "traceTagEquals",
                        Value::Object(named),
                    ) => {
                        for (name, value) in named {
                            let bare = name.strip_prefix("http.request.header.").unwrap_or(name);
                            if is_secret(bare) {
                                *value = "[masked]".into();
                            }
                        }
                    }
                    // A body is the user's own data.
                    ("body", _) => {}
                    (_, member) => mask_secret_headers(member),
                }
            }
        }
        _ => {}
    }
}
