//! Delta Lake tables, through delta-rs on our own store.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::execution::SessionState;
use deltalake_core::DeltaTable;
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::table::builder::DeltaTableConfig;
use object_store::prefix::PrefixStore;
use outport_core::{Error, ErrorKind, Result};

use crate::discover::Found;
use crate::error::{from_datafusion, from_delta};
use crate::root::Root;
use crate::table::Opened;

/// Opens the version that is configured, or the latest.
///
/// # Errors
/// [`ErrorKind::Unsupported`] naming the reader feature that is missing, [`ErrorKind::NotFound`] for versions and log files
/// that are gone.
pub(crate) async fn open(found: &Found, state: &SessionState, root: &Root) -> Result<Opened> {
    let name = &found.name;
    let log = default_logstore(
        Arc::new(PrefixStore::new(Arc::clone(&root.store), found.path.clone())),
        Arc::clone(&root.store),
        &root.folder_url(&found.path),
        &StorageConfig::default(),
    );
    // The list of files is read by the scan, which skips those that a filter rules out.
    let config = DeltaTableConfig { require_files: false, ..DeltaTableConfig::default() };
    let mut table = DeltaTable::new(log, config);
    let loaded = match (found.config.version, &found.config.timestamp) {
        (Some(_), Some(_)) => {
            return Err(Error::new(
                ErrorKind::Config,
                format!("table \"{name}\" has both a `version` and a `timestamp`"),
            )
            .hint("keep one of them"));
        }
        (Some(version), None) => table.load_version(version).await,
        (None, Some(text)) => table.load_with_datetime(instant(name, text)?).await,
        (None, None) => table.load().await,
    };
    loaded.map_err(|error| from_delta(name, error))?;
    let provider = table
        .table_provider()
        .with_session(Arc::new(state.clone()))
        .build()
        .await
        .map_err(|error| of_table(name, from_datafusion(error)))?;
    let version = table.version().unwrap_or_default();
    Ok(Opened { provider: Arc::new(provider), snapshot: Some(format!("delta:{name}@{version}")), bytes: 0 })
}

/// The instant of a `timestamp` in the configuration.
pub(crate) fn instant(table: &str, text: &str) -> Result<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text).map(DateTime::<Utc>::from);
    parsed.map_err(|error| {
        Error::new(ErrorKind::Config, format!("table \"{table}\": timestamp \"{text}\" is not of RFC 3339: {error}"))
            .hint("write it as 2025-01-31T12:00:00Z")
    })
}

fn of_table(name: &str, error: Error) -> Error {
    error.context(format!("delta table \"{name}\""))
}
