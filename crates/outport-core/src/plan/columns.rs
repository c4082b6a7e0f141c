//! The columns that are written, and how they differ from those of the last successful run.

use std::collections::HashMap;
use std::fmt;

use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::{Plan, PlanOptions};
use crate::context::Warning;
use crate::export::{Export, SchemaPolicy};
use crate::format::logical;
use crate::{Error, ErrorKind, Result};

/// A column of the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Arrow type, without how Arrow lays it out in memory.
    pub data_type: String,
    /// What an extension makes of that type: `arrow.json`, `arrow.uuid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
}

impl Column {
    /// The column that a field of a schema becomes.
    pub fn of(field: &Field) -> Self {
        Self {
            name: field.name().clone(),
            data_type: logical(field.data_type()).to_string(),
            extension: field.extension_type_name().map(str::to_owned),
        }
    }

    /// The type for people, with its extension.
    fn kind(&self) -> String {
        match &self.extension {
            Some(extension) => format!("{} ({extension})", self.data_type),
            None => self.data_type.clone(),
        }
    }

    /// Whether two columns hold the same values, however a version of Arrow spells their type.
    fn same_type(&self, other: &Self) -> bool {
        let logical_type = |text: &str| text.parse::<DataType>().ok().map(|parsed| logical(&parsed));
        self.extension == other.extension
            && (self.data_type == other.data_type
                || matches!(
                    (logical_type(&self.data_type), logical_type(&other.data_type)),
                    (Some(old), Some(new)) if old == new
                ))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind())
    }
}

/// A column as the state keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeptColumn {
    /// With its type.
    Typed(Column),
    /// As earlier versions wrote it: `name type`, or the name alone.
    Text(String),
}

impl KeptColumn {
    /// The column that was kept; where a text can be read in several ways, as one of `now`.
    fn read(&self, now: &[Column]) -> Column {
        let text = match self {
            Self::Typed(column) => return column.clone(),
            Self::Text(text) => text,
        };
        let same = now.iter().find(|c| *text == c.name || *text == format!("{} {}", c.name, c.data_type));
        if let Some(column) = same {
            return column.clone();
        }
        // Names and types both may hold spaces; what stands behind the right one is a type.
        let typed = text.match_indices(' ').find(|(at, _)| text[at + 1..].parse::<DataType>().is_ok());
        let cut = typed.or_else(|| text.match_indices(' ').next());
        let (name, data_type) = cut.map_or((text.as_str(), ""), |(at, _)| (&text[..at], &text[at + 1..]));
        let extension = now.iter().find(|c| c.name == name).and_then(|c| c.extension.clone());
        Column { name: name.to_owned(), data_type: data_type.to_owned(), extension }
    }
}

/// A difference between the columns of the last successful run and those of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum SchemaChange {
    /// A column that is new.
    Added {
        /// Its name.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// A column that is gone.
    Removed {
        /// Its name.
        column: String,
        /// The type it had.
        data_type: String,
    },
    /// A column of another type.
    TypeChanged {
        /// Its name.
        column: String,
        /// The type it had.
        from: String,
        /// The type it has.
        to: String,
    },
    /// The columns that were there and still are, in another order; told where readers of the format may go by it.
    Reordered {
        /// The order they had.
        from: Vec<String>,
        /// The order they have.
        to: Vec<String>,
    },
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { column, data_type } => write!(f, "+ {column} {data_type}"),
            Self::Removed { column, data_type } => write!(f, "- {column} {data_type}"),
            Self::TypeChanged { column, from, to } => write!(f, "~ {column} {from} -> {to}"),
            Self::Reordered { from, to } => write!(f, "order {} -> {}", from.join(", "), to.join(", ")),
        }
    }
}

/// A column by its name; a query may give two of one name, which are told apart by which of them it is.
type Named<'a> = ((&'a str, usize), &'a Column);

fn find<'a>(columns: &[Named<'a>], key: (&str, usize)) -> Option<&'a Column> {
    columns.iter().find(|(found, _)| *found == key).map(|(_, column)| *column)
}

fn by_name(columns: &[Column]) -> Vec<Named<'_>> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let nth = |column| {
        let Column { name, .. }: &Column = column;
        let count = seen.entry(name).or_default();
        *count += 1;
        ((name.as_str(), *count), column)
    };
    columns.iter().map(nth).collect()
}

/// What is different; the order only where `by_position`.
pub(super) fn changes(old: &[Column], new: &[Column], by_position: bool) -> Vec<SchemaChange> {
    let (old, new) = (by_name(old), by_name(new));
    let mut changes = Vec::new();
    for (key, column) in &new {
        match find(&old, *key) {
            None => changes.push(SchemaChange::Added { column: column.name.clone(), data_type: column.kind() }),
            Some(before) if !before.same_type(column) => changes.push(SchemaChange::TypeChanged {
                column: column.name.clone(),
                from: before.kind(),
                to: column.kind(),
            }),
            Some(_) => {}
        }
    }
    for (key, column) in &old {
        if find(&new, *key).is_none() {
            changes.push(SchemaChange::Removed { column: column.name.clone(), data_type: column.kind() });
        }
    }
    let common = |columns: &[Named<'_>], others: &[Named<'_>]| -> Vec<String> {
        columns.iter().filter(|(key, _)| find(others, *key).is_some()).map(|(_, c)| c.name.clone()).collect()
    };
    let (from, to) = (common(&old, &new), common(&new, &old));
    if by_position && from != to {
        changes.push(SchemaChange::Reordered { from, to });
    }
    changes
}

