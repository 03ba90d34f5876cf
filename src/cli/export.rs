//! `export otlp`: sends the traces of cases to a collector.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use super::files;
use super::output::{Failed, Output, arguments, failure, invalid};
use super::validate::counted;
use crate::base::http::{Response, without_credentials};
use crate::base::unless_blank;
use crate::case::{Case, read_spans};
use crate::control::PROTOBUF;
use crate::net::{Client, Timeouts};
use crate::otlp::{decode, encode, rejected_spans};
use crate::suite::is_base_url;

/// Base URL of a collector on this machine, by default.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4318";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Export {
    /// Send the traces of case files to an OpenTelemetry collector, by OTLP over HTTP
    Otlp(Otlp),
}

#[derive(Debug, clap::Args)]
pub(super) struct Otlp {
    /// Files or globs
    #[arg(value_name = "FILE", required_unless_present = "case")]
    files: Vec<String>,
    /// File or glob, as the argument without a flag; may be repeated
    #[arg(long, value_name = "GLOB")]
    case: Vec<String>,
    /// Base URL of the collector; `/v1/traces` is appended, unless it ends so
    #[arg(
        long,
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        default_value = DEFAULT_ENDPOINT
    )]
    endpoint: String,
    /// Header to send to the collector; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// Encoding of the traces
    #[arg(long, value_enum, default_value_t = Protocol::Protobuf)]
    protocol: Protocol,
    /// How long each request may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// The encoding of OTLP over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    #[value(name = "http/protobuf")]
    Protobuf,
    #[value(name = "http/json")]
    Json,
}

impl Protocol {
    fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => "application/json",
        }
    }
}

impl Export {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let Self::Otlp(otlp) = self;
        otlp.run()
    }
}

impl Otlp {
    fn run(self) -> Result<Output, Failed> {
        let headers = self
            .header
            .iter()
            .map(|header| {
                header
                    .split_once('=')
                    .ok_or_else(|| arguments("--header: expected NAME=VALUE"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let endpoint = unless_blank(Some(self.endpoint.as_str())).unwrap_or(DEFAULT_ENDPOINT);
        if !is_base_url(endpoint.trim()) {
            return Err(arguments(format!(
                "--endpoint: `{}` is not a base URL such as {DEFAULT_ENDPOINT}",
                without_credentials(endpoint)
            )));
        }
        const PATH: &str = "/v1/traces";
        let endpoint = endpoint.trim().trim_end_matches('/');
        let url = format!("{}{PATH}", endpoint.trim_end_matches(PATH));
        // Read every file before sending anything, so that a bad file does not leave half an export.
        let mut bodies = Vec::new();
        for (path, case) in files::read_cases(&[&self.files[..], &self.case].concat())? {
            for body in self.bodies(&path, &case)? {
                bodies.push((path.display().to_string(), body));
            }
        }
        let client = Client::new(Timeouts::Whole(Duration::from_secs(self.timeout.max(1))));
        let (mut spans, mut sent) = (0, Vec::<String>::new());
        for (file, (count, body)) in bodies {
            let content_type = self.protocol.media_type();
            let mut request = ureq::http::Request::post(&url).header("content-type", content_type);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let done = sent.len();
            let failed = |why: &dyn std::fmt::Display| {
                let url = without_credentials(&url);
                let failed = failure("export_failed", format!("{file}: {url}: {why}"));
                let output = failed.into_output();
                Failed::from(output.field("sent", done).field("failed", 1))
            };
            let request = request.body(body).map_err(|e| failed(&e))?;
            let Response { status, body, .. } = client.send(request).map_err(|e| failed(&e))?;
            if !(200..300).contains(&status) {
                let said: String = String::from_utf8_lossy(&body).chars().take(500).collect();
                return Err(failed(&format!("the collector answered {status}: {said}")));
            }
            if let Some((rejected, why)) = rejected_spans(&body) {
                return Err(failed(&format!(
                    "the collector rejected {}: {why}",
                    counted(rejected, "span")
                )));
            }
            spans += count;
            if sent.last() != Some(&file) {
                sent.push(file);
            }
        }
        let text = format!(
            "sent {} of {} to {url}\n",
            counted(spans, "span"),
            counted(sent.len(), "case file")
        );
        Ok(Output::fine(text)
            .field("sent", sent.len())
            .field("failed", 0)
            .field("spans", spans)
            .field("files", sent)
            .field("url", url))
    }

    /// Returns the trace documents of a case as request bodies, each with its number of spans.
    fn bodies(&self, path: &Path, case: &Case) -> Result<Vec<(usize, Vec<u8>)>, Failed> {
        let traces = case.document()["traces"].as_array();
        let traces = traces.map(Vec::as_slice).unwrap_or_default();
        let mut bodies = Vec::new();
        for (n, trace) in traces.iter().enumerate() {
            let wrong = |why: String| invalid(path, format!("traces[{n}].{why}"));
            // Converting to protobuf and back gives ids and kinds the form that collectors know, whichever
            // tool wrote the case.
            let protobuf = encode(trace).map_err(|why| wrong(why.to_string()))?;
            let normal = decode(&protobuf).map_err(wrong)?;
            let body = match self.protocol {
                Protocol::Json => normal.to_string().into_bytes(),
                Protocol::Protobuf => protobuf,
            };
            let spans = read_spans(normal).map_err(|why| wrong(why.to_string()))?;
            bodies.push((spans.len(), body));
        }
        Ok(bodies)
    }
}
