//! What counts as a secret by itself, and the placeholder of each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::{Captures, Regex};
use sha2::Sha256;

use crate::base::encoding::hex;

/// What every placeholder of a token starts with.
const MARK: &str = "scrubbed-";
/// The domain of every placeholder of an e-mail address.
const DOMAIN: &str = "@scrubbed.invalid";

/// What every placeholder of digits starts with.
const NINES: &str = "999999";

/// A pattern of this source is known to compile.
pub(super) fn known(pattern: &str) -> Regex {
    // Never nothing: a pattern that does not compile would leave its kind of secret in place.
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    known(
        r"[\p{L}\p{N}][\p{L}\p{N}._+-]*(?:@|%40)[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?(?:\.[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?)*\.\p{L}{2,}",
    )
});

/// Digits in groups: what may be a card number has the right first digits, length and check digit.
/// Letters may stand around them; with dots they are a decimal unless the groups are those of a card.
static DIGITS: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"(?:\b|[A-Za-z_])(?:",
        r"[3-6][0-9]{3}(?:\.[0-9]{4}){3}|3[0-9]{3}\.[0-9]{6}\.[0-9]{5}",
        r"|[3-6][0-9]{3}[ -]?(?:[0-9][ -]?){8,14}[0-9]",
        r")(?:\b|[A-Za-z_])",
    ))
});

/// Tokens that are known by their shape alone.
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

/// The secrets that were met, each with its placeholder.
#[derive(Debug)]
pub(super) struct Secrets {
    key: Vec<u8>,
    /// Those that were met by where they stand.
    met: BTreeMap<String, String>,
    /// Those of them that are replaced wherever they stand, the longest first.
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

    /// Replaces what was met so far wherever it stands from now on. Short or simple values are left to
    /// where they were met: as text they stand everywhere.
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
        // A key of any length is taken.
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn short_digest(&self, value: &str) -> String {
        hex(&self.digest(value)[..6])
    }

    /// The placeholder of a value that stands for itself: of its shape where it has one.
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

    /// Digits in the place of digits: six nines, which no issuer has, then those of the hash.
    fn digits(&self, digits: &str) -> Vec<u8> {
        let digest = self.digest(digits);
        let hashed = digest.iter().map(|byte| byte % 10).cycle();
        let nines = NINES.bytes().map(|byte| byte - b'0');
        nines.chain(hashed).take(digits.len()).collect()
    }

    /// A card number's placeholder: its check digit holds, its groups stay.
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

    /// Replaces a whole value that is a secret by where it stands; an empty one and a placeholder stay.
    pub(super) fn whole(&mut self, value: &mut String, kind: &'static str) -> Vec<&'static str> {
        if value.is_empty() || is_placeholder(value) {
            return Vec::new();
        }
        let placeholder = self.placeholder(value);
        self.met.insert(value.clone(), placeholder.clone());
        *value = placeholder;
        vec![kind]
    }

    /// Replaces the digits of a number that is a secret by where it stands, and leaves it a number; its
    /// exponent stays. A short one becomes nines alone: there is no room for a hash beside what marks it.
    /// `None` for what is no number, or is a placeholder.
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

    /// Replaces the secrets inside a text that are known by their shape, or were met elsewhere.
    pub(super) fn inside(&self, text: &mut String) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        for (value, placeholder) in &self.everywhere {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), placeholder);
                kinds.push("value that is a secret elsewhere");
            }
        }
        replace(text, &TOKEN, "token", &mut kinds, |found| {
            Some(format!("{MARK}{}", self.short_digest(found)))
        });
        replace(text, &EMAIL, "e-mail address", &mut kinds, |found| {
            // What stands before the `@` may be the placeholder of a URL's password.
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

/// Replaces what the pattern finds by what `make` makes of it, where it makes anything.
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

/// Whether digits are what [`Secrets::digits`] makes.
fn is_nines(digits: &str) -> bool {
    digits.starts_with(NINES) || NINES.starts_with(digits)
}

fn digits_of(value: &str) -> Vec<u8> {
    let digits = value.bytes().filter(u8::is_ascii_digit);
    digits.map(|byte| byte - b'0').collect()
}

/// The sum whose last digit is 0 for a number with a right check digit.
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

/// Whether digits, perhaps in groups, are the number of a card of one of the known issuers.
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

/// Whether a member, a form field or a query parameter of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(|c| !['_', '-', '.'].contains(c))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    // Not `tokens`: that counts them more often than it lists them.
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
