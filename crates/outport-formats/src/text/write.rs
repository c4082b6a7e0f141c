//! Numbers, dates, times and bytes written as text, without allocating.

use arrow::datatypes::i256;

const DIGITS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// The two digits of a number below 100.
#[inline]
fn two(value: u32) -> [u8; 2] {
    let at = (value as usize % 100) * 2;
    [DIGITS[at], DIGITS[at + 1]]
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01.
#[inline]
pub(crate) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years start in March, eras have 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097) as u32;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (i64::from(year_of_era) + era * 400 + i64::from(month <= 2), month, day)
}

/// The days from 1970-01-01 to a date of the proleptic Gregorian calendar; `None` where there is no such day.
#[inline]
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    if day == 0 || day > longest {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// An integer.
#[inline]
pub(crate) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// An unsigned number with at least `width` digits.
pub(crate) fn padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
    out.extend_from_slice(digits);
}

/// A finite number: the shortest digits that read back as the same number.
#[inline]
pub(crate) fn float(value: impl zmij::Float, out: &mut Vec<u8>) {
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
}

/// `yyyy-MM-dd`; years outside 0000 to 9999 have a sign and as many digits as they need, as ISO 8601 has it.
#[inline]
pub(crate) fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    if let Ok(year @ 0..=9999) = u32::try_from(year) {
        let [y1, y2] = two(year / 100);
        let [y3, y4] = two(year);
        let [m1, m2] = two(month);
        let [d1, d2] = two(day);
        out.extend_from_slice(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        padded(year.unsigned_abs(), 4, out);
        let [m1, m2] = two(month);
        let [d1, d2] = two(day);
        out.extend_from_slice(&[b'-', m1, m2, b'-', d1, d2]);
    }
}

/// `HH:mm:ss` and the fraction behind it, as many digits as it needs. `seconds` are those of the day.
#[inline]
pub(crate) fn time(seconds: u32, nanos: u32, out: &mut Vec<u8>) {
    let (minutes, second) = (seconds / 60, seconds % 60);
    let [h1, h2] = two(minutes / 60);
    let [m1, m2] = two(minutes % 60);
    let [s1, s2] = two(second);
    out.extend_from_slice(&[h1, h2, b':', m1, m2, b':', s1, s2]);
    if nanos != 0 {
        fraction(nanos, out);
    }
}

/// A point and the digits of a fraction of a second up to the last that is not zero.
fn fraction(nanos: u32, out: &mut Vec<u8>) {
    let mut digits = [b'.', b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'0'];
    let mut rest = nanos;
    for place in digits[1..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let length = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    out.extend_from_slice(&digits[..length]);
}

/// `yyyy-MM-ddTHH:mm:ss` and the fraction behind it. `seconds` count from 1970-01-01T00:00:00.
#[inline]
pub(crate) fn timestamp(seconds: i64, nanos: u32, out: &mut Vec<u8>) {
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
    let (year, month, day) = civil_from_days(days);
    if let Ok(year @ 0..=9999) = u32::try_from(year) {
        // The usual case as one copy of nineteen bytes.
        let [y1, y2] = two(year / 100);
        let [y3, y4] = two(year);
        let [m1, m2] = two(month);
        let [d1, d2] = two(day);
        let minutes = of_day / 60;
        let [h1, h2] = two(minutes / 60);
        let [i1, i2] = two(minutes % 60);
        let [s1, s2] = two(of_day % 60);
        out.extend_from_slice(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2]);
        if nanos != 0 {
            fraction(nanos, out);
        }
    } else {
        date(days, out);
        out.push(b'T');
        time(of_day, nanos, out);
    }
}

/// `+10:00`, or `Z` for none. Offsets are whole minutes.
pub(crate) fn offset(seconds: i32, colon: bool, out: &mut Vec<u8>) {
    let minutes = seconds.unsigned_abs() / 60;
    out.push(if seconds < 0 { b'-' } else { b'+' });
    out.extend_from_slice(&two(minutes / 60));
    if colon {
        out.push(b':');
    }
    out.extend_from_slice(&two(minutes % 60));
}

/// A decimal number with `scale` digits behind the point; zeros are appended where the scale is negative.
#[inline]
pub(crate) fn decimal128(value: i128, scale: i8, out: &mut Vec<u8>) {
    let magnitude = value.unsigned_abs();
    match u64::try_from(magnitude) {
        Ok(small) => decimal_digits(value < 0, itoa::Buffer::new().format(small).as_bytes(), scale, out),
        Err(_) => decimal_digits(value < 0, itoa::Buffer::new().format(magnitude).as_bytes(), scale, out),
    }
}

/// As [`decimal128`], for numbers of up to 76 digits.
pub(crate) fn decimal256(value: i256, scale: i8, out: &mut Vec<u8>) {
    let text = value.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    decimal_digits(digits.len() < text.len(), digits.as_bytes(), scale, out);
}

#[inline]
fn decimal_digits(negative: bool, digits: &[u8], scale: i8, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let Ok(places @ 1..) = usize::try_from(scale) else {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
        return;
    };
    if digits.len() > places {
        let (whole, fraction) = digits.split_at(digits.len() - places);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', places - digits.len()));
        out.extend_from_slice(digits);
    }
}

/// An ISO 8601 duration such as `P1Y2M3DT-4.5S`; each part has its own sign, as in PostgreSQL's `iso_8601` style.
pub(crate) fn interval(months: i64, days: i64, nanos: i128, out: &mut Vec<u8>) {
    out.push(b'P');
    let start = out.len();
    for (value, unit) in [(months / 12, b'Y'), (months % 12, b'M'), (days, b'D')] {
        if value != 0 {
            integer(value, out);
            out.push(unit);
        }
    }
    if nanos != 0 || out.len() == start {
        out.push(b'T');
        if nanos < 0 {
            out.push(b'-');
        }
        let magnitude = nanos.unsigned_abs();
        integer(magnitude / 1_000_000_000, out);
        let rest = (magnitude % 1_000_000_000) as u32;
        if rest != 0 {
            fraction(rest, out);
        }
        out.push(b'S');
    }
}

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`; other lengths than 16 have no dashes.
pub(crate) fn uuid(bytes: &[u8], out: &mut Vec<u8>) {
    for (at, byte) in bytes.iter().enumerate() {
        if bytes.len() == 16 && matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hexadecimal(std::slice::from_ref(byte), out);
    }
}

/// Two lowercase digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Base64 with padding, in the standard alphabet of RFC 4648.
pub(crate) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let mut letters = [18, 12, 6, 0].map(|shift| ALPHABET[(word >> shift) as usize & 63]);
        letters[group.len() + 1..].fill(b'=');
        out.extend_from_slice(&letters);
    }
}
