//! `doctor`: checks what works and what does not.

mod clients;
mod launched;
mod seen;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::output::{Exit, Failed, Output, arguments};
use super::{DEFAULT_PROXY, Global, check_app_url};
use crate::base::http::{Headers, Request, SESSION_HEADER, split_target, without_credentials};
use crate::base::unless_blank;
use crate::base::with_causes;
use crate::control::{Call, Oracle, SCHEMA_VERSION, SPEC_VERSION};
use crate::net::{Client, ClientError, Timeouts, address};
use crate::proxy::{GREETING, ProxyBuilder};
use crate::runner::{AppFlags, app_of, line};
use crate::suite::request_url;
use seen::{Carried, Seen, SeenCall};

/// The ids of the probe. Nothing else uses them, so a call that carries one got it from the probe.
const SESSION: &str = "sess_doctor-probe";
const TRACE: &str = "50f7a5e0d0c70850f7a5e0d0c7080001";
const SPAN: &str = "50f7a5e0d0c70801";

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "With a command after `--`, the doctor launches the application as a run would, and says of each thing whether it works:\n\
    it starts, listens, sends its calls through the proxy, passes on the trace headers, and ends.\n\n\
    With --app-url, the doctor listens where the proxy would, sends the application a request that carries \
    a session, and checks the calls that the application makes meanwhile; none of them leaves the machine. Start the \
    application with HTTP_PROXY pointing at --proxy-listen, and give a --probe that makes it call something.\n\n\
    Exits with 10 if a fault is found."
)]
pub(super) struct Doctor {
    /// Base URL of a running application
    #[arg(long, value_name = "URL", env = "APP_URL")]
    app_url: Option<String>,
    /// Address at which the proxy would listen: 127.0.0.1:4100 by default, a free port for a launched application
    #[arg(long, value_name = "ADDR", env = "SOFTPROBE_PROXY_LISTEN", value_parser = address)]
    proxy_listen: Option<String>,
    /// Request that makes the application call something
    #[arg(long, value_name = "METHOD PATH", default_value = "GET /")]
    probe: String,
    /// How long the application may take to answer the probe, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
    #[command(flatten)]
    app: AppFlags,
    /// Command that launches the application to check
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The result of one check.
struct Check {
    name: &'static str,
    verdict: Health,
    message: String,
}

/// The outcome of a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Fine,
    /// The check proved nothing.
    Unclear,
    Fault,
}

impl Health {
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unclear => "unclear",
            Self::Fault => "fault",
        }
    }

    /// Returns the word that scripts for another command read.
    fn status(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unclear => "warn",
            Self::Fault => "fail",
        }
    }
}

impl Doctor {
    pub(super) fn run(mut self, global: &Global, matches: &ArgMatches) -> Result<Output, Failed> {
        let probe = self.probe_request()?;
        let own = matches.subcommand_matches("doctor").unwrap_or(matches);
        let words = self.command.clone();
        (_, self.app_url) = app_of(own, None, words, self.app_url.take());
        self.proxy_listen = unless_blank(self.proxy_listen);
        if self.command.is_empty() {
            self.app_url.as_deref().map(check_app_url).transpose()?;
        }
        let (mut checks, versions) = runtime(global)?;
        let drifts = checks
            .iter()
            .any(|check| check.name == VERSIONS && check.verdict == Health::Fault);
        if self.command.is_empty() {
            checks.push(self.proxy_port());
        }
        match &self.app_url {
            _ if !self.command.is_empty() => {
                checks.extend(self.launched(&line(self.command.clone()), &probe)?);
            }
            Some(url) => checks.extend(self.application(url, probe)),
            None => checks.push(Check {
                name: "application",
                verdict: Health::Unclear,
                message: "not checked; give its URL with --app-url, or its command after `--`"
                    .to_owned(),
            }),
        }
        let text: String = checks
            .iter()
            .map(|check| {
                format!(
                    "{:8} {:16} {}\n",
                    check.verdict.word(),
                    check.name,
                    check.message
                )
            })
            .collect();
        let reported: Vec<Value> = checks
            .iter()
            .map(|check| {
                json!({
                    "name": check.name, "status": check.verdict.status(), "result": check.verdict.word(),
                    "message": check.message, "details": {"message": check.message},
                })
            })
            .collect();
        let told = |answer: Output| {
            let answer = answer
                .text(text.clone())
                .field("cliVersion", env!("CARGO_PKG_VERSION"))
                .field("checks", reported.clone())
                .fields(&versions);
            // Scripts tell a runtime of another release from a broken one.
            match drifts {
                true => answer.field("status", "drift"),
                false => answer,
            }
        };
        let faults = checks.iter().filter(|c| c.verdict == Health::Fault);
        let faults: Vec<&str> = faults.map(|check| check.name).collect();
        if faults.is_empty() {
            return Ok(told(Output::fine("")));
        }
        let message = format!("at fault: {}", faults.join(", "));
        let answer = Output::failed(Exit::DoctorFoundFault, "doctor_found_fault", message);
        Err(Failed::from(told(answer)))
    }

