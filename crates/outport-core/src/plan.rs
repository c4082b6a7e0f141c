//! What a run will do, said beforehand.
//!
//! Planning is pure: the runtime asks the source what there is ([`Observed`]), the state what was ([`Last`]), and [`plan`]
//! decides. What it decides is printed, serialized, and carried out as it stands.

mod bounds;
mod names;
mod versions;

#[cfg(test)]
mod tests;

use arrow::datatypes::{Schema, SchemaRef};
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use bounds::{cursor_query, null_cursor_query, period_from_rows};
pub use names::{check_collisions, target_paths};
pub use versions::{VersionsObserved, last_version};

use crate::error::suggestion;
use crate::export::{Export, ExportKey, NullCursor, Rows, SchemaPolicy};
use crate::extract::{Extract, Relation};
use crate::format::{Fidelity, Format, FormatOptions};
use crate::layout::Layout;
use crate::manifest::{Bounds, TypeLoss};
use crate::placeholder::Placeholders;
use crate::value::Value;
use crate::{Error, ErrorKind, Result};

/// When a run takes place, and its name.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The logical date, in the run's zone.
    pub run_date: Zoned,
    /// The actual time, in the run's zone.
    pub process_date: Zoned,
    /// The run.
    pub run_id: Uuid,
}

impl Moment {
    /// A moment from what a user gives: `run_date` as ISO date or time (default: today at midnight) in `timezone`.
    pub fn new(run_date: Option<&str>, timezone: &str, now: jiff::Timestamp, run_id: Uuid) -> Result<Self> {
        let zone = TimeZone::get(timezone).map_err(|_| {
            Error::new(ErrorKind::Usage, format!("unknown timezone \"{timezone}\""))
                .hint("use an IANA name such as Australia/Sydney or UTC")
        })?;
        let process_date = now.to_zoned(zone.clone());
        let wrong = |text: &str| {
            Error::new(ErrorKind::Usage, format!("run date: expected a date such as 2025-12-12, found \"{text}\""))
        };
        let run_date = match run_date {
            None => process_date.start_of_day().map_err(|_| wrong("today"))?,
            Some(text) => match text.parse::<jiff::Timestamp>() {
                Ok(instant) => instant.to_zoned(zone),
                Err(_) => text
                    .parse::<jiff::civil::DateTime>()
                    .and_then(|civil| civil.to_zoned(zone))
                    .map_err(|_| wrong(text))?,
            },
        };
        Ok(Self { run_date, process_date, run_id })
    }
}

/// What the state knows of the last successful run.
#[derive(Clone, Debug, Default)]
pub struct Last {
    /// How far it came.
    pub watermark: Option<Value>,
    /// The fingerprint of its definition.
    pub fingerprint: Option<String>,
    /// The columns it wrote, `name type`.
    pub columns: Option<Vec<String>>,
}

/// What the source says now.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The schema of the relation, all columns.
    pub schema: SchemaRef,
    /// The dates that the period query gave.
    pub period: Option<(Value, Value)>,
    /// The largest value of the incremental column: the upper bound, frozen.
    pub upper: Option<Value>,
    /// The rows whose incremental column is NULL.
    pub null_cursors: u64,
    /// The number of rows the source expects, where it can tell.
    pub estimate: Option<u64>,
    /// The versions behind the watermark, where that is what the export goes by.
    pub versions: Option<VersionsObserved>,
}

/// What one run of one export will do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The export.
    pub export: ExportKey,
    /// The run.
    pub run_id: Uuid,
    /// full, incremental or period.
    pub extract_type: &'static str,
    /// The connection that is read.
    pub source: String,
    /// What is read from it.
    #[serde(skip)]
    pub extract: Extract,
    /// The SQL that reads it.
    pub sql: String,
    /// The connection that is written to.
    pub target: String,
    /// The format.
    pub file_format: String,
    /// Its options.
    pub file_format_options: FormatOptions,
    /// Names, parts, compression.
    pub layout: Layout,
    /// The paths as far as they are known before the rows are counted.
    pub paths: Vec<String>,
    /// The bounds, as text.
    pub bounds: Bounds,
    /// The watermark after the run; the old one where nothing is new.
    pub watermark: Option<Value>,
    /// Whether no row can be new: the source holds nothing behind the watermark.
    pub nothing_new: bool,
    /// The columns that are written, `name type`.
    pub columns: Vec<String>,
    /// The types that the format cannot keep.
    pub type_losses: Vec<TypeLoss>,
    /// Rows left out because their incremental column is NULL.
    pub null_cursors_excluded: u64,
    /// The rows to expect, where the source can tell.
    pub estimated_rows: Option<u64>,
    /// The logical date.
    pub run_date: String,
    /// A hash of what is read; another one under an old watermark is refused.
    pub fingerprint: String,
    /// What the reader should know: a changed schema, an accepted change.
    pub notes: Vec<String>,
}

