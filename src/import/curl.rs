//! Reads curl's command lines, as they stand in documentation and as browsers copy them.

mod words;

use std::collections::VecDeque;

use super::message::{basic_of, http_url};
use super::{Entry, Item};
use crate::base::encoding::{encode_base64, split_mark};
use crate::base::http::{Headers, Request, split_url};
use words::{Command, commands};

/// Reads a file that a command line names.
type ReadFile<'f> = &'f dyn Fn(&str) -> Result<Vec<u8>, String>;

/// Returns the requests of the command lines in a text.
///
/// # Errors
///
/// What is wrong with them, each with its line.
pub(crate) fn read(text: &str, file: ReadFile<'_>) -> Result<Vec<Item>, Vec<String>> {
    let (_, text) = split_mark(text);
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    let commands = commands(text).map_err(|(line, why)| vec![format!("line {line}: {why}")])?;
    if commands.is_empty() {
        return Err(vec!["there is no command line of curl".to_owned()]);
    }
    for Command { line, words } in commands {
        match requests(words, file) {
            Ok(requests) => items.extend(requests.into_iter().map(|request| {
                Item::Exchange(Box::new(Entry {
                    place: format!("line {line}"),
                    request,
                    answer: Err("a command line has no answer".to_owned()),
                    times_ns: (0, 0),
                    unusable_request: None,
                    unusable_answer: None,
                    note: None,
                }))
            })),
            Err(why) => faults.push(format!("line {line}: {why}")),
        }
    }
    match faults.is_empty() {
        true => Ok(items),
        false => Err(faults),
    }
}

/// What an option of curl does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Method,
    Header,
    /// A part of the body. `@` before a file's name stands for what is in it.
    Data,
    /// The same, but `@` is no file's.
    RawData,
    /// The same as `Data`, with the line ends of the file.
    BinaryData,
    EncodedData,
    Json,
    Cookie,
    Agent,
    Referer,
    User,
    Bearer,
    Url,
    Get,
    Head,
    Literal,
    Next,
    /// Nothing to the request, and takes no value.
    Nothing,
    /// Nothing to the request, and takes a value.
    NothingWithValue,
}

impl Does {
    fn takes_value(self) -> bool {
        !matches!(
            self,
            Self::Get | Self::Head | Self::Literal | Self::Next | Self::Nothing
        )
    }
}

