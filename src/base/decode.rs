//! Undoes `content-encoding`, so that bodies are compared by their decoded content.

use std::borrow::Cow;
use std::io::Read;

use crate::base::http::Headers;

/// The largest decoded body, in bytes; a body that decodes to more is compared as it arrived.
pub(crate) const LARGEST: u64 = 64 * 1024 * 1024;

/// A body that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undecoded {
    /// Its `content-encoding`.
    pub(crate) coding: String,
    /// Why it could not be decoded.
    pub(crate) why: String,
}

/// Returns whether a body decodes to more than [`LARGEST`] bytes.
pub(crate) fn is_too_large(headers: &Headers, body: &[u8]) -> bool {
    let (_, undecoded) = decoded(headers, body);
    undecoded.is_some_and(|undecoded| undecoded.why == too_large())
}

fn too_large() -> String {
    format!("it decodes to more than {LARGEST} bytes")
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

/// Returns the headers and the body of a message as they are stored, decoded; `None` if that changes nothing. What can't be
/// decoded stays as it is.
#[cfg(feature = "embedded")]
pub(crate) fn stored(headers: &Headers, body: &[u8]) -> Option<(Headers, Vec<u8>)> {
    let (Cow::Owned(body), None) = decoded(headers, body) else {
        return None;
    };
    let mut headers = headers.clone();
    // They are about another form of it.
    headers.remove("content-encoding");
    headers.remove("content-length");
    Some((headers, body))
}

/// Returns an `accept-encoding` without the codings that can't be undone here; `None` if nothing is left.
#[cfg(feature = "runner")]
pub(crate) fn decodable(accepted: &str) -> Option<String> {
    const KNOWN: [&str; 7] = ["gzip", "x-gzip", "deflate", "br", "zstd", "identity", ""];
    let codings = accepted.split(',').map(str::trim).filter(|coding| {
        let name = coding.split(';').next().unwrap_or_default().trim();
        KNOWN.contains(&name.to_ascii_lowercase().as_str())
    });
    let kept = codings.collect::<Vec<_>>().join(", ");
    (!kept.is_empty() || accepted.trim().is_empty()).then_some(kept)
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
        "zstd" => read_zstd(bytes),
        other => Err(format!("`{other}` is not known")),
    }
    .map(Some)
}

/// Decodes all frames of a zstd stream (RFC 8878), of which those that may be skipped hold no content.
fn read_zstd(mut bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, rest @ ..] = bytes {
            let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            bytes = rest.get(length..).ok_or("a skippable frame is cut off")?;
            continue;
        }
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut bytes);
        let frame = read(decoder.map_err(|error| error.to_string())?)?;
        out.extend(frame);
        if out.len() as u64 > LARGEST {
            return Err(too_large());
        }
    }
    Ok(out)
}

fn read(decoder: impl Read) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    decoder
        .take(LARGEST + 1)
        .read_to_end(&mut out)
        .map_err(|error| error.to_string())?;
    if out.len() as u64 > LARGEST {
        return Err(too_large());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_is_decoded() {
        let text = b"{\"ok\":true}";
        // A frame of RFC 8878: the magic number, a header with the size of the content in one byte, and a last
        // block that is not compressed.
        let length = u8::try_from(text.len()).unwrap();
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, length, length << 3 | 1, 0, 0];
        frame.extend(text);
        let headers = Headers::from_iter([("content-encoding", "zstd")]);
        assert_eq!(decoded(&headers, &frame), (Cow::Borrowed(&text[..]), None));
        // Several frames are one body, and skippable ones hold nothing of it.
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2];
        let several = [&skipped[..], &frame, &frame].concat();
        assert_eq!(
            decoded(&headers, &several).0,
            [&text[..], &text[..]].concat()
        );
        let rest = [&frame[..], b"rest"].concat();
        assert!(decoded(&headers, &rest).1.is_some());
        let (body, undecoded) = decoded(&headers, &frame[..12]);
        assert_eq!(&*body, &frame[..12]);
        assert_eq!(undecoded.unwrap().coding, "zstd");
    }

    #[cfg(feature = "runner")]
    #[test]
    fn codings_that_cannot_be_undone_are_not_asked_for() {
        for (accepted, kept) in [
            ("gzip, lzma;q=0.5, br", Some("gzip, br")),
            ("GZIP;q=1", Some("GZIP;q=1")),
            ("*", None),
            ("", Some("")),
        ] {
            assert_eq!(decodable(accepted).as_deref(), kept, "{accepted}");
        }
    }
}
