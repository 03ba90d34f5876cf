//! An application in Java, whose client keeps connections to a proxy that has ended.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::hookfiles::is_there;
use crate::support::{Project, attribute, document, free_port, response_body, span};

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_pool_of_connections_outlives_the_proxy_of_a_run() {
    if !is_there("java") {
        return;
    }
    let project = Project::new();
    let methods = ["DELETE", "PUT", "POST"];
    for method in methods {
        let inbound = span(
            1,
            "inbound",
            &format!("GET shop.example/{method}"),
            Some(200),
            &[response_body("[1]")],
        );
        let body = [
            attribute("http.request.body", "{\"x\":1}"),
            attribute("http.request.header.content-type", "application/json"),
            response_body("[1]"),
        ];
        let outbound = format!("{method} stock.example/items");
        let outbound = span(2, "outbound", &outbound, Some(200), &body);
        let case = document(&[inbound, outbound]).to_string();
        project.write(&format!("{method}.case.json"), case);
    }
    let suite = "name: s\ncases: \"*.case.json\"\nmocks: auto\npolicy: { externalHttp: strict }\n";
    project.write("s.suite.yaml", suite);
    let port = free_port();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/java/Shop.java");
    let mut java = Command::new("java");
    java.args(["-Dhttp.proxyHost=127.0.0.1", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Dhttp.proxyPort={port}"))
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut shop = Ended(java.spawn().unwrap());
    let mut line = String::new();
    let output = shop.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let app = format!("http://127.0.0.1:{}", line.trim());
    let listen = format!("127.0.0.1:{port}");
    for run in 0..4 {
        if run > 0 {
            // This is no waiting for something: what a user does between two runs takes time, in which the
            // client's idle connections have to end.
            std::thread::sleep(Duration::from_millis(1500));
        }
        let args = ["--app-url", &app, "--proxy-listen", &listen];
        project.run(&args).passes();
    }
}
