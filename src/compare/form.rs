//! Reads the bodies of forms as JSON, so that they are compared by names and values.

use serde_json::{Map, Value, json};

use super::field::media_type;
use super::parts::{Parts, parameter, split};
use crate::base::encoding::encode_base64;
use crate::base::http::Headers;

/// Returns the body as JSON if its headers say that it is a form: the members are the form's names, with a list
/// where a name appears more than once. A part that is a file is an object with its name, its type and its content.
pub(crate) fn as_json(headers: &Headers, body: &[u8]) -> Option<Value> {
    let mut fields = Fields::default();
    match media_type(headers)?.as_str() {
        "application/x-www-form-urlencoded" => {
            for (name, value) in form_urlencoded::parse(body) {
                fields.add(&name, Value::from(value));
            }
        }
        _ => {
            for (name, part) in Parts::of_form(headers, body)?.iter() {
                let (head, content) = split(part)?;
                fields.add(name, value(&head, content)?);
            }
        }
    }
    Some(fields.0.into())
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

/// Returns the value of a part of a multipart form.
fn value(head: &Headers, content: &[u8]) -> Option<Value> {
    let content = match std::str::from_utf8(content) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": encode_base64(content)}),
    };
    let disposition = head.text("content-disposition")?;
    Some(match parameter(&disposition, "filename") {
        None => content,
        Some(file) => json!({
            "filename": file,
            "content-type": head.text("content-type"),
            "content": content,
        }),
    })
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
