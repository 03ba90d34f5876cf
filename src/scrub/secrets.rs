//! Recognises secrets by their shape or name, and makes the placeholders that replace them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::{Captures, Regex};
use sha2::Sha256;

use crate::base::masked::{DOMAIN, ESCAPED_DOMAIN, NINES, TOKEN as MARK};

/// Compiles one of the patterns for scrubbing, all of which are valid.
pub(super) fn known(pattern: &str) -> Regex {
    // No fallback: without its pattern, a kind of secret would be left in place.
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    known(
        // A placeholder comes first: what follows it directly is not a part of it.
        r"user-[0-9a-f]{12}(?:@|%40)scrubbed\.invalid|[\p{L}\p{N}][\p{L}\p{N}._+-]*(?:@|%40)[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?(?:\.[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?)*\.\p{L}{2,}",
    )
});

/// Digits, in blocks with a space, a hyphen or (as in a card number) a dot between them. [`card_in`] finds
/// the blocks that are a card number.
static DIGITS: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"[3-6][0-9]{3}(?:\.[0-9]{4}){3}|3[0-9]{3}\.[0-9]{6}\.[0-9]{5}",
        r"|[0-9]+(?:[ -][0-9]+)*",
    ))
});

/// Tokens that are recognised by their shape alone.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*",
        r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
        r"|\bgh[pousr]_[A-Za-z0-9]{20,}",
        r"|\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"|\bAIza[A-Za-z0-9_-]{35}",
        r"|\bya29\.[A-Za-z0-9_-]{20,}",
        r"|\bgithub_pat_[A-Za-z0-9_]{22,}",
        r"|\bglpat-[A-Za-z0-9_-]{20,}",
        r"|\bnpm_[A-Za-z0-9]{36}",
        r"|\bwhsec_[A-Za-z0-9+/=]{20,}",
        r"|\bsk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}",
        r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"|\bservices/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,}",
        r"|(?s:-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----)",
    ))
});

/// The secrets found so far, each with its placeholder.
#[derive(Debug)]
pub(super) struct Secrets {
    key: Vec<u8>,
    /// Those that were recognised by their position.
    met: BTreeMap<String, String>,
    /// Those of them that are replaced wherever they occur, the longest first.
    everywhere: Vec<(String, String)>,
}

