//! The commits of a Delta table as they stand in its log: which rows came and went with each is in no snapshot.

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use outport_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::error::from_store;
use crate::root::Root;

/// How many commits are read at once.
const READS: usize = 16;

/// An action without its name.
pub(super) type Action = Map<String, Value>;

/// What one commit did to the rows.
#[derive(Debug, Default)]
pub(super) struct Commit {
    pub(super) version: i64,
    /// Milliseconds since the epoch.
    pub(super) timestamp: i64,
    /// `DELETE`, `WRITE (Overwrite)`; empty where the commit does not say.
    pub(super) operation: String,
    /// The files that came, and went, with rows; what was only laid out anew is not among them.
    pub(super) adds: Vec<Action>,
    pub(super) removes: Vec<Action>,
    /// The files of the change data feed.
    pub(super) changes: Vec<Action>,
    /// What the table was made to be, where the commit says that.
    pub(super) metadata: Option<Action>,
}

/// The commits behind `after` up to and including `to`, in their order.
///
/// # Errors
/// [`ErrorKind::Contract`] where the log was cleaned up in between.
pub(super) async fn commits(name: &str, table: &Path, root: &Root, after: i64, to: i64) -> Result<Vec<Commit>> {
    let reads = (after.saturating_add(1)..=to).map(|version| async move {
        let commit = read(table, root, version).await?;
        commit.ok_or_else(|| {
            Error::new(
                ErrorKind::Contract,
                format!(
                    "delta table \"{name}\": its log does not hold commit {version} any more, expected {} to {to}",
                    after + 1
                ),
            )
            .hint("export the whole table once: pass --accept-change, or reset the watermark; and run more often than the log is cleaned up (delta.logRetentionDuration)")
        })
    });
    futures::stream::iter(reads).buffered(READS).try_collect().await
}

/// One commit; `None` where the log has none of this version.
pub(super) async fn read(table: &Path, root: &Root, version: i64) -> Result<Option<Commit>> {
    let path = table.clone().join("_delta_log").join(format!("{version:020}.json"));
    let found = match root.store.get(&path).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(from_store(error)),
    };
    let written = found.meta.last_modified.timestamp_millis();
    let bytes = found.bytes().await.map_err(from_store)?;
    let mut commit = Commit { version, timestamp: written, ..Commit::default() };
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let actions: Map<String, Value> = serde_json::from_slice(line).map_err(|error| {
            Error::new(ErrorKind::Data, format!("{}: expected one action a line: {error}", root.show(&path)))
        })?;
        for (kind, action) in actions {
            let Value::Object(action) = action else { continue };
            commit.take(&kind, action);
        }
    }
    Ok(Some(commit))
}

impl Commit {
    fn take(&mut self, kind: &str, action: Action) {
        let rows = action.get("dataChange").and_then(Value::as_bool).unwrap_or(true);
        match kind {
            "add" if rows => self.adds.push(action),
            "remove" if rows => self.removes.push(action),
            "cdc" => self.changes.push(action),
            "metaData" => self.metadata = Some(action),
            "commitInfo" => {
                let time = action.get("inCommitTimestamp").or_else(|| action.get("timestamp"));
                self.timestamp = time.and_then(Value::as_i64).unwrap_or(self.timestamp);
                let operation = action.get("operation").and_then(Value::as_str).unwrap_or_default();
                let mode = action.get("operationParameters").and_then(|parameters| parameters.get("mode"));
                self.operation = match mode.and_then(Value::as_str).map(|mode| mode.trim_matches('"')) {
                    Some(mode) => format!("{operation} ({mode})"),
                    None => operation.to_owned(),
                };
            }
            _ => {}
        }
    }

    /// Whether the change data feed is on from this commit on; `None` where it says nothing of it.
    pub(super) fn feed(&self) -> Option<bool> {
        let configuration = self.metadata.as_ref()?.get("configuration");
        Some(configuration.and_then(|all| all.get(FEED)).and_then(Value::as_str).is_some_and(is_on))
    }

    /// How the commit is named in errors.
    pub(super) fn label(&self) -> String {
        match self.operation.as_str() {
            "" => format!("commit {}", self.version),
            operation => format!("commit {} ({operation})", self.version),
        }
    }
}

/// The property that turns the change data feed on.
pub(super) const FEED: &str = "delta.enableChangeDataFeed";

pub(super) fn is_on(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// The path of a file in its action.
pub(super) fn path(file: &Action) -> Option<&str> {
    file.get("path").and_then(Value::as_str)
}
