//! Dates, times, timestamps and intervals: counted from 2000-01-01 on the wire, from 1970-01-01 in Arrow.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use outport_core::Result;

use super::super::config::OutOfRange;
use super::super::types::Kind;
use super::{Column, malformed, out_of_range};

const DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01.
const EPOCH: i32 = 10_957;
/// 0001-01-01 and 9999-12-31 in days since 1970-01-01: what every reader's calendar holds.
const CALENDAR: (i32, i32) = (-719_162, 2_932_896);

/// A type of this family.
pub(super) trait Temporal: Send {
    /// The Arrow type that holds its values.
    type Arrow: ArrowPrimitiveType;
    /// Its kind, for the array's type.
    const KIND: Kind;

    /// Reads a field. With `calendar` the years 1 to 9999 are the range, else all that the Arrow type holds.
    fn read(field: &[u8], calendar: bool) -> Option<Read<<Self::Arrow as ArrowPrimitiveType>::Native>>;
}

/// What a field holds.
pub(super) enum Read<T> {
    Value(T),
    /// Something out of range: how to show it, and the nearest value in range.
    Beyond(Beyond, T),
}

/// A value that is out of range.
pub(super) enum Beyond {
    Infinity,
    NegativeInfinity,
    EndOfDay,
    Days(i64),
    Interval,
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Infinity => f.write_str("infinity"),
            Self::NegativeInfinity => f.write_str("-infinity"),
            Self::EndOfDay => f.write_str("24:00:00"),
            Self::Days(days) => write!(f, "a date of about the year {}", 1970 + days * 400 / 146_097),
            Self::Interval => f.write_str("an interval of more than 292 years of hours"),
        }
    }
}

/// A column of this family.
pub(super) struct Times<T: Temporal> {
    values: Vec<<T::Arrow as ArrowPrimitiveType>::Native>,
    nulls: NullBufferBuilder,
    policy: OutOfRange,
    replaced: u64,
}

impl<T: Temporal> Times<T> {
    pub(super) fn new(policy: OutOfRange) -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0), policy, replaced: 0 }
    }

    #[cold]
    fn replace(&mut self, found: &Beyond, nearest: <T::Arrow as ArrowPrimitiveType>::Native) -> Result<()> {
        match out_of_range(self.policy, found, &T::KIND.data_type().to_string(), Some(nearest))? {
            Some(value) => {
                self.values.push(value);
                self.nulls.append_non_null();
            }
            None => self.append_null(),
        }
        self.replaced += 1;
        Ok(())
    }
}

impl<T: Temporal> Column for Times<T> {
    #[inline]
    fn append(&mut self, field: &[u8]) -> Result<()> {
        match T::read(field, self.policy == OutOfRange::Clamp) {
            Some(Read::Value(value)) => {
                self.values.push(value);
                self.nulls.append_non_null();
                Ok(())
            }
            Some(Read::Beyond(found, nearest)) => self.replace(&found, nearest),
            None => Err(malformed(format_args!("{} bytes for a {}", field.len(), T::KIND.data_type()))),
        }
    }

    fn append_null(&mut self) {
        self.values.push(Default::default());
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let next = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, next);
        let array = PrimitiveArray::<T::Arrow>::try_new(values.into(), self.nulls.finish())?;
        Ok(match T::KIND.data_type() {
            zoned @ DataType::Timestamp(_, Some(_)) => Arc::new(array.with_data_type(zoned)),
            _ => Arc::new(array),
        })
    }

    fn take_replaced(&mut self) -> u64 {
        std::mem::take(&mut self.replaced)
    }
}

pub(super) struct Date;

impl Temporal for Date {
    type Arrow = Date32Type;
    const KIND: Kind = Kind::Date;

    #[inline]
    fn read(field: &[u8], calendar: bool) -> Option<Read<i32>> {
        let days = i32::from_be_bytes(field.try_into().ok()?);
        let (first, last) = if calendar { CALENDAR } else { (i32::MIN, i32::MAX) };
        Some(match days {
            i32::MAX => Read::Beyond(Beyond::Infinity, last),
            i32::MIN => Read::Beyond(Beyond::NegativeInfinity, first),
            // PostgreSQL's dates end in the year 5874897, well before this sum overflows.
            days => match days.saturating_add(EPOCH) {
                days if days < first => Read::Beyond(Beyond::Days(days.into()), first),
                days if days > last => Read::Beyond(Beyond::Days(days.into()), last),
                days => Read::Value(days),
            },
        })
    }
}

pub(super) struct OfDay;

impl Temporal for OfDay {
    type Arrow = Time64MicrosecondType;
    const KIND: Kind = Kind::Time;

    #[inline]
    fn read(field: &[u8], _calendar: bool) -> Option<Read<i64>> {
        let micros = i64::from_be_bytes(field.try_into().ok()?);
        Some(if micros < DAY { Read::Value(micros) } else { Read::Beyond(Beyond::EndOfDay, DAY - 1) })
    }
}

#[inline]
fn read_timestamp(field: &[u8], calendar: bool) -> Option<Read<i64>> {
    let micros = i64::from_be_bytes(field.try_into().ok()?);
    let (first, last) = if calendar {
        (i64::from(CALENDAR.0) * DAY, (i64::from(CALENDAR.1) + 1) * DAY - 1)
    } else {
        (i64::MIN, i64::MAX)
    };
    Some(match micros {
        i64::MAX => Read::Beyond(Beyond::Infinity, last),
        i64::MIN => Read::Beyond(Beyond::NegativeInfinity, first),
        micros => match micros.checked_add(i64::from(EPOCH) * DAY) {
            Some(micros) if micros < first => Read::Beyond(Beyond::Days(micros / DAY), first),
            Some(micros) if micros <= last => Read::Value(micros),
            _ => Read::Beyond(Beyond::Days(micros / DAY + i64::from(EPOCH)), last),
        },
    })
}

pub(super) struct Timestamp;

impl Temporal for Timestamp {
    type Arrow = TimestampMicrosecondType;
    const KIND: Kind = Kind::Timestamp;

    #[inline]
    fn read(field: &[u8], calendar: bool) -> Option<Read<i64>> {
        read_timestamp(field, calendar)
    }
}

pub(super) struct TimestampTz;

impl Temporal for TimestampTz {
    type Arrow = TimestampMicrosecondType;
    const KIND: Kind = Kind::TimestampTz;

    #[inline]
    fn read(field: &[u8], calendar: bool) -> Option<Read<i64>> {
        read_timestamp(field, calendar)
    }
}

pub(super) struct Interval;

impl Temporal for Interval {
    type Arrow = IntervalMonthDayNanoType;
    const KIND: Kind = Kind::Interval;

    #[inline]
    fn read(field: &[u8], _calendar: bool) -> Option<Read<IntervalMonthDayNano>> {
        let (micros, rest) = field.split_first_chunk()?;
        let (days, months) = rest.split_first_chunk()?;
        let micros = i64::from_be_bytes(*micros);
        let days = i32::from_be_bytes(*days);
        let months = i32::from_be_bytes(months.try_into().ok()?);
        let found = match (months, days, micros) {
            // Since version 17.
            (i32::MAX, i32::MAX, i64::MAX) => Beyond::Infinity,
            (i32::MIN, i32::MIN, i64::MIN) => Beyond::NegativeInfinity,
            _ => match micros.checked_mul(1000) {
                Some(nanos) => return Some(Read::Value(IntervalMonthDayNano::new(months, days, nanos))),
                None => Beyond::Interval,
            },
        };
        Some(Read::Beyond(found, IntervalMonthDayNano::new(months, days, micros.saturating_mul(1000))))
    }
}
