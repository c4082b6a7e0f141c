//! What a span of commits brought to a Delta table, and took from it.
//!
//! A commit that only adds files brought the rows in them. One that has files of the change data feed says itself what happened;
//! one that has none although the feed is on added and removed whole files, by the protocol. Of any other commit that removed
//! files, nothing tells which rows went and which were only written anew: it is refused.
//!
//! A file that such a commit removed and added under one path has another deletion vector than before: the rows in which the two
//! differ are what changed.

use std::collections::{BTreeSet, HashSet};

use datafusion::execution::SessionState;
use deltalake_core::DeltaTable;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use outport_core::version::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, Changes, Span, TableVersion};
use outport_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::log::{Action, Commit, FEED, commits, is_on, path};
use super::vectors::{self, Redrawn};
use super::{load, log, provider};
use crate::discover::Found;
use crate::error::{from_delta, from_store};
use crate::overlay::AGAIN;
use crate::root::Root;
use crate::table::Opened;

/// The rows of one kind of file.
pub(crate) struct Part {
    /// What tells it from the other parts.
    pub(crate) name: &'static str,
    pub(crate) opened: Opened,
    /// Whether each row says itself what happened to it.
    pub(crate) tells: bool,
}

/// What happened to a table.
#[derive(Default)]
struct Changed {
    adds: Vec<Change>,
    removes: Vec<Change>,
    /// Files of the change data feed.
    feed: Vec<Change>,
    /// Files that stayed, with other rows deleted.
    redrawn: Vec<Redrawn>,
}

/// A file, and the commit that brought it into the span.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) file: Action,
    pub(super) version: i64,
    pub(super) timestamp: i64,
}

/// The version that a table has now, and whether the commits behind `after` changed any row.
///
/// # Errors
/// [`ErrorKind::Contract`] where the span cannot be told apart, [`ErrorKind::Unsupported`] where the table has no change data
/// feed and `tombstones` asks for it.
pub(crate) async fn span(found: &Found, after: Option<&TableVersion>, tombstones: bool, root: &Root) -> Result<Span> {
    let table = load(found, root).await?;
    let name = &found.name;
    let to = current(name, &table)?;
    if tombstones && !has_feed(name, &table)? {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("delta table \"{name}\" has no change data feed, which deletes: tombstones needs"),
        )
        .hint(format!("ALTER TABLE {name} SET TBLPROPERTIES ({FEED} = true), or leave deletes at ignore")));
    }
    let Some(after) = after else { return Ok(Span { to, empty: false }) };
    if let (Some(was), Some(is)) = (&after.table, &to.table)
        && was != is
    {
        return Err(not_the_same(name, format!("is another table than the watermark is of ({is}, expected {was})")));
    }
    if to.number < after.number {
        let found = format!("is at version {}, expected at least that of the watermark, {}", to.number, after.number);
        return Err(not_the_same(name, found));
    }
    let commits = commits(name, &found.path, root, after.number, to.number).await?;
    let changed = sort_out(found, &table, commits, after.number, root).await?;
    let taken = tombstones && !changed.removes.is_empty();
    let came = !(changed.adds.is_empty() && changed.feed.is_empty() && changed.redrawn.is_empty());
    Ok(Span { to, empty: !came && !taken })
}