impl Secrets {
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            key: key.to_vec(),
            met: BTreeMap::new(),
            everywhere: Vec::new(),
        }
    }

    /// From now on, replaces the secrets found so far wherever they occur. Short or simple values are
    /// replaced only in their position, since the same text may well occur elsewhere.
    pub(super) fn remember(&mut self) {
        let is_random = |value: &str| {
            value.len() >= 10
                && value.bytes().any(|b| b.is_ascii_digit())
                && value.bytes().any(|b| b.is_ascii_alphabetic())
        };
        let met = self.met.iter().filter(|(value, _)| is_random(value));
        self.everywhere = met.map(|(v, p)| (v.clone(), p.clone())).collect();
        self.everywhere
            .sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// Returns how many secrets are replaced wherever they occur.
    pub(super) fn known(&self) -> usize {
        self.everywhere.len()
    }

    fn digest(&self, value: &str) -> [u8; 32] {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC accepts keys of any length"),
        };
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn short_digest(&self, value: &str) -> String {
        hex::encode(&self.digest(value)[..6])
    }

    /// Returns the placeholder for a whole value, in the shape of an e-mail address or a card number
    /// if the value is one.
    fn placeholder(&self, value: &str) -> String {
        let address = EMAIL.find(value);
        if address.is_some_and(|found| found.len() == value.len()) {
            return self.email(value);
        }
        if is_card(value) {
            return self.card(value);
        }
        format!("{MARK}{}", self.short_digest(value))
    }

    fn email(&self, value: &str) -> String {
        let plain = value.replace("%40", "@").to_ascii_lowercase();
        let at = if value.contains('@') {
            DOMAIN
        } else {
            ESCAPED_DOMAIN
        };
        format!("user-{}{at}", self.short_digest(&plain))
    }

    /// Returns the same number of placeholder digits: six nines, which no issuer uses, then digits of
    /// the hash.
    fn digits(&self, digits: &str) -> Vec<u8> {
        let digest = self.digest(digits);
        let hashed = digest.iter().map(|byte| byte % 10).cycle();
        let nines = NINES.bytes().map(|byte| byte - b'0');
        nines.chain(hashed).take(digits.len()).collect()
    }

    /// Returns a card number's placeholder, which has a valid check digit and the same groups.
    fn card(&self, value: &str) -> String {
        let digits: String = value.chars().filter(char::is_ascii_digit).collect();
        let mut new = self.digits(&digits);
        let last = new.len() - 1;
        new[last] = 0;
        new[last] = (10 - luhn(&new)) % 10;
        let mut new = new.into_iter();
        let replaced = value.chars().map(|c| match c.is_ascii_digit() {
            true => char::from(b'0' + new.next().unwrap_or(0)),
            false => c,
        });
        replaced.collect()
    }

    /// Replaces a whole value that is secret because of its position; leaves empty values and
    /// placeholders as they are.
    pub(super) fn whole(&mut self, value: &mut String, kind: &'static str) -> Vec<&'static str> {
        if value.is_empty() || is_placeholder(value) {
            return Vec::new();
        }
        let placeholder = self.placeholder(value);
        self.met.insert(value.clone(), placeholder.clone());
        *value = placeholder;
        vec![kind]
    }

    /// Replaces the digits of a number that is secret because of its position. It remains a number
    /// with the same exponent. A short one becomes all nines, since there is no room for a hash after
    /// the prefix. Returns `None` if the literal is not a number, or is a placeholder already.
    pub(super) fn number(&self, literal: &str) -> Option<String> {
        let (mantissa, exponent) = match literal.find(['e', 'E']) {
            Some(at) => literal.split_at(at),
            None => (literal, ""),
        };
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() || is_nines(&digits) {
            return None;
        }
        let mut new = self.digits(&digits).into_iter();
        let mantissa = mantissa.chars().map(|c| match c.is_ascii_digit() {
            true => char::from(b'0' + new.next().unwrap_or(9)),
            false => c,
        });
        Some(mantissa.collect::<String>() + exponent)
    }

    /// Replaces the secrets in a text that are recognised by their shape, or were found elsewhere.
    pub(super) fn inside(&self, text: &mut String) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        for (value, placeholder) in &self.everywhere {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), placeholder);
                kinds.push("value that is secret elsewhere");
            }
        }
        replace(text, &TOKEN, "token", &mut kinds, |found| {
            Some(format!("{MARK}{}", self.short_digest(found)))
        });
        replace(text, &EMAIL, "e-mail address", &mut kinds, |found| {
            // The part before the `@` may be the placeholder of a URL's password.
            let is_ours = found.ends_with("scrubbed.invalid") || found.starts_with(MARK);
            (!is_ours && !is_file_name(found)).then(|| self.email(found))
        });
        self.cards(text, &mut kinds);
        kinds
    }

    /// Replaces the card numbers in a text.
    fn cards(&self, text: &mut String, kinds: &mut Vec<&'static str>) {
        let (mut out, mut copied) = (String::new(), 0);
        for run in DIGITS.find_iter(text) {
            let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            let before = text[..run.start()].strip_suffix('.');
            let after = text[run.end()..].strip_prefix('.');
            // A part of a decimal number.
            if is_digit(before.and_then(|text| text.chars().next_back()))
                || is_digit(after.and_then(|text| text.chars().next()))
            {
                continue;
            }
            let mut from = run.start();
            while let Some(card) = card_in(&text[from..run.end()]) {
                out.push_str(&text[copied..from + card.start]);
                out.push_str(&self.card(&text[from + card.start..from + card.end]));
                copied = from + card.end;
                from = copied;
            }
        }
        if copied > 0 {
            out.push_str(&text[copied..]);
            *text = out;
            kinds.push("card number");
        }
    }
}

