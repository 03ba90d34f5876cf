//! Addresses to listen on.

/// Checks an address to listen on, a host and a port. A blank one, as from an empty environment variable,
/// counts as unset.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match port {
        _ if text.trim().is_empty() => Ok(String::new()),
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err("expected a host and a port, such as 127.0.0.1:4100".to_owned()),
    }
}