/// Options by their letters and names.
const OPTIONS: [(&str, &str, Does); 76] = [
    ("X", "request", Does::Method),
    ("H", "header", Does::Header),
    ("d", "data", Does::Data),
    ("", "data-ascii", Does::Data),
    ("", "data-raw", Does::RawData),
    ("", "data-binary", Does::BinaryData),
    ("", "data-urlencode", Does::EncodedData),
    ("", "json", Does::Json),
    ("b", "cookie", Does::Cookie),
    ("A", "user-agent", Does::Agent),
    ("e", "referer", Does::Referer),
    ("u", "user", Does::User),
    ("", "oauth2-bearer", Does::Bearer),
    ("", "url", Does::Url),
    ("G", "get", Does::Get),
    ("I", "head", Does::Head),
    ("g", "globoff", Does::Literal),
    (":", "next", Does::Next),
    ("o", "output", Does::NothingWithValue),
    ("m", "max-time", Does::NothingWithValue),
    ("x", "proxy", Does::NothingWithValue),
    ("U", "proxy-user", Does::NothingWithValue),
    ("E", "cert", Does::NothingWithValue),
    ("w", "write-out", Does::NothingWithValue),
    ("c", "cookie-jar", Does::NothingWithValue),
    ("D", "dump-header", Does::NothingWithValue),
    ("y", "speed-time", Does::NothingWithValue),
    ("Y", "speed-limit", Does::NothingWithValue),
    ("", "cacert", Does::NothingWithValue),
    ("", "key", Does::NothingWithValue),
    ("", "connect-timeout", Does::NothingWithValue),
    ("", "connect-to", Does::NothingWithValue),
    ("", "resolve", Does::NothingWithValue),
    ("", "retry", Does::NothingWithValue),
    ("", "retry-delay", Does::NothingWithValue),
    ("", "retry-max-time", Does::NothingWithValue),
    ("", "max-redirs", Does::NothingWithValue),
    ("", "noproxy", Does::NothingWithValue),
    ("", "limit-rate", Does::NothingWithValue),
    ("", "interface", Does::NothingWithValue),
    ("", "stderr", Does::NothingWithValue),
    ("", "compressed", Does::Nothing),
    ("s", "silent", Does::Nothing),
    ("S", "show-error", Does::Nothing),
    ("k", "insecure", Does::Nothing),
    ("L", "location", Does::Nothing),
    ("v", "verbose", Does::Nothing),
    ("i", "include", Does::Nothing),
    ("", "show-headers", Does::Nothing),
    ("f", "fail", Does::Nothing),
    ("", "fail-with-body", Does::Nothing),
    ("O", "remote-name", Does::Nothing),
    ("J", "remote-header-name", Does::Nothing),
    ("R", "remote-time", Does::Nothing),
    ("N", "no-buffer", Does::Nothing),
    ("#", "progress-bar", Does::Nothing),
    ("", "no-progress-meter", Does::Nothing),
    ("q", "disable", Does::Nothing),
    ("4", "ipv4", Does::Nothing),
    ("6", "ipv6", Does::Nothing),
    ("0", "http1.0", Does::Nothing),
    ("", "http1.1", Does::Nothing),
    ("", "http2", Does::Nothing),
    ("", "http2-prior-knowledge", Does::Nothing),
    ("", "http3", Does::Nothing),
    ("1", "tlsv1", Does::Nothing),
    ("", "tlsv1.2", Does::Nothing),
    ("", "tlsv1.3", Does::Nothing),
    ("", "path-as-is", Does::Nothing),
    ("", "location-trusted", Does::Nothing),
    ("", "retry-connrefused", Does::Nothing),
    ("", "retry-all-errors", Does::Nothing),
    ("", "create-dirs", Does::Nothing),
    ("", "tcp-nodelay", Does::Nothing),
    ("", "parallel", Does::Nothing),
    ("", "basic", Does::Nothing),
];

/// What a command line says of its requests.
#[derive(Debug, Default)]
struct Said {
    method: Option<String>,
    urls: Vec<String>,
    /// Names and values, as they were given.
    headers: Vec<String>,
    /// Those that other options stand for, which a given one replaces.
    implied: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    is_json: bool,
    is_get: bool,
    is_head: bool,
    is_literal: bool,
}

/// Returns the requests of the words of a command line after `curl`.
fn requests(words: Vec<String>, file: ReadFile<'_>) -> Result<Vec<Request>, String> {
    let mut requests = Vec::new();
    let mut said = Said::default();
    let mut words = VecDeque::from(words);
    while let Some(word) = words.pop_front() {
        if let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) {
            let does = OPTIONS.iter().find(|(_, known, _)| *known == name);
            let does = does.map(|(_, _, does)| *does);
            // Each of curl's switches can be taken back.
            let is_off = || name.strip_prefix("no-").is_some_and(is_switch);
            let does = does.or(is_off().then_some(Does::Nothing));
            let does = does.ok_or_else(|| unknown(&word))?;
            take(
                does,
                &word,
                None,
                &mut words,
                &mut said,
                &mut requests,
                file,
            )?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            let mut rest = letters;
            while let Some(letter) = rest.chars().next() {
                rest = &rest[letter.len_utf8()..];
                let known = OPTIONS.iter().find(|(own, ..)| own.chars().eq([letter]));
                let (_, _, does) = known.ok_or_else(|| unknown(&format!("-{letter}")))?;
                let attached = does.takes_value().then(|| std::mem::take(&mut rest));
                let attached = attached.filter(|value| !value.is_empty());
                let shown = format!("-{letter}");
                take(
                    *does,
                    &shown,
                    attached,
                    &mut words,
                    &mut said,
                    &mut requests,
                    file,
                )?;
            }
        } else {
            said.urls.push(word);
        }
    }
    requests.extend(said.finish()?);
    Ok(requests)
}

