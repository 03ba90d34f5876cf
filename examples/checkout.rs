//! The sample application: a small shop that calls a payment, a shipping and a notification service.
//!
//! `cargo run --example checkout` starts it; `HTTP_PROXY` sends its calls through a proxy, and `PAYMENTS` is the
//! payment service's base URL, such as `https://payments.example`. It copies
//! `traceparent` and `tracestate` onto its calls, as any OpenTelemetry instrumentation does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const SHIPPING: &str = "http://shipping.example";
const NOTIFICATIONS: &str = "http://notifications.example";
const FRAGMENTS: &str = "http://fragments.example:8084";

/// A defect to inject into the application, for tests that check that a replay detects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Makes every price one cent too high.
    Price,
    /// Renames `total` to `sum`.
    RenamedField,
    /// Drops the trace headers, and handles two requests at the same time.
    PropagatesNothing,
    /// Charges one cent, whatever an order costs.
    Charge,
    /// Charges every order twice.
    ChargesTwice,
    /// Sends no confirmation.
    NoMessage,
    /// Sends the confirmation in the background, after the answer.
    LateMessage,
    /// Makes the two entries of a transfer in the other order, which is none.
    EntriesReversed,
    /// Debits the account that a transfer should credit, and the other way round.
    SwappedEntries,
}

/// The names of the defects.
const DEFECTS: [(&str, Defect); 9] = [
    ("price", Defect::Price),
    ("renamed-field", Defect::RenamedField),
    ("propagates-nothing", Defect::PropagatesNothing),
    ("charge", Defect::Charge),
    ("charges-twice", Defect::ChargesTwice),
    ("no-message", Defect::NoMessage),
    ("late-message", Defect::LateMessage),
    ("entries-reversed", Defect::EntriesReversed),
    ("swapped-entries", Defect::SwappedEntries),
];

impl Defect {
    /// Returns the defect named by `CHECKOUT_DEFECT`, if any.
    pub(crate) fn from_environment() -> std::io::Result<Option<Self>> {
        let Ok(name) = std::env::var("CHECKOUT_DEFECT") else {
            return Ok(None);
        };
        let known = DEFECTS.iter().find(|(known, _)| *known == name);
        match known {
            Some((_, defect)) => Ok(Some(*defect)),
            None if name.is_empty() => Ok(None),
            None => {
                let names = DEFECTS.map(|(name, _)| name).join(", ");
                let message = format!("CHECKOUT_DEFECT: `{name}` is not one of {names}");
                Err(std::io::Error::other(message))
            }
        }
    }
}

/// The running application; dropping it stops it.
pub(crate) struct Checkout {
    address: SocketAddr,
    threads: Option<tokio::runtime::Runtime>,
}

impl Checkout {
    /// Starts the application on a port (0 picks a free one), with its calls sent through `proxy` if
    /// given. `CHECKOUT_DEFECT` selects a defect.
    pub(crate) fn start(port: u16, proxy: Option<&str>) -> std::io::Result<Self> {
        let proxy = proxy.map(ureq::Proxy::new).transpose();
        let proxy = proxy.map_err(std::io::Error::other)?;
        // This client's own roots are compiled in; the system's are those that SSL_CERT_FILE names where it is set.
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots = roots
            .iter()
            .map(|root| Certificate::from_der(root).to_owned());
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots.collect())));
        let payments = std::env::var("PAYMENTS");
        let client = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .proxy(proxy)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        let shop = Arc::new(Shop {
            client,
            payments: payments.unwrap_or_else(|_| "http://payments.example".to_owned()),
            defect: Defect::from_environment()?,
            together: Arc::default(),
        });
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listener = threads.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port)))?;
        let address = listener.local_addr()?;
        threads.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shop = Arc::clone(&shop);
                let serve = service_fn(move |request| answer(Arc::clone(&shop), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), serve),
                );
            }
        });
        Ok(Self {
            address,
            threads: Some(threads),
        })
    }

    /// Returns the base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Shop {
    client: ureq::Agent,
    payments: String,
    defect: Option<Defect>,
    together: Arc<Together>,
}

/// The parts of an answer.
struct Answer {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: body.to_string().into_bytes(),
        }
    }
}

/// A failed call to an upstream service, with the reason.
struct Upstream(String);

