//! What stands under the names of secrets is in no report.

use serde_json::{Value, json};

use super::{all_reports, text};
use crate::command::{Output, softprobe};
use crate::support::{Project, Stub, attribute, document, http, response_body, span};

/// Bodies that hold secrets where nobody looks first, with the type that they are sent as; each `SECRET` is another one in the
/// capture than in the answer.
const BODIES: [(&str, &str); 14] = [
    (
        "application/json",
        r#"{"private_key":"-----BEGIN\nSECRET\nend","n":1}"#,
    ),
    (
        "application/json",
        r#"{"a":{"password":{"v":"x\nSECRET\n"}}}"#,
    ),
    (
        "application/json",
        r#"{"callback":"https://u:SECRET@h.example/x?token=SECRET"}"#,
    ),
    (
        "application/json",
        r#"{"payload":"{\"password\":\"SECRET and more\"}","n":1}"#,
    ),
    (
        "application/json",
        r#"{"list":[{"api_key":"SECRET"},{"card":{"cvc":"SECRET"}}]}"#,
    ),
    (
        "application/x-www-form-urlencoded",
        "user=a&password=SECRET\n",
    ),
    (
        "application/x-www-form-urlencoded",
        "card[number]=1&card%5Bcvc%5D=SECRET&n=1",
    ),
    ("text/plain", "a line\npassword=SECRET\nanother"),
    ("text/plain", "{\n\"password\":\"SECRET\",\nno json"),
    ("text/plain", "prefix {\"err\":1,\"secret\":\"SECRET\"}"),
    (
        "application/octet-stream",
        "\u{feff}{\"pass\\u0077ord\":\"SECRET\"",
    ),
    (
        "multipart/form-data; boundary=b",
        "--b\r\ncontent-disposition: form-data; name=\"password\"\r\n\r\nSECRET words\r\n--b--\r\n",
    ),
    (
        "text/html",
        "<a href=\"https://u:SECRET@h.example/?next=https%3A%2F%2Fu%3ASECRET%40h%2F%3Ftoken%3DSECRET\">",
    ),
    (
        "text/plain",
        "redirect to https://h.example/cb#access_token=SECRET",
    ),
];

fn case(n: usize, kind: &str, body: &str) -> Value {
    let path = format!("/{n}?cb=https%3A%2F%2Fu%3AS3CRET-q%40h%2F&user.pin=S3CRET-p");
    let more = [
        attribute(
            "http.request.header.referer",
            "https://r.example/?token=S3CRET-r",
        ),
        attribute("http.request.header.content-type", "application/json"),
        attribute("http.request.body", "{\"pass\\u0077ord\":\"S3CRET-b\""),
        attribute("http.response.header.content-type", kind),
        attribute(
            "http.response.header.location",
            "https://o.example/cb?code=1&access_token=S3CRET-l",
        ),
        response_body(&body.replace("SECRET", "S3CRET-was")),
    ];
    let inbound = span(
        1,
        "inbound",
        &format!("POST shop.example{path}"),
        Some(200),
        &more,
    );
    document(&[inbound])
}

#[test]
fn no_report_shows_what_stands_under_the_name_of_a_secret() {
    let project = Project::new();
    for (n, (kind, body)) in BODIES.iter().enumerate() {
        project.write(
            &format!("cases/c{n:02}.case.json"),
            case(n, kind, body).to_string(),
        );
    }
    let suite = "name: s\ncases: cases/*.case.json\nassertions: { headers: { mode: captured } }\n";
    project.write("s.suite.yaml", suite);
    let token = "S3CRET-of-the-runtime/with+odd=characters";
    let app = Stub::start(move |request| {
        let path = request.line.split(' ').nth(1).unwrap();
        let n: usize = path[1..].split('?').next().unwrap().parse().unwrap();
        let (kind, body) = BODIES[n];
        let more = format!(
            "{} {token} {}",
            body.replace("SECRET", "S3CRET-is"),
            "x".repeat(500)
        );
        let body = if n == 7 {
            more
        } else {
            body.replace("SECRET", "S3CRET-is")
        };
        let location = format!("https://u:S3CRET-w@o.example/cb?code=1&access_token=S3CRET-{n}");
        http(
            200,
            &[("content-type", kind), ("location", &location)],
            &body,
        )
    });
    let told = Output::of(all_reports(&project, &app).env("SOFTPROBE_API_TOKEN", token));
    told.ends(20, &[]);
    let mut plain = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
    plain
        .env("SOFTPROBE_API_TOKEN", token)
        .current_dir(project.path());
    let plain = Output::of(&mut plain);
    plain.ends(20, &["why they fail, in short:", "[masked]"]);
    let mut events = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
    events
        .args(["--format", "json"])
        .env("SOFTPROBE_API_TOKEN", token);
    let events = Output::of(events.current_dir(project.path()));
    let mut all = vec![
        ("--json", told.stdout),
        ("annotations", told.stderr),
        ("text", plain.stdout),
        ("warnings", plain.stderr),
        ("events", events.stdout),
    ];
    for file in [
        "page.html",
        "run.md",
        "junit.xml",
        "trace.json",
        "log",
        ".softprobe/last-run.json",
        "run/s-c00.md",
        "run/s-c07.md",
    ] {
        all.push((file, text(&project, file)));
    }
    for (report, shown) in all {
        if let Some(at) = shown.find("S3CRET") {
            let mut from = at.saturating_sub(200);
            while !shown.is_char_boundary(from) {
                from += 1;
            }
            let shown: String = shown[from..].chars().take(300).collect();
            panic!("{report} shows a secret: {shown}");
        }
        assert!(
            ["log", "warnings"].contains(&report) || shown.contains("[masked]"),
            "{report} shows nothing masked"
        );
    }
}

#[test]
fn a_word_as_a_token_hides_no_result() {
    let project = Project::with_answer(200, "{\"a\":1}", "name: s\ncases: a.case.json\n");
    let app = Stub::json(200, &json!({"a": "my ail"}));
    let mut command = all_reports(&project, &app);
    let told = Output::of(command.env("SOFTPROBE_API_TOKEN", "ail"));
    told.ends(20, &[]);
    assert_eq!(told.document()["cases"][0]["result"], "failed");
    assert!(!text(&project, "page.html").contains("my ail"));
}
