//! `content-encoding` undone, so that bodies compare as what they mean.

use std::borrow::Cow;
use std::io::Read;

use crate::base::http::Headers;

/// A body that unpacks to more than this is compared as it came.
const LARGEST: u64 = 256 * 1024 * 1024;

/// A body that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undecoded {
    /// Its `content-encoding`.
    pub(crate) coding: String,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// The body without its encodings; where that fails, the body as it came and why.
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

/// The bytes without this coding; `None` where it is none.
fn undo(coding: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    match coding {
        "" | "identity" => return Ok(None),
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(bytes)),
        // Some servers send the bare stream under this name, some with the zlib header it wants.
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
        return Err(format!("it unpacks to more than {LARGEST} bytes"));
    }
    Ok(out)
}
