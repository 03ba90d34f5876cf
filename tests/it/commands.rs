//! The session commands, doctor, completions and help: output, JSON documents and exit codes.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::command::{Output, Served, run, run_in, softprobe};
use crate::support::{Project, Stub, document, free_port, http, send, span};

#[test]
fn a_session_is_controlled_from_the_shell() {
    let served = Served::start(&[]);
    let url = served.url();
    let project = Project::new();
    let in_session = |id: &str, args: &[&str]| {
        let mut command = softprobe(args);
        command
            .current_dir(project.path())
            .env("SOFTPROBE_RUNTIME_URL", &url)
            .env("SOFTPROBE_SESSION_ID", id);
        Output::of(&mut command)
    };
    let shell = in_session("", &["session", "start", "--shell", "--strict"]);
    let id = shell
        .stdout
        .strip_prefix("export SOFTPROBE_SESSION_ID=")
        .unwrap()
        .trim()
        .to_owned();
    assert!(id.starts_with("sess_"), "{}", shell.stdout);
    let state = in_session(&id, &["inspect", "session", "--json"]).document();
    assert_eq!(
        (&state["mode"], &state["policy"]["externalHttp"]),
        (&json!("replay"), &json!("strict"))
    );

    let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &[]);
    project.write("a.case.json", document(&[inbound]).to_string());
    in_session(&id, &["session", "load-case", "a.case.json"])
        .ends(0, &["loaded test-case; the session's revision is 1"]);
    let rules = json!({"version": 1, "rules": [{"name": "greet", "when": {"host": "a.example"}, "then": {"action": "mock", "response": {"body": "hi"}}}]});
    project.write("rules.json", rules.to_string());
    let applied = in_session(&id, &["session", "rules", "apply", "rules.json", "--json"]);
    assert_eq!(applied.document()["sessionRevision"], 2);
    let secret = json!({"rules": [{"name": "greet", "when": {"host": "a.example", "headerMatch": {"Authorization": "hidden-value"}}, "then": {"action": "mock", "response": {"headers": {"set-cookie": "hidden-value"}, "body": {"cookie": "of the body"}}}}, rules["rules"][0]]});
    project.write("secret.json", secret.to_string());
    in_session(&id, &["session", "rules", "apply", "secret.json"]).ends(0, &["set 2 rules"]);
    let shown = in_session(&id, &["inspect", "session", "--json"]);
    assert!(
        shown.stdout.contains("[masked]") && !shown.stdout.contains("hidden-value"),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("\"of the body\""), "{}", shown.stdout);
    let call = |host: &str| {
        let head = format!("GET http://{host}/p HTTP/1.1\r\nhost: {host}\r\n\r\n");
        send(served.proxy(), head)
    };
    assert_eq!(call("a.example").text(), "hi");
    assert_eq!(call("b.example").status, 599);
    in_session(&id, &["inspect", "session"]).ends(
        0,
        &[
            "case      test-case (1 trace)",
            "rules     2",
            "misses    1",
            "a.example/p",
            "greet",
            "missed",
        ],
    );
    project.write(
        "policy.json",
        "{\"externalHttp\":\"allow\",\"defaultOnMiss\":\"mock\",\"mock\":{\"status\":204}}",
    );
    in_session(&id, &["session", "policy", "set", "policy.json"]).ends(0, &["set the policy"]);
    assert_eq!(call("b.example").status, 204);
    in_session(&id, &["session", "policy", "set", "--strict"]).ends(0, &["revision is 5"]);
    assert_eq!(call("b.example").status, 599);
    let stats = in_session(&id, &["session", "stats", "--json"]).document();
    assert_eq!(stats["stats"]["strictMisses"], 2);
    in_session(&id, &["session", "stats"]).ends(0, &["\"strictMisses\": 2"]);

    // Errors in a document are reported with their place, before the runtime is called.
    project.write(
        "bad.json",
        "{\"rules\":[{\"when\":{\"hots\":\"a\"},\"then\":{\"action\":\"mok\"}}]}",
    );
    let bad = in_session(&id, &["session", "rules", "apply", "bad.json"]);
    bad.ends(
        5,
        &[
            "bad.json: rules[0].when.hots: unknown field; did you mean host?",
            "rules[0].then.action: `mok`",
        ],
    );
    in_session(&id, &["session", "load-case", "bad.json"])
        .ends(5, &["bad.json: `version` is missing"]);
    in_session(&id, &["session", "load-case", "gone.json"]).ends(5, &["gone.json: can't be read"]);
    in_session(&id, &["session", "policy", "set", "bad.json", "--strict"])
        .ends(2, &["cannot be used with"]);
    in_session("../x", &["session", "stats"]).ends(2, &["`../x` is not a session id"]);
    let unset = Output::of(&mut softprobe(&["session", "stats"]));
    unset.ends(2, &["--session <ID>"]);

    in_session(&id, &["session", "close"]).ends(0, &["closed"]);
    let gone = in_session(&id, &["session", "close", "--json"]);
    assert_eq!(
        (gone.code, &gone.document()["error"]["code"]),
        (4, &json!("unknown_session"))
    );
    for args in [
        &["session", "stats"][..],
        &["inspect", "session"],
        &["session", "rules", "apply", "rules.json"],
    ] {
        in_session(&id, args).ends(4, &["error: the runtime answered 404", "is open"]);
    }
    let nobody = run(&[
        "session",
        "start",
        "--runtime-url",
        "http://127.0.0.1:1",
        "--json",
    ]);
    assert_eq!(
        (nobody.code, &nobody.document()["error"]["code"]),
        (3, &json!("runtime_unreachable"))
    );
    let message = nobody.document()["error"]["message"].to_string();
    assert!(message.to_lowercase().contains("refused"), "{message}");
    run(&["session", "start", "--case-id", "x"]).ends(2, &["--case-id requires --mode capture"]);
    // A shell that evaluates this output does not continue with the previous session.
    let failed = run(&[
        "session",
        "start",
        "--shell",
        "--runtime-url",
        "http://127.0.0.1:1",
    ]);
    assert_eq!(
        failed.ends(3, &[]).stdout,
        "unset SOFTPROBE_SESSION_ID; (exit 3)\n"
    );
    let other = Stub::json(200, &json!({"hello": 1}));
    run(&["session", "start", "--runtime-url", &other.url()])
        .ends(1, &["the new session has no sessionId"]);
    let page = Stub::start(|_| http(200, &[], "<html>"));
    run(&["session", "start", "--runtime-url", &page.url()])
        .ends(1, &["does not speak the control API"]);
}

