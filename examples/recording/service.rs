//! A service with two dependencies: tells how many of an item are left, and what it costs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

type Failed = Box<dyn std::error::Error>;

/// The service, and how it calls.
struct Service {
    client: ureq::Agent,
    stock: String,
    prices: String,
    defect: bool,
}

impl Service {
    fn from_environment() -> Result<Self, Failed> {
        // This client's own roots are compiled in; the system's are those that SSL_CERT_FILE names where it is set.
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots = roots
            .iter()
            .map(|root| Certificate::from_der(root).to_owned());
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots.collect())));
        Ok(Self {
            client: ureq::Agent::config_builder()
                .tls_config(tls.build())
                .build()
                .new_agent(),
            stock: std::env::var("STOCK")?,
            prices: std::env::var("PRICES")?,
            defect: std::env::var_os("DEFECT").is_some(),
        })
    }

    fn item(&self, id: &str, traced: &[(String, String)]) -> Result<Value, Failed> {
        let mut stock = self.client.get(format!("{}/items/{id}", self.stock));
        let mut price = self.client.post(format!("{}/quotes", self.prices));
        // What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
        for (name, value) in traced {
            stock = stock.header(name, value);
            price = price.header(name, value);
        }
        let currency = if self.defect { "USD" } else { "EUR" };
        let quote = json!({"item": id, "currency": currency}).to_string();
        let stock = stock.call()?.body_mut().read_to_string()?;
        let price = price
            .content_type("application/json")
            .send(quote)?
            .body_mut()
            .read_to_string()?;
        let stock: Value = serde_json::from_str(&stock)?;
        let price: Value = serde_json::from_str(&price)?;
        let cents = price["cents"].as_i64().unwrap_or_default() + i64::from(self.defect);
        Ok(json!({"item": id, "left": stock["left"], "cents": cents}))
    }

    fn answer(&self, mut stream: TcpStream) -> Result<(), Failed> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        // Who looks whether something listens asks for nothing.
        let Some(line) = lines.next().transpose()? else {
            return Ok(());
        };
        let mut traced = Vec::new();
        for header in lines {
            let header = header?;
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            let name = name.to_ascii_lowercase();
            if ["traceparent", "tracestate"].contains(&name.as_str()) {
                traced.push((name, value.trim().to_owned()));
            }
        }
        let path = line.split(' ').nth(1).unwrap_or_default();
        let id = path.rsplit('/').next().unwrap_or_default();
        let body = self.item(id, &traced)?.to_string();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )?;
        Ok(())
    }
}

fn main() -> Result<(), Failed> {
    let service = Arc::new(Service::from_environment()?);
    let port: u16 = std::env::var("PORT")?.parse()?;
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let (service, stream) = (Arc::clone(&service), stream?);
        std::thread::spawn(move || {
            if let Err(error) = service.answer(stream) {
                // Whoever asked gets no answer.
                let _ = writeln!(std::io::stderr(), "{error}");
            }
        });
    }
    Ok(())
}
