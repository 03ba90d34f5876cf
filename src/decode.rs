//! `content-encoding` undone, so that bodies compare as what they mean.

use std::io::Read;

use crate::http::Headers;

/// A body that unpacks to more than this is compared as it came.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The body without its encodings; where that fails, the body as it came and a note that says so.
pub(crate) fn decoded(headers: &Headers, body: &[u8]) -> (Vec<u8>, Option<String>) {
    let value = headers
        .all("content-encoding")
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join(",");
    let mut out = body.to_vec();
    if body.is_empty() {
        return (out, None);
    }
    for coding in value.split(',').map(str::trim).rev() {
        match undo(&coding.to_ascii_lowercase(), &out) {
            Ok(bytes) => out = bytes,
            Err(why) => {
                let note = format!(
                    "the body could not be decoded (content-encoding: {value}: {why}); it was compared as bytes"
                );
                return (body.to_vec(), Some(note));
            }
        }
    }
    (out, None)
}

fn undo(coding: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    match coding {
        "" | "identity" => Ok(bytes.to_vec()),
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(bytes)),
        // Some servers send the bare stream under this name, some with the zlib header it wants.
        "deflate" => read(flate2::read::ZlibDecoder::new(bytes))
            .or_else(|_| read(flate2::read::DeflateDecoder::new(bytes))),
        "br" => read(brotli_decompressor::Decompressor::new(bytes, 4096)),
        other => Err(format!("`{other}` is not known")),
    }
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
