//! Reads the bodies of forms as JSON, so that they are compared by names and values.

use serde_json::{Map, Value, json};

use super::field::media_type;
use crate::base::encoding::encode_base64;
use crate::base::http::Headers;

/// Returns the body as JSON if its headers say that it is a form: the members are the form's names, with a list
/// where a name appears more than once. A part that is a file is an object with its name, its type and its content.
pub(crate) fn as_json(headers: &Headers, body: &[u8]) -> Option<Value> {
    match media_type(headers)?.as_str() {
        "application/x-www-form-urlencoded" => Some(pairs(body)),
        "multipart/form-data" => parts(&boundary(headers)?, body),
        _ => None,
    }
}

fn pairs(body: &[u8]) -> Value {
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        fields.add(&name, Value::from(value));
    }
    fields.0.into()
}

/// The fields of a form.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, name: &str, value: Value) {
        match self.0.get_mut(name) {
            None => drop(self.0.insert(name.to_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
}

fn boundary(headers: &Headers) -> Option<Vec<u8>> {
    let value = headers.text("content-type")?;
    parameter(&value, "boundary").map(String::into_bytes)
}

/// Returns a parameter of a header's value, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => (after.split(';').next().unwrap_or_default().trim(), after),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(text.to_owned());
        }
        rest = next.split_once(';')?.1;
    }
}

/// Reads the parts of a `multipart/form-data` body (RFC 7578); `None` if it is not well-formed.
fn parts(boundary: &[u8], body: &[u8]) -> Option<Value> {
    let delimiter = [b"\r\n--", boundary].concat();
    // The first delimiter may stand at the very beginning, without a line end before it.
    let whole = [b"\r\n", body].concat();
    let mut rest = &whole[find(&whole, &delimiter)? + delimiter.len()..];
    let mut fields = Fields::default();
    while !rest.starts_with(b"--") {
        let start = find(rest, b"\r\n")? + 2;
        let end = find(rest, &delimiter)?;
        let part = rest.get(start..end)?;
        let (head, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&b""[..], content),
            None => {
                let end = find(part, b"\r\n\r\n")?;
                (&part[..end], &part[end + 4..])
            }
        };
        let head = read_head(head);
        let disposition = head.text("content-disposition")?;
        let name = parameter(&disposition, "name")?;
        fields.add(&name, value(&head, &disposition, content));
        rest = &rest[end + delimiter.len()..];
    }
    Some(fields.0.into())
}

fn read_head(head: &[u8]) -> Headers {
    let head = String::from_utf8_lossy(head);
    let fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect()
}

fn value(head: &Headers, disposition: &str, content: &[u8]) -> Value {
    let content = match std::str::from_utf8(content) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": encode_base64(content)}),
    };
    match parameter(disposition, "filename") {
        None => content,
        Some(file) => json!({
            "filename": file,
            "content-type": head.text("content-type"),
            "content": content,
        }),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &[u8]) -> Option<Value> {
        as_json(&Headers::from_iter([("content-type", content_type)]), body)
    }

    #[test]
    fn a_form_is_read_by_its_names() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        assert_eq!(
            read(form, b"a=1&b=x+y&a=%32&c"),
            Some(json!({"a": ["1", "2"], "b": "x y", "c": ""}))
        );
        assert_eq!(read("text/plain", b"a=1"), None);
    }

    #[test]
    fn a_multipart_form_is_read_by_its_parts() {
        let body = b"preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n1\r\n--x y\r\n\
            Content-Type: text/csv\r\ncontent-disposition: form-data; filename=\"a;b.csv\"; name=file\r\n\r\n\
            1;2\r\n\r\n--x y--\r\n";
        assert_eq!(
            read("multipart/form-data; boundary=\"x y\"", body),
            Some(json!({
                "amount": "1",
                "file": {"filename": "a;b.csv", "content-type": "text/csv", "content": "1;2\r\n"},
            }))
        );
        for broken in [&b"--x\r\n"[..], b"", b"--x\r\n\r\nno name\r\n--x--"] {
            assert_eq!(read("multipart/form-data; boundary=x", broken), None);
        }
        assert_eq!(read("multipart/form-data", body), None);
        let bytes = b"--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--";
        assert_eq!(
            read("multipart/form-data; boundary=x", bytes),
            Some(json!({"a": {"base64": "/w=="}}))
        );
    }
}
