//! Numbers, dates, times and bytes read from text. `None` and `false` stand for text that is none.

use super::write::{SECONDS_PER_DAY, days_from_civil};
use super::zone::parse_offset;

/// An integer of any size that Arrow has.
#[inline]
pub(crate) fn integer<T: TryFrom<i128>>(text: &[u8]) -> Option<T> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || digits.len() > 38 {
        return None;
    }
    let mut value: i128 = 0;
    for byte in digits {
        value = value * 10 + i128::from(digit(*byte)?);
    }
    T::try_from(if negative { -value } else { value }).ok()
}

/// An integer of 64 bits.
#[inline]
pub(crate) fn int64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || digits.len() > 18 {
        return integer(text);
    }
    let mut value: i64 = 0;
    for byte in digits {
        value = value * 10 + i64::from(digit(*byte)?);
    }
    Some(if negative { -value } else { value })
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

#[inline]
fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(value)
}

/// A number of 64 bits; `words` are NaN, infinity and negative infinity.
#[inline]
pub(crate) fn float64(text: &[u8], words: &[Vec<u8>; 3]) -> Option<f64> {
    match text.last()? {
        b'0'..=b'9' | b'.' => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => not_finite(text, words),
    }
}

/// A number of 32 bits.
pub(crate) fn float32(text: &[u8], words: &[Vec<u8>; 3]) -> Option<f32> {
    match text.last()? {
        b'0'..=b'9' | b'.' => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => not_finite(text, words).map(|value| value as f32),
    }
}

/// The user's words, and those that every tool knows.
fn not_finite(text: &[u8], words: &[Vec<u8>; 3]) -> Option<f64> {
    let plain = |word: &Vec<u8>| text == word.strip_prefix(b"\"").and_then(|w| w.strip_suffix(b"\"")).unwrap_or(word);
    match words.iter().position(plain) {
        Some(0) => return Some(f64::NAN),
        Some(1) => return Some(f64::INFINITY),
        Some(_) => return Some(f64::NEG_INFINITY),
        None => {}
    }
    let (negative, word) = sign(text);
    let value = match word.to_ascii_lowercase().as_slice() {
        b"nan" => f64::NAN,
        b"inf" | b"infinity" => f64::INFINITY,
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// A decimal number as an unscaled integer; more digits behind the point than `scale` must be zeros.
#[inline]
pub(crate) fn decimal128(text: &[u8], scale: i8) -> Option<i128> {
    let Ok(places) = usize::try_from(scale) else {
        return decimal_digits(text, scale)?.parse().ok();
    };
    let (negative, digits) = sign(text);
    if digits.len() > 17 || places > 17 {
        return decimal_digits(text, scale)?.parse().ok();
    }
    let mut value: i64 = 0;
    let mut behind: Option<usize> = None;
    let mut count = 0;
    for byte in digits {
        if let Some(digit) = digit(*byte) {
            count += 1;
            if let Some(behind) = &mut behind {
                *behind += 1;
                if *behind > places {
                    if digit != 0 {
                        return None;
                    }
                    continue;
                }
            }
            value = value * 10 + i64::from(digit);
        } else if *byte == b'.' && behind.is_none() {
            behind = Some(0);
        } else {
            return decimal_digits(text, scale)?.parse().ok();
        }
    }
    if count == 0 {
        return None;
    }
    let missing = places - behind.unwrap_or(0).min(places);
    let value = i128::from(value) * 10i128.pow(missing as u32);
    Some(if negative { -value } else { value })
}

/// The digits of a decimal number, exponent or not, as an unscaled integer: `1.5e1` with scale 2 is `1500`.
pub(crate) fn decimal_digits(text: &[u8], scale: i8) -> Option<String> {
    let (negative, number) = sign(text);
    let split = number.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match split {
        Some(at) => (&number[..at], integer::<i32>(&number[at + 1..])?),
        None => (number, 0),
    };
    if exponent.abs() > 100 {
        return None;
    }
    let mut digits = Vec::with_capacity(mantissa.len());
    let mut behind: Option<i32> = None;
    for byte in mantissa {
        match (digit(*byte), &mut behind) {
            (Some(_), behind) => {
                digits.push(*byte);
                if let Some(count) = behind {
                    *count += 1;
                }
            }
            (None, None) if *byte == b'.' => behind = Some(0),
            _ => return None,
        }
    }
    if digits.is_empty() {
        return None;
    }
    // How many zeros to append to get to the scale; where negative, how many to take away.
    let missing = i32::from(scale) - behind.unwrap_or(0) + exponent;
    if missing >= 0 {
        digits.extend(std::iter::repeat_n(b'0', missing as usize));
    } else {
        for _ in 0..-missing {
            match digits.pop() {
                None | Some(b'0') => {}
                Some(_) => return None,
            }
        }
    }
    let first = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    let digits = String::from_utf8(digits.split_off(first)).ok()?;
    Some(match (negative, digits.as_str()) {
        (_, "") => "0".to_owned(),
        (true, _) => format!("-{digits}"),
        (false, _) => digits,
    })
}

#[inline]
fn pair(text: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(digit(*text.get(at)?)?) * 10 + u32::from(digit(*text.get(at + 1)?)?))
}

/// `yyyy-MM-dd` at the start of `text`: the days since 1970 and the number of bytes it takes.
#[inline]
fn date_prefix(text: &[u8]) -> Option<(i64, usize)> {
    let signed = matches!(text.first()?, b'+' | b'-');
    let (year, at) = if signed {
        let count = text[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(4..=9).contains(&count) {
            return None;
        }
        (integer::<i64>(&text[..=count])?, count + 1)
    } else {
        (i64::from(pair(text, 0)?) * 100 + i64::from(pair(text, 2)?), 4)
    };
    if text.get(at) != Some(&b'-') || text.get(at + 3) != Some(&b'-') {
        return None;
    }
    Some((days_from_civil(year, pair(text, at + 1)?, pair(text, at + 4)?)?, at + 6))
}

/// The days since 1970 of an ISO 8601 date.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i64> {
    date_prefix(text).filter(|(_, length)| *length == text.len()).map(|(days, _)| days)
}

/// `HH:mm`, `HH:mm:ss` or with a fraction at the start of `text`: seconds, nanoseconds and the number of bytes.
#[inline]
fn time_prefix(text: &[u8]) -> Option<(u32, u32, usize)> {
    let hour = pair(text, 0)?;
    if text.get(2) != Some(&b':') {
        return None;
    }
    let minute = pair(text, 3)?;
    let (mut second, mut nanos, mut at) = (0, 0, 5);
    if text.get(5) == Some(&b':') {
        second = pair(text, 6)?;
        at = 8;
        if text.get(8) == Some(&b'.') {
            let digits = text[9..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            nanos = integer::<u32>(&text[9..9 + digits])? * 10u32.pow(9 - digits as u32);
            at = 9 + digits;
        }
    }
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 3600 + minute * 60 + second, nanos, at))
}