/// Replaces each match of the pattern with what `make` returns for it, if anything.
fn replace(
    text: &mut String,
    pattern: &Regex,
    kind: &'static str,
    kinds: &mut Vec<&'static str>,
    make: impl Fn(&str) -> Option<String>,
) {
    let mut found = false;
    let replaced = pattern.replace_all(text, |captures: &Captures<'_>| {
        let value = &captures[0];
        match make(value) {
            Some(new) => {
                found = true;
                new
            }
            None => value.to_owned(),
        }
    });
    if found {
        *text = replaced.into_owned();
        kinds.push(kind);
    }
}

fn is_placeholder(value: &str) -> bool {
    let marked = value
        .strip_prefix(MARK)
        .is_some_and(|rest| rest.len() == 12);
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let card = digits.len() >= 13
        && is_nines(&digits)
        && value
            .chars()
            .all(|c| c.is_ascii_digit() || [' ', '-', '.'].contains(&c));
    marked || value.ends_with(DOMAIN) || value.ends_with(ESCAPED_DOMAIN) || card
}

/// Returns whether digits are a placeholder made by [`Secrets::digits`].
fn is_nines(digits: &str) -> bool {
    digits.starts_with(NINES) || NINES.starts_with(digits)
}

fn digits_of(value: &str) -> Vec<u8> {
    let digits = value.bytes().filter(u8::is_ascii_digit);
    digits.map(|byte| byte - b'0').collect()
}

/// Returns the Luhn sum modulo 10, which is 0 for a number with a valid check digit.
fn luhn(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(n, digit)| {
            let doubled = u32::from(*digit) * if n % 2 == 1 { 2 } else { 1 };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    (sum % 10) as u8
}

/// Returns the range of the first card number in a run of digits: whole blocks, so that it may stand beside
/// an expiry date or a security code.
fn card_in(run: &str) -> Option<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for (at, c) in run.char_indices() {
        match blocks.last_mut() {
            _ if !c.is_ascii_digit() => {}
            Some(last) if last.end == at => last.end = at + 1,
            _ => blocks.push(at..at + 1),
        }
    }
    for (n, first) in blocks.iter().enumerate() {
        let ends = blocks[n..].iter().map(|last| last.end);
        // The longest card number in blocks of one digit.
        let mut ranges = ends.take(19).map(|end| first.start..end);
        if let Some(card) = ranges.find(|range| is_card(&run[range.clone()])) {
            return Some(card);
        }
    }
    None
}

/// Returns whether what looks like an address is the name of an image for a display's density:
/// `logo@2x.png`.
fn is_file_name(found: &str) -> bool {
    let domain = found.split(['@']).nth(1).unwrap_or_default();
    let density = domain
        .split('.')
        .next()
        .and_then(|label| label.strip_suffix('x'));
    density.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns whether digits, possibly in groups, are a card number of a known issuer.
fn is_card(value: &str) -> bool {
    if !value
        .bytes()
        .all(|b| b.is_ascii_digit() || b" -.".contains(&b))
    {
        return false;
    }
    let digits = digits_of(value);
    if !(13..=19).contains(&digits.len()) {
        return false;
    }
    let prefix = |n: usize| {
        digits[..n]
            .iter()
            .fold(0_u32, |sum, d| sum * 10 + u32::from(*d))
    };
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    let fits = match digits.len() {
        13 | 19 => digits[0] == 4,
        14 => two == 36 || two == 38 || (300..=305).contains(&three),
        15 => two == 34 || two == 37,
        16 => {
            digits[0] == 4
                || (51..=55).contains(&two)
                || (2221..=2720).contains(&four)
                || four == 6011
                || two == 65
                || (644..=649).contains(&three)
                || (3528..=3589).contains(&four)
        }
        _ => false,
    };
    fits && luhn(&digits) == 0
}
