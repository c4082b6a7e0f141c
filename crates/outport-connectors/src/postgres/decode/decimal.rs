//! Numerics: digits to the base 10 000 on the wire, an integer of fixed scale in Arrow.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Decimal256Array, NullBufferBuilder};
use arrow::datatypes::i256;
use outport_core::{Error, ErrorKind, Result};

use super::super::config::OutOfRange;
use super::{Column, malformed, out_of_range};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// An integer that holds the digits of a decimal number.
pub(super) trait Unscaled: Copy + Default + PartialOrd + Send {
    const ZERO: Self;

    /// `self * factor + addend`, if it fits.
    fn times_plus(self, factor: u32, addend: u32) -> Option<Self>;
    /// `-self`; never the smallest value of the type.
    fn negate(self) -> Self;
    /// The array of these values.
    fn array(values: Vec<Self>, nulls: Option<arrow::buffer::NullBuffer>, precision: u8, scale: i8)
    -> Result<ArrayRef>;
}

impl Unscaled for i128 {
    const ZERO: Self = 0;

    #[inline]
    fn times_plus(self, factor: u32, addend: u32) -> Option<Self> {
        self.checked_mul(factor.into())?.checked_add(addend.into())
    }

    #[inline]
    fn negate(self) -> Self {
        -self
    }

    fn array(
        values: Vec<Self>,
        nulls: Option<arrow::buffer::NullBuffer>,
        precision: u8,
        scale: i8,
    ) -> Result<ArrayRef> {
        Ok(Arc::new(Decimal128Array::try_new(values.into(), nulls)?.with_precision_and_scale(precision, scale)?))
    }
}

impl Unscaled for i256 {
    const ZERO: Self = i256::ZERO;

    fn times_plus(self, factor: u32, addend: u32) -> Option<Self> {
        self.checked_mul(i256::from_i128(factor.into()))?.checked_add(i256::from_i128(addend.into()))
    }

    fn negate(self) -> Self {
        self.wrapping_neg()
    }

    fn array(
        values: Vec<Self>,
        nulls: Option<arrow::buffer::NullBuffer>,
        precision: u8,
        scale: i8,
    ) -> Result<ArrayRef> {
        Ok(Arc::new(Decimal256Array::try_new(values.into(), nulls)?.with_precision_and_scale(precision, scale)?))
    }
}

/// A column of numerics of one precision and scale.
pub(super) struct Decimals<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
    precision: u8,
    scale: i8,
    /// The largest value of the precision.
    largest: T,
    policy: OutOfRange,
    replaced: u64,
}

/// Why a number is not one of the column's.
enum Misfit {
    /// It has digits beyond the scale, or more than the precision.
    Digits,
    /// The field is no numeric.
    Malformed,
}