/// The rows of a span, ready to be planned with; `tombstones` gives each row the columns of the change data feed.
pub(crate) async fn open(found: &Found, changes: &Changes, state: &SessionState, root: &Root) -> Result<Vec<Part>> {
    let mut found = found.clone();
    found.config.timestamp = None;
    found.config.version = u64::try_from(changes.to.number).ok();
    let table = load(&found, root).await?;
    let after = changes.after.as_ref().map_or(-1, |after| after.number);
    let commits = commits(&found.name, &found.path, root, after, changes.to.number).await?;
    let mut changed = sort_out(&found, &table, commits, after, root).await?;
    let span = format!("{after}-{}", changes.to.number);
    let (back, gone) = vectors::rows(&span, &found, &table, changed.redrawn, state, root).await?;
    changed.adds.extend(back);
    changed.removes.extend(gone);
    let mut parts = Vec::new();
    let kinds = [
        ("inserts", Some("insert"), changed.adds),
        ("deletes", Some("delete"), changed.removes),
        ("changes", None, changed.feed),
    ];
    for (part, change_type, files) in kinds {
        // Rows that nobody asks for are not read. An increment without any row still has columns.
        let wanted = part == "inserts" || !files.is_empty();
        if !wanted || (part == "deletes" && !changes.tombstones) {
            continue;
        }
        let laid = Laid { change_type, described: changes.tombstones || change_type.is_none(), numbered: false };
        let own = lay(&format!("{span}-{part}"), &found, &table, laid, files, root).await?;
        let label = format!("delta:{}@{after}..{}", found.name, changes.to.number);
        let opened = Opened {
            provider: provider(&found.name, &own, state, &root.laid()?).await?,
            snapshot: Some(label),
            bytes: 0,
        };
        parts.push(Part { name: part, opened, tells: change_type.is_none() });
    }
    Ok(parts)
}

/// When a version was committed, in milliseconds since the epoch; `None` where its commit is gone.
pub(crate) async fn committed(found: &Found, version: i64, root: &Root) -> Result<Option<i64>> {
    Ok(log::read(&found.path, root, version).await?.map(|commit| commit.timestamp))
}

fn current(name: &str, table: &DeltaTable) -> Result<TableVersion> {
    let version = table.version().and_then(|version| i64::try_from(version).ok());
    let id = table.snapshot().map_err(|error| from_delta(name, error))?.metadata().id().to_owned();
    match version {
        Some(number) => Ok(TableVersion { number, table: Some(id) }),
        None => Err(Error::new(ErrorKind::Data, format!("delta table \"{name}\" has no version"))),
    }
}

fn has_feed(name: &str, table: &DeltaTable) -> Result<bool> {
    let snapshot = table.snapshot().map_err(|error| from_delta(name, error))?;
    Ok(snapshot.metadata().configuration().get(FEED).is_some_and(|value| is_on(value)))
}

fn not_the_same(name: &str, what: String) -> Error {
    Error::new(ErrorKind::Contract, format!("delta table \"{name}\" {what}: it was made anew since the last run"))
        .hint("export the whole table once: pass --accept-change, or reset the watermark")
}

/// Sorts the files of commits by what they say of rows.
async fn sort_out(found: &Found, table: &DeltaTable, commits: Vec<Commit>, after: i64, root: &Root) -> Result<Changed> {
    let mut changed = Changed::default();
    // The property as the first commits know it is that of the end, unless it was set in between.
    let mut feed = match commits.iter().any(|commit| commit.metadata.is_some()) {
        false => Some(has_feed(&found.name, table)?),
        true => None,
    };
    for commit in commits {
        feed = commit.feed().or(feed);
        let label = commit.label();
        let Commit { version, timestamp, mut adds, mut removes, changes, .. } = commit;
        let of = |files: Vec<Action>| files.into_iter().map(move |file| Change { file, version, timestamp });
        if !changes.is_empty() {
            changed.feed.extend(of(changes));
            continue;
        }
        if !removes.is_empty() {
            let on = match feed {
                Some(on) => on,
                None => *feed.insert(had_feed(found, after, root).await),
            };
            if !on {
                return Err(refused(&found.name, &label));
            }
            for (before, after) in vectors::pair_up(&mut adds, &mut removes) {
                let of = |file| Change { file, version, timestamp };
                changed.redrawn.push(Redrawn { before: of(before), after: of(after) });
            }
        }
        changed.adds.extend(of(adds));
        changed.removes.extend(of(removes));
    }
    Ok(changed)
}

/// Whether the change data feed was on at a version; one that cannot be loaded any more had none that is of use.
async fn had_feed(found: &Found, version: i64, root: &Root) -> bool {
    let mut old = found.clone();
    old.config.timestamp = None;
    old.config.version = u64::try_from(version).ok();
    let Ok(table) = load(&old, root).await else { return false };
    old.config.version.is_some() && has_feed(&found.name, &table).unwrap_or(false)
}

