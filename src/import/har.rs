//! Reads HTTP archives (HAR), as browsers and proxies write them. Each has fields of its own, which begin with `_`.

use super::message::{has_body, push_field, set_body, text_of};
use super::{Entry, Item};
use crate::base::decode::decoded;
use crate::base::document::{Node, Object, Problems};
use crate::base::encoding::{decode_base64, split_mark};
use crate::base::http::{Headers, Request, Response, split_url, without_credentials};
use crate::base::json;

/// How many bytes a text may be shorter than its size says: a byte order mark is no part of it.
const LONGEST_MARK: usize = 3;

/// Returns what an archive holds, in its order.
///
/// # Errors
///
/// What is wrong with it, each with its place.
pub(crate) fn read(text: &str) -> Result<Vec<Item>, Vec<String>> {
    let (_, text) = split_mark(text);
    let document = json::parse(text).map_err(|error| vec![format!("not JSON: {error}")])?;
    let mut problems = Problems::default();
    let items = entries(&document, &mut problems);
    let items = items.and_then(|entries| {
        // All of them, so that every fault is told.
        let items: Vec<_> = entries
            .iter()
            .map(|entry| item(entry, &mut problems))
            .collect();
        items.into_iter().collect::<Option<Vec<Item>>>()
    });
    let found = problems.without_values().into_result(items);
    found.map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

fn entries<'d>(document: &'d serde_json::Value, problems: &mut Problems) -> Option<Vec<Node<'d>>> {
    let root = Node::root(document);
    let file = root.map(problems)?;
    let Some(log) = file.get("log") else {
        return root.wrong("an HTTP archive, an object with `log`", problems);
    };
    let log = log.map(problems)?;
    log.require("entries", problems)?.list(problems)
}

