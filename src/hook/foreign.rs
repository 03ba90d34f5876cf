//! Hooks in other languages: the JSON they receive, and how their results are read.

use serde_json::{Map, Value, json};

use super::{
    HookContext, HookFailure, HookKind, Issue, MockContext, RequestChange, ResponseChange,
};
use crate::base::document::{Node, Object, Place, Problems};
use crate::base::http::{Headers, Request};
use crate::rule::{
    headers_value, message_value, read_body, read_headers, read_status, response_value,
};

/// A function in another language. The kind of hook says what it has to do.
pub(crate) trait ForeignFunction: Send + Sync {
    /// Calls it with the payload that `docs/hooks.md` describes, and returns its result unchanged, or
    /// `null` if there is none.
    ///
    /// # Errors
    ///
    /// The function's own error, or the reason why it could not be called.
    fn call(&self, kind: HookKind, payload: Value) -> Result<Value, HookFailure>;
}

pub(super) fn change_request(
    function: &dyn ForeignFunction,
    request: &Request,
    context: &HookContext<'_>,
) -> Result<RequestChange, HookFailure> {
    let mut described = message_value(&request.headers, &request.body);
    described["method"] = request.method.as_str().into();
    described["path"] = request.target().into();
    let payload = payload(context, [("request", described)]);
    let result = function.call(HookKind::Request, payload)?;
    read(&result, |node, problems| {
        let known = ["method", "path", "headers", "body", "bodyEncoding"];
        let object = node.object(&known, problems)?;
        Some(RequestChange {
            method: object.get("method").and_then(|n| n.string(problems)),
            path: object.get("path").and_then(|n| n.string(problems)),
            headers: given_headers(&object, &request.headers, problems),
            body: given_body(&object, problems),
        })
    })
}

pub(super) fn change_response(
    function: &dyn ForeignFunction,
    mock: &MockContext<'_>,
    context: &HookContext<'_>,
) -> Result<ResponseChange, HookFailure> {
    let payload = payload(
        context,
        [
            ("capturedResponse", response_value(mock.captured_response)),
            ("capturedSpan", mock.captured_span.cloned().into()),
            ("mockName", mock.mock_name.into()),
        ],
    );
    let result = function.call(HookKind::MockResponse, payload)?;
    read(&result, |node, problems| {
        let known = ["status", "headers", "body", "bodyEncoding", "trailers"];
        let object = node.object(&known, problems)?;
        let trailers = object.get("trailers").filter(|node| !node.value.is_null());
        Some(ResponseChange {
            status: object.get("status").and_then(|n| read_status(&n, problems)),
            headers: given_headers(&object, &mock.captured_response.headers, problems),
            body: given_body(&object, problems),
            trailers: trailers.and_then(|node| read_headers(&node, problems)),
        })
    })
}

pub(super) fn assert_body(
    function: &dyn ForeignFunction,
    actual: &Value,
    captured: &Value,
    context: &HookContext<'_>,
) -> Result<Vec<Issue>, HookFailure> {
    let subjects = [("actual", actual.clone()), ("captured", captured.clone())];
    let result = function.call(HookKind::AssertBody, payload(context, subjects))?;
    read(&result, read_issues)
}

pub(super) fn assert_headers(
    function: &dyn ForeignFunction,
    actual: &Headers,
    captured: &Headers,
    context: &HookContext<'_>,
) -> Result<Vec<Issue>, HookFailure> {
    let subjects = [
        ("actual", headers_value(actual)),
        ("captured", headers_value(captured)),
    ];
    let result = function.call(HookKind::AssertHeaders, payload(context, subjects))?;
    read(&result, read_issues)
}

/// Returns the payload: the subjects, and what every hook receives.
fn payload<const N: usize>(context: &HookContext<'_>, subjects: [(&str, Value); N]) -> Value {
    let HookContext {
        case,
        case_file,
        env,
    } = context;
    let mut payload: Map<String, Value> = subjects
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let fixtures: Map<String, Value> = case.fixtures().iter().cloned().collect();
    payload.insert("case".to_owned(), case.exact_document());
    payload.insert(
        "caseFile".to_owned(),
        case_file.display().to_string().into(),
    );
    payload.insert("env".to_owned(), json!(env));
    payload.insert("fixtures".to_owned(), fixtures.into());
    payload.into()
}

/// Reads a result. `null` is read as no change, or no issue.
fn read<T: Default>(
    result: &Value,
    read: impl Fn(&Node<'_>, &mut Problems) -> Option<T>,
) -> Result<T, HookFailure> {
    if result.is_null() {
        return Ok(T::default());
    }
    let mut problems = Problems::default();
    let node = Node::at(result, Place::root().key("result"));
    let read = read(&node, &mut problems);
    Ok(problems.into_result(read)?)
}

/// Reads the new headers, if any. If only a body in base64 is given, the headers are kept as they are,
/// because its bytes are still in the `content-encoding` that they name.
fn given_headers(
    object: &Object<'_>,
    before: &Headers,
    problems: &mut Problems,
) -> Option<Headers> {
    let given = |name: &str| object.get(name).filter(|node| !node.value.is_null());
    match given("headers") {
        Some(headers) => read_headers(&headers, problems),
        None => given("bodyEncoding").map(|_| before.clone()),
    }
}

/// Reads the new body, if any; `null`, which some languages write for an absent field, counts as
/// none.
fn given_body(object: &Object<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    object.get("body").filter(|node| !node.value.is_null())?;
    read_body(object, &mut Headers::new(), problems)
}

fn read_issues(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Issue>> {
    let nodes = node.list(problems)?;
    let issues = nodes.iter().filter_map(|node| {
        let object = node.object(&["path", "expected", "actual", "reason"], problems)?;
        Some(Issue {
            path: object.require("path", problems)?.string(problems)?,
            expected: object.get("expected").map(|n| n.value.clone()),
            actual: object.get("actual").map(|n| n.value.clone()),
            reason: match object.get("reason").filter(|n| !n.value.is_null()) {
                Some(reason) => Some(reason.string(problems)?),
                None => None,
            },
        })
    });
    Some(issues.collect())
}