/// What a policy makes of the differences.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The differences.
    pub(super) changes: Vec<SchemaChange>,
    /// The columns to write, in this order, where they are not those that the source has.
    pub(super) columns: Option<Vec<String>>,
    pub(super) notes: Vec<String>,
    pub(super) warnings: Vec<Warning>,
}

/// Holds the columns that would be written against those of the last successful run, as the export's policy says.
///
/// # Errors
/// [`ErrorKind::Contract`] for a change that the policy refuses and nobody accepted.
pub(super) fn settle(
    export: &Export,
    last: Option<&[KeptColumn]>,
    new: &[Column],
    by_position: bool,
    options: PlanOptions,
) -> Result<Settled> {
    let Some(last) = last else { return Ok(Settled::default()) };
    let old: Vec<Column> = last.iter().map(|kept| kept.read(new)).collect();
    let mut settled = Settled { changes: changes(&old, new, by_position), ..Settled::default() };
    let listed = settled.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let change = format!("the schema changed since the last run: {listed}");
    let frozen = export.schema_policy == SchemaPolicy::Freeze;
    if options.accept_change {
        if !settled.changes.is_empty() {
            let then = if frozen { "; it is accepted, and frozen from now on" } else { "; it is accepted" };
            settled.notes.push(format!("{change}{then}"));
        }
        return Ok(settled);
    }
    match export.schema_policy {
        _ if settled.changes.is_empty() && !frozen => {}
        SchemaPolicy::Evolve => {
            settled.warnings.push(Warning { code: "schema_changed".to_owned(), column: None, message: change });
        }
        SchemaPolicy::Fail => {
            return Err(Error::new(ErrorKind::Contract, change)
                .hint("pass --accept-change to take the new schema, or list source_columns"));
        }
        SchemaPolicy::Freeze => freeze(&old, new, &mut settled)?,
    }
    Ok(settled)
}

/// Holds what a source really gives against the plan, where the schema must not change unnoticed: it may have changed in between,
/// and the type of a numeric without precision depends on the rows that are read.
///
/// # Errors
/// [`ErrorKind::Contract`] with the difference.
pub fn check_read(export: &Export, plan: &Plan, schema: &Schema) -> Result<()> {
    if export.schema_policy == SchemaPolicy::Evolve {
        return Ok(());
    }
    let found: Vec<Column> = schema.fields().iter().map(|field| Column::of(field)).collect();
    let changes = changes(&plan.columns, &found, true);
    if changes.is_empty() {
        return Ok(());
    }
    let listed = changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(Error::new(ErrorKind::Contract, format!("the source gives other columns than it said before: {listed}")).hint(
        "if it was just changed, run again; a numeric without precision has a type that depends on the rows: set `numeric: \
         decimal(p,s)` for the connection, or CAST it in a source_query",
    ))
}

/// Keeps the old columns in their order.
fn freeze(old: &[Column], new: &[Column], settled: &mut Settled) -> Result<()> {
    let broken: Vec<String> = settled
        .changes
        .iter()
        .filter_map(|change| match change {
            SchemaChange::Removed { column, data_type } => Some(format!("column \"{column}\" {data_type} is gone")),
            SchemaChange::TypeChanged { column, from, to } => {
                Some(format!("column \"{column}\" was {from} and is {to} now"))
            }
            SchemaChange::Added { .. } | SchemaChange::Reordered { .. } => None,
        })
        .collect();
    if !broken.is_empty() {
        return Err(Error::new(
            ErrorKind::Contract,
            format!("the schema is frozen, and the source does not fit it any more: {}", broken.join("; ")),
        )
        .hint("give the source these columns again (a source_query can CAST), or pass --accept-change to freeze the schema that it has now"));
    }
    let names = |columns: &[Column]| -> Vec<String> { columns.iter().map(|c| c.name.clone()).collect() };
    let (kept, found) = (names(old), names(new));
    if kept == found {
        return Ok(());
    }
    if let Some(twice) = kept.iter().find(|name| found.iter().filter(|other| other == name).count() > 1) {
        return Err(Error::new(
            ErrorKind::Contract,
            format!("the schema is frozen, but the source has two columns \"{twice}\" that cannot be told apart"),
        )
        .hint("give each column of the source_query a name of its own"));
    }
    for change in &settled.changes {
        match change {
            SchemaChange::Added { column, data_type } => settled.warnings.push(Warning {
                code: "column_left_out".to_owned(),
                column: Some(column.clone()),
                message: format!("a new column of type {data_type} is left out, since the schema is frozen"),
            }),
            SchemaChange::Reordered { .. } => {
                settled.notes.push("the source has its columns in another order; files keep the frozen one".to_owned());
            }
            SchemaChange::Removed { .. } | SchemaChange::TypeChanged { .. } => {}
        }
    }
    settled.columns = Some(kept);
    Ok(())
}

#[cfg(test)]
mod tests;
