//! Which rows, where the table's own versions are the watermark.

use super::bounds::Window;
use super::{Last, Observed};
use crate::export::{Export, IncrementalBy, Rows};
use crate::manifest::Bounds;
use crate::value::Value;
use crate::version::{CHANGE_COLUMNS, Changes, Span, TableVersion};
use crate::{Error, ErrorKind, Result};

/// What the source says of the versions behind the watermark.
#[derive(Clone, Debug)]
pub struct VersionsObserved {
    /// The version behind which it looked; `None` for the whole table.
    pub after: Option<TableVersion>,
    /// What it found.
    pub span: Span,
    /// Why the whole table is read although there is a watermark.
    pub anew: Option<String>,
}

/// The version that the last run came to, or the one that the definition begins behind.
///
/// # Errors
/// [`ErrorKind::Contract`] where the last run went by a column.
pub fn last_version(export: &Export, last: &Last) -> Result<Option<TableVersion>> {
    let Rows::Versions { initial, .. } = &export.rows else { return Ok(None) };
    match &last.watermark {
        Some(Value::Version(version)) => Ok(Some(version.clone())),
        Some(other) => Err(Error::new(
            ErrorKind::Contract,
            format!(
                "the watermark of \"{}\" is {other}, the value of a column, expected a version of the table",
                export.key
            ),
        )
        .hint(format!(
            "export the whole table once, with --accept-change or after `outport watermark reset {}`",
            export.key
        ))),
        None => Ok(initial.map(|number| TableVersion { number, table: None })),
    }
}

/// The columns of an increment that says what happened to each row.
pub(super) fn with_change_columns(rows: &Rows, columns: Option<Vec<String>>) -> Option<Vec<String>> {
    let (Rows::Versions { tombstones: true, .. }, Some(mut columns)) = (rows, columns.clone()) else { return columns };
    for name in CHANGE_COLUMNS {
        if !columns.iter().any(|column| column == name) {
            columns.push(name.to_owned());
        }
    }
    Some(columns)
}

pub(super) fn window(observed: &Observed, tombstones: bool) -> Result<Window> {
    let Some(VersionsObserved { after, span, anew }) = observed.versions.clone() else {
        return Err(Error::new(ErrorKind::Internal, "an export by table versions was planned without them"));
    };
    Ok(Window {
        bounds: Bounds {
            column: Some(IncrementalBy::TableVersion.name().to_owned()),
            watermark_old: after.as_ref().map(|version| version.number.to_string()),
            watermark_new: Some(span.to.number.to_string()),
            ..Bounds::default()
        },
        watermark: Some(Value::Version(span.to.clone())),
        nothing_new: after.is_some() && span.empty,
        changes: Some(Changes { after, to: span.to, tombstones }),
        note: anew.map(|why| format!("the whole table is exported: {why}")),
        ..Window::default()
    })
}
