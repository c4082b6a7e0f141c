//! Typed scalars: watermarks and bounds are compared as what they are, never as text.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{self as dt, DataType, TimeUnit};
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use crate::engine::Dialect;
use crate::version::TableVersion;
use crate::{Error, ErrorKind, Result};

/// A scalar with its type.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Value {
    /// Any integer up to 64 bits, signed or not.
    Int(i128),
    /// A decimal number: unscaled value and scale (digits after the point; may be negative).
    Decimal(String),
    /// A floating-point number.
    Float(f64),
    /// Text, compared byte by byte.
    Text(String),
    /// A calendar date.
    Date(Date),
    /// A date and time without zone, to the nanosecond.
    Timestamp(DateTime),
    /// An instant, to the nanosecond.
    TimestampTz(Timestamp),
    /// A time of day.
    Time(Time),
    /// A version of a table; two of them have no order, since those of Iceberg have none.
    Version(TableVersion),
}

impl Value {
    /// The value at `row` of `array`; `None` where it is NULL.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for types that have no order a watermark could use.
    pub fn from_array(array: &ArrayRef, row: usize) -> Result<Option<Self>> {
        if array.is_null(row) {
            return Ok(None);
        }
        let value = match array.data_type() {
            DataType::Int8 => Self::Int(array.as_primitive::<dt::Int8Type>().value(row).into()),
            DataType::Int16 => Self::Int(array.as_primitive::<dt::Int16Type>().value(row).into()),
            DataType::Int32 => Self::Int(array.as_primitive::<dt::Int32Type>().value(row).into()),
            DataType::Int64 => Self::Int(array.as_primitive::<dt::Int64Type>().value(row).into()),
            DataType::UInt8 => Self::Int(array.as_primitive::<dt::UInt8Type>().value(row).into()),
            DataType::UInt16 => Self::Int(array.as_primitive::<dt::UInt16Type>().value(row).into()),
            DataType::UInt32 => Self::Int(array.as_primitive::<dt::UInt32Type>().value(row).into()),
            DataType::UInt64 => Self::Int(array.as_primitive::<dt::UInt64Type>().value(row).into()),
            DataType::Float32 => Self::Float(array.as_primitive::<dt::Float32Type>().value(row).into()),
            DataType::Float64 => Self::Float(array.as_primitive::<dt::Float64Type>().value(row)),
            DataType::Decimal128(..) => Self::Decimal(array.as_primitive::<dt::Decimal128Type>().value_as_string(row)),
            DataType::Decimal256(..) => Self::Decimal(array.as_primitive::<dt::Decimal256Type>().value_as_string(row)),
            DataType::Utf8 => Self::Text(array.as_string::<i32>().value(row).to_owned()),
            DataType::LargeUtf8 => Self::Text(array.as_string::<i64>().value(row).to_owned()),
            DataType::Utf8View => Self::Text(array.as_string_view().value(row).to_owned()),
            DataType::Dictionary(..) => {
                let any = array.as_any_dictionary();
                return Self::from_array(any.values(), any.normalized_keys()[row]);
            }
            DataType::Date32 => Self::date(i64::from(array.as_primitive::<dt::Date32Type>().value(row)))?,
            DataType::Date64 => Self::date(array.as_primitive::<dt::Date64Type>().value(row).div_euclid(86_400_000))?,
            DataType::Timestamp(unit, zone) => {
                let ticks = match unit {
                    TimeUnit::Second => array.as_primitive::<dt::TimestampSecondType>().value(row),
                    TimeUnit::Millisecond => array.as_primitive::<dt::TimestampMillisecondType>().value(row),
                    TimeUnit::Microsecond => array.as_primitive::<dt::TimestampMicrosecondType>().value(row),
                    TimeUnit::Nanosecond => array.as_primitive::<dt::TimestampNanosecondType>().value(row),
                };
                Self::timestamp(ticks, *unit, zone.is_some())?
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                Self::time(array.as_primitive::<dt::Time64MicrosecondType>().value(row) * 1000)?
            }
            DataType::Time64(_) => Self::time(array.as_primitive::<dt::Time64NanosecondType>().value(row))?,
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("a value of type {other} has no order to export by"),
                )
                .hint("use a number, text, date or timestamp column"));
            }
        };
        Ok(Some(value))
    }

    fn date(days: i64) -> Result<Self> {
        Date::new(1970, 1, 1)
            .and_then(|epoch| epoch.checked_add(jiff::Span::new().try_days(days)?))
            .map(Self::Date)
            .map_err(|_| out_of_range("date", days))
    }

    fn timestamp(ticks: i64, unit: TimeUnit, zoned: bool) -> Result<Self> {
        let per_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let nanos = ticks.rem_euclid(per_second) * (1_000_000_000 / per_second);
        let instant = i32::try_from(nanos).map_err(|_| out_of_range("timestamp", ticks)).and_then(|n| {
            Timestamp::new(ticks.div_euclid(per_second), n).map_err(|_| out_of_range("timestamp", ticks))
        })?;
        Ok(if zoned {
            Self::TimestampTz(instant)
        } else {
            Self::Timestamp(instant.to_zoned(jiff::tz::TimeZone::UTC).datetime())
        })
    }

    fn time(nanos: i64) -> Result<Self> {
        Time::midnight()
            .checked_add(SignedDuration::from_nanos(nanos))
            .map(Self::Time)
            .map_err(|_| out_of_range("time", nanos))
    }

    /// Reads `text` as a value of a column of type `data_type`.
    ///
    /// Dates and times are ISO 8601, with a space or a `T`; a date alone is midnight where a timestamp is wanted; an offset
    /// is honoured, and where a column has a zone and the text has none it is UTC.
    pub fn parse(text: &str, data_type: &DataType) -> Result<Self> {
        let wrong = |what: &str| Error::new(ErrorKind::Config, format!("expected {what}, found \"{text}\""));
        let text = text.trim();
        Ok(match data_type {
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64 => Self::Int(text.parse().map_err(|_| wrong("an integer"))?),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Self::Float(text.parse().map_err(|_| wrong("a number"))?)
            }
            DataType::Decimal128(..) | DataType::Decimal256(..) => {
                if parse_decimal(text).is_none() {
                    return Err(wrong("a decimal number"));
                }
                Self::Decimal(text.to_owned())
            }
            DataType::Date32 | DataType::Date64 => Self::Date(
                text.parse::<Date>()
                    .or_else(|_| text.parse::<DateTime>().map(|d| d.date()))
                    .map_err(|_| wrong("a date"))?,
            ),
            DataType::Timestamp(_, Some(_)) => {
                Self::TimestampTz(parse_instant(text).ok_or_else(|| wrong("a timestamp"))?)
            }
            // An offset is honoured: what has one is an instant, and a column without a zone holds UTC.
            DataType::Timestamp(_, None) => {
                Self::Timestamp(match (text.parse::<Timestamp>(), text.parse::<DateTime>()) {
                    (Ok(instant), _) => instant.to_zoned(jiff::tz::TimeZone::UTC).datetime(),
                    (_, Ok(civil)) => civil,
                    _ => return Err(wrong("a timestamp")),
                })
            }
            DataType::Time32(_) | DataType::Time64(_) => Self::Time(text.parse().map_err(|_| wrong("a time"))?),
            _ => Self::Text(text.to_owned()),
        })
    }

    /// The literal that stands for this value in SQL.
    pub fn to_sql(&self, dialect: Dialect) -> String {
        match self {
            Self::Int(_) | Self::Decimal(_) => self.to_string(),
            Self::Float(f) if f.is_finite() => format!("{f:?}"),
            Self::Float(_) => format!("CAST({} AS DOUBLE PRECISION)", dialect.text(&self.to_string())),
            Self::Text(text) => dialect.text(text),
            Self::Date(_) => format!("DATE '{self}'"),
            Self::Timestamp(civil) => format!("TIMESTAMP '{}'", spaced(*civil)),
            Self::TimestampTz(instant) => {
                let civil = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
                match dialect {
                    Dialect::DataFusion => {
                        format!("arrow_cast('{}', 'Timestamp(Nanosecond, Some(\"UTC\"))')", instant)
                    }
                    _ => format!("TIMESTAMPTZ '{}+00'", spaced(civil)),
                }
            }
            Self::Time(time) => format!("TIME '{time}'"),
            Self::Version(version) => version.number.to_string(),
        }
    }
}

