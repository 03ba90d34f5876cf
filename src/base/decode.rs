//! Undoes `content-encoding`, so that bodies are compared by their decoded content.

use std::borrow::Cow;
use std::io::Read;

use crate::base::http::Headers;

/// The largest decoded body, in bytes; a body that decodes to more is compared as it arrived.
const LARGEST: u64 = 256 * 1024 * 1024;

/// A body that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undecoded {
    /// Its `content-encoding`.
    pub(crate) coding: String,
    /// Why it could not be decoded.
    pub(crate) why: String,
}

/// Returns the body with its codings undone; if that fails, the body as it arrived and the reason.
pub(crate) fn decoded<'b>(headers: &Headers, body: &'b [u8]) -> (Cow<'b, [u8]>, Option<Undecoded>) {
    let codings = headers.all("content-encoding").map(String::from_utf8_lossy);
    let value = codings.collect::<Vec<_>>().join(",");
    let mut out = Cow::Borrowed(body);
    if body.is_empty() {
        return (out, None);
    }
    for coding in value.split(',').map(str::trim).rev() {
        match undo(&coding.to_ascii_lowercase(), &out) {
            Ok(None) => {}
            Ok(Some(bytes)) => out = bytes.into(),
            Err(why) => {
                let coding = value.clone();
                return (body.into(), Some(Undecoded { coding, why }));
            }
        }
    }
    (out, None)
}

/// Undoes one coding; returns `None` if there is nothing to undo.
fn undo(coding: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    match coding {
        "" | "identity" => return Ok(None),
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(bytes)),
        // Some servers send a bare deflate stream under this name, others add the zlib header that the
        // standard requires.
        "deflate" => read(flate2::read::ZlibDecoder::new(bytes))
            .or_else(|_| read(flate2::read::DeflateDecoder::new(bytes))),
        "br" => read(brotli_decompressor::Decompressor::new(bytes, 4096)),
        other => Err(format!("`{other}` is not known")),
    }
    .map(Some)
}

fn read(decoder: impl Read) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    decoder
        .take(LARGEST + 1)
        .read_to_end(&mut out)
        .map_err(|error| error.to_string())?;
    if out.len() as u64 > LARGEST {
        return Err(format!("it decodes to more than {LARGEST} bytes"));
    }
    Ok(out)
}