fn is_switch(name: &str) -> bool {
    let known = OPTIONS.iter().find(|(_, known, _)| *known == name);
    known.is_some_and(|(_, _, does)| *does == Does::Nothing)
}

fn unknown(option: &str) -> String {
    match option {
        "-F" | "--form" | "--form-string" | "-T" | "--upload-file" => format!(
            "{option} is not read: its body is known to curl alone; softprobe capture run records it as it is sent"
        ),
        _ => format!(
            "the option {option} is not known here; leave it out if the request is the same without it"
        ),
    }
}

/// Takes an option, with the value that is attached to it or stands after it.
fn take(
    does: Does,
    option: &str,
    attached: Option<&str>,
    words: &mut VecDeque<String>,
    said: &mut Said,
    requests: &mut Vec<Request>,
    file: ReadFile<'_>,
) -> Result<(), String> {
    let value = match (does.takes_value(), attached) {
        (false, _) => String::new(),
        (true, Some(value)) => value.to_owned(),
        (true, None) => words
            .pop_front()
            .ok_or_else(|| format!("{option} has no value"))?,
    };
    let read = |name: &str| file(name).map_err(|why| format!("{option}: {name}: {why}"));
    match does {
        Does::Method => said.method = Some(value),
        Does::Header => {
            if value.starts_with('@') {
                return Err(format!(
                    "{option} {value}: headers in a file are not read; write them out"
                ));
            }
            said.headers.push(value);
        }
        Does::Data => {
            let data = match value.strip_prefix('@') {
                // Line ends are left out, as curl does.
                Some(name) => read(name)?
                    .into_iter()
                    .filter(|b| !b"\r\n\0".contains(b))
                    .collect(),
                None => value.into_bytes(),
            };
            said.add(&data, b"&");
        }
        Does::RawData => said.add(value.as_bytes(), b"&"),
        Does::BinaryData => match value.strip_prefix('@') {
            Some(name) => said.add(&read(name)?, b"&"),
            None => said.add(value.as_bytes(), b"&"),
        },
        Does::EncodedData => {
            let data = encoded(&value, &read)?;
            said.add(data.as_bytes(), b"&");
        }
        Does::Json => {
            said.is_json = true;
            match value.strip_prefix('@') {
                Some(name) => said.add(&read(name)?, b""),
                None => said.add(value.as_bytes(), b""),
            }
        }
        // It turns curl's own cookies on.
        Does::Cookie if value.is_empty() => {}
        Does::Cookie if !value.contains('=') => {
            return Err(format!(
                "{option}: a file of cookies is not read; write them out as name=value"
            ));
        }
        Does::Cookie => said.imply_again("cookie", value),
        Does::Agent => said.imply_again("user-agent", value),
        Does::Referer => {
            let referer = value.strip_suffix(";auto").unwrap_or(&value);
            said.imply_again("referer", referer.to_owned());
        }
        Does::User => {
            let credentials = encode_base64(value.as_bytes());
            said.imply_again("authorization", format!("Basic {credentials}"));
        }
        Does::Bearer => said.imply_again("authorization", format!("Bearer {value}")),
        Does::Url => said.urls.push(value),
        Does::Get => said.is_get = true,
        Does::Head => said.is_head = true,
        Does::Literal => said.is_literal = true,
        Does::Next => requests.extend(std::mem::take(said).finish()?),
        Does::Nothing | Does::NothingWithValue => {}
    }
    Ok(())
}