/// What the caller of a plan may choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// Take a changed query or schema as the new one.
    pub accept_change: bool,
    /// At most so many rows; the watermark stays where it is.
    pub limit: Option<u64>,
}

/// The placeholders of a run before anything is asked of the source.
pub fn placeholders(export: &Export, moment: &Moment, last: &Last, format: &dyn Format) -> Placeholders {
    let initial = match &export.rows {
        Rows::Incremental { initial, .. } => initial.clone().map(Value::Text),
        Rows::Versions { initial, .. } => initial.map(|number| Value::Int(number.into())),
        _ => None,
    };
    Placeholders {
        run_date: moment.run_date.clone(),
        process_date: moment.process_date.clone(),
        period: None,
        watermark: last.watermark.clone().or(initial),
        group: export.key.group.clone(),
        export: export.key.name.clone(),
        run_id: moment.run_id,
        extension: format.caps().extension.to_owned(),
    }
}

/// The relation with the placeholders of its query resolved.
pub fn relation(export: &Export, placeholders: &Placeholders) -> Result<Relation> {
    Ok(match &export.relation {
        Relation::Query(query) => Relation::Query(placeholders.resolve_query(query)?),
        table => table.clone(),
    })
}

/// Decides what a run will do.
///
/// # Errors
/// [`ErrorKind::Contract`] for an edited definition under an old watermark and for NULL cursors that are not allowed,
/// [`ErrorKind::NotFound`] for a column that does not exist, [`ErrorKind::Unsupported`] for a type the format cannot hold.
pub fn plan(
    export: &Export,
    observed: &Observed,
    last: &Last,
    moment: &Moment,
    format: &dyn Format,
    dialect: crate::engine::Dialect,
    options: PlanOptions,
) -> Result<Plan> {
    let mut notes = Vec::new();
    let mut placeholders = placeholders(export, moment, last, format);
    placeholders.period = observed.period.clone();

    let columns = match &export.columns {
        None => None,
        Some(wanted) => Some(
            wanted.iter().map(|c| find_column(&observed.schema, c, "source_columns")).collect::<Result<Vec<_>>>()?,
        ),
    };
    let columns = versions::with_change_columns(&export.rows, columns);
    let written = written_schema(&observed.schema, columns.as_deref());
    let partition_by =
        export.partition_by.iter().map(|c| find_column(&written, c, "partition_by")).collect::<Result<Vec<_>>>()?;
    let (described, type_losses) = describe(&written, &partition_by, export, format)?;

    let fingerprint = fingerprint(export);
    if export.rows.is_incremental() && last.watermark.is_some() {
        refuse_change(export, last, &fingerprint, options, &mut notes)?;
    }
    compare_schema(export, last, &described, options, &mut notes)?;

    let window = bounds::window(export, observed, last, moment)?;
    let mut extract = Extract::of(relation(export, &placeholders)?);
    extract.columns = columns;
    extract.filter = export.filter.clone();
    extract.range = window.range;
    extract.changes = window.changes;
    notes.extend(window.note);
    extract.limit = options.limit;
    let mut watermark = window.watermark;
    if options.limit.is_some() {
        watermark = last.watermark.clone();
        notes.push("--limit is set: the watermark stays where it is".to_owned());
    }

    let layout = names::layout(export, &placeholders, format, partition_by)?;
    let excluded = match &export.rows {
        Rows::Incremental { on_null: NullCursor::Exclude, .. } => observed.null_cursors,
        _ => 0,
    };
    Ok(Plan {
        export: export.key.clone(),
        run_id: moment.run_id,
        extract_type: export.rows.name(),
        source: export.source.clone(),
        sql: extract.to_sql(dialect),
        extract,
        target: export.target.clone(),
        file_format: export.format.clone(),
        file_format_options: export.options.clone(),
        paths: names::target_paths(&layout, format),
        layout,
        bounds: window.bounds,
        watermark,
        nothing_new: window.nothing_new,
        columns: described,
        type_losses,
        null_cursors_excluded: excluded,
        estimated_rows: observed.estimate,
        run_date: moment.run_date.datetime().to_string(),
        fingerprint,
        notes,
    })
}