#[test]
fn a_capture_is_saved_by_the_command_or_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    let served = Served::start(&["--captures", there.to_str().unwrap()]);
    let project = Project::new();
    let url = served.url();
    let start = || {
        let args = [
            "session",
            "start",
            "--mode",
            "capture",
            "--case-id",
            "mine",
            "--runtime-url",
            &url,
        ];
        run(&args).stdout.trim().to_owned()
    };
    let close = |id: &str, more: &[&str]| {
        let args = ["session", "close", "--session", id, "--runtime-url", &url];
        run_in(project.path(), &[&args[..], more].concat())
    };
    close(&start(), &["--save", "deep/here.case.json"]).ends(
        1,
        &[
            "the case is in deep/here.case.json",
            "error: no inbound exchange was captured",
        ],
    );
    let text = std::fs::read_to_string(project.path().join("deep/here.case.json")).unwrap();
    let case: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&case["caseId"], &case["traces"]),
        (&json!("mine"), &json!([]))
    );
    let document = close(&start(), &["--out", "x.case.json", "--json"]).document();
    assert!(
        document["capturePath"]
            .as_str()
            .unwrap()
            .ends_with("there/x.case.json")
    );
    assert!(there.join("x.case.json").is_file());
    let open = start();
    close(&open, &["--out", "../x"]).ends(5, &["out: `../x` is not a path below the folder"]);
    for odd in ["a\u{1}b", &"x".repeat(300)] {
        close(&open, &["--out", odd]).ends(5, &["is not a valid file name"]);
    }
    // A file that can't be written leaves the session open.
    project.write("file", "");
    close(&open, &["--save", "file/x.case.json"]).ends(5, &["file/x.case.json: can't be written"]);
    close(&open, &[]).ends(0, &["closed"]);

    // A missing flag does not lose a capture, and warnings say what the capture lacks.
    let upstream = Stub::start(|_| http(200, &[], "{}"));
    let record = |id: &str, form: &str| {
        // The application's caller names the session in a header, the application in the tracestate
        // that it passes on.
        let named = match form.starts_with('/') {
            true => format!("x-softprobe-session-id: {id}"),
            false => format!("tracestate: x-softprobe-session-id={id}"),
        };
        let call = format!("GET {form} HTTP/1.1\r\nhost: localhost\r\n{named}\r\n\r\n");
        assert_eq!(send(served.proxy(), call).status, 200);
    };
    let inbound = format!("/__softprobe/http/{}/a", upstream.address);
    let outbound = format!("{}/b", upstream.url());
    let id = start();
    record(&id, &inbound);
    // Without a flag, the runtime keeps it.
    close(&id, &[]).ends(0, &["closed; the case is in ", &format!("{id}.case.json")]);
    let get = [
        "cases",
        "get",
        &id,
        "--out",
        "kept.case.json",
        "--runtime-url",
        &url,
    ];
    let got = run_in(project.path(), &get);
    got.ends(0, &["wrote kept.case.json"]);
    let id = start();
    record(&id, &inbound);
    close(&id, &["--save", "a.case.json"]).ends(0, &["warning: no outbound call was captured"]);
    let id = start();
    record(&id, &outbound);
    // What can't be replayed is there, and is no success.
    close(&id, &["--save", "a.case.json"]).ends(1, &["the header x-softprobe-session-id"]);
    assert!(project.path().join("a.case.json").is_file());
    let id = start();
    for call in [&inbound, &inbound, &outbound] {
        record(&id, call);
    }
    close(&id, &["--save", "a.case.json"]).ends(
        1,
        &["2 inbound exchanges were captured, but a case has only one"],
    );
    run_in(project.path(), &["suite", "init", "a.case.json"])
        .ends(5, &["2 spans could be the inbound"]);
    let id = start();
    record(&id, &outbound);
    close(&id, &["--discard"]).ends(0, &["closed"]);
    let id = start();
    let nobody = "GET http://127.0.0.1:1/x HTTP/1.1\r\nhost: localhost\r\n";
    let call = format!("{nobody}tracestate: x-softprobe-session-id={id}\r\n\r\n");
    assert_eq!(send(served.proxy(), call).status, 502);
    close(&id, &["--save", "b.case.json"]).ends(1, &["no inbound exchange was captured"]);
    let text = std::fs::read_to_string(project.path().join("b.case.json")).unwrap();
    assert!(text.contains("\"error.type\"") && text.contains("\"connection_refused\""));
    assert!(
        !text.contains("http.response"),
        "the proxy's own words are no answer: {text}"
    );
}