fn refused(name: &str, commit: &str) -> Error {
    Error::new(
        ErrorKind::Contract,
        format!("delta table \"{name}\": {commit} removed or rewrote rows, and the table had no change data feed then"),
    )
    .hint(format!(
        "turn the feed on for later commits ({FEED} = true); for this span, export the whole table: pass --accept-change, or reset the watermark"
    ))
}

/// Lays a table over one that is there, which has these files alone.
pub(super) async fn lay(
    name: &str,
    found: &Found,
    table: &DeltaTable,
    laid: Laid,
    files: Vec<Change>,
    root: &Root,
) -> Result<DeltaTable> {
    let mut seeming = found.clone();
    seeming.path = found.path.clone().join("_changes").join(name);
    seeming.config.version = None;
    seeming.config.timestamp = None;
    let commit = laid.commit(found, table, files, root).await?;
    root.overlay()?.lay(&seeming.path, &found.path, commit).await.map_err(from_store)?;
    load(&seeming, &root.laid()?).await
}

/// A log over the files of one kind.
pub(super) struct Laid {
    /// What happened to all rows; `None` where the files say it of each.
    pub(super) change_type: Option<&'static str>,
    /// Whether the columns that describe a change are there.
    pub(super) described: bool,
    /// Whether the paths of all files tell their position.
    pub(super) numbered: bool,
}

impl Laid {
    /// The one commit of the log.
    async fn commit(&self, found: &Found, table: &DeltaTable, files: Vec<Change>, root: &Root) -> Result<String> {
        let name = &found.name;
        let wrong = |error: serde_json::Error| {
            Error::new(ErrorKind::Data, format!("delta table \"{name}\": its metadata cannot be taken over: {error}"))
        };
        let snapshot = table.snapshot().map_err(|error| from_delta(name, error))?;
        let protocol = serde_json::to_value(snapshot.protocol()).map_err(wrong)?;
        let mut metadata = serde_json::to_value(snapshot.metadata()).map_err(wrong)?;
        let schema: Value =
            serde_json::from_str(metadata["schemaString"].as_str().unwrap_or_default()).map_err(wrong)?;
        let partitions = physical_partitions(&metadata, &schema);
        self.describe(name, &mut metadata, schema)?;
        let mut lines = vec![json!({"protocol": protocol}).to_string(), json!({"metaData": metadata}).to_string()];
        let mut seen = HashSet::new();
        for (index, change) in files.into_iter().enumerate() {
            let again = self.numbered | !seen.insert(path(&change.file).unwrap_or_default().to_owned());
            let add = self.add(found, change, &partitions, again.then_some(index), root).await?;
            lines.push(json!({"add": add}).to_string());
        }
        Ok(lines.join("\n"))
    }

