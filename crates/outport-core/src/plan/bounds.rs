//! Which rows: watermarks and periods.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{Last, Moment, Observed, versions};
use crate::engine::Dialect;
use crate::error::suggestion;
use crate::export::{Export, NullCursor, Rows};
use crate::extract::{Bound, Extract, Range, Relation};
use crate::manifest::Bounds;
use crate::value::Value;
use crate::version::Changes;
use crate::{Error, ErrorKind, Result};

/// The rows of a run.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) range: Option<Range>,
    pub(super) changes: Option<Changes>,
    pub(super) bounds: Bounds,
    pub(super) watermark: Option<Value>,
    pub(super) nothing_new: bool,
    pub(super) note: Option<String>,
    /// Whether no row has a value that could be exported: there is no bound, and only rows with NULL can be read.
    pub(super) empty: bool,
}

/// The query for the largest value of the incremental column, or the largest below `below`: the upper bound of the run.
pub fn cursor_query(
    export: &Export,
    relation: &Relation,
    schema: &Schema,
    dialect: Dialect,
    below: Option<&Value>,
) -> Result<Option<String>> {
    let Rows::Incremental { column, .. } = &export.rows else { return Ok(None) };
    let column = dialect.ident(&export.column(schema, column, "incremental_column")?);
    let below = below.map(|value| format!("{column} < {}", value.to_sql(dialect)));
    let predicate = predicate(export, below)?;
    Ok(Some(format!("SELECT max({column}) AS \"upper\" FROM {}{predicate}", relation.to_sql(dialect))))
}

/// The query for the number of rows whose incremental column is NULL; `None` where the schema says there is none.
pub fn null_cursor_query(
    export: &Export,
    relation: &Relation,
    schema: &Schema,
    dialect: Dialect,
) -> Result<Option<String>> {
    let Rows::Incremental { column, on_null, .. } = &export.rows else { return Ok(None) };
    let column = export.column(schema, column, "incremental_column")?;
    if *on_null == NullCursor::Include || schema.field_with_name(&column).is_ok_and(|f| !f.is_nullable()) {
        return Ok(None);
    }
    let predicate = predicate(export, Some(format!("{} IS NULL", dialect.ident(&column))))?;
    Ok(Some(format!("SELECT count(*) AS \"nulls\" FROM {}{predicate}", relation.to_sql(dialect))))
}

/// The user's own predicate and another one.
fn predicate(export: &Export, other: Option<String>) -> Result<String> {
    let own = super::filter(export)?.map(|filter| format!("({filter}\n)"));
    let both: Vec<String> = [own, other].into_iter().flatten().collect();
    Ok(if both.is_empty() { String::new() } else { format!(" WHERE {}", both.join(" AND ")) })
}

/// Lets an extract read no row but those whose incremental column is NULL, where these are exported at all: what gets a value
/// between the plan and the read belongs to the next run.
pub(super) fn only_nulls(export: &Export, extract: &mut Extract, schema: &Schema, dialect: Dialect) -> Result<()> {
    let Rows::Incremental { column, on_null, .. } = &export.rows else { return Ok(()) };
    if *on_null == NullCursor::Include {
        let null = format!("{} IS NULL", dialect.ident(&export.column(schema, column, "incremental_column")?));
        extract.filter = Some(match extract.filter.take() {
            Some(own) => format!("({own}\n) AND {null}"),
            None => null,
        });
    } else {
        extract.limit = Some(0);
    }
    Ok(())
}

/// Start and end from the result of a period query.
///
/// # Errors
/// [`ErrorKind::Config`] where there is no row, a column `start_date` or `end_date` is missing, or it is no date.
pub fn period_from_rows(batches: &[RecordBatch]) -> Result<(Value, Value)> {
    let failed = |why: String| Error::new(ErrorKind::Config, format!("Failed to resolve period dates: {why}"));
    let Some(batch) = batches.iter().find(|b| b.num_rows() > 0) else {
        return Err(failed("period_date_query returned no row".to_owned()));
    };
    let date = |name: &str| -> Result<Value> {
        let schema = batch.schema();
        let index = schema.fields().iter().position(|f| f.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            failed(format!("period_date_query returns no column {name}"))
                .hint(suggestion(name, schema.fields().iter().map(|f| f.name().as_str())))
        })?;
        let column = batch.column(index);
        match column.data_type() {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {}
            other => {
                return Err(failed(format!("{name} is of type {other}, expected a date or timestamp"))
                    .hint(format!("CAST({name} AS DATE)")));
            }
        }
        Value::from_array(column, 0)?.ok_or_else(|| failed(format!("{name} is NULL")))
    };
    Ok((date("start_date")?, date("end_date")?))
}