/// Returns data as `--data-urlencode` encodes it: `content`, `=content`, `name=content`, `@file` or `name@file`.
fn encoded(value: &str, read: &dyn Fn(&str) -> Result<Vec<u8>, String>) -> Result<String, String> {
    let (name, content) = match value.find('=').or_else(|| value.find('@')) {
        None => ("", value.as_bytes().to_vec()),
        Some(at) => {
            let (name, rest) = value.split_at(at);
            match rest.strip_prefix('@') {
                Some(file) => (name, read(file)?),
                None => (name, rest.as_bytes()[1..].to_vec()),
            }
        }
    };
    // As curl does, with `%20` for a space.
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let content = percent_encoding::percent_encode(&content, KEPT).to_string();
    Ok(match name {
        "" => content,
        name => format!("{name}={content}"),
    })
}

impl Said {
    /// Takes a header that an option stands for: the last of several counts, but all cookies do.
    fn imply_again(&mut self, name: &'static str, value: String) {
        match self.implied.iter_mut().find(|(known, _)| *known == name) {
            Some((_, cookies)) if name == "cookie" => {
                cookies.push_str("; ");
                cookies.push_str(&value);
            }
            Some((_, known)) => *known = value,
            None => self.implied.push((name, value)),
        }
    }

    /// Adds to the body, after what separates it from what is there.
    fn add(&mut self, data: &[u8], separator: &[u8]) {
        match &mut self.body {
            Some(body) => {
                body.extend_from_slice(separator);
                body.extend_from_slice(data);
            }
            None => self.body = Some(data.to_vec()),
        }
    }

    fn finish(mut self) -> Result<Vec<Request>, String> {
        if self.urls.is_empty() {
            return Err("there is no URL".to_owned());
        }
        let mut headers = self.headers()?;
        let mut query = None;
        if self.is_get {
            query = self.body.take();
        }
        let body = self.body.take();
        let implied = match (&body, self.is_head) {
            (_, true) => "HEAD",
            (Some(_), false) => "POST",
            (None, false) => "GET",
        };
        let method = self.method.clone().unwrap_or_else(|| implied.to_owned());
        if http::Method::from_bytes(method.as_bytes()).is_err() {
            return Err(format!("`{method}` is not a method"));
        }
        if body.is_some() && !self.is_json {
            self.imply(
                &mut headers,
                "content-type",
                "application/x-www-form-urlencoded",
            );
        }
        if self.is_json {
            self.imply(&mut headers, "content-type", "application/json");
            self.imply(&mut headers, "accept", "application/json");
        }
        self.imply(&mut headers, "accept", "*/*");
        let urls = self.urls.iter().map(|url| {
            let url = self.url(url, query.as_deref())?;
            let mut request = Request::new(&*method, &url);
            request.headers = headers.clone();
            if let Some(basic) = basic_of(&url) {
                self.imply(&mut request.headers, "authorization", &basic);
            }
            request.body = body.clone().unwrap_or_default();
            Ok(request)
        });
        urls.collect()
    }

    /// Adds a header that curl sends unless another value of it is given, or it is taken out.
    fn imply(&self, headers: &mut Headers, name: &str, value: &str) {
        let is_given = self.headers.iter().any(|header| {
            let given = header.split([':', ';']).next().unwrap_or_default();
            given.trim().eq_ignore_ascii_case(name)
        });
        if !is_given && !headers.contains(name) {
            headers.push(name, value);
        }
    }

