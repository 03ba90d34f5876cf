//! Recognises secrets by their shape or name, and makes the placeholders that replace them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::{Captures, Regex};
use sha2::Sha256;

/// The prefix of every placeholder for a token.
const MARK: &str = "scrubbed-";
/// The domain of every placeholder for an e-mail address.
const DOMAIN: &str = "@scrubbed.invalid";

/// The prefix of every placeholder for digits.
const NINES: &str = "999999";

/// Compiles one of the patterns for scrubbing, all of which are valid.
pub(super) fn known(pattern: &str) -> Regex {
    // No fallback: without its pattern, a kind of secret would be left in place.
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    known(
        r"[\p{L}\p{N}][\p{L}\p{N}._+-]*(?:@|%40)[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?(?:\.[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?)*\.\p{L}{2,}",
    )
});

/// Digits in groups that may be a card number; [`is_card`] checks the first digits, the length and
/// the check digit. Letters may surround them. Digits with dots are a decimal number, unless they are
/// grouped like a card number.
static DIGITS: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"(?:\b|[A-Za-z_])(?:",
        r"[3-6][0-9]{3}(?:\.[0-9]{4}){3}|3[0-9]{3}\.[0-9]{6}\.[0-9]{5}",
        r"|[3-6][0-9]{3}[ -]?(?:[0-9][ -]?){8,14}[0-9]",
        r")(?:\b|[A-Za-z_])",
    ))
});

/// Tokens that are recognised by their shape alone.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*",
        r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
        r"|\bgh[pousr]_[A-Za-z0-9]{20,}",
        r"|\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"|\bAKIA[0-9A-Z]{16}\b",
        r"|(?s:-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----)",
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
            "%40scrubbed.invalid"
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
            (!is_ours).then(|| self.email(found))
        });
        replace(text, &DIGITS, "card number", &mut kinds, |found| {
            let card = found.trim_matches(|c: char| !c.is_ascii_digit());
            is_card(card).then(|| found.replace(card, &self.card(card)))
        });
        kinds
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
    marked || value.ends_with(DOMAIN) || card
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

/// Returns whether a member, a form field or a query parameter with this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(|c| !['_', '-', '.'].contains(c))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    // `tokens` is left out: it is more often a count than a list.
    const ENDINGS: [&str; 15] = [
        "token",
        "secret",
        "secrets",
        "password",
        "passwords",
        "passwd",
        "apikey",
        "apikeys",
        "subscriptionkey",
        "signingkey",
        "amzsignature",
        "accesskey",
        "secretkey",
        "privatekey",
        "authorization",
    ];
    const WHOLE: [&str; 20] = [
        "auth",
        "bearer",
        "credential",
        "credentials",
        "otp",
        "totp",
        "onetimecode",
        "jsessionid",
        "phpsessid",
        "pwd",
        "pass",
        "passphrase",
        "jwt",
        "sessionid",
        "cookie",
        "cookies",
        "cvc",
        "cvv",
        "cvv2",
        "pin",
    ];
    ENDINGS.iter().any(|ending| name.ends_with(ending)) || WHOLE.contains(&name.as_str())
}
