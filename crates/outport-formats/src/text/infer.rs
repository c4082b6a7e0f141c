//! Which type a column of text has, judged by a sample of its values.

use arrow::datatypes::{DataType, TimeUnit};

use super::parse;

/// What was seen of a column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guess {
    values: u64,
    booleans: u64,
    integers: u64,
    /// Integers of more than 64 bits.
    big: u64,
    decimals: u64,
    floats: u64,
    dates: u64,
    times: u64,
    timestamps: u64,
    zoned: u64,
    /// Whether the digits behind the point were always as many.
    scale: Option<usize>,
    scale_varies: bool,
    most_scale: usize,
    most_whole: usize,
    most_digits: usize,
    /// Whether a number ended in a zero behind its point, which no shortest form of a floating-point number does.
    padded: bool,
    finer_than_micros: bool,
}

impl Guess {
    /// Whether no value was seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// Looks at the text of a value that is not NULL.
    pub(crate) fn see(&mut self, text: &[u8]) {
        self.values += 1;
        match text.first() {
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => {
                let number = self.see_number(text);
                if !number {
                    self.see_time(text);
                }
            }
            Some(b't' | b'T' | b'f' | b'F')
                if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false") =>
            {
                self.booleans += 1;
            }
            Some(b'N' | b'n' | b'I' | b'i') if is_not_finite(text) => self.floats += 1,
            _ => {}
        }
    }

    /// Looks at a value that is a number for certain, such as one of JSON.
    pub(crate) fn see_number(&mut self, text: &[u8]) -> bool {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let point = digits.iter().position(|byte| *byte == b'.');
        let whole = &digits[..point.unwrap_or(digits.len())];
        let behind = point.map_or(&b""[..], |at| &digits[at + 1..]);
        let plain = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if plain(whole) && plain(behind) && (!whole.is_empty() || !behind.is_empty()) {
            // A number that starts with zeros is an identifier: a postcode, an account.
            if whole.len() > 1 && whole[0] == b'0' {
                return false;
            }
            self.most_whole = self.most_whole.max(whole.len());
            // Zeros in front count for nothing: a double holds 0.0000123 as well as 1.23.
            let zeros = whole.iter().chain(behind).take_while(|byte| **byte == b'0').count();
            self.most_digits = self.most_digits.max(whole.len() + behind.len() - zeros);
            if point.is_none() {
                if parse::int64(text).is_some() {
                    self.integers += 1
                } else {
                    self.big += 1
                }
                return true;
            }
            self.decimals += 1;
            self.most_scale = self.most_scale.max(behind.len());
            self.padded |= behind.last() == Some(&b'0');
            self.scale_varies |= self.scale.is_some_and(|scale| scale != behind.len());
            self.scale = Some(behind.len());
            return true;
        }
        let float = digits.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.')
            && digits.iter().any(|byte| matches!(byte, b'e' | b'E'))
            && std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok());
        if float || is_not_finite(text) {
            self.floats += 1;
            return true;
        }
        false
    }

    fn see_time(&mut self, text: &[u8]) {
        if parse::date(text).is_some() {
            self.dates += 1;
        } else if let Some((_, nanos, offset)) = parse::timestamp(text) {
            if offset.is_some() {
                self.zoned += 1
            } else {
                self.timestamps += 1
            }
            self.finer_than_micros |= nanos % 1_000 != 0;
        } else if parse::time(text).is_some() {
            self.times += 1;
        }
    }

    /// The narrowest type that holds every value seen; text where there is none other.
    pub(crate) fn data_type(&self) -> DataType {
        let all = |count: u64| self.values > 0 && count == self.values;
        let unit = if self.finer_than_micros { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        let numbers = self.integers + self.big + self.decimals + self.floats;
        if all(self.booleans) {
            DataType::Boolean
        } else if all(self.integers) {
            DataType::Int64
        } else if all(self.dates) {
            DataType::Date32
        } else if all(self.times) {
            DataType::Time64(TimeUnit::Microsecond)
        } else if all(self.zoned) {
            DataType::Timestamp(unit, Some("UTC".into()))
        } else if all(self.timestamps + self.dates) {
            DataType::Timestamp(unit, None)
        } else if all(numbers) {
            self.number_type()
        } else {
            DataType::Utf8
        }
    }

    /// Numbers of a fixed number of digits behind the point, and those that a double would cut, are decimals; others doubles.
    fn number_type(&self) -> DataType {
        let fits = self.most_whole + self.most_scale <= 38;
        let fixed = self.integers + self.big == 0 && !self.scale_varies && self.most_scale >= 2 && self.padded;
        if self.floats == 0 && fits && (fixed || self.most_digits > 17) {
            let scale = i8::try_from(self.most_scale).unwrap_or(i8::MAX);
            // Room for values ten thousand times as large as those seen.
            let precision = if self.most_whole + self.most_scale + 4 <= 18 { 18 } else { 38 };
            return DataType::Decimal128(precision, scale);
        }
        if self.floats == 0 && !fits { DataType::Utf8 } else { DataType::Float64 }
    }
}

fn is_not_finite(text: &[u8]) -> bool {
    let word = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    [&b"nan"[..], b"inf", b"infinity"].iter().any(|known| word.eq_ignore_ascii_case(known))
}