/// The window of a run.
pub(super) fn window(export: &Export, observed: &Observed, last: &Last, moment: &Moment) -> Result<Window> {
    let mut window = match &export.rows {
        Rows::Full { .. } => Window::default(),
        Rows::Incremental { column, initial, lookback, on_null, .. } => {
            incremental(export, observed, last, column, initial.as_deref(), lookback.as_deref(), *on_null)?
        }
        Rows::Versions { tombstones, .. } => versions::window(observed, *tombstones)?,
        Rows::Period { column, .. } => period(export, observed, column.as_deref(), moment.run_date.time_zone())?,
    };
    if let Some((start, end)) = &observed.period {
        window.bounds.period_start = Some(start.to_string());
        window.bounds.period_end = Some(end.to_string());
    }
    Ok(window)
}

#[allow(clippy::too_many_arguments)]
fn incremental(
    export: &Export,
    observed: &Observed,
    last: &Last,
    column: &str,
    initial: Option<&str>,
    lookback: Option<&str>,
    on_null: NullCursor,
) -> Result<Window> {
    let column = export.column(&observed.schema, column, "incremental_column")?;
    let data_type = observed.schema.field_with_name(&column)?.data_type().clone();
    if on_null == NullCursor::Error && observed.null_cursors > 0 {
        return Err(Error::new(
            ErrorKind::Contract,
            format!(
                "{} rows have NULL in the incremental column \"{column}\" and would never be exported",
                observed.null_cursors
            ),
        )
        .hint("set on_null_cursor: include (they come with every run) or exclude (they are left out and counted)"));
    }
    let old = match (&last.watermark, initial) {
        (Some(watermark), _) => Some(retype(watermark, &data_type)?),
        (None, Some(text)) => {
            Some(Value::parse(text, &data_type).map_err(|e| e.context("incremental_initial_watermark"))?)
        }
        (None, None) => None,
    };
    let lower = match (&old, lookback) {
        (Some(old), Some(lookback)) if last.watermark.is_some() => Some(before(old, lookback)?),
        _ => old.clone(),
    };
    let nothing_new = match (&old, &observed.upper) {
        (Some(old), Some(upper)) => upper <= old,
        (_, upper) => upper.is_none(),
    };
    // A source whose largest value went back (rows were deleted) does not pull the watermark back.
    let upper = if nothing_new { old.clone().or_else(|| observed.upper.clone()) } else { observed.upper.clone() };
    // In query mode the lower bound is the query's own affair, by its {watermark}.
    let own_query = matches!(export.relation, Relation::Query(_));
    let uses_watermark = matches!(&export.relation, Relation::Query(q) if crate::placeholder::uses(q, "watermark"));
    let bound = |value: Option<Value>, inclusive| value.map(|value| Bound { value, inclusive });
    let range = Range {
        column: column.clone(),
        lower: if own_query && uses_watermark { None } else { bound(lower, false) },
        upper: bound(upper.clone(), true),
        nulls: on_null == NullCursor::Include,
    };
    let empty = range.lower.is_none() && range.upper.is_none();
    Ok(Window {
        range: (!empty).then_some(range),
        bounds: Bounds {
            column: Some(column),
            watermark_old: old.map(|v| v.to_string()),
            watermark_new: upper.as_ref().map(Value::to_string),
            ..Bounds::default()
        },
        watermark: upper,
        nothing_new: nothing_new && on_null != NullCursor::Include,
        empty,
        ..Window::default()
    })
}

/// A watermark as the type that the column has now: a column may have been widened, an initial watermark is text.
fn retype(watermark: &Value, data_type: &DataType) -> Result<Value> {
    Value::parse(&watermark.to_string(), data_type).map_err(|e| {
        Error::new(
            ErrorKind::Contract,
            format!("the stored watermark does not fit the column any more: {}", e.message()),
        )
        .hint("set it anew with `outport export watermark set`, or reset it")
    })
}

