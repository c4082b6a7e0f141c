//! How far an incremental export may come while transactions are open: what they write with the time of their beginning is
//! not there yet, and would lie behind a watermark that passed it.

use arrow::datatypes::{DataType, Schema};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Moment, find_column};
use crate::context::Warning;
use crate::export::{Export, IncrementalCap, Rows};
use crate::source::Horizon;
use crate::value::Value;
use crate::{Error, ErrorKind, Result};

/// A transaction that is open longer than this is told of in every run: it holds the export back.
const LONG: SignedDuration = SignedDuration::from_hours(1);

/// What bounds a run from above beside the largest value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cap {
    /// Rows from this value on come with a later run; `None` where no row can come, since nobody knows when a transaction began.
    pub below: Option<Value>,
    /// What holds the export back, for the reader of the plan.
    pub note: Option<String>,
    /// The same where the reader of the log should know as well.
    pub warning: Option<Warning>,
}

/// Whether an export is bounded by open transactions.
pub fn is_capped(export: &Export) -> bool {
    matches!(export.rows, Rows::Incremental { cap: IncrementalCap::OpenTransactions, .. })
}

/// The bound that open transactions give an export.
///
/// It is rounded down to the second, since a column may hold its times so, and it never lies behind the system's clock: a
/// transaction that begins in this moment may commit before one that began earlier.
///
/// # Errors
/// [`ErrorKind::Config`] for a column that holds no dates or times.
pub fn cap(export: &Export, schema: &Schema, horizon: &Horizon, moment: &Moment) -> Result<Cap> {
    let Rows::Incremental { column, .. } = &export.rows else { return Ok(Cap::default()) };
    let column = find_column(schema, column, "incremental_column")?;
    let data_type = schema.field_with_name(&column)?.data_type();
    let mut instants = vec![horizon.now];
    instants.extend(horizon.open.iter().filter_map(|open| open.since));
    let mut zones = vec![moment.run_date.time_zone().clone()];
    zones.extend(horizon.timezone.as_deref().and_then(|zone| TimeZone::get(zone).ok()));
    let below = earliest(&column, data_type, &instants, &zones)?;

    if let Some(hidden) = horizon.open.iter().find(|open| open.since.is_none()) {
        let message = format!("nothing is exported while {} is open: nobody knows when it began", hidden.name);
        let warning = Warning { code: "transaction_without_beginning".to_owned(), column: None, message };
        return Ok(Cap { below: None, note: None, warning: Some(warning) });
    }
    let oldest = horizon.open.iter().filter_map(|open| Some((open.since?, &open.name))).min();
    let mut capped = Cap { below: Some(below.clone()), ..Cap::default() };
    if let Some((since, name)) = oldest {
        let message = format!("rows from {below} on wait for a later run: {name} is open since {since:.0}");
        if horizon.now.duration_since(since) > LONG {
            capped.warning = Some(Warning { code: "transaction_open_long".to_owned(), column: None, message });
        } else {
            capped.note = Some(message);
        }
    }
    Ok(capped)
}

/// The earliest value that any of the instants can have in a column. One without a zone holds the time of day of whoever wrote it:
/// the export's zone or the one that the database gives its users.
fn earliest(column: &str, data_type: &DataType, instants: &[Timestamp], zones: &[TimeZone]) -> Result<Value> {
    let floored = instants.iter().map(|instant| {
        let seconds = instant.as_nanosecond().div_euclid(1_000_000_000);
        i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(*instant)
    });
    let civil = || {
        let floored = floored.clone();
        zones
            .iter()
            .flat_map(move |zone| floored.clone().map(|instant| instant.to_zoned(zone.clone()).datetime()))
            .min()
    };
    let value = match data_type {
        DataType::Timestamp(_, Some(_)) => floored.clone().min().map(Value::TimestampTz),
        DataType::Timestamp(_, None) => civil().map(Value::Timestamp),
        DataType::Date32 | DataType::Date64 => civil().map(|civil| Value::Date(civil.date())),
        other => {
            return Err(Error::new(
                ErrorKind::Config,
                format!("incremental_cap: open_transactions needs a column of dates or times, \"{column}\" is of type {other}"),
            )
            .hint("use a date, timestamp or timestamptz column that is set when the row is written, or incremental_lookback"));
        }
    };
    value.ok_or_else(|| Error::new(ErrorKind::Internal, "the database gave no time"))
}
