//! What comes after a publication: copies under plain names, and the end of old versions.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use outport_core::files::FileStore;
use outport_core::{Context, Error, ErrorKind, Result};

use crate::catalog::{Catalog, Gathered, Original, is_version_of};

/// Which content the copies under plain names have; kept in the store, so that only what changed is copied again.
const MARKER: &str = ".outport/stable.json";
/// The largest file that S3 copies in one call.
const LARGEST_COPY: u64 = 5 << 30;
/// Versions younger than this stay in any case: another publication may be about to point at them.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// What to clean.
#[derive(Clone, Debug)]
pub struct Cleaning {
    /// How many versions of a table stay, the current one among them.
    pub keep_versions: usize,
    /// The time by which the age of a version is told.
    pub now: Timestamp,
}

/// Copies what changed to the names that always have the newest, inside the store.
///
/// Each file is replaced whole; the files of a partitioned table are replaced one after the other, which is why neither the
/// catalogue nor the database points at them. Returns the paths that were copied, and those that are too large to be.
///
/// # Errors
/// Those of the store.
pub async fn refresh_stable(
    store: &dyn FileStore,
    gathered: &Gathered,
    context: &Context,
) -> Result<(Vec<String>, Vec<String>)> {
    let before: BTreeMap<String, String> =
        store.read(MARKER).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut now = before.clone();
    let (mut copied, mut too_large) = (Vec::new(), Vec::new());
    for original in &gathered.originals {
        context.cancel.check()?;
        if original.path == original.stable || is_current(store, original, &before).await? {
            continue;
        }
        if original.size > LARGEST_COPY {
            too_large.push(original.stable.clone());
            continue;
        }
        // Should the copy fail, the marker must not say that the old content is still there.
        if now.remove(&original.stable).is_some() {
            mark(store, &now).await?;
        }
        store.copy(&original.path, &original.stable).await?;
        now.insert(original.stable.clone(), original.sha256.clone());
        copied.push(original.stable.clone());
    }
    remove_gone_partitions(store, gathered, &mut now).await?;
    if now != before {
        mark(store, &now).await?;
    }
    Ok((copied, too_large))
}

async fn is_current(store: &dyn FileStore, original: &Original, marker: &BTreeMap<String, String>) -> Result<bool> {
    if marker.get(&original.stable) != Some(&original.sha256) {
        return Ok(false);
    }
    Ok(store.head(&original.stable).await?.is_some_and(|found| found.size == original.size))
}

async fn mark(store: &dyn FileStore, marker: &BTreeMap<String, String>) -> Result<()> {
    let text = serde_json::to_vec(marker).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    store.put(MARKER, text.into()).await
}

/// A partition that a table no longer has would be read along with the others by whoever lists the folder.
async fn remove_gone_partitions(
    store: &dyn FileStore,
    gathered: &Gathered,
    marker: &mut BTreeMap<String, String>,
) -> Result<()> {
    let current: BTreeSet<&str> = gathered.originals.iter().map(|original| original.stable.as_str()).collect();
    for table in gathered.catalog.tables.iter().filter(|table| !table.partition_by.is_empty()) {
        let Some(folder) = stable_folder(gathered, &table.path) else { continue };
        // Only what this program put there is removed.
        let gone: Vec<String> = marker
            .keys()
            .filter(|path| path.starts_with(&format!("{folder}/")) && !current.contains(path.as_str()))
            .cloned()
            .collect();
        for path in gone {
            store.delete(&path).await?;
            marker.remove(&path);
        }
    }
    Ok(())
}

/// The plain folder of a partitioned table.
fn stable_folder(gathered: &Gathered, path: &str) -> Option<String> {
    let original = gathered.originals.iter().find(|original| original.path.starts_with(&format!("{path}/")))?;
    let inside = original.path.strip_prefix(path)?;
    original.stable.strip_suffix(inside).map(str::to_owned)
}

/// Removes versions of the tables that are neither current nor among those to keep; returns the files.
///
/// # Errors
/// Those of the store.
pub async fn clean(
    store: &dyn FileStore,
    gathered: &Gathered,
    cleaning: &Cleaning,
    context: &Context,
) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for (path, stable, is_file) in tables(&gathered.catalog, gathered) {
        context.cancel.check()?;
        let folder = stable.rsplit_once('/').map_or("", |(folder, _)| folder);
        // Each version with its files and the time of its last change.
        let mut versions: BTreeMap<String, (Timestamp, Vec<String>)> = BTreeMap::new();
        for file in store.list(folder).await? {
            if let Some(version) = is_version_of(&stable, is_file, &file.path) {
                let entry = versions.entry(version.to_owned()).or_insert((file.modified, Vec::new()));
                entry.0 = entry.0.max(file.modified);
                entry.1.push(file.path.clone());
            }
        }
        versions.retain(|version, _| !path.starts_with(version.as_str()));
        let mut others: Vec<(Timestamp, Vec<String>)> = versions.into_values().collect();
        others.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        for (modified, files) in others.into_iter().skip(cleaning.keep_versions.saturating_sub(1)) {
            if cleaning.now.duration_since(modified) < GRACE {
                continue;
            }
            for file in files {
                store.delete(&file).await?;
                removed.push(file);
            }
        }
    }
    Ok(removed)
}

/// Of each table the current path, the plain one, and whether it is a file.
fn tables<'a>(catalog: &'a Catalog, gathered: &'a Gathered) -> impl Iterator<Item = (&'a str, String, bool)> {
    catalog.tables.iter().filter_map(|table| {
        if !table.partition_by.is_empty() {
            return Some((table.path.as_str(), stable_folder(gathered, &table.path)?, false));
        }
        let original = gathered.originals.iter().find(|original| original.path == table.path)?;
        Some((table.path.as_str(), original.stable.clone(), true))
    })
}