/// `value` minus a span: `2 days` or ISO 8601 for dates and times, a number for numbers.
fn before(value: &Value, lookback: &str) -> Result<Value> {
    let wrong = |expected: &str| {
        Error::new(ErrorKind::Config, format!("incremental_lookback: expected {expected}, found \"{lookback}\""))
    };
    let span = || lookback.parse::<jiff::Span>().map_err(|_| wrong("a span such as `2 days` or `PT6H`"));
    let out = |_| wrong("a span that stays within the calendar");
    Ok(match value {
        Value::Int(v) => Value::Int(v - lookback.parse::<i128>().map_err(|_| wrong("an integer"))?),
        Value::Float(v) => Value::Float(v - lookback.parse::<f64>().map_err(|_| wrong("a number"))?),
        Value::Date(v) => Value::Date(v.checked_sub(span()?).map_err(out)?),
        Value::Timestamp(v) => Value::Timestamp(v.checked_sub(span()?).map_err(out)?),
        Value::TimestampTz(v) => {
            Value::TimestampTz(v.to_zoned(TimeZone::UTC).checked_sub(span()?).map_err(out)?.timestamp())
        }
        Value::Decimal(_) | Value::Text(_) | Value::Time(_) | Value::Version(_) => {
            return Err(Error::new(
                ErrorKind::Config,
                "incremental_lookback needs a date, timestamp, integer or float column",
            ));
        }
    })
}

/// The rows of a period, both ends included; an end that is a date means the whole of that day.
fn period(export: &Export, observed: &Observed, column: Option<&str>, zone: &TimeZone) -> Result<Window> {
    let Some((start, end)) = &observed.period else {
        return Err(Error::new(ErrorKind::Internal, "a period export was planned without its dates"));
    };
    let Some(column) = column else { return Ok(Window::default()) };
    let column = export.column(&observed.schema, column, "period_filter_column")?;
    let data_type = observed.schema.field_with_name(&column)?.data_type();
    let range = Range {
        column: column.clone(),
        lower: Some(lower_end(start, data_type, zone)?),
        upper: Some(upper_end(end, data_type, zone)?),
        nulls: false,
    };
    Ok(Window { range: Some(range), bounds: Bounds { column: Some(column), ..Bounds::default() }, ..Window::default() })
}

fn lower_end(start: &Value, data_type: &DataType, zone: &TimeZone) -> Result<Bound> {
    match data_type {
        DataType::Date32 | DataType::Date64 => {
            let civil = civil(start, zone)?;
            Ok(Bound { value: Value::Date(civil.date()), inclusive: civil.time() == Time::midnight() })
        }
        _ => Ok(Bound { value: instant(civil(start, zone)?, start, data_type, zone)?, inclusive: true }),
    }
}

fn upper_end(end: &Value, data_type: &DataType, zone: &TimeZone) -> Result<Bound> {
    match (data_type, end) {
        (DataType::Date32 | DataType::Date64, _) => {
            Ok(Bound { value: Value::Date(civil(end, zone)?.date()), inclusive: true })
        }
        (_, Value::Date(date)) => {
            let next = date
                .tomorrow()
                .map_err(|_| Error::new(ErrorKind::Data, "the period ends at the end of the calendar"))?;
            let civil = next.to_datetime(Time::midnight());
            Ok(Bound { value: instant(civil, end, data_type, zone)?, inclusive: false })
        }
        _ => Ok(Bound { value: instant(civil(end, zone)?, end, data_type, zone)?, inclusive: true }),
    }
}

fn civil(value: &Value, zone: &TimeZone) -> Result<jiff::civil::DateTime> {
    match value {
        Value::Date(date) => Ok(date.to_datetime(Time::midnight())),
        Value::Timestamp(civil) => Ok(*civil),
        Value::TimestampTz(instant) => Ok(instant.to_zoned(zone.clone()).datetime()),
        other => {
            Err(Error::new(ErrorKind::Config, format!("expected a date or timestamp for a period, found \"{other}\"")))
        }
    }
}

/// A civil time as a value of the column's type; for columns with a zone the civil time is one of the export's zone.
fn instant(civil: jiff::civil::DateTime, original: &Value, data_type: &DataType, zone: &TimeZone) -> Result<Value> {
    match (data_type, original) {
        (DataType::Timestamp(_, Some(_)), Value::TimestampTz(instant)) => Ok(Value::TimestampTz(*instant)),
        (DataType::Timestamp(_, Some(_)), _) => civil
            .to_zoned(zone.clone())
            .map(|zoned| Value::TimestampTz(zoned.timestamp()))
            .map_err(|_| Error::new(ErrorKind::Data, format!("{civil} is outside the calendar"))),
        (DataType::Timestamp(_, None), _) => Ok(Value::Timestamp(civil)),
        (other, _) => Err(Error::new(
            ErrorKind::Config,
            format!("period_filter_column is of type {other}, expected a date or timestamp"),
        )
        .hint("use a date or timestamp column, or filter in a source_query")),
    }
}
