//! What a run will do, said beforehand.
//!
//! Planning is pure: the runtime asks the source what there is ([`Observed`]), the state what was ([`Last`]), and [`plan`]
//! decides. What it decides is printed, serialized, and carried out as it stands.

mod bounds;
mod cap;
mod columns;
mod names;
mod versions;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use arrow::datatypes::{Schema, SchemaRef};
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use bounds::{cursor_query, null_cursor_query, period_from_rows};
pub use cap::{Cap, cap, is_capped};
pub use columns::{Column, KeptColumn, SchemaChange, check_read};
pub use names::{check_collisions, target_paths};
pub use versions::{VersionsObserved, last_version};

use crate::context::Warning;
use crate::error::suggestion;
use crate::export::{Export, ExportKey, NullCursor, Rows};
use crate::extract::{Extract, Relation};
use crate::format::{Fidelity, Format, FormatOptions};
use crate::layout::Layout;
use crate::manifest::{Bounds, TypeLoss};
use crate::placeholder::{self, Placeholders};
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
    /// The columns it wrote.
    pub columns: Option<Vec<KeptColumn>>,
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
    /// What bounds the run from above beside that value.
    pub cap: Option<Cap>,
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
    /// The columns that are written.
    pub columns: Vec<Column>,
    /// How the source's columns differ from those of the last successful run.
    pub schema_changes: Vec<SchemaChange>,
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
    /// The variables that the definition uses.
    pub vars: BTreeMap<String, String>,
    /// What the reader should know: an accepted change, a bound.
    pub notes: Vec<String>,
    /// What the run will warn of: a changed schema, a column left out.
    pub warnings: Vec<Warning>,
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
        vars: export.vars.clone(),
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

    let mut columns = match &export.columns {
        None => None,
        Some(wanted) => Some(
            wanted.iter().map(|c| export.column(&observed.schema, c, "source_columns")).collect::<Result<Vec<_>>>()?,
        ),
    };
    columns = versions::with_change_columns(&export.rows, columns);
    let fingerprint = fingerprint(export);
    if export.rows.is_incremental() && last.watermark.is_some() {
        refuse_change(export, last, &fingerprint, options, &mut notes)?;
    }
    let found = described(&written_schema(&observed.schema, columns.as_deref()));
    let settled = columns::settle(export, last.columns.as_deref(), &found, format.positional(), options)?;
    let frozen = settled.columns.is_some();
    columns = settled.columns.or(columns);
    notes.extend(settled.notes);
    let mut warnings = settled.warnings;

    let written = written_schema(&observed.schema, columns.as_deref());
    let partition_by =
        export.partition_by.iter().map(|c| export.column(&written, c, "partition_by")).collect::<Result<Vec<_>>>();
    let partition_by = partition_by.map_err(|error| match frozen {
        true => error.hint("the schema is frozen: pass --accept-change to take the columns that the source has now"),
        false => error,
    })?;
    let type_losses = losses(&written, &partition_by, export, format)?;

    let window = bounds::window(export, observed, last, moment)?;
    let mut extract = Extract::of(relation(export, &placeholders)?);
    extract.columns = columns;
    extract.filter = filter(export)?;
    extract.range = window.range;
    extract.changes = window.changes;
    notes.extend(window.note);
    extract.limit = options.limit;
    let mut watermark = window.watermark;
    if options.limit.is_some() {
        watermark = last.watermark.clone();
        notes.push("--limit is set: the watermark stays where it is".to_owned());
    }
    if window.empty {
        bounds::only_nulls(export, &mut extract, &observed.schema, dialect)?;
    }
    if let Some(cap) = &observed.cap {
        notes.extend(cap.note.clone());
        warnings.extend(cap.warning.clone());
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
        columns: described(&written),
        schema_changes: settled.changes,
        type_losses,
        null_cursors_excluded: excluded,
        estimated_rows: observed.estimate,
        run_date: moment.run_date.datetime().to_string(),
        fingerprint,
        vars: export.vars.values(),
        notes,
        warnings,
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

fn described(schema: &Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| Column::of(field)).collect()
}

/// What the format loses of the types of the columns.
fn losses(schema: &Schema, partition_by: &[String], export: &Export, format: &dyn Format) -> Result<Vec<TypeLoss>> {
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
    Ok(losses)
}

/// The user's own predicate, with its variables resolved.
fn filter(export: &Export) -> Result<Option<String>> {
    export.filter.as_ref().map(|filter| placeholder::resolve_variables(filter, &export.vars)).transpose()
}

/// A hash of what decides which rows an export reads: relation, columns, filter and cursor.
///
/// Variables count with their values, other placeholders as they are written. A watermark says that everything before it was
/// exported: it was so for the rows that the variables selected, and for no others. Dates of a run change with every run and
/// promise nothing of that kind.
pub fn fingerprint(export: &Export) -> String {
    let cursor = match &export.rows {
        Rows::Versions { tombstones: true, .. } => Some("table_version with tombstones"),
        rows => rows.cursor(),
    };
    // A variable without a value ends the run elsewhere.
    let resolved = |text: &str| placeholder::resolve_variables(text, &export.vars).unwrap_or_else(|_| text.to_owned());
    let relation = match &export.relation {
        // White space at the ends and line ends are no change of a query.
        Relation::Query(query) => Relation::Query(resolved(query).replace("\r\n", "\n").trim().to_owned()),
        table => table.clone(),
    };
    let filter = export.filter.as_deref().map(resolved);
    let text = serde_json::json!({
        "source": export.source, "relation": relation, "columns": export.columns, "filter": filter, "cursor": cursor,
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
