//! What a span of snapshots appended to an Iceberg table.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::scan::FileScanTask;
use iceberg::spec::{ManifestStatus, Operation, SnapshotRef, TableMetadata};
use iceberg::table::Table;
use outport_core::version::{Changes, Span, TableVersion};
use outport_core::{Error, ErrorKind, Result};

use super::{Iceberg, load, snapshot};
use crate::discover::Found;
use crate::error::from_iceberg;
use crate::root::Root;
use crate::table::Opened;

/// The version of a table that has no snapshot yet.
const NONE: i64 = -1;

/// The snapshot that a table has now, and whether those behind `after` brought rows.
///
/// # Errors
/// [`ErrorKind::Contract`] where a snapshot in between took or rewrote rows, or where `after` is no ancestor of the current one;
/// [`ErrorKind::Unsupported`] for tombstones, of which snapshots tell nothing.
pub(crate) async fn span(found: &Found, after: Option<&TableVersion>, tombstones: bool, root: &Root) -> Result<Span> {
    if tombstones {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("iceberg table \"{}\" has no change data feed, which deletes: tombstones needs", found.name),
        )
        .hint("leave deletes at ignore, or export the whole table (extract_type: full)"));
    }
    let table = load(found, root).await?;
    let metadata = table.metadata();
    let number = snapshot(found, metadata)?.unwrap_or(NONE);
    let to = TableVersion { number, table: Some(metadata.uuid().to_string()) };
    let Some(after) = after else { return Ok(Span { to, empty: false }) };
    if let (Some(was), Some(is)) = (&after.table, &to.table)
        && was != is
    {
        return Err(Error::new(
            ErrorKind::Contract,
            format!(
                "iceberg table \"{}\" is another table than the watermark is of ({is}, expected {was}): it was made anew since the last run",
                found.name
            ),
        )
        .hint(WAY_OUT));
    }
    let appended = appended(&found.name, metadata, after.number, number)?;
    Ok(Span { to, empty: appended.is_empty() })
}

/// The files that a span appended.
pub(crate) async fn open(found: &Found, changes: &Changes, root: &Root) -> Result<Opened> {
    let table = load(found, root).await?;
    let after = changes.after.as_ref().map_or(NONE, |after| after.number);
    let snapshots = appended(&found.name, table.metadata(), after, changes.to.number)?;
    let label = format!("iceberg:{}@{after}..{}", found.name, changes.to.number);
    provide(found, table, Some(changes.to.number), Some(snapshots), label)
}

/// The whole table as it was at a snapshot, with the columns that it has now.
pub(crate) async fn whole(found: &Found, version: i64, root: &Root) -> Result<Opened> {
    let table = load(found, root).await?;
    let label = format!("iceberg:{}@{version}", found.name);
    provide(found, table, Some(version).filter(|version| *version != NONE), None, label)
}

fn provide(
    found: &Found,
    table: Table,
    snapshot: Option<i64>,
    appends: Option<Vec<SnapshotRef>>,
    label: String,
) -> Result<Opened> {
    let schema = table.metadata().current_schema();
    let schema = Arc::new(schema_to_arrow_schema(schema).map_err(|error| from_iceberg(&found.name, error))?);
    let provider = Iceberg { name: found.name.clone(), table, snapshot, appends, schema };
    Ok(Opened { provider: Arc::new(provider), snapshot: Some(label), bytes: 0 })
}

const WAY_OUT: &str = "export the whole table once: pass --accept-change, or reset the watermark";

/// The snapshots behind `after` that appended files, the oldest first.
fn appended(name: &str, metadata: &TableMetadata, after: i64, to: i64) -> Result<Vec<SnapshotRef>> {
    let mut appended = Vec::new();
    let mut at = Some(to).filter(|to| *to != NONE);
    while let Some(id) = at.filter(|id| *id != after) {
        let Some(snapshot) = metadata.snapshot_by_id(id) else {
            return Err(lost(name, after, &format!("snapshot {id} has expired")));
        };
        match &snapshot.summary().operation {
            Operation::Append => appended.push(Arc::clone(snapshot)),
            // Files were laid out anew, and no row came or went.
            Operation::Replace => {}
            Operation::Overwrite | Operation::Delete => {
                let operation = format!("{:?}", snapshot.summary().operation).to_lowercase();
                return Err(Error::new(
                    ErrorKind::Contract,
                    format!("iceberg table \"{name}\": snapshot {id} ({operation}) removed or rewrote rows"),
                )
                .hint(WAY_OUT));
            }
        }
        at = snapshot.parent_snapshot_id();
    }
    if at.is_none() && after != NONE {
        return Err(lost(name, after, "the table was rolled back, or its snapshots expired"));
    }
    appended.reverse();
    Ok(appended)
}

fn lost(name: &str, after: i64, why: &str) -> Error {
    Error::new(
        ErrorKind::Contract,
        format!("iceberg table \"{name}\": snapshot {after} of the watermark is not in its history any more: {why}"),
    )
    .hint(WAY_OUT)
}

impl Iceberg {
    /// The tasks that read the files which `snapshots` appended, each as its snapshot planned it, with the columns of today.
    pub(super) async fn appends(&self, snapshots: &[SnapshotRef], columns: &[String]) -> Result<Vec<FileScanTask>> {
        let named = |error| from_iceberg(&self.name, error);
        let schema = self.table.metadata().current_schema();
        let fields: Vec<i32> = columns.iter().filter_map(|column| schema.field_id_by_name(column)).collect();
        let mut all = Vec::new();
        for snapshot in snapshots {
            let id = snapshot.snapshot_id();
            let manifests = self.table.manifest_list_reader(snapshot).load().await.map_err(named)?;
            let mut added = HashSet::new();
            for manifest in manifests.entries().iter().filter(|manifest| manifest.added_snapshot_id == id) {
                let manifest = manifest.load_manifest(self.table.file_io()).await.map_err(named)?;
                let new = |status| status == ManifestStatus::Added;
                let entries = manifest.entries().iter().filter(|entry| new(entry.status()));
                added.extend(
                    entries
                        .filter(|entry| entry.snapshot_id().is_none_or(|own| own == id))
                        .map(|entry| entry.file_path().to_owned()),
                );
            }
            let scan = self.table.scan().snapshot_id(id).build().map_err(named)?;
            let tasks: Vec<FileScanTask> =
                scan.plan_files().await.map_err(named)?.try_collect().await.map_err(named)?;
            all.extend(tasks.into_iter().filter(|task| added.contains(&task.data_file_path)).map(|mut task| {
                task.schema = Arc::clone(schema);
                task.project_field_ids.clone_from(&fields);
                task
            }));
        }
        Ok(all)
    }
}
