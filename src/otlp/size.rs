//! How much memory a trace document takes once it is decoded, counted before that.
//!
//! An attribute takes two bytes on the wire and hundreds in memory, and compression shrinks a million of them to a
//! kilobyte.

use std::fmt;

use crate::base::json::outside_texts;

/// The most elements of a message: the fields of protobuf, the values of JSON.
const MOST_ELEMENTS: usize = 1_000_000;

/// About how many bytes an element that has elements of its own takes in memory.
const BYTES_A_PART: usize = 512;

/// How many bytes any message may take; beyond that, it may take four times its size.
const ANY_MESSAGE: usize = 64 * 1024 * 1024;

/// A message that would take more memory than its size allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the message has more than {MOST_ELEMENTS} elements, or more than its size allows; send its spans in \
             several messages"
        )
    }
}

/// The elements of a message.
#[derive(Debug, Default)]
struct Count {
    /// All of them.
    all: usize,
    /// Those that have elements of their own.
    parts: usize,
}

impl Count {
    fn check(&self, length: usize) -> Result<(), TooLarge> {
        let memory = self.parts.saturating_mul(BYTES_A_PART);
        let most = length.saturating_mul(4).saturating_add(ANY_MESSAGE);
        match self.all > MOST_ELEMENTS || memory > most {
            true => Err(TooLarge),
            false => Ok(()),
        }
    }
}

/// Checks a message in JSON. What is not JSON is left to whoever reads it.
pub(crate) fn check_json(bytes: &[u8]) -> Result<(), TooLarge> {
    let mut count = Count::default();
    for byte in outside_texts(bytes) {
        match byte {
            b'{' | b'[' => {
                count.all += 1;
                count.parts += 1;
            }
            b',' => count.all += 1,
            _ => {}
        }
    }
    count.check(bytes.len())
}

/// Checks a message in protobuf. What can't be read is left to whoever decodes it.
pub(crate) fn check_protobuf(bytes: &[u8]) -> Result<(), TooLarge> {
    let mut count = Count::default();
    // The decoder takes no more levels than this.
    const MOST_LEVELS: usize = 100;
    let mut open = vec![(Part::Traces, bytes)];
    while let Some((part, rest)) = open.pop() {
        let Some((field, rest)) = Field::read(rest) else {
            continue;
        };
        if !rest.is_empty() {
            open.push((part, rest));
        }
        count.all += 1;
        if let (Some(inner), Some(content)) = (part.inner(field.number), field.content)
            && open.len() < MOST_LEVELS
        {
            count.parts += 1;
            open.push((inner, content));
        }
        // So that counting ends early, too.
        if count.all > MOST_ELEMENTS {
            return Err(TooLarge);
        }
    }
    count.check(bytes.len())
}

/// The messages that have others in them.
#[derive(Debug, Clone, Copy)]
enum Part {
    Traces,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
    Status,
}

impl Part {
    /// Returns the message that a field holds, if it holds one.
    fn inner(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Traces, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Span, 15) => Self::Status,
            (Self::Resource | Self::KeyValueList, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Span, 9)
            | (Self::Link, 4) => Self::KeyValue,
            (Self::KeyValue, 2) | (Self::ArrayValue, 1) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::ArrayValue,
            (Self::AnyValue, 6) => Self::KeyValueList,
            _ => return None,
        })
    }
}

/// A field on the wire.
struct Field<'b> {
    number: u64,
    /// What is in it, if it has a length.
    content: Option<&'b [u8]>,
}

impl<'b> Field<'b> {
    /// Reads a field, and returns it with what follows; `None` at the end and for what is no field.
    fn read(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let (tag, rest) = varint(bytes)?;
        let skip = |count: usize| rest.get(count..);
        let (content, rest) = match tag & 7 {
            0 => (None, varint(rest)?.1),
            1 => (None, skip(8)?),
            5 => (None, skip(4)?),
            // A group, which the decoder skips; what is in it is counted as well.
            3 | 4 => (None, rest),
            2 => {
                let (length, rest) = varint(rest)?;
                let (content, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Some(content), rest)
            }
            _ => return None,
        };
        let number = tag >> 3;
        Some((Self { number, content }, rest))
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (n, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[n + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts a message into a field with a length.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = content.len();
        while length > 0x7f {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend(content);
        out
    }

    fn span(content: &[u8]) -> Vec<u8> {
        field(1, &field(2, &field(2, content)))
    }

    #[test]
    fn what_grows_out_of_proportion_is_refused() {
        // An attribute, a link and an event without anything in them.
        for empty in [[0x4a, 0], [0x6a, 0], [0x5a, 0]] {
            assert_eq!(check_protobuf(&span(&empty.repeat(100_000))), Ok(()));
            assert_eq!(check_protobuf(&span(&empty.repeat(200_000))), Err(TooLarge));
        }
        let resource_spans = [0x0a, 0].repeat(200_000);
        assert_eq!(check_protobuf(&resource_spans), Err(TooLarge));
        // Values in a list in an attribute.
        let list = field(9, &field(2, &field(5, &[0x0a, 0].repeat(200_000))));
        assert_eq!(check_protobuf(&span(&list)), Err(TooLarge));
        // Scalars that nobody reads.
        assert_eq!(
            check_protobuf(&span(&[0x50, 1].repeat(1_000_001))),
            Err(TooLarge)
        );
        // A long text is one element.
        let text = field(9, &field(2, &field(1, &vec![b'x'; 5_000_000])));
        assert_eq!(check_protobuf(&span(&text)), Ok(()));
        // A group that is skipped hides nothing.
        let group = [
            &[0xa3, 0x06, 0xa4, 0x06],
            &span(&[0x4a, 0].repeat(200_000))[..],
        ]
        .concat();
        assert_eq!(check_protobuf(&group), Err(TooLarge));
        // What is no protobuf ends the count.
        assert_eq!(check_protobuf(&[0xff; 100]), Ok(()));
        assert_eq!(check_protobuf(&[0x0a, 0x7f, 0]), Ok(()));
    }

    #[test]
    fn json_is_counted_outside_its_texts() {
        let spans = |span: &str, count| format!("{{\"spans\":[{}]}}", vec![span; count].join(","));
        assert_eq!(check_json(spans("{}", 100_000).as_bytes()), Ok(()));
        assert_eq!(check_json(spans("{}", 200_000).as_bytes()), Err(TooLarge));
        assert_eq!(check_json(spans("1", 1_000_001).as_bytes()), Err(TooLarge));
        let text = format!("[\"{}\\\"\"]", "{[,".repeat(2_000_000));
        assert_eq!(check_json(text.as_bytes()), Ok(()));
    }
}