    fn probe_request(&self) -> Result<Request, Failed> {
        let (method, target) = self.probe.split_once(' ').unwrap_or(("GET", &self.probe));
        let target = target.trim();
        if !target.starts_with('/') {
            return Err(arguments(format!(
                "--probe: `{}` is not a method and a path such as `GET /orders`",
                self.probe
            )));
        }
        let (path, query) = split_target(target);
        Ok(Request {
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: Headers::from_iter([
                (SESSION_HEADER, SESSION.to_owned()),
                ("traceparent", format!("00-{TRACE}-{SPAN}-01")),
                ("tracestate", format!("{SESSION_HEADER}={SESSION}")),
            ]),
            ..Request::default()
        })
    }

    /// Returns where the proxy would listen for an application that is started by hand.
    fn proxy_address(&self) -> &str {
        self.proxy_listen.as_deref().unwrap_or(DEFAULT_PROXY)
    }

    fn proxy_port(&self) -> Check {
        let name = "proxy port";
        let address = self.proxy_address();
        match TcpListener::bind(address) {
            Ok(_) => Check {
                name,
                verdict: Health::Fine,
                message: format!("{address} is free"),
            },
            Err(_) if self.is_own_proxy() => Check {
                name,
                verdict: Health::Fine,
                message: format!("a softprobe proxy listens at {address}"),
            },
            Err(error) => Check {
                name,
                verdict: Health::Fault,
                message: format!(
                    "{address}: {error}; stop what listens there, or choose another address with --proxy-listen"
                ),
            },
        }
    }

    /// Returns whether a softprobe proxy already listens where the doctor's would.
    fn is_own_proxy(&self) -> bool {
        let client = Client::new(Timeouts::Whole(Duration::from_secs(2)));
        let request = ureq::http::Request::get(format!("http://{}/", self.proxy_address()));
        let Ok(request) = request.body(Vec::new()) else {
            return false;
        };
        let answer = client.send(request);
        answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.body).contains(GREETING))
    }

    /// Sends the probe and checks the answer and the calls that the application makes.
    fn application(&self, url: &str, probe: Request) -> Vec<Check> {
        let seen = Arc::new(Seen::default());
        // If the port is taken, the application's calls go elsewhere, but its answer is still worth a
        // check.
        let oracle = Arc::clone(&seen) as Arc<dyn Oracle>;
        let proxy = ProxyBuilder::new(oracle)
            .listen(self.proxy_address())
            .start();
        let sent = self.send(url, &probe);
        let calls = seen.take();
        let mut checks = vec![self.answered(url, &sent, &calls)];
        if proxy.is_err() {
            checks.push(Check {
                name: "propagation",
                verdict: Health::Unclear,
                message: "not checked; the doctor needs the proxy's port for itself".to_owned(),
            });
        } else if sent.is_ok() || !calls.is_empty() {
            checks.push(match calls.is_empty() {
                false => propagation(&calls),
                true => Check {
                    name: "propagation",
                    verdict: Health::Unclear,
                    message: format!(
                        "no call of the application came through {0}; start it with HTTP_PROXY=http://{0}, and give a \
                         --probe that makes it call something",
                        self.proxy_address()
                    ),
                },
            });
        }
        checks
    }

    /// Checks whether the application answered the probe.
    fn answered(&self, url: &str, sent: &Result<u16, String>, calls: &[SeenCall]) -> Check {
        let url = without_credentials(url);
        let (verdict, message) = match sent {
            Ok(status) => (
                Health::Fine,
                format!("{url} answered `{}` with {status}", self.probe),
            ),
            // Some applications give up when a call fails, and the doctor fails every call.
            Err(why) if !calls.is_empty() => (
                Health::Unclear,
                format!(
                    "{url} gave no answer to `{}` after its call was answered with status 599: {why}",
                    self.probe
                ),
            ),
            Err(why) => (
                Health::Fault,
                format!("{url} gave no answer to `{}`: {why}", self.probe),
            ),
        };
        Check {
            name: "application",
            verdict,
            message,
        }
    }

    fn send(&self, url: &str, probe: &Request) -> Result<u16, String> {
        let mut request = ureq::http::Request::builder()
            .method(probe.method.as_str())
            .uri(request_url(url, probe));
        for (name, value) in probe.headers.iter() {
            request = request.header(name, value);
        }
        let request = request.body(Vec::<u8>::new()).map_err(|e| e.to_string())?;
        let limit = Duration::from_secs(self.timeout.max(1));
        let roots = &self.app.upstreams.upstream_ca;
        let answer = Client::to_application(Timeouts::Whole(limit), roots).send(request);
        let answer = answer.map_err(|error| match error {
            ClientError::Timeout => format!("it took longer than {} seconds", self.timeout),
            other => other.to_string(),
        })?;
        Ok(answer.status)
    }
}