#[test]
fn the_doctor_checks_whether_an_application_propagates() {
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listen = free.to_string();
    let app = |pass_on: &'static str| {
        Stub::start(move |request| {
            if request.line.contains("/quiet") {
                return http(200, &[], "");
            }
            let passed = match pass_on {
                "" => String::new(),
                "another's" => "tracestate: x-softprobe-session-id=another\r\n".to_owned(),
                name => format!("{name}: {}\r\n", request.header(name).unwrap()),
            };
            send(
                free,
                format!("GET http://a.example/dep HTTP/1.1\r\nhost: a.example\r\n{passed}\r\n"),
            );
            http(200, &[], "")
        })
    };
    let doctor = |app: &Stub, more: &[&str]| {
        let url = app.url();
        run(&[
            &["doctor", "--app-url", &url, "--proxy-listen", &listen][..],
            more,
        ]
        .concat())
    };
    doctor(&app("tracestate"), &["--probe", "POST /order?x=1"]).ends(
        0,
        &[
            "ok       runtime          embedded",
            "proxy port",
            "is free",
            "answered `POST /order?x=1` with 200",
            "1 of 1 calls carried tracestate (GET a.example/dep)",
        ],
    );
    doctor(&app("traceparent"), &[]).ends(
        0,
        &["unclear  propagation      1 of 1 calls carried traceparent without"],
    );
    doctor(&app("another's"), &[]).ends(
        10,
        &["1 of 1 calls carried the tracestate of another request"],
    );
    let lost = doctor(&app(""), &["--json"]);
    assert_eq!(
        (lost.code, &lost.document()["error"]["code"]),
        (10, &json!("doctor_found_fault"))
    );
    assert_eq!(lost.document()["checks"][3]["result"], "fault");
    doctor(&app(""), &[]).ends(
        10,
        &[
            "fault    propagation      1 of 1 calls carried neither",
            "error: at fault: propagation",
        ],
    );
    doctor(&app(""), &["--probe", "GET /quiet"]).ends(
        0,
        &["unclear  propagation      no call of the application came through"],
    );
    // What is inside TLS can't be seen, which is not a fault.
    let tls = Stub::start(move |_| {
        let mut stream = std::net::TcpStream::connect(free).unwrap();
        let head = "CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        crate::support::read_answer(&mut stream, true);
        stream.write_all(&[0x16]).unwrap();
        let _ = stream.read(&mut [0]);
        http(200, &[], "")
    });
    doctor(&tls, &[]).ends(
        0,
        &["unclear  propagation      1 of 1 calls are inside TLS"],
    );
    let dropping = Stub::start(move |_| {
        send(
            free,
            "GET http://a.example/dep HTTP/1.1\r\nhost: a.example\r\n\r\n",
        );
        Vec::new()
    });
    doctor(&dropping, &[]).ends(
        10,
        &[
            "unclear  application",
            "after its call was answered with status 599",
            "fault    propagation",
        ],
    );
    let gone = [
        "doctor",
        "--app-url",
        "http://127.0.0.1:1",
        "--proxy-listen",
        &listen,
    ];
    run(&gone).ends(
        10,
        &["fault    application      http://127.0.0.1:1 gave no answer"],
    );
    run(&["doctor", "--app-url", "nowhere"]).ends(2, &["`nowhere` is not a base URL"]);
    run(&["doctor", "--probe", "nowhere"]).ends(2, &["--probe"]);

    let served = Served::start(&[]);
    let own = served.proxy().to_string();
    let url = served.url();
    let app = Stub::start(|_| http(200, &[], ""));
    let args = [
        "doctor",
        "--proxy-listen",
        &own,
        "--runtime-url",
        &url,
        "--app-url",
        &app.url(),
    ];
    run(&args).ends(
        0,
        &[
            "ok       runtime",
            "ok       versions         http-control-api@v1, schema 1",
            "ok       proxy port       a softprobe proxy listens at",
            "unclear  propagation      not checked; the doctor needs",
        ],
    );
    let taken = app.address.to_string();
    run(&["doctor", "--proxy-listen", &taken]).ends(
        10,
        &[
            "fault    proxy port",
            "unclear  application      not checked; give its URL with --app-url",
        ],
    );
    run(&["doctor", "--proxy-listen", "4100"]).ends(2, &["such as 127.0.0.1:4100"]);
    run(&[
        "doctor",
        "--proxy-listen",
        &listen,
        "--runtime-url",
        "http://127.0.0.1:1",
    ])
    .ends(10, &["fault    runtime          no runtime answers at"]);
    let other = Stub::json(
        200,
        &json!({"status": "ok", "specVersion": "http-control-api@v2", "schemaVersion": "1"}),
    );
    run(&[
        "doctor",
        "--proxy-listen",
        &listen,
        "--runtime-url",
        &other.url(),
    ])
    .ends(
        10,
        &["fault    versions         the runtime speaks \"http-control-api@v2\""],
    );
    let locked = Served::start_with(&[], &[("SOFTPROBE_API_TOKEN", "t")]);
    run(&[
        "doctor",
        "--proxy-listen",
        &listen,
        "--runtime-url",
        &locked.url(),
    ])
    .ends(10, &["fault    token", "requires a token"]);
}

