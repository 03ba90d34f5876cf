//! Two dependencies of the services beside this file, over HTTPS: `stock.localhost` and `prices.localhost`, each at a port.
//!
//! `cargo run --example dependencies -- ca.pem 8443 8444` starts them, and writes the certificate of the authority that has made
//! theirs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

type Failed = Box<dyn std::error::Error>;

/// Returns what a server with a certificate for this name needs.
fn config(name: &str, issuer: &Issuer<'_, KeyPair>) -> Result<Arc<ServerConfig>, Failed> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(Arc::new(config))
}

/// Answers one request on a connection.
fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), Failed> {
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let path = line.split(' ').nth(1).unwrap_or_default();
    let body = match path.strip_prefix("/items/") {
        Some(id) => json!({"left": id.len() + 2}),
        None => {
            let quote: Value = serde_json::from_slice(&body).unwrap_or_default();
            let cents = if quote["currency"] == "EUR" { 499 } else { 539 };
            json!({"item": quote["item"], "cents": cents})
        }
    };
    let body = body.to_string();
    let length = body.len();
    let stream = stream.get_mut();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

fn main() -> Result<(), Failed> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "ca.pem".to_owned());
    let ports = [args.next(), args.next()];
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    std::fs::write(&file, params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let names = ["stock.localhost", "prices.localhost"];
    let (mut threads, mut urls) = (Vec::new(), String::new());
    for ((name, port), usual) in names.into_iter().zip(ports).zip([8443, 8444]) {
        let port: u16 = port.map_or(Ok(usual), |port| port.parse())?;
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let config = config(name, &issuer)?;
        threads.push(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || {
                    if let Err(error) = answer(stream, config) {
                        // A client that breaks off has gone.
                        let _ = writeln!(std::io::stderr(), "{error}");
                    }
                });
            }
        }));
        urls += &format!("https://{name}:{port}\n");
    }
    // At once, so that whoever waits for a word finds both listening.
    std::io::stdout().write_all(urls.as_bytes())?;
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}