impl<T: Unscaled> Decimals<T> {
    pub(super) fn new(precision: u8, scale: i8, policy: OutOfRange) -> Self {
        let largest = (0..precision).try_fold(T::ZERO, |all, _| all.times_plus(10, 9)).unwrap_or(T::ZERO);
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0), precision, scale, largest, policy, replaced: 0 }
    }

    #[inline]
    fn read(&self, weight: i16, digits: &[u8]) -> Result<T, Misfit> {
        let (groups, []) = digits.as_chunks::<2>() else { return Err(Misfit::Malformed) };
        let Some((last, leading)) = groups.split_last() else { return Ok(T::ZERO) };
        let mut value = T::ZERO;
        for group in leading {
            value = value.times_plus(10_000, u16::from_be_bytes(*group).into()).ok_or(Misfit::Digits)?;
        }
        let last = u32::from(u16::from_be_bytes(*last));
        // The place of the last group's ones, in digits of the scale: negative where the group reaches beyond it.
        let place = 4 * (i32::from(weight) - leading.len() as i32) + i32::from(self.scale);
        match place {
            0.. => {
                value = value.times_plus(10_000, last).ok_or(Misfit::Digits)?;
                for _ in 0..place / 4 {
                    value = value.times_plus(10_000, 0).ok_or(Misfit::Digits)?;
                }
                let rest = 10_u32.pow((place % 4).unsigned_abs());
                if rest > 1 {
                    value = value.times_plus(rest, 0).ok_or(Misfit::Digits)?;
                }
            }
            -3..0 => {
                let beyond = 10_u32.pow(place.unsigned_abs());
                if last % beyond != 0 {
                    return Err(Misfit::Digits);
                }
                value = value.times_plus(10_000 / beyond, last / beyond).ok_or(Misfit::Digits)?;
            }
            // PostgreSQL stores no zero groups at the end.
            _ => return Err(Misfit::Digits),
        }
        if value > self.largest { Err(Misfit::Digits) } else { Ok(value) }
    }

    #[cold]
    fn replace(&mut self, found: &str, nearest: Option<T>) -> Result<()> {
        let what = format!("decimal({}, {})", self.precision, self.scale);
        match out_of_range(self.policy, found, &what, nearest)? {
            Some(value) => self.push(value),
            None => self.append_null(),
        }
        self.replaced += 1;
        Ok(())
    }

    #[cold]
    fn misfit(&self, misfit: &Misfit, sign: u16, weight: i16, digits: &[u8]) -> Error {
        match misfit {
            Misfit::Malformed => malformed("a numeric with half a digit"),
            Misfit::Digits => Error::new(
                ErrorKind::Data,
                format!("{} does not fit decimal({}, {})", Shown { sign, weight, digits }, self.precision, self.scale),
            )
            .hint("name a wider type, `numeric: decimal(p,s)`, or set `numeric: scan` or `text` on the connection"),
        }
    }

    #[inline]
    fn push(&mut self, value: T) {
        self.values.push(value);
        self.nulls.append_non_null();
    }
}

impl<T: Unscaled> Column for Decimals<T> {
    #[inline]
    fn append(&mut self, field: &[u8]) -> Result<()> {
        // The number of digit groups, the weight of the first one, the sign, and the scale for display.
        let Some((&[_, _, w0, w1, s0, s1, _, _], digits)) = field.split_first_chunk::<8>() else {
            return Err(malformed(format_args!("{} bytes for a numeric", field.len())));
        };
        let (weight, sign) = (i16::from_be_bytes([w0, w1]), u16::from_be_bytes([s0, s1]));
        match sign {
            0 | NEGATIVE => match self.read(weight, digits) {
                Ok(value) => {
                    self.push(if sign == NEGATIVE { value.negate() } else { value });
                    Ok(())
                }
                Err(misfit) => Err(self.misfit(&misfit, sign, weight, digits)),
            },
            NAN => self.replace("NaN", None),
            INFINITY => self.replace("Infinity", Some(self.largest)),
            NEGATIVE_INFINITY => self.replace("-Infinity", Some(self.largest.negate())),
            _ => Err(malformed("a numeric with an unknown sign")),
        }
    }

    fn append_null(&mut self) {
        self.values.push(T::default());
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let next = Vec::with_capacity(self.values.len());
        T::array(std::mem::replace(&mut self.values, next), self.nulls.finish(), self.precision, self.scale)
    }

    fn take_replaced(&mut self) -> u64 {
        std::mem::take(&mut self.replaced)
    }
}

/// A number for a message.
struct Shown<'a> {
    sign: u16,
    weight: i16,
    digits: &'a [u8],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (groups, _) = self.digits.as_chunks::<2>();
        let group = |at: i32| {
            let group = usize::try_from(at).ok().and_then(|at| groups.get(at));
            group.map_or(0, |g| u16::from_be_bytes(*g))
        };
        let mut whole = String::new();
        for at in 0..=i32::from(self.weight).clamp(0, 40) {
            whole.push_str(&format!("{:04}", if self.weight < 0 { 0 } else { group(at) }));
        }
        let mut fraction = String::new();
        for at in i32::from(self.weight) + 1..(groups.len() as i32).min(i32::from(self.weight) + 40) {
            fraction.push_str(&format!("{:04}", group(at)));
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.sign == NEGATIVE { "-" } else { "" };
        write!(f, "{sign}{}", if whole.is_empty() { "0" } else { whole })?;
        if fraction.is_empty() { Ok(()) } else { write!(f, ".{fraction}") }
    }
}