#[test]
fn completions_help_and_argument_errors_are_printed() {
    for (shell, word) in [
        ("bash", "_softprobe()"),
        ("zsh", "#compdef softprobe"),
        ("fish", "complete -c softprobe"),
    ] {
        run(&["completions", shell]).ends(0, &[word, "load-case"]);
    }
    run(&["completions", "sh"]).ends(2, &["invalid value 'sh'"]);
    run(&["--version"]).ends(0, &["softprobe 0."]);
    run(&[]).ends(2, &["Usage: softprobe"]);
    let wrong = run(&["session", "strat", "--json"]);
    assert_eq!(
        (wrong.code, &wrong.document()["error"]["code"]),
        (2, &json!("invalid_arguments"))
    );
    run(&["session", "strat"]).ends(2, &["unrecognized subcommand 'strat'", "start"]);
    for command in [
        "serve",
        "proxy",
        "suite run",
        "suite validate",
        "suite schema",
        "suite init",
        "suite diff",
        "validate case",
        "validate rules",
        "validate suite",
        "session start",
        "session load-case",
        "session rules apply",
        "session policy set",
        "session stats",
        "session close",
        "inspect case",
        "inspect session",
        "scrub",
        "export otlp",
        "doctor",
        "completions",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = run(&args);
        help.ends(0, &[&format!("Usage: softprobe {command}"), "--json"]);
        assert!(
            help.stdout.lines().next().unwrap().len() > 10,
            "{}",
            help.stdout
        );
    }
    run(&["--help"]).ends(0, &["10 doctor found a fault, 20 suite failed"]);
}

