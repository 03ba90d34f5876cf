//! The parts of a query or a form, by their names and as they were sent.

use std::ops::Range;

use super::field::media_type;
use crate::base::http::Headers;

/// The parts of a query or a form, in order.
#[derive(Debug, Default)]
pub(crate) struct Parts<'b> {
    body: &'b [u8],
    /// The name of each, and where it is.
    list: Vec<(String, Range<usize>)>,
    /// What stands between two of them.
    delimiter: Vec<u8>,
}

impl<'b> Parts<'b> {
    /// Reads a form; `None` if its headers do not say that it is one, or if it is not well-formed.
    pub(crate) fn of_form(headers: &Headers, body: &'b [u8]) -> Option<Self> {
        match media_type(headers)?.as_str() {
            "application/x-www-form-urlencoded" => Some(Self::of_pairs(body)),
            "multipart/form-data" => Self::of_multipart(&boundary(headers)?, body),
            _ => None,
        }
    }

    /// Reads pairs such as `a=1&b=2`.
    pub(crate) fn of_pairs(body: &'b [u8]) -> Self {
        let mut list = Vec::new();
        let mut start = 0;
        for part in body.split(|byte| *byte == b'&') {
            if let Some((name, _)) = form_urlencoded::parse(part).next() {
                list.push((name.into_owned(), start..start + part.len()));
            }
            start += part.len() + 1;
        }
        Self {
            body,
            list,
            delimiter: b"&".to_vec(),
        }
    }

    /// Reads a `multipart/form-data` body (RFC 7578).
    fn of_multipart(boundary: &[u8], body: &'b [u8]) -> Option<Self> {
        let delimiter = [b"\r\n--", boundary].concat();
        // The first delimiter may stand at the very beginning, without a line end before it.
        let mut at = match body.starts_with(&delimiter[2..]) {
            true => delimiter.len() - 2,
            false => find(body, &delimiter)? + delimiter.len(),
        };
        let mut list = Vec::new();
        while !body[at..].starts_with(b"--") {
            let start = at + find(&body[at..], b"\r\n")? + 2;
            // The delimiter of a part without a head or content begins with the line end that ends the one before.
            let end = start - 2 + find(&body[start - 2..], &delimiter)?;
            let range = start..end.max(start);
            let (head, _) = split(&body[range.clone()])?;
            let disposition = head.text("content-disposition")?;
            list.push((parameter(&disposition, "name")?, range));
            at = end + delimiter.len();
        }
        Some(Self {
            body,
            list,
            delimiter: [&delimiter[..], b"\r\n"].concat(),
        })
    }

    /// Returns the name and the bytes of each part.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'b [u8])> {
        let parts = self.list.iter();
        parts.map(|(name, range)| (name.as_str(), &self.body[range.clone()]))
    }

    /// Returns the parts with this name.
    pub(crate) fn named(&self, wanted: &str) -> Vec<Vec<u8>> {
        let parts = self.iter().filter(|(name, _)| *name == wanted);
        parts.map(|(_, part)| part.to_vec()).collect()
    }

    /// Returns the whole with these parts for a name, where its first part was, and every other byte as it was.
    pub(crate) fn with(&self, name: &str, new: &[Vec<u8>]) -> Vec<u8> {
        let Some((_, first)) = self.list.first() else {
            return new.join(&self.delimiter[..]);
        };
        let mut out = self.body[..first.start].to_vec();
        let (mut is_set, mut is_first) = (false, true);
        // What stands behind the last part that stays.
        let mut behind: Option<&[u8]> = None;
        let add = |out: &mut Vec<u8>, between: &[u8], is_first: &mut bool, part: &[u8]| {
            if !std::mem::take(is_first) {
                out.extend_from_slice(between);
            }
            out.extend_from_slice(part);
        };
        for (n, (own, range)) in self.list.iter().enumerate() {
            if own == name {
                if !std::mem::replace(&mut is_set, true) {
                    for part in new {
                        add(&mut out, &self.delimiter, &mut is_first, part);
                    }
                }
                continue;
            }
            let between = behind.unwrap_or(&self.delimiter);
            add(&mut out, between, &mut is_first, &self.body[range.clone()]);
            let next = self.list.get(n + 1);
            behind = next.map(|(_, next)| &self.body[range.end..next.start]);
        }
        if !is_set {
            for part in new {
                add(&mut out, &self.delimiter, &mut is_first, part);
            }
        }
        let end = self.list.last().map_or(first.start, |(_, last)| last.end);
        out.extend_from_slice(&self.body[end..]);
        out
    }
}

fn boundary(headers: &Headers) -> Option<Vec<u8>> {
    let value = headers.text("content-type")?;
    parameter(&value, "boundary").map(String::into_bytes)
}

/// Returns a parameter of a header's value, without its quotes.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
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

/// Splits a part of a multipart form into its head and its content.
pub(super) fn split(part: &[u8]) -> Option<(Headers, &[u8])> {
    let (head, content) = match part.strip_prefix(b"\r\n") {
        Some(content) => (&b""[..], content),
        None => {
            let end = find(part, b"\r\n\r\n")?;
            (&part[..end], &part[end + 4..])
        }
    };
    let head = String::from_utf8_lossy(head);
    let fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let head = fields
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    Some((head, content))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, body: &str, name: &str, new: &[&str], wanted: &str) {
        let headers = Headers::from_iter([("content-type", content_type)]);
        let parts = Parts::of_form(&headers, body.as_bytes()).unwrap();
        let new: Vec<Vec<u8>> = new.iter().map(|part| part.as_bytes().to_vec()).collect();
        let changed = parts.with(name, &new);
        assert_eq!(String::from_utf8(changed).unwrap(), wanted);
    }

    #[test]
    fn the_parts_of_a_name_change_alone() {
        let form = "application/x-www-form-urlencoded";
        let text = "a=%31&b=2&&a=3&c";
        check(form, text, "a", &["a=1"], "a=1&b=2&&c");
        check(form, text, "a", &["a=1", "a=2"], "a=1&a=2&b=2&&c");
        check(form, text, "b", &[], "a=%31&a=3&c");
        check(form, text, "c", &["c=x"], "a=%31&b=2&&a=3&c=x");
        check(form, text, "d", &["d=x"], "a=%31&b=2&&a=3&c&d=x");
        check(form, "", "d", &["d=x"], "d=x");
        check(form, "a=1", "a", &[], "");
        let part = |name: &str, text: &str| {
            format!("Content-Disposition: form-data; name={name}\r\n\r\n{text}")
        };
        let multipart = |parts: &[String]| {
            let parts: String = parts
                .iter()
                .map(|part| format!("--x\r\n{part}\r\n"))
                .collect();
            format!("preamble\r\n{parts}--x--\r\nend")
        };
        let [a, b, c] = [part("a", "1"), part("b", "2\r\n"), part("c", "")];
        let body = multipart(&[a.clone(), b.clone()]);
        let form = "multipart/form-data; boundary=x";
        for (name, new, wanted) in [
            ("a", vec![&c], vec![c.clone(), b.clone()]),
            ("b", vec![&b, &c], vec![a.clone(), b.clone(), c.clone()]),
            ("c", vec![&c], vec![a.clone(), b.clone(), c.clone()]),
            ("a", vec![], vec![b.clone()]),
        ] {
            let new: Vec<&str> = new.into_iter().map(String::as_str).collect();
            check(form, &body, name, &new, &multipart(&wanted));
        }
    }
}
