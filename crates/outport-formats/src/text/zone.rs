//! Time zones of timestamp columns.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use outport_core::{Error, ErrorKind, Result};

/// The zone of a timestamp column.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// No offset at all.
    Utc,
    /// One offset for all times, in seconds east of Greenwich, with its name.
    Fixed(i32, String),
    /// A zone of the IANA database.
    Named(TimeZone, String),
}

impl Zone {
    /// Reads `UTC`, `Z`, `+10:00`, `+1000`, `+10` or a name of the IANA database.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a name that the database of this machine does not have.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        if matches!(name, "UTC" | "Z" | "utc" | "z" | "Etc/UTC" | "+00:00" | "-00:00") {
            return Ok(Self::Utc);
        }
        if let Some((offset, length)) = parse_offset(name.as_bytes())
            && length == name.len()
        {
            return Ok(Self::Fixed(offset, name.to_owned()));
        }
        TimeZone::get(name).map(|zone| Self::Named(zone, name.to_owned())).map_err(|error| {
            Error::new(ErrorKind::Unsupported, format!("no time zone \"{name}\" in the database of this machine"))
                .hint("use a name such as Australia/Sydney, an offset such as +10:00, or install the package tzdata")
                .with_source(error)
        })
    }

    /// Seconds east of Greenwich at an instant in seconds since 1970; `None` for UTC and outside the years that the database has.
    #[inline]
    pub(crate) fn offset(&self, seconds: i64) -> Option<i32> {
        match self {
            Self::Utc => None,
            Self::Fixed(offset, _) => Some(*offset),
            Self::Named(zone, _) => Timestamp::from_second(seconds).ok().map(|at| zone.to_offset(at).seconds()),
        }
    }

    /// The instant of a local time, both in seconds since 1970; of a time that occurs twice the first.
    pub(crate) fn instant(&self, local: i64) -> Option<i64> {
        match self {
            Self::Utc => Some(local),
            Self::Fixed(offset, _) => Some(local - i64::from(*offset)),
            Self::Named(zone, _) => {
                let civil = Timestamp::from_second(local).ok()?.to_zoned(TimeZone::UTC).datetime();
                Some(zone.to_ambiguous_timestamp(civil).compatible().ok()?.as_second())
            }
        }
    }

    /// The name as the column has it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Utc => "UTC",
            Self::Fixed(_, name) | Self::Named(_, name) => name,
        }
    }
}

/// Reads `Z`, `+10`, `+1000` or `+10:00` at the start of `text`: the offset in seconds and the number of bytes it takes.
pub(crate) fn parse_offset(text: &[u8]) -> Option<(i32, usize)> {
    let sign = match text.first()? {
        b'Z' | b'z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let pair = |at: usize| -> Option<i32> {
        let (tens, ones) = (text.get(at)?, text.get(at + 1)?);
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    };
    let hours = pair(1)?;
    let (minutes, length) =
        if text.get(3) == Some(&b':') { (pair(4)?, 6) } else { pair(3).map_or((0, 3), |minutes| (minutes, 5)) };
    (hours <= 18 && minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), length))
}