async fn answer(
    shop: Arc<Shop>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let trace = Trace::of(&parts.headers, shop.defect);
    let worked = tokio::task::spawn_blocking(move || {
        if shop.defect == Some(Defect::PropagatesNothing) {
            shop.together.wait_for_another();
        }
        shop.route(parts.method.as_str(), parts.uri.path(), &body, &trace)
    });
    let answer = match worked.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Upstream(why))) => Answer::json(502, &json!({"error": why})),
        Err(_) => Answer::json(500, &json!({"error": "internal"})),
    };
    let mut response = hyper::Response::new(Full::new(answer.body.into()));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let content_type = hyper::header::HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert("content-type", content_type);
    Ok(response)
}

/// The headers that an OpenTelemetry instrumentation passes on.
#[derive(Clone)]
struct Trace(Vec<(&'static str, String)>);

impl Trace {
    fn of(headers: &hyper::HeaderMap, defect: Option<Defect>) -> Self {
        if defect == Some(Defect::PropagatesNothing) {
            return Self(Vec::new());
        }
        let names = ["traceparent", "tracestate"];
        Self(
            names
                .into_iter()
                .filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?.to_owned())))
                .collect(),
        )
    }
}

impl Shop {
    fn route(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        trace: &Trace,
    ) -> Result<Answer, Upstream> {
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        match (method, steps.as_slice()) {
            ("POST", ["checkout"]) => self.checkout(body, trace),
            ("POST", ["transfers"]) => self.transfer(body, trace),
            ("GET", ["parcels", id]) => self.parcel(id, trace),
            ("GET", ["labels", id]) => self.label(id, trace),
            ("GET", ["hello"]) => self.hello(trace),
            _ => Ok(Answer::json(404, &json!({"error": "no such page"}))),
        }
    }

