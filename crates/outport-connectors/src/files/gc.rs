//! What dead runs left in a store.
//!
//! Hidden files are told by their names, which hold the run's id. Open uploads are invisible to most tools and cost money: they are
//! known from the intents that the runs wrote down, and are removed by [`Destination::recover`] of the run's intent, or all at
//! once by a lifecycle rule of the bucket.
//!
//! [`Destination::recover`]: outport_core::destination::Destination::recover

use jiff::{SignedDuration, Timestamp};
use outport_core::Result;
use uuid::Uuid;

use super::destination::temporary_owner;
use super::store::{Found, Store};

/// A hidden file, and the run that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The run.
    pub run_id: Uuid,
    /// The file.
    pub file: Found,
}

/// The hidden files under a folder that were last written to longer ago than `older_than`, sorted by path.
///
/// `alive` tells of runs that still go on; theirs are left out whatever their age.
pub async fn leftovers(
    store: &Store,
    folder: &str,
    older_than: SignedDuration,
    now: Timestamp,
    alive: impl Fn(Uuid) -> bool,
) -> Result<Vec<Leftover>> {
    let old = |found: &Found| now.duration_since(found.modified) >= older_than;
    let leftover = |file: Found| {
        let run_id = temporary_owner(&file.path).filter(|run| !alive(*run))?;
        Some(Leftover { run_id, file })
    };
    Ok(store.list(folder, true).await?.into_iter().filter(old).filter_map(leftover).collect())
}

/// Removes leftovers; returns how many files and bytes are gone.
pub async fn remove(store: &Store, leftovers: &[Leftover]) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for leftover in leftovers {
        if store.delete(&leftover.file.path).await? {
            files += 1;
            bytes += leftover.file.size;
        }
    }
    Ok((files, bytes))
}
