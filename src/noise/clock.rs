//! Values that move with the clock.

use serde_json::Value;

use super::Moment;
use crate::base::json;

/// How far a value may be from where the clock moved it to, in seconds.
const TOLERANCE: f64 = 120.0;
const DAY: f64 = 86_400.0;

/// A value that tells a time.
struct Told {
    /// The seconds since 1970.
    seconds: f64,
    /// Whether it tells no more than the day.
    is_day: bool,
}

/// Returns whether a value tells a time that moved by as much as passed between two moments.
pub(super) fn has_moved(
    (was, then): (&Value, Option<Moment>),
    (is, now): (&Value, Option<Moment>),
) -> bool {
    let (Some(was), Some(is), Some(now)) = (read(was), read(is), now) else {
        return false;
    };
    let is_day = was.is_day && is.is_day;
    // A day is where the clock is in UTC; whatever is told within it moves with that.
    let offset = |told: &Told, at: Moment| match is_day {
        true => told.seconds - (at.0 / DAY).floor() * DAY,
        false => told.seconds - at.0,
    };
    match then {
        Some(then) => {
            let passed = now.0 - then.0;
            // What was captured just now moves by little, and so may what does not move with the clock.
            let within = if is_day {
                0.0
            } else {
                (passed * 0.1).clamp(1.0, TOLERANCE)
            };
            let has_moved = is.seconds > was.seconds;
            has_moved && (offset(&is, now) - offset(&was, then)).abs() <= within
        }
        None => {
            let within = if is_day { 0.0 } else { TOLERANCE };
            is.seconds > was.seconds && offset(&is, now).abs() <= within
        }
    }
}

/// Returns whether a text is a date, with or without a time.
pub(super) fn is_date(text: &str) -> bool {
    of_text(text).is_some()
}

/// Returns whether a number is a time, in seconds or parts of them, near to a moment.
pub(super) fn is_time(value: &Value, at: Option<Moment>) -> bool {
    const YEAR: f64 = 366.0 * DAY;
    match (value.is_number().then(|| read(value)).flatten(), at) {
        (Some(told), Some(at)) => (told.seconds - at.0).abs() <= YEAR,
        _ => false,
    }
}

fn read(value: &Value) -> Option<Told> {
    match json::as_text(value) {
        Some(text) => of_text(text),
        None => of_number(json::number_text(value)?.parse().ok()?),
    }
}

/// Reads seconds, milliseconds, microseconds or nanoseconds since 1970; the size of the number tells which.
fn of_number(number: f64) -> Option<Told> {
    // Numbers of other sizes are no times of the years from 2015 to 2040.
    let seconds = [1.0, 1e3, 1e6, 1e9].map(|unit| number / unit);
    let seconds = seconds
        .into_iter()
        .find(|seconds| (1.42e9..2.21e9).contains(seconds))?;
    Some(Told {
        seconds,
        is_day: false,
    })
}

/// Reads a time as mail and HTTP have it, such as `Mon, 20 Apr 2026 10:00:00 GMT`.
fn of_mail(text: &str) -> Option<Told> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u32 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    let (year, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let zone = match zone {
        "GMT" | "UTC" => "Z",
        zone => zone,
    };
    of_text(&format!("{year}-{month:02}-{day:02}T{time}{zone}"))
}

/// Reads a date such as `2026-04-20`, with or without a time and an offset behind it.
fn of_text(text: &str) -> Option<Told> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    };
    let is = |at: usize, wanted: &[u8]| {
        let byte = text.as_bytes().get(at);
        byte.is_some_and(|byte| wanted.contains(byte))
    };
    if text.len() >= 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return of_number(text.parse().ok()?);
    }
    if !(is(4, b"-") && is(7, b"-")) {
        return of_mail(text);
    }
    let days = days(number(0..4)?, number(5..7)?, number(8..10)?)?;
    let date = days as f64 * DAY;
    if text.len() == 10 {
        return Some(Told {
            seconds: date,
            is_day: true,
        });
    }
    if !(is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (hours, minutes, seconds) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let time = (hours * 3600 + minutes * 60 + seconds) as f64;
    let rest = text.get(19..)?;
    let zone = rest.trim_start_matches(['.', ','].as_slice());
    let zone = zone.trim_start_matches(|c: char| c.is_ascii_digit());
    let offset = match zone {
        "" | "Z" | "z" => 0.0,
        zone => {
            let sign = if zone.starts_with('-') { -1.0 } else { 1.0 };
            let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
            let (hours, minutes) = (digits.get(0..2)?, digits.get(2..4).unwrap_or("0"));
            sign * (hours.parse::<f64>().ok()? * 3600.0 + minutes.parse::<f64>().ok()? * 60.0)
        }
    };
    Some(Told {
        seconds: date + time - offset,
        is_day: false,
    })
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !((1..=12).contains(&month) && (1..=31).contains(&day)) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (value, seconds) in [
            (json!("1970-01-01T00:00:00Z"), 0.0),
            (json!("2000-02-29T12:00:00.5+02:00"), 951_818_400.0),
            (json!("2026-04-20 10:00:00"), 1_776_679_200.0),
            (json!("2026-04-20"), 1_776_643_200.0),
            (json!("Mon, 20 Apr 2026 10:00:00 GMT"), 1_776_679_200.0),
            (json!("Mon, 20 Apr 2026 12:00:00 +0200"), 1_776_679_200.0),
            (json!("1776679200"), 1_776_679_200.0),
            (json!(1_776_679_200), 1_776_679_200.0),
            (json!(1_776_679_200_123_u64), 1_776_679_200.123),
        ] {
            assert_eq!(
                read(&value).map(|told| told.seconds),
                Some(seconds),
                "{value}"
            );
        }
        for value in [
            json!("2026-13-01"),
            json!("12"),
            json!(12),
            json!(true),
            json!("2026/04/20"),
            json!("Mon, 20 Foo 2026 10:00:00 GMT"),
        ] {
            assert!(read(&value).is_none(), "{value}");
        }
    }

    #[test]
    fn a_time_moves_with_the_clock_or_does_not() {
        let (then, now) = (Some(Moment(1_776_679_200.0)), Some(Moment(1_776_865_600.0)));
        let moved = |was: Value, is: Value| has_moved((&was, then), (&is, now));
        assert!(moved(
            json!("2026-04-20T10:00:00Z"),
            json!("2026-04-22T13:46:41Z")
        ));
        assert!(moved(
            json!("2026-04-20T11:00:00Z"),
            json!("2026-04-22T14:46:41Z")
        ));
        assert!(moved(json!("2026-04-20"), json!("2026-04-22")));
        assert!(!moved(json!("2026-04-20"), json!("2026-04-23")));
        assert!(moved(json!("2026-04-21"), json!("2026-04-23")));
        assert!(moved(json!(1_776_679_200), json!(1_776_865_601)));
        assert!(!moved(
            json!("2026-04-20T10:00:00Z"),
            json!("2026-04-20T10:00:01Z")
        ));
        assert!(!moved(
            json!("2026-04-20T10:00:00Z"),
            json!("2027-04-20T10:00:00Z")
        ));
        assert!(!moved(json!(12), json!(13)));
        let unknown = |is: Value| has_moved((&json!("2026-04-20T10:00:00Z"), None), (&is, now));
        assert!(unknown(json!("2026-04-22T13:46:41Z")));
        assert!(!unknown(json!("2026-04-20T10:00:00Z")));
    }
}