fn out_of_range(what: &str, found: i64) -> Error {
    Error::new(ErrorKind::Data, format!("a {what} of {found} since the epoch is outside the years -9999 to 9999"))
}

fn spaced(civil: DateTime) -> String {
    civil.to_string().replacen('T', " ", 1)
}

fn parse_instant(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp())
    })
}

/// Sign, digits before the point, digits after it, without superfluous zeros.
fn parse_decimal(text: &str) -> Option<(bool, String, String)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole = whole.trim_start_matches('0').to_owned();
    let fraction = fraction.trim_end_matches('0').to_owned();
    let zero = whole.is_empty() && fraction.is_empty();
    Some((negative && !zero, whole, fraction))
}

fn compare_decimal(a: &str, b: &str) -> Option<Ordering> {
    let (a_negative, a_whole, a_fraction) = parse_decimal(a)?;
    let (b_negative, b_whole, b_fraction) = parse_decimal(b)?;
    let magnitude = || {
        a_whole.len().cmp(&b_whole.len()).then_with(|| a_whole.cmp(&b_whole)).then_with(|| a_fraction.cmp(&b_fraction))
    };
    Some(match (a_negative, b_negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => magnitude(),
        (true, true) => magnitude().reverse(),
    })
}

impl PartialOrd for Value {
    /// The order of two values of one type; `None` between types.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Decimal(a), Self::Decimal(b)) => compare_decimal(a, b),
            (Self::Float(a), Self::Float(b)) => Some(a.total_cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::TimestampTz(a), Self::TimestampTz(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// ISO 8601 for dates and times, `2025-12-11T23:59:59`; numbers and text as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(v) => write!(f, "{v}"),
            Self::Decimal(v) | Self::Text(v) => f.write_str(v),
            Self::Float(v) => write!(f, "{v}"),
            Self::Date(v) => write!(f, "{v}"),
            Self::Timestamp(v) => write!(f, "{v}"),
            Self::TimestampTz(v) => write!(f, "{v}"),
            Self::Time(v) => write!(f, "{v}"),
            Self::Version(v) => write!(f, "{}", v.number),
        }
    }
}