    /// Gives the metadata the columns of a change, and takes from it what concerns writers.
    fn describe(&self, name: &str, metadata: &mut Value, mut schema: Value) -> Result<()> {
        let configuration = metadata["configuration"].as_object().cloned().unwrap_or_default();
        let mapping =
            configuration.get("delta.columnMapping.mode").and_then(Value::as_str).unwrap_or("none").to_owned();
        if self.change_type.is_none() && self.described && mapping == "id" {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("delta table \"{name}\" maps columns by id, with which its change data feed cannot be read"),
            ));
        }
        let mut last = configuration
            .get("delta.columnMapping.maxColumnId")
            .and_then(|id| id.as_str()?.parse::<i64>().ok())
            .unwrap_or_default();
        if self.described {
            for (column, data_type) in [(CHANGE_TYPE, "string"), (COMMIT_VERSION, "long"), (COMMIT_TIMESTAMP, "long")] {
                last += 1;
                let mapped = match mapping.as_str() {
                    "none" => json!({}),
                    _ => json!({"delta.columnMapping.id": last, "delta.columnMapping.physicalName": column}),
                };
                let field = json!({"name": column, "type": data_type, "nullable": true, "metadata": mapped});
                if let Some(fields) = schema["fields"].as_array_mut() {
                    fields.push(field);
                }
                if let Some(partitions) = metadata["partitionColumns"].as_array_mut()
                    && (column != CHANGE_TYPE || self.change_type.is_some())
                {
                    partitions.push(column.into());
                }
            }
        }
        let mut kept = Map::new();
        for property in ["delta.columnMapping.mode", "delta.enableDeletionVectors", "delta.enableTypeWidening"] {
            if let Some(value) = configuration.get(property) {
                kept.insert(property.to_owned(), value.clone());
            }
        }
        if mapping != "none" {
            kept.insert("delta.columnMapping.maxColumnId".to_owned(), last.to_string().into());
        }
        metadata["configuration"] = kept.into();
        metadata["schemaString"] = schema.to_string().into();
        Ok(())
    }

    /// The file as one that the log adds.
    async fn add(
        &self,
        found: &Found,
        change: Change,
        partitions: &BTreeSet<String>,
        again: Option<usize>,
        root: &Root,
    ) -> Result<Action> {
        let Change { mut file, version, timestamp } = change;
        let refused = |what: String| {
            Error::new(
                ErrorKind::Contract,
                format!("delta table \"{}\": a file of commit {version} {what}", found.name),
            )
            .hint("export the whole table once: pass --accept-change, or reset the watermark")
        };
        let mut values = file.remove("partitionValues").and_then(|v| v.as_object().cloned()).unwrap_or_default();
        let own: BTreeSet<String> = values.keys().cloned().collect();
        if own != *partitions {
            let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
            return Err(refused(format!(
                "is partitioned by ({}), expected ({}) as the table is now",
                list(&own),
                list(partitions)
            )));
        }
        if self.described {
            if let Some(change_type) = self.change_type {
                values.insert(CHANGE_TYPE.to_owned(), change_type.into());
            }
            values.insert(COMMIT_VERSION.to_owned(), version.to_string().into());
            values.insert(COMMIT_TIMESTAMP.to_owned(), timestamp.to_string().into());
        }
        let Some(path) = path(&file).map(str::to_owned) else { return Err(refused("has no path".to_owned())) };
        let size = match file.get("size").and_then(Value::as_i64) {
            Some(size) => size,
            // The log of a removed file may leave it out, and a reader begins at the end.
            None => {
                let place = Path::from_url_path(format!("{}/{path}", found.path))
                    .map_err(|error| refused(format!("has no path: {error}")))?;
                let meta = root.store.head(&place).await.map_err(from_store)?;
                i64::try_from(meta.size).unwrap_or(i64::MAX)
            }
        };
        let path = match again {
            Some(_) if path.contains("://") => return Err(refused("lies elsewhere and is named twice".to_owned())),
            Some(index) => format!("{AGAIN}{index}/{path}"),
            None => path,
        };
        let mut add = Map::new();
        add.insert("path".to_owned(), path.into());
        add.insert("partitionValues".to_owned(), values.into());
        add.insert("size".to_owned(), size.into());
        add.insert("modificationTime".to_owned(), timestamp.into());
        add.insert("dataChange".to_owned(), true.into());
        for field in ["stats", "deletionVector"] {
            if let Some(value) = file.remove(field).filter(|value| !value.is_null()) {
                add.insert(field.to_owned(), value);
            }
        }
        Ok(add)
    }
}

/// The partition columns by the names that files have for them.
fn physical_partitions(metadata: &Value, schema: &Value) -> BTreeSet<String> {
    let names = metadata["partitionColumns"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields = schema["fields"].as_array();
    let physical = |name: &str| {
        let field = fields.into_iter().flatten().find(|field| field["name"] == name)?;
        Some(field["metadata"].get("delta.columnMapping.physicalName")?.as_str()?.to_owned())
    };
    names.map(|name| physical(name).unwrap_or_else(|| name.to_owned())).collect()
}