/// Seconds and nanoseconds of an ISO 8601 time of day.
pub(crate) fn time(text: &[u8]) -> Option<(u32, u32)> {
    time_prefix(text).filter(|(.., length)| *length == text.len()).map(|(seconds, nanos, _)| (seconds, nanos))
}

/// An ISO 8601 date and time with `T` or a blank between, or a date alone: seconds since 1970 as the clock showed them,
/// nanoseconds, and the offset in seconds where there is one.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Option<(i64, u32, Option<i32>)> {
    let (days, at) = date_prefix(text)?;
    let midnight = days * SECONDS_PER_DAY;
    match text.get(at) {
        None => return Some((midnight, 0, None)),
        Some(b'T' | b' ' | b't') => {}
        Some(_) => return None,
    }
    let rest = &text[at + 1..];
    let (seconds, nanos, end) = time_prefix(rest)?;
    let zone = &rest[end..];
    let zone = zone.strip_prefix(b" ").unwrap_or(zone);
    let offset = match zone {
        [] => None,
        b"UTC" => Some(0),
        _ => Some(parse_offset(zone).filter(|(_, length)| *length == zone.len())?.0),
    };
    Some((midnight + i64::from(seconds), nanos, offset))
}

/// An ISO 8601 duration: months, days, nanoseconds.
pub(crate) fn interval(text: &[u8]) -> Option<(i64, i64, i128)> {
    let (whole, mut rest) = match text {
        [b'-', b'P', rest @ ..] => (-1, rest),
        [b'P', rest @ ..] => (1, rest),
        _ => return None,
    };
    let (mut months, mut days, mut nanos) = (0i64, 0i64, 0i128);
    let mut clock = false;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let [b'T', tail @ ..] = rest {
            clock = true;
            rest = tail;
            continue;
        }
        let length = rest.iter().take_while(|byte| !byte.is_ascii_alphabetic()).count();
        let (value, unit) = (rest.get(..length)?, *rest.get(length)?);
        rest = &rest[length + 1..];
        match (clock, unit) {
            (false, b'Y') => months = months.checked_add(integer::<i64>(value)?.checked_mul(12)?)?,
            (false, b'M') => months = months.checked_add(integer(value)?)?,
            (false, b'W') => days = days.checked_add(integer::<i64>(value)?.checked_mul(7)?)?,
            (false, b'D') => days = days.checked_add(integer(value)?)?,
            (true, b'H') => nanos = nanos.checked_add(integer::<i128>(value)?.checked_mul(3_600_000_000_000)?)?,
            (true, b'M') => nanos = nanos.checked_add(integer::<i128>(value)?.checked_mul(60_000_000_000)?)?,
            (true, b'S') => nanos = nanos.checked_add(decimal128(value, 9)?)?,
            _ => return None,
        }
    }
    Some((months.checked_mul(whole)?, days.checked_mul(whole)?, nanos.checked_mul(whole.into())?))
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

/// Hexadecimal digits, two a byte, with or without `0x` or `\x` in front.
pub(crate) fn hexadecimal(text: &[u8], out: &mut Vec<u8>) -> bool {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"\\x")).unwrap_or(text);
    let (pairs, rest) = digits.as_chunks::<2>();
    for [high, low] in pairs {
        match (nibble(*high), nibble(*low)) {
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => return false,
        }
    }
    rest.is_empty()
}

/// A UUID with or without dashes.
pub(crate) fn uuid(text: &[u8], out: &mut Vec<u8>) -> bool {
    let digits: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'-').collect();
    hexadecimal(&digits, out)
}

/// Base64 with or without padding.
pub(crate) fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    for group in text.chunks(4) {
        let mut word: u32 = 0;
        for letter in group {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return false,
            };
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * (4 - group.len());
        if group.len() == 1 {
            return false;
        }
        out.extend_from_slice(&word.to_be_bytes()[1..group.len()]);
    }
    true
}