/// Checks what the application's calls carried.
fn propagation(calls: &[SeenCall]) -> Check {
    let name = "propagation";
    let carried = |wanted: Carried| calls.iter().filter(move |call| call.carried == wanted);
    let other = carried(Carried::Other).count();
    let (state, parent) = (
        carried(Carried::Tracestate).count(),
        carried(Carried::Traceparent).count(),
    );
    let unseen: Vec<&str> = carried(Carried::Unseen).map(|c| c.call.as_str()).collect();
    let lost: Vec<&str> = carried(Carried::Nothing).map(|c| c.call.as_str()).collect();
    let total = calls.len();
    let (verdict, message) = if !lost.is_empty() {
        (
            Health::Fault,
            format!(
                "{} of {total} calls carried neither tracestate nor traceparent ({}); have the \
                     application pass them on, as OpenTelemetry's instrumentation does, or replay with \
                     --one-at-a-time",
                lost.len(),
                lost.join(", ")
            ),
        )
    } else if other > 0 {
        (
            Health::Fault,
            format!(
                "{other} of {total} calls carried the tracestate of another request; the application has to pass on \
                     the one of the request that it is handling"
            ),
        )
    } else if !unseen.is_empty() {
        (
            Health::Unclear,
            format!(
                "{} of {total} calls are inside TLS and can't be inspected ({}); launch the application by \
                     `doctor -- COMMAND`, which has it trust the proxy, and take the hosts out of `tunnel`",
                unseen.len(),
                unseen.join(", ")
            ),
        )
    } else if state < total {
        (
            Health::Unclear,
            format!(
                "{parent} of {total} calls carried traceparent without tracestate; the runner's own \
                     proxy recognises them, a proxy elsewhere does not"
            ),
        )
    } else {
        (
            Health::Fine,
            format!(
                "{total} of {total} calls carried tracestate ({})",
                calls[0].call
            ),
        )
    };
    Check {
        name,
        verdict,
        message,
    }
}

/// The name of the check of the runtime's versions.
const VERSIONS: &str = "versions";

/// Checks the runtime at `--runtime-url`; without one, reports the embedded runtime. Returns its versions too.
fn runtime(global: &Global) -> Result<(Vec<Check>, Value), Failed> {
    let name = "runtime";
    let own = json!({
        "runtimeVersion": env!("CARGO_PKG_VERSION"), "specVersion": SPEC_VERSION, "schemaVersion": SCHEMA_VERSION,
    });
    let Some(url) = global.runtime_url()? else {
        let check = Check {
            name,
            verdict: Health::Fine,
            message: format!(
                "embedded, version {}; --runtime-url checks another",
                env!("CARGO_PKG_VERSION")
            ),
        };
        return Ok((vec![check], own));
    };
    let runtime = global.runtime()?;
    let health = match runtime.call(&Call::Health) {
        Ok(health) => health,
        Err(error) => {
            let check = Check {
                name,
                verdict: Health::Fault,
                message: with_causes(&error),
            };
            let unknown =
                json!({"runtimeVersion": null, "specVersion": null, "schemaVersion": null});
            return Ok((vec![check], unknown));
        }
    };
    let mut checks = vec![Check {
        name,
        verdict: Health::Fine,
        message: format!("{} answers", without_credentials(url)),
    }];
    let (spec, schema) = (&health["specVersion"], &health["schemaVersion"]);
    let agrees = spec == SPEC_VERSION && schema == SCHEMA_VERSION;
    checks.push(Check {
        name: VERSIONS,
        verdict: if agrees { Health::Fine } else { Health::Fault },
        message: if agrees {
            format!("{SPEC_VERSION}, schema {SCHEMA_VERSION}")
        } else {
            format!(
                "the runtime speaks {spec}, schema {schema}, and this command {SPEC_VERSION}, schema \
                 {SCHEMA_VERSION}; use both from the same release"
            )
        },
    });
    let mut versions =
        json!({"runtimeVersion": null, "specVersion": spec, "schemaVersion": schema});
    match runtime.call(&Call::Meta) {
        Ok(meta) => versions["runtimeVersion"] = meta["runtimeVersion"].clone(),
        Err(error) => checks.push(Check {
            name: "token",
            verdict: Health::Fault,
            message: with_causes(&error),
        }),
    }
    Ok((checks, versions))
}
