//! Base64, byte order marks and shell words.

#[cfg(feature = "runner")]
use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Decodes base64 in either alphabet, with or without padding.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let standard = text.replace('-', "+").replace('_', "/");
    LENIENT.decode(standard.trim()).ok()
}

/// Decodes base64 in the standard alphabet, with padding; the error says what is wrong.
pub(crate) fn decode_strict_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text)
}

/// Encodes bytes as standard base64.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Encodes bytes as URL-safe base64, without padding.
#[cfg(feature = "embedded")]
pub(crate) fn encode_base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Splits a text after its byte order mark, which some editors and frameworks put before JSON; the first
/// part is empty if there is no mark.
pub(crate) fn split_mark(text: &str) -> (&str, &str) {
    const MARK: char = '\u{feff}';
    let json = text.strip_prefix(MARK).unwrap_or(text);
    text.split_at(text.len() - json.len())
}

/// Returns the text as one word for a shell.
#[cfg(feature = "runner")]
pub(crate) fn shell_word(text: &str) -> Cow<'_, str> {
    // Only a NUL can't be quoted, and no argument holds one.
    shlex::try_quote(text).unwrap_or(Cow::Borrowed(text))
}