    /// Charges the card, asks for a shipping quote, and sends a confirmation.
    fn checkout(&self, body: &[u8], trace: &Trace) -> Result<Answer, Upstream> {
        let Ok(order) = serde_json::from_slice::<Value>(body) else {
            return Ok(Answer::json(400, &json!({"error": "not JSON"})));
        };
        let card = order["card"]["number"].as_str().unwrap_or_default();
        if card.len() < 12 || !card.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Answer::json(422, &json!({"error": "invalid card number"})));
        }
        let empty = Vec::new();
        let items = order["items"].as_array().unwrap_or(&empty);
        let extra = i64::from(self.defect == Some(Defect::Price));
        let goods: i64 = items
            .iter()
            .map(|item| {
                let price = item["cents"].as_i64().unwrap_or(0) + extra;
                price * item["quantity"].as_i64().unwrap_or(1)
            })
            .sum();
        let country = order["country"].as_str().unwrap_or("DE");
        let url = format!("{SHIPPING}/v1/quotes?country={country}");
        let (_, quote) = self.call("GET", &url, None, trace)?;
        let shipping = quote["cents"].as_i64().unwrap_or(0);
        let total = goods + shipping;

        let charged = match self.defect {
            Some(Defect::Charge) => 1,
            _ => total,
        };
        let charge = json!({"cents": charged, "currency": "EUR", "card": card});
        let url = format!("{}/v1/charges", self.payments);
        let (status, charged) = self.call("POST", &url, Some(&charge), trace)?;
        if self.defect == Some(Defect::ChargesTwice) {
            self.call("POST", &url, Some(&charge), trace)?;
        }
        if status == 402 {
            let reason = charged["error"]["code"].clone();
            return Ok(Answer::json(
                402,
                &json!({"error": "declined", "reason": reason}),
            ));
        }
        let age = now() - charged["authorized_at"].as_i64().unwrap_or(0);
        if !(-60..=300).contains(&age) {
            return Ok(Answer::json(
                409,
                &json!({"error": "the authorization is stale"}),
            ));
        }

        let message = json!({"template": "order-placed", "cents": total});
        let url = format!("{NOTIFICATIONS}/v1/messages");
        // An order is valid even if its confirmation can't be sent.
        match self.defect {
            Some(Defect::NoMessage) => {}
            Some(Defect::LateMessage) => {
                let (shop, trace) = (self.clone(), trace.clone());
                std::thread::spawn(move || {
                    drop(shop.call("POST", &url, Some(&message), &trace));
                });
            }
            _ => drop(self.call("POST", &url, Some(&message), trace)),
        }

        let total_name = match self.defect {
            Some(Defect::RenamedField) => "sum",
            _ => "total",
        };
        let mut answer = json!({
            "order": format!("ord_{:016x}", now_ns()),
            "placed_at": now(),
            "items": items,
            "shipping": shipping,
            "payment": charged["id"],
        });
        answer[total_name] = total.into();
        Ok(Answer::json(200, &answer))
    }

    /// Moves money between two accounts, with an entry for each.
    fn transfer(&self, body: &[u8], trace: &Trace) -> Result<Answer, Upstream> {
        let Ok(transfer) = serde_json::from_slice::<Value>(body) else {
            return Ok(Answer::json(400, &json!({"error": "not JSON"})));
        };
        let cents = transfer["cents"].as_i64().unwrap_or(0);
        let cents = match self.defect {
            Some(Defect::SwappedEntries) => -cents,
            _ => cents,
        };
        let enter = |account: &Value, cents: i64| {
            let entry = json!({"account": account, "cents": cents});
            let entered = self.call(
                "POST",
                &format!("{}/v1/entries", self.payments),
                Some(&entry),
                trace,
            );
            entered.map(|(_, entry)| entry["id"].clone())
        };
        let debit = || enter(&transfer["from"], -cents);
        let credit = || enter(&transfer["to"], cents);
        let (debit, credit) = match self.defect {
            Some(Defect::EntriesReversed) => {
                let credit = credit();
                (debit(), credit)
            }
            _ => (debit(), credit()),
        };
        Ok(Answer::json(
            200,
            &json!({"debit": debit?, "credit": credit?}),
        ))
    }

    /// Asks for a parcel's state until it is delivered, at most five times.
    fn parcel(&self, id: &str, trace: &Trace) -> Result<Answer, Upstream> {
        let mut states = Vec::new();
        for _ in 0..5 {
            let (_, parcel) =
                self.call("GET", &format!("{SHIPPING}/v1/parcels/{id}"), None, trace)?;
            states.push(parcel["state"].clone());
            if parcel["state"] == "delivered" {
                break;
            }
        }
        Ok(Answer::json(200, &json!({"parcel": id, "states": states})))
    }

    /// Passes on a label's image.
    fn label(&self, id: &str, trace: &Trace) -> Result<Answer, Upstream> {
        let url = format!("{SHIPPING}/v1/labels/{id}");
        let (status, body) = self.fetch("GET", &url, None, trace)?;
        Ok(Answer {
            status,
            content_type: "image/png",
            body,
        })
    }

    fn hello(&self, trace: &Trace) -> Result<Answer, Upstream> {
        let (_, fragment) = self.call("GET", &format!("{FRAGMENTS}/fragment"), None, trace)?;
        Ok(Answer::json(
            200,
            &json!({"dep": fragment["dep"], "message": "hello"}),
        ))
    }

    fn call(
        &self,
        method: &str,
        url: &str,
        body: Option<&Value>,
        trace: &Trace,
    ) -> Result<(u16, Value), Upstream> {
        let (status, body) = self.fetch(method, url, body, trace)?;
        if status >= 500 {
            return Err(Upstream(format!("{url} answered {status}")));
        }
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok((status, body))
    }

    fn fetch(
        &self,
        method: &str,
        url: &str,
        body: Option<&Value>,
        trace: &Trace,
    ) -> Result<(u16, Vec<u8>), Upstream> {
        let failed = |why: &dyn std::fmt::Display| Upstream(format!("{url}: {why}"));
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in &trace.0 {
            request = request.header(*name, value);
        }
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(bytes).map_err(|e| failed(&e))?;
        let mut response = self.client.run(request).map_err(|e| failed(&e))?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_vec().map_err(|e| failed(&e))?;
        Ok((status, body))
    }
}

/// Holds requests back until a second one has arrived.
#[derive(Default)]
struct Together {
    arrived: Mutex<usize>,
    changed: Condvar,
}

impl Together {
    fn wait_for_another(&self) {
        let Ok(mut arrived) = self.arrived.lock() else {
            return;
        };
        *arrived += 1;
        self.changed.notify_all();
        let limit = Duration::from_secs(30);
        drop(self.changed.wait_timeout_while(arrived, limit, |n| *n < 2));
    }
}

fn now() -> i64 {
    i64::try_from(now_ns() / 1_000_000_000).unwrap_or(0)
}

fn now_ns() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_nanos())
}

#[allow(dead_code, reason = "the tests include this file as a module")]
fn main() -> std::io::Result<()> {
    let proxy = std::env::var("HTTP_PROXY").ok();
    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok());
    let shop = Checkout::start(port.unwrap_or(0), proxy.as_deref())?;
    eprintln!("checkout listens at {}; press Enter to stop it", shop.url());
    if std::io::stdin().read_line(&mut String::new())? == 0 {
        // Standard input is closed, so Enter can't be pressed: run until a signal arrives.
        loop {
            std::thread::park();
        }
    }
    Ok(())
}