/// Reads an entry; returns `None` if something is wrong with it.
fn item(node: &Node<'_>, problems: &mut Problems) -> Option<Item> {
    let entry = node.map(problems)?;
    let request_node = entry.require("request", problems)?;
    let request = request_node.map(problems)?;
    let url_node = request.require("url", problems)?;
    let url = url_node.string(problems)?;
    let method_node = request.require("method", problems)?;
    let method = method_node.string(problems)?;
    let shown = format!("{method} {}", without_query(&url));
    if method == "CONNECT" {
        return Some(Item::Other(shown, "it opened a tunnel"));
    }
    if http::Method::from_bytes(method.as_bytes()).is_err() {
        return method_node.wrong("a method", problems);
    }
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if split_url(&url).is_some() => {}
        "ws" | "wss" => return Some(Item::Other(shown, SOCKET)),
        "" | "http" | "https" => {
            return url_node.wrong("an absolute URL of http or https", problems);
        }
        scheme if scheme.contains('/') => {
            return url_node.wrong("an absolute URL of http or https", problems);
        }
        _ => return Some(Item::Other(shown, "it was no request over HTTP")),
    }
    if let Some(why) = answered_by_browser(&entry) {
        return Some(Item::Other(shown, why));
    }
    let mut read = Request::new(method, &url);
    // What stands before the colon of a URL has no case.
    read.scheme.make_ascii_lowercase();
    read.headers = headers(&request, problems)?;
    let mut note = None;
    let body = request_body(&request, &read.headers, &mut note, problems)?;
    let (body, unusable_request) = match body {
        Ok(body) => (body, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    read.body = body;
    read.headers.remove("content-length");
    let times_ns = times(&entry);
    let (answer, unusable_answer) = match entry.given("response") {
        None => (Err("it has no response".to_owned()), None),
        Some(response) => {
            let response = response.map(problems)?;
            match answer(&response, &read.method, problems)? {
                Ok(answer) if answer.response.status == 101 => {
                    return Some(Item::Other(shown, SOCKET));
                }
                Ok(answer) => (Ok(answer.response), answer.unusable),
                Err(why) => (Err(why), None),
            }
        }
    };
    Some(Item::Exchange(Box::new(Entry {
        place: node.place.to_string(),
        request: read,
        answer,
        times_ns,
        unusable_request,
        unusable_answer,
        note,
    })))
}

/// Returns what stands in a browser for the server that an entry seems to have reached.
fn answered_by_browser(entry: &Object<'_>) -> Option<&'static str> {
    const CACHE: &str = "the browser answered it from its cache, so that no server got it";
    let from_cache = text_of(entry, "_fromCache").is_some()
        || text_of(entry, "_fetchType").is_some_and(|kind| kind.ends_with("Cache"));
    if from_cache {
        return Some(CACHE);
    }
    let response = entry.given("response");
    let response = response.and_then(|response| response.map(&mut Problems::default()));
    let by_worker = [Some(entry), response.as_ref()]
        .into_iter()
        .flatten()
        .any(|object| {
            let flag = object.given("_fetchedViaServiceWorker");
            flag.is_some_and(|flag| flag.boolean(&mut Problems::default()) == Some(true))
        });
    by_worker.then_some("a service worker in the browser answered it")
}

const SOCKET: &str = "it opened a WebSocket, which can't be replayed";

fn without_query(url: &str) -> String {
    const LONGEST: usize = 80;
    let url = url.split(['?', '#']).next().unwrap_or_default();
    without_credentials(url).chars().take(LONGEST).collect()
}

/// Returns the header fields of a message, but for those about its connection.
fn headers(message: &Object<'_>, problems: &mut Problems) -> Option<Headers> {
    let mut headers = Headers::new();
    let Some(list) = message.given("headers") else {
        return Some(headers);
    };
    for field in list.list(problems)? {
        let field = field.map(problems)?;
        let name_node = field.require("name", problems)?;
        let name = name_node.string(problems)?;
        let (value, value_node) = match field.given("value") {
            Some(node) => (node.scalar_text(problems)?, node),
            None => (String::new(), name_node.clone()),
        };
        let (name, value) = ((&*name, &name_node), (&*value, &value_node));
        push_field(&mut headers, name, value, problems)?;
    }
    Some(headers)
}

/// Returns the body of a request, or why it is not known.
fn request_body(
    request: &Object<'_>,
    headers: &Headers,
    note: &mut Option<&'static str>,
    problems: &mut Problems,
) -> Option<Result<Vec<u8>, String>> {
    let declared = match headers.text("content-length") {
        Some(length) => length.trim().parse().ok(),
        None => size(request, "bodySize").filter(|size| *size > 0),
    };
    let kind = headers.text("content-type");
    let read = sent_body(request, kind.as_deref(), note, problems)?;
    Some(read.and_then(|body| match declared {
        Some(declared) if !headers.contains("content-encoding") && declared != body.len() => {
            Err(format!(
                "its request's body is not in the file as it was sent: {} of {declared} bytes",
                body.len()
            ))
        }
        _ => Ok(body),
    }))
}

/// Returns the body of a request as far as it is in the file, or why it can't be made again.
fn sent_body(
    request: &Object<'_>,
    kind: Option<&str>,
    note: &mut Option<&'static str>,
    problems: &mut Problems,
) -> Option<Result<Vec<u8>, String>> {
    let Some(data) = request.given("postData") else {
        return Some(Ok(Vec::new()));
    };
    let data = data.map(problems)?;
    if let Some(text) = data.given("text") {
        let text = text.string(problems)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            let why = "its request's body is no text, and was kept as one";
            return Some(Err(why.to_owned()));
        }
        if !text.is_empty() {
            return body(&data, &text, &charset(kind), problems);
        }
    }
    let params = match data.given("params") {
        Some(params) => params.list(problems)?,
        None => Vec::new(),
    };
    if params.is_empty() {
        return Some(Ok(Vec::new()));
    }
    let kind = text_of(&data, "mimeType").unwrap_or_default();
    if !kind
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
    {
        let why = format!(
            "its request's body is not in the file, only its parameters, and can't be made again as `{kind}`"
        );
        return Some(Err(why));
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    for param in params {
        let param = param.map(problems)?;
        let name = param.require("name", problems)?.scalar_text(problems)?;
        let value = match param.given("value") {
            Some(value) => value.scalar_text(problems)?,
            None => String::new(),
        };
        form.append_pair(&name, &value);
    }
    *note = Some("its request's body was made again from its parameters");
    Some(Ok(form.finish().into_bytes()))
}

/// What is known of an answer.
struct Answer {
    response: Response,
    /// Why it can't be compared.
    unusable: Option<String>,
}

/// Returns the answer, or why there is none.
fn answer(
    response: &Object<'_>,
    method: &str,
    problems: &mut Problems,
) -> Option<Result<Answer, String>> {
    if let Some(error) = text_of(response, "_error") {
        return Some(Err(format!("it failed: {error}")));
    }
    // Charles says how an exchange ended.
    if let Some(ended) = text_of(response, "_charlesStatus")
        && !ended.eq_ignore_ascii_case("complete")
    {
        return Some(Err(format!("it was not completed: {ended}")));
    }
    response.require("status", problems)?;
    let status = match response.given("status") {
        Some(status) => status.integer(-1, 999, problems)?,
        None => 0,
    };
    let status = match u16::try_from(status) {
        // What was blocked or broken off has none.
        Err(_) | Ok(0) => {
            let why = match text_of(response, "_failureText") {
                Some(error) => format!("it failed: {error}"),
                None => "it has no answer: its status is 0".to_owned(),
            };
            return Some(Err(why));
        }
        Ok(status @ (101 | 200..)) => status,
        Ok(status) => return Some(Err(format!("it has no answer: its status is {status}"))),
    };
    let mut read = Response::new(status);
    read.headers = headers(response, problems)?;
    let mut unusable = None;
    if has_body(method, status) {
        // With a status, it broke off.
        if let Some(error) = text_of(response, "_failureText") {
            return Some(Err(format!("it failed: {error}")));
        }
        let body = answer_body(response, &read.headers, problems)?;
        let body = body.unwrap_or_else(|why| {
            unusable = Some(why);
            Vec::new()
        });
        set_body(&mut read, body);
    }
    Some(Ok(Answer {
        response: read,
        unusable,
    }))
}

fn answer_body(
    response: &Object<'_>,
    headers: &Headers,
    problems: &mut Problems,
) -> Option<Result<Vec<u8>, String>> {
    let missing = "its answer's body is not in the file; save the archive with the contents";
    let content = match response.given("content") {
        Some(content) => Some(content.map(problems)?),
        None => None,
    };
    let size = content.as_ref().and_then(|content| size(content, "size"));
    let transferred = self::size(response, "bodySize");
    let text = content.as_ref().and_then(|content| content.given("text"));
    let (Some(content), Some(text)) = (&content, text) else {
        // Without a text, a body that is not known looks much like one that is empty.
        let is_empty = match headers.text("content-length") {
            Some(length) => length.trim() == "0",
            None => size == Some(0) && transferred == Some(0),
        };
        return Some(match is_empty {
            true => Ok(Vec::new()),
            false => Err(missing.to_owned()),
        });
    };
    let text = text.string(problems)?;
    let kind = headers.text("content-type");
    let kind = kind
        .map(String::from)
        .or_else(|| text_of(content, "mimeType"));
    let charset = charset(kind.as_deref());
    if text.is_empty() {
        return Some(match size {
            Some(1..) => Err(missing.to_owned()),
            _ => Ok(Vec::new()),
        });
    }
    let is_bytes = content.given("encoding").is_some();
    let body = body(content, &text, &charset, problems)?;
    // Some keep what was sent, and not what it stands for.
    let body = body.map(|body| match body.starts_with(&GZIP) {
        true => decoded(headers, &body).0.into_owned(),
        false => body,
    });
    let is_encoded = headers.contains("content-encoding");
    // mitmproxy gives the size of the encoded body.
    let is_checked = charset == UTF_8 && !(is_encoded && size == transferred);
    Some(body.and_then(|body| match size {
        // Firefox keeps the start of a large body alone.
        Some(size) if is_checked && size > body.len() + LONGEST_MARK => Err(format!(
            "its answer's body breaks off in the file, after {} of {size} bytes",
            body.len()
        )),
        // Some count characters.
        Some(size @ 1..)
            if is_checked
                && !is_bytes
                && !is_encoded
                && size < body.len()
                && size != text.chars().count()
                && size != text.encode_utf16().count() =>
        {
            let why = "its answer was text in a character set that neither it nor the file names";
            Err(why.to_owned())
        }
        _ => Ok(body),
    }))
}

/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Returns a size in bytes, if it is known.
fn size(object: &Object<'_>, name: &str) -> Option<usize> {
    let size = object
        .given(name)?
        .integer(-1, i64::MAX, &mut Problems::default())?;
    usize::try_from(size).ok()
}

const UTF_8: &str = "utf-8";

/// Returns the character set of a content type, in lower case.
fn charset(kind: Option<&str>) -> String {
    let parameters = kind.into_iter().flat_map(|kind| kind.split(';').skip(1));
    let charset = parameters
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let charset = charset.map_or("", |(_, charset)| charset.trim().trim_matches('"'));
    match charset.to_ascii_lowercase().as_str() {
        "" | "utf8" | "us-ascii" => UTF_8.to_owned(),
        other => other.to_owned(),
    }
}

/// Returns the bytes of a body, or why they can't be told from its text.
fn body(
    object: &Object<'_>,
    text: &str,
    charset: &str,
    problems: &mut Problems,
) -> Option<Result<Vec<u8>, String>> {
    if let Some(encoding) = text_of(object, "encoding") {
        let node = object.get("encoding")?;
        if !encoding.eq_ignore_ascii_case("base64") {
            return node.wrong("`base64`", problems);
        }
        return match decode_base64(&text.replace(['\r', '\n'], "")) {
            Some(bytes) => Some(Ok(bytes)),
            None => object.get("text")?.wrong("base64", problems),
        };
    }
    if charset == UTF_8 || text.is_ascii() {
        return Some(Ok(text.as_bytes().to_vec()));
    }
    let latin = matches!(charset, "iso-8859-1" | "latin1" | "windows-1252");
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok());
    // The second half of the control characters differs between these sets.
    let bytes = bytes.map(|byte| byte.filter(|byte| !(0x80..0xa0).contains(byte)));
    let bytes = bytes.collect::<Option<Vec<u8>>>().filter(|_| latin);
    Some(bytes.ok_or_else(|| {
        format!("a body is text in the character set {charset}, which can't be made again")
    }))
}

/// Returns when an entry began and ended, in nanoseconds since 1970; 0 if that is not known, which matters little.
fn times(entry: &Object<'_>) -> (u64, u64) {
    let start = text_of(entry, "startedDateTime").and_then(|text| nanoseconds(&text));
    let Some(start) = start else {
        return (0, 0);
    };
    let took = entry.given("time");
    let took = took.and_then(|took| took.number(&mut Problems::default()));
    let took = took.unwrap_or_default().clamp(0.0, 1e12);
    // Whole microseconds are as exact as any of these tools.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    let took = (took * 1000.0) as u64 * 1000;
    (start, start.saturating_add(took))
}

/// Reads a time of ISO 8601 with its zone.
fn nanoseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let time = text.find(['T', 't', ' '])?;
    let zone = time + text[time..].find(['Z', 'z', '+', '-'])?;
    let (local, zone) = text.split_at(zone);
    let seconds_east = match zone {
        "Z" | "z" => 0,
        zone => {
            let (sign, digits) = zone.split_at(1);
            let digits = digits.replace(':', "");
            if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            let minutes = match digits.len() {
                2 => digits.parse::<i64>().ok()? * 60,
                4 => digits[..2].parse::<i64>().ok()? * 60 + digits[2..].parse::<i64>().ok()?,
                _ => return None,
            };
            match sign {
                "-" => -minutes * 60,
                _ => minutes * 60,
            }
        }
    };
    let local = humantime::parse_rfc3339(&format!("{}Z", local.replace([' ', 't'], "T"))).ok()?;
    let since = local.duration_since(std::time::UNIX_EPOCH).ok()?;
    let seconds = i64::try_from(since.as_secs())
        .ok()?
        .checked_sub(seconds_east)?;
    let seconds = u64::try_from(seconds).ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(u64::from(since.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn archive(entries: &Value) -> String {
        json!({"log": {"version": "1.2", "creator": {"name": "x"}, "entries": entries}}).to_string()
    }

    fn entry(change: impl FnOnce(&mut Value)) -> Result<Item, Vec<String>> {
        let mut entry = json!({
            "startedDateTime": "2026-01-31T09:30:00.250Z",
            "time": 12.5,
            "request": {
                "method": "POST", "url": "https://u:p@shop.example/orders?page=2#top",
                "headers": [{"name": "content-type", "value": "application/json"}],
                "postData": {"mimeType": "application/json", "text": "{\"n\":1}"},
            },
            "response": {
                "status": 201,
                "headers": [
                    {"name": "Content-Type", "value": "application/json"},
                    {"name": "Content-Encoding", "value": "gzip"},
                    {"name": "Content-Length", "value": "31"},
                    {"name": "Transfer-Encoding", "value": "chunked"},
                    {"name": "Set-Cookie", "value": "a=1\nb=2"},
                ],
                "content": {"size": 8, "mimeType": "application/json", "text": "{\"id\":7}"},
            },
        });
        change(&mut entry);
        read(&archive(&json!([entry]))).map(|mut items| items.remove(0))
    }

    fn exchange(change: impl FnOnce(&mut Value)) -> Entry {
        match entry(change) {
            Ok(Item::Exchange(entry)) => *entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_entry_is_a_request_with_its_answer() {
        let read = exchange(|_| {});
        assert_eq!(read.place, "log.entries[0]");
        let request = &read.request;
        assert_eq!(request.to_string(), "POST shop.example/orders?page=2");
        assert_eq!(
            (request.scheme.as_str(), &*request.body),
            ("https", &br#"{"n":1}"#[..])
        );
        let answer = read.answer.unwrap();
        assert_eq!((answer.status, &*answer.body), (201, &br#"{"id":7}"#[..]));
        assert_eq!(answer.headers.names(), ["content-type", "set-cookie"]);
        let cookies: Vec<&[u8]> = answer.headers.all("set-cookie").collect();
        assert_eq!(cookies, [b"a=1", b"b=2"]);
        assert_eq!((read.unusable_request, read.unusable_answer), (None, None));
        let (start, end) = read.times_ns;
        assert_eq!(
            (start % 1_000_000_000, end - start),
            (250_000_000, 12_500_000)
        );
    }

    #[test]
    fn fields_that_only_some_write_are_read_or_passed_over() {
        // Charles: headers of HTTP/2, no reason, a form as its parameters alone, bytes of everything.
        let charles = exchange(|entry| {
            entry["request"]["headers"] = json!([
                {"name": ":method", "value": "POST"}, {"name": ":authority", "value": "shop.example"},
            ]);
            entry["request"]["postData"] = json!({
                "mimeType": "application/x-www-form-urlencoded",
                "params": [{"name": "q", "value": "a b&c"}, {"name": "empty"}],
            });
            entry["response"]["_charlesStatus"] = "COMPLETE".into();
            entry["response"]["statusText"] = Value::Null;
            entry["response"]["content"] =
                json!({"size": 2, "mimeType": "image/png", "encoding": "base64", "text": "/wA="});
        });
        assert!(charles.request.headers.is_empty());
        assert_eq!(charles.request.body, b"q=a+b%26c&empty=");
        assert!(charles.note.is_some());
        assert_eq!(charles.answer.unwrap().body, [0xff, 0]);
        // Reqable: an encoded request.
        let reqable = exchange(|entry| {
            entry["request"]["postData"] = json!({"text": "/wA=", "encoding": "base64"});
        });
        assert_eq!(reqable.request.body, [0xff, 0]);
        // mitmproxy: no request body for what has none.
        let mitmproxy = exchange(|entry| {
            entry["request"]["method"] = "GET".into();
            entry["request"]["bodySize"] = 0.into();
            entry["request"].as_object_mut().unwrap().remove("postData");
            entry["response"]["_error"] = Value::Null;
        });
        assert!(mitmproxy.request.body.is_empty() && mitmproxy.answer.is_ok());
        // A page in another character set.
        let latin = exchange(|entry| {
            entry["response"]["headers"] =
                json!([{"name": "content-type", "value": "text/html; charset=\"ISO-8859-1\""}]);
            entry["response"]["content"]["text"] = "grün".into();
        });
        assert_eq!(latin.answer.unwrap().body, b"gr\xfcn");
    }

    #[test]
    fn what_has_no_answer_says_why() {
        for (answer, why) in [
            (
                json!({"status": 0, "_error": "net::ERR_FAILED"}),
                "it failed: net::ERR_FAILED",
            ),
            (
                json!({"status": 0, "headers": []}),
                "it has no answer: its status is 0",
            ),
            (json!({"status": -1}), "it has no answer: its status is 0"),
            (json!({"status": null}), "it has no answer: its status is 0"),
            (
                json!({"status": 103}),
                "it has no answer: its status is 103",
            ),
            (
                json!({"status": -1, "_failureText": "net::ERR_ABORTED"}),
                "it failed: net::ERR_ABORTED",
            ),
            (
                json!({"status": 200, "_failureText": "net::ERR_ABORTED"}),
                "it failed: net::ERR_ABORTED",
            ),
            (
                json!({"status": 200, "_charlesStatus": "EXCEPTION"}),
                "it was not completed: EXCEPTION",
            ),
            (Value::Null, "it has no response"),
        ] {
            let read = exchange(|entry| entry["response"] = answer);
            assert_eq!(read.answer, Err(why.to_owned()));
        }
    }

    #[test]
    fn bodies_that_are_not_there_are_told() {
        let told = |change: fn(&mut Value)| exchange(change).unusable_answer.unwrap_or_default();
        let missing = told(|entry| entry["response"]["content"] = json!({"size": 9}));
        assert!(missing.contains("is not in the file"), "{missing}");
        let elsewhere =
            told(|entry| entry["response"]["content"] = json!({"size": -1, "_file": "a.json"}));
        assert!(elsewhere.contains("is not in the file"), "{elsewhere}");
        let cut = told(|entry| entry["response"]["content"]["size"] = 1_000_000.into());
        assert!(cut.contains("after 8 of 1000000 bytes"), "{cut}");
        let declared = told(|entry| entry["response"]["content"] = json!({"size": -1}));
        assert!(declared.contains("is not in the file"), "{declared}");
        // What Chrome writes for a redirect, and Playwright where it leaves contents out.
        for (size, transferred) in [(0, -1), (-1, -1), (-1, 0)] {
            let read = exchange(|entry| {
                entry["response"]["headers"] = json!([]);
                entry["response"]["bodySize"] = transferred.into();
                entry["response"]["content"] = json!({"size": size});
            });
            assert!(read.unusable_answer.is_some());
        }
        let emptied = told(|entry| entry["response"]["content"]["text"] = "".into());
        assert!(emptied.contains("is not in the file"), "{emptied}");
        let other = told(|entry| {
            entry["response"]["headers"] = json!([{"name": "content-type", "value": "text/html"}]);
            entry["response"]["content"] = json!({"size": 7, "text": "\"д́é\""});
        });
        assert!(other.contains("character set"), "{other}");
        // The size of an encoded body says nothing of its text.
        let encoded = told(|entry| {
            entry["response"]["content"]["size"] = 31.into();
            entry["response"]["bodySize"] = 31.into();
        });
        assert_eq!(encoded, "");
        let odd = told(|entry| {
            entry["response"]["headers"] =
                json!([{"name": "content-type", "value": "text/html; charset=shift_jis"}]);
            entry["response"]["content"]["text"] = "日".into();
        });
        assert!(odd.contains("character set shift_jis"), "{odd}");
        // A mark at its start is no part of a text.
        assert_eq!(
            told(|entry| entry["response"]["content"]["size"] = 11.into()),
            ""
        );
        assert_eq!(
            told(|entry| {
                entry["response"]["headers"] = json!([]);
                entry["response"]["bodySize"] = 0.into();
                entry["response"]["content"] = json!({"size": 0});
            }),
            ""
        );

        let told = |change: fn(&mut Value)| exchange(change).unusable_request.unwrap_or_default();
        let missing = told(|entry| {
            entry["request"].as_object_mut().unwrap().remove("postData");
            entry["request"]["bodySize"] = 7.into();
        });
        assert!(missing.contains("is not in the file"), "{missing}");
        let emptied = told(|entry| {
            entry["request"]["postData"]["text"] = "".into();
            entry["request"]["bodySize"] = 7.into();
        });
        assert!(emptied.contains("0 of 7 bytes"), "{emptied}");
        let skeleton = told(|entry| {
            let length = json!({"name": "Content-Length", "value": "5200"});
            entry["request"]["headers"]
                .as_array_mut()
                .unwrap()
                .push(length);
        });
        assert!(skeleton.contains("7 of 5200 bytes"), "{skeleton}");
        let broken = told(|entry| entry["request"]["postData"]["text"] = "\u{fffd}".into());
        assert!(broken.contains("is no text"), "{broken}");
        let parts = told(|entry| {
            entry["request"]["postData"] = json!({"mimeType": "multipart/form-data", "params": [{"name": "f", "fileName": "a"}]});
        });
        assert!(parts.contains("multipart/form-data"), "{parts}");
    }

    #[test]
    fn an_answer_without_a_body_keeps_its_length() {
        let head = exchange(|entry| entry["request"]["method"] = "HEAD".into());
        let head = head.answer.unwrap();
        assert_eq!(head.headers.text("content-length").as_deref(), Some("31"));
        assert!(head.body.is_empty());
        // A browser shows what it had kept.
        let unchanged = exchange(|entry| entry["response"]["status"] = 304.into());
        assert!(unchanged.answer.unwrap().body.is_empty());
    }

    #[test]
    fn what_no_server_got_alone_is_left_out() {
        for (change, why) in [
            (json!({"url": "wss://shop.example/live"}), "WebSocket"),
            (
                json!({"url": "data:image/png;base64,AA=="}),
                "no request over HTTP",
            ),
            (json!({"status": 101}), "WebSocket"),
            (json!({"_fromCache": "disk"}), "from its cache"),
            (json!({"_fetchType": "Memory Cache"}), "from its cache"),
            (json!({"_fetchedViaServiceWorker": true}), "service worker"),
            (json!({"method": "CONNECT"}), "tunnel"),
            (json!({"url": "chrome://newtab/"}), "no request over HTTP"),
        ] {
            let read = entry(|entry| {
                for (name, value) in change.as_object().unwrap() {
                    match name.as_str() {
                        "url" | "method" => entry["request"][name] = value.clone(),
                        "status" => entry["response"]["status"] = value.clone(),
                        other => entry[other] = value.clone(),
                    }
                }
            });
            assert!(
                matches!(&read, Ok(Item::Other(_, told)) if told.contains(why)),
                "{read:?}"
            );
        }
    }

    #[test]
    fn each_fault_is_told_with_its_place() {
        let faults = |text: &str| read(text).unwrap_err().join("; ");
        assert!(faults("<html>").starts_with("not JSON"));
        assert_eq!(faults("[]"), "expected an object");
        assert!(faults("{}").contains("an object with `log`"));
        assert_eq!(faults(r#"{"log": {}}"#), "log: `entries` is missing");
        let request = json!({"method": "GET", "url": "http://a/"});
        let wrong = archive(&json!([
            {"request": {"method": "GET", "url": "/orders"}},
            {"request": {"method": "GET /", "url": "http://shop.example/"}},
            {"request": request, "response": {"status": "200"}},
            {"request": request, "response": {"headers": []}},
            {"request": request, "response": {"status": 200, "content": {"text": "?", "encoding": "base64"}}},
            {"request": request, "response": {"status": 200, "content": {"text": "?", "encoding": "hex"}}},
            {"request": {"method": "GET", "url": "http://a/", "headers": [{"name": "a b", "value": ""}]}},
            {"request": {"method": "GET", "url": "http://a/", "headers": [{"name": "a", "value": "s\u{1}"}]}},
            {"request": {"method": "GET", "url": "http:///a"}},
        ]));
        let told = read(&wrong).unwrap_err();
        let places = [
            "log.entries[0].request.url",
            "log.entries[1].request.method",
            "log.entries[2].response.status",
            "log.entries[3].response: `status` is missing",
            "log.entries[4].response.content.text",
            "log.entries[5].response.content.encoding",
            "log.entries[6].request.headers[0].name",
            "log.entries[7].request.headers[0].value",
            "log.entries[8].request.url",
        ];
        for (told, place) in told.iter().zip(places) {
            assert!(
                told.starts_with(place) && !told.contains("found"),
                "{told}, {place}"
            );
        }
        assert_eq!(told.len(), places.len(), "{told:#?}");
    }

    #[test]
    fn a_time_has_its_zone() {
        let utc = nanoseconds("2026-01-31T09:30:00.123Z").unwrap();
        for same in [
            "2026-01-31T11:30:00.123+02:00",
            "2026-01-31T04:00:00.123-05:30",
            "2026-01-31T17:30:00.123000+0800",
            "2026-01-31 09:30:00.123+00",
        ] {
            assert_eq!(nanoseconds(same), Some(utc), "{same}");
        }
        for wrong in [
            "",
            "2026-01-31",
            "09:30",
            "2026-01-31T09:30:00",
            "2026-01-31T09:30:00+2",
            "2026-01-31T09:30:00+1é2",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(nanoseconds(wrong), None, "{wrong}");
        }
    }
}