    fn headers(&self) -> Result<Headers, String> {
        let mut headers = Headers::new();
        for header in &self.headers {
            let (name, value) = match (header.split_once(':'), header.strip_suffix(';')) {
                (Some((_, value)), _) if value.trim().is_empty() => continue,
                (Some((name, value)), _) => (name.trim(), value.trim()),
                (None, Some(name)) => (name.trim(), ""),
                (None, None) => return Err("-H: a header has no `:`".to_owned()),
            };
            if crate::base::http::is_hop_by_hop(name) || name.eq_ignore_ascii_case("content-length")
            {
                continue;
            }
            let is_name = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
            if !is_name || http::HeaderValue::from_str(value).is_err() {
                return Err(format!("-H: a header called `{name}` can't be sent"));
            }
            headers.push(name, value);
        }
        for (name, value) in &self.implied {
            self.imply(&mut headers, name, value);
        }
        Ok(headers)
    }

    fn url(&self, url: &str, query: Option<&[u8]>) -> Result<String, String> {
        let whole = http_url(url);
        let mut whole = whole.ok_or_else(|| "a URL is not one of http or https".to_owned())?;
        let target = split_url(&whole).map_or("", |(_, _, target)| target);
        if !self.is_literal && target.contains(['{', '[']) {
            return Err(
                "`{` and `[` in a URL stand for several requests: write each out, or add -g if it means itself"
                    .to_owned(),
            );
        }
        if let Some(query) = query {
            let query = String::from_utf8_lossy(query);
            let (start, fragment) = match whole.split_once('#') {
                Some((start, fragment)) => (start.to_owned(), Some(fragment.to_owned())),
                None => (whole, None),
            };
            let sign = if start.contains('?') { '&' } else { '?' };
            whole = format!("{start}{sign}{query}");
            if let Some(fragment) = fragment {
                whole = format!("{whole}#{fragment}");
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Result<Vec<u8>, String> {
        match name {
            "body.json" => Ok(b"{\n\"a\": 1}\n".to_vec()),
            _ => Err("can't be read".to_owned()),
        }
    }

    fn requests(text: &str) -> Vec<Request> {
        let items = read(text, &file).unwrap();
        let requests = items.into_iter().map(|item| match item {
            Item::Exchange(entry) => entry.request,
            Item::Other(..) => panic!("{text}"),
        });
        requests.collect()
    }

    fn request(text: &str) -> Request {
        requests(text).remove(0)
    }

    #[test]
    fn a_line_that_a_browser_copied_is_its_request() {
        let request = request(
            r#"curl 'https://shop.example/orders?page=2' \
  -X 'PUT' \
  -H 'accept: application/json' \
  -H 'x-empty;' \
  -b 'a=1; b=2' \
  --data-raw $'{"note":"it\'s \u0041\n"}' \
  --compressed"#,
        );
        assert_eq!(request.to_string(), "PUT shop.example/orders?page=2");
        assert_eq!(request.body, b"{\"note\":\"it's A\n\"}");
        let headers: Vec<_> = request.headers.iter().collect();
        let wanted: [(&str, &[u8]); 4] = [
            ("accept", b"application/json"),
            ("x-empty", b""),
            ("cookie", b"a=1; b=2"),
            ("content-type", b"application/x-www-form-urlencoded"),
        ];
        assert_eq!(headers, wanted);
    }

    #[test]
    fn options_make_the_request_that_curl_sends() {
        for (line, method, target, body, kind) in [
            ("curl shop.example", "GET", "/", "", None),
            ("curl -sSLI shop.example/a", "HEAD", "/a", "", None),
            (
                "curl -d a=1 -d b=2 http://h/",
                "POST",
                "/",
                "a=1&b=2",
                Some("application/x-www-form-urlencoded"),
            ),
            (
                "curl -XPATCH -da=1 http://h/",
                "PATCH",
                "/",
                "a=1",
                Some("application/x-www-form-urlencoded"),
            ),
            (
                "curl --json '{}' http://h/",
                "POST",
                "/",
                "{}",
                Some("application/json"),
            ),
            (
                "curl -G -d q=x --data-urlencode 'r=a b&' http://h/s?p=1#f",
                "GET",
                "/s?p=1&q=x&r=a%20b%26",
                "",
                None,
            ),
            (
                "curl -d @body.json http://h/",
                "POST",
                "/",
                "{\"a\": 1}",
                Some("application/x-www-form-urlencoded"),
            ),
            (
                "curl --data-binary @body.json http://h/",
                "POST",
                "/",
                "{\n\"a\": 1}\n",
                Some("application/x-www-form-urlencoded"),
            ),
            (
                "curl --data-raw @body.json -H content-type:text/plain http://h/",
                "POST",
                "/",
                "@body.json",
                Some("text/plain"),
            ),
            (
                "curl -d x -H 'Content-Type:' http://h/",
                "POST",
                "/",
                "x",
                None,
            ),
            (
                "curl -g 'http://h/{a}' --no-compressed -o out.txt",
                "GET",
                "/{a}",
                "",
                None,
            ),
        ] {
            let request = request(line);
            let got = (&*request.method, request.target(), &*request.body);
            assert_eq!(got, (method, target.to_owned(), body.as_bytes()), "{line}");
            assert_eq!(
                request.headers.text("content-type").as_deref(),
                kind,
                "{line}"
            );
            assert!(request.headers.contains("accept"), "{line}");
        }
        let several = request("$ curl http://h/ -b a=1 -b '' -b b=2 -A one -A two");
        assert_eq!(several.headers.text("cookie").unwrap(), "a=1; b=2");
        assert_eq!(several.headers.text("user-agent").unwrap(), "two");
        let encoded = request("curl http://h/ --data-urlencode 'a@b=c d'");
        assert_eq!(encoded.body, b"a@b=c%20d");
        let named = request("curl http://me:secret@h/");
        assert_eq!(
            named.headers.text("authorization").unwrap(),
            "Basic bWU6c2VjcmV0"
        );
        let signed = request("curl -u me:wrong -u me:secret http://h/");
        let signed = signed.headers.text("authorization").unwrap().into_owned();
        assert_eq!(signed, "Basic bWU6c2VjcmV0");
    }

    #[test]
    fn several_requests_of_a_text_are_read() {
        let text = "# orders\ncurl http://h/1; curl http://h/2 http://h/3 &\n\ncurl -d x http://h/4 --next http://h/5 | jq .\n";
        let targets: Vec<String> = requests(text)
            .iter()
            .map(|request| format!("{} {}", request.method, request.target()))
            .collect();
        assert_eq!(targets, ["GET /1", "GET /2", "GET /3", "POST /4", "GET /5"]);
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        for (text, told) in [
            ("", "there is no command line of curl"),
            ("wget http://h/", "line 1: `wget` is not curl"),
            (
                "curl http://h/\n\ncurl -F a=b http://h/",
                "line 3: -F is not read",
            ),
            (
                "curl --fancy http://h/",
                "line 1: the option --fancy is not known",
            ),
            ("curl -s", "line 1: there is no URL"),
            ("curl http://h/ -d", "line 1: -d has no value"),
            ("curl ftp://h/", "line 1: a URL is not one of http"),
            ("curl 'http://h/[1-3]'", "stand for several requests"),
            ("curl -H nothing http://h/", "a header has no `:`"),
            (
                "curl -d @none.json http://h/",
                "line 1: -d: none.json: can't be read",
            ),
            ("curl -b jar http://h/", "a file of cookies is not read"),
            (
                "curl -H \"authorization: $TOKEN\" http://h/",
                "line 1: `$` stands for a variable",
            ),
            ("curl http://h/`id`", "stands for a command"),
            ("curl 'http://h/", "line 1: a quote is not closed"),
            ("curl ^\"http://h/^\"", "copy it as cURL (bash)"),
            ("curl -X 'a b' http://h/", "is not a method"),
            ("curl http://h/ –d x", "a URL is not one of http"),
        ] {
            let faults = read(text, &file).unwrap_err().join("; ");
            assert!(faults.contains(told), "{text}: {faults}");
        }
    }
}
