//! Calls that are the application's own business: telemetry, a cloud's metadata, hosts that a policy names.

use crate::base::http::{Headers, Host, Request, Response};
use crate::control::Oracle;
use crate::net::plain;

/// What a call that carries no session is about, if it is the application's own business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ambient {
    /// It exports telemetry as OTLP over HTTP.
    Telemetry,
    /// It opens a tunnel to export telemetry as OTLP over gRPC.
    TelemetryTunnel,
    /// It asks a cloud's metadata service.
    Metadata,
    /// It is to a host that a policy lists; whether every policy lets it pass.
    Listed(bool),
}

/// The port of OTLP over gRPC.
const GRPC_PORT: &str = "4317";

impl Ambient {
    /// Returns what the call is about; `None` if it may belong to a case.
    pub(super) fn of(request: &Request, oracle: &dyn Oracle) -> Option<Self> {
        let host = Host::of(request);
        if let Some(passes) = oracle.ambient_host(&host) {
            return Some(Self::Listed(passes));
        }
        if is_metadata(&host) {
            return Some(Self::Metadata);
        }
        if request.method == "CONNECT" {
            let is_grpc = host.port() == Some(GRPC_PORT);
            return is_grpc.then_some(Self::TelemetryTunnel);
        }
        is_telemetry(request).then_some(Self::Telemetry)
    }

    /// Returns why the call belongs to no session, for display.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Telemetry | Self::TelemetryTunnel => "it exports the application's own telemetry",
            Self::Metadata => "it asks a cloud's metadata service",
            Self::Listed(_) => "the policy lists its host as ambient",
        }
    }

    /// Returns the answer; `None` if the call is forwarded.
    pub(super) fn answer(self, request: &Request) -> Option<Response> {
        match self {
            Self::Telemetry => Some(empty_success(request)),
            // What is inside of a tunnel that can be read is answered by itself.
            Self::TelemetryTunnel => Some(plain(503, "telemetry is not taken while tests run")),
            Self::Metadata => Some(plain(404, "there is no metadata service here")),
            Self::Listed(true) => None,
            Self::Listed(false) => Some(plain(503, "a strict policy lets no ambient call pass")),
        }
    }
}

/// Returns whether a host is the metadata service of a cloud.
fn is_metadata(host: &Host<'_>) -> bool {
    const HOSTS: [&str; 4] = [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "metadata.google.internal",
    ];
    HOSTS.iter().any(|known| host.is(known))
}

/// Returns whether a request exports OTLP.
fn is_telemetry(request: &Request) -> bool {
    let kind = request.headers.text("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let has = |kinds: &[&str]| kinds.iter().any(|known| known.eq_ignore_ascii_case(kind));
    let grpc = "/opentelemetry.proto.collector.";
    if request.path.starts_with(grpc) && has(&["application/grpc", "application/grpc+proto"]) {
        return true;
    }
    const PATHS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];
    request.method == "POST"
        && PATHS.contains(&request.path.as_str())
        && has(&[
            "application/x-protobuf",
            "application/protobuf",
            "application/json",
        ])
}

/// Returns the answer of a collector that took everything: an empty message in the request's own format.
fn empty_success(request: &Request) -> Response {
    let kind = request.headers.text("content-type").unwrap_or_default();
    if request.is_grpc() {
        return Response {
            status: 200,
            headers: Headers::from_iter([("content-type", &*kind)]),
            // A message that is not compressed and has no bytes.
            body: vec![0; 5],
            trailers: Headers::from_iter([("grpc-status", "0")]),
        };
    }
    let is_json = kind.to_ascii_lowercase().contains("json");
    Response {
        status: 200,
        headers: Headers::from_iter([("content-type", &*kind)]),
        body: if is_json { b"{}".to_vec() } else { Vec::new() },
        trailers: Headers::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_is_known_by_its_path_and_type() {
        let telemetry = |method: &str, url: &str, kind: &str| {
            let mut request = Request::new(method, url);
            request.headers.push("content-type", kind);
            is_telemetry(&request)
        };
        let url = "http://collector:4318/v1/traces";
        assert!(telemetry("POST", url, "application/x-protobuf"));
        assert!(telemetry("POST", url, "Application/JSON; charset=utf-8"));
        assert!(!telemetry("POST", url, "text/plain"));
        assert!(!telemetry("GET", url, "application/json"));
        assert!(!telemetry(
            "POST",
            "http://a/v1/charges",
            "application/json"
        ));
    }

    #[test]
    fn metadata_services_are_known_by_their_hosts() {
        for host in [
            "169.254.169.254",
            "169.254.170.2:80",
            "Metadata.Google.Internal.",
        ] {
            assert!(is_metadata(&Host::read(host)), "{host}");
        }
        assert!(!is_metadata(&Host::read("169.254.1.1")));
    }
}