/// A column of `schema` by its name; by its name in another case where that is unambiguous.
pub fn find_column(schema: &Schema, name: &str, field: &str) -> Result<String> {
    if schema.field_with_name(name).is_ok() {
        return Ok(name.to_owned());
    }
    let mut similar = schema.fields().iter().filter(|f| f.name().eq_ignore_ascii_case(name));
    if let (Some(one), None) = (similar.next(), similar.next()) {
        return Ok(one.name().clone());
    }
    Err(Error::new(ErrorKind::NotFound, format!("{field}: there is no column \"{name}\""))
        .hint(suggestion(name, schema.fields().iter().map(|f| f.name().as_str()))))
}

fn written_schema(schema: &SchemaRef, columns: Option<&[String]>) -> Schema {
    match columns {
        None => schema.as_ref().clone(),
        Some(columns) => {
            Schema::new(columns.iter().filter_map(|c| schema.field_with_name(c).ok().cloned()).collect::<Vec<_>>())
        }
    }
}

/// The written columns as text, and what the format loses of their types.
fn describe(
    schema: &Schema,
    partition_by: &[String],
    export: &Export,
    format: &dyn Format,
) -> Result<(Vec<String>, Vec<TypeLoss>)> {
    let mut losses = Vec::new();
    let mut refused = Vec::new();
    for field in schema.fields().iter().filter(|f| !partition_by.contains(f.name())) {
        match format.fidelity(field, &export.options) {
            Fidelity::Exact => {}
            Fidelity::Lossy(loss) => {
                losses.push(TypeLoss { column: field.name().clone(), data_type: field.data_type().to_string(), loss });
            }
            Fidelity::Refused(why) => refused.push(
                Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "format {} cannot hold column \"{}\" of type {}",
                        format.name(),
                        field.name(),
                        field.data_type()
                    ),
                )
                .hint(why),
            ),
        }
    }
    if !refused.is_empty() {
        let summary = format!("format {} cannot hold {} columns", format.name(), refused.len());
        return Err(Error::many(refused, summary));
    }
    let described = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    Ok((described, losses))
}

/// A hash of what decides which rows an export reads: relation, columns, filter and cursor.
pub fn fingerprint(export: &Export) -> String {
    let cursor = match &export.rows {
        Rows::Versions { tombstones: true, .. } => Some("table_version with tombstones"),
        rows => rows.cursor(),
    };
    let relation = match &export.relation {
        // White space at the ends and line ends are no change of a query.
        Relation::Query(query) => Relation::Query(query.replace("\r\n", "\n").trim().to_owned()),
        table => table.clone(),
    };
    let text = serde_json::json!({
        "source": export.source, "relation": relation, "columns": export.columns, "filter": export.filter,
        "cursor": cursor,
    });
    hex::encode(Sha256::digest(text.to_string().as_bytes()))
}

fn refuse_change(
    export: &Export,
    last: &Last,
    fingerprint: &str,
    options: PlanOptions,
    notes: &mut Vec<String>,
) -> Result<()> {
    match &last.fingerprint {
        Some(old) if old != fingerprint && options.accept_change => {
            notes.push("the definition changed since the last run; the change is accepted, the watermark stays".to_owned());
            Ok(())
        }
        Some(old) if old != fingerprint => Err(Error::new(
            ErrorKind::Contract,
            format!("the query of \"{}\" changed since its watermark was set (fingerprint {} is now {})", export.key, &old[..8], &fingerprint[..8]),
        )
        .hint(format!(
            "rows before the watermark that the new query would give are not exported: pass --accept-change to go on, or start over with `outport export watermark reset {}`",
            export.key
        ))),
        _ => Ok(()),
    }
}

fn compare_schema(
    export: &Export,
    last: &Last,
    columns: &[String],
    options: PlanOptions,
    notes: &mut Vec<String>,
) -> Result<()> {
    let Some(old) = &last.columns else { return Ok(()) };
    let added: Vec<&str> = columns.iter().filter(|c| !old.contains(c)).map(String::as_str).collect();
    let removed: Vec<&str> = old.iter().filter(|c| !columns.contains(c)).map(String::as_str).collect();
    if added.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let list = |what: &str, columns: &[&str]| {
        if columns.is_empty() { String::new() } else { format!(" {what} {}", columns.join(", ")) }
    };
    let change = format!("the schema changed since the last run:{}{}", list("+", &added), list("-", &removed));
    if export.schema_policy == SchemaPolicy::Fail && !options.accept_change {
        return Err(Error::new(ErrorKind::Contract, change)
            .hint("pass --accept-change to take the new schema, or list source_columns"));
    }
    notes.push(change);
    Ok(())
}