#[test]
fn blank_variables_count_as_unset() {
    let (project, served) = (Project::new(), Served::start(&[]));
    let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &[]);
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    let blank = |args: &[&str], names: &[&str]| {
        let mut command = softprobe(args);
        command.current_dir(project.path());
        command.envs(names.iter().map(|name| (name, " ")));
        Output::of(&mut command)
    };
    let names = [
        "APP_URL",
        "SOFTPROBE_HOOKS",
        "SOFTPROBE_ENV_FILE",
        "SOFTPROBE_PROXY_LISTEN",
        "SOFTPROBE_RUNTIME_URL",
    ];
    blank(&["suite", "validate", "s.suite.yaml"], &names).ends(0, &["1 suite with 1 case file"]);
    blank(&["suite", "run", "s.suite.yaml"], &names).ends(20, &["there is no application"]);
    blank(&["doctor", "--proxy-listen", "127.0.0.1:0"], &names).ends(0, &["embedded"]);
    blank(
        &["export", "otlp", "a.case.json"],
        &["OTEL_EXPORTER_OTLP_ENDPOINT"],
    )
    .ends(1, &["http://127.0.0.1:4318/v1/traces"]);
    let mut start = softprobe(&["session", "start", "--runtime-url", &served.url()]);
    Output::of(start.env("SOFTPROBE_API_TOKEN", " ")).ends(0, &["sess_"]);
    run(&["serve", "--listen", "20581"]).ends(2, &["such as 127.0.0.1:4100"]);
}

#[test]
fn a_proxy_needs_the_runtimes_token_to_start() {
    let locked = Served::start_with(&[], &[("SOFTPROBE_API_TOKEN", "t")]);
    run(&[
        "proxy",
        "--listen",
        "127.0.0.1:0",
        "--runtime-url",
        &locked.url(),
    ])
    .ends(
        1,
        &["this runtime requires a token; set SOFTPROBE_API_TOKEN"],
    );
}
