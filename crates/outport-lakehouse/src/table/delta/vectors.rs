//! The rows that a commit took from a file, or gave back to it, by drawing its deletion vector anew.

use std::collections::{HashMap, HashSet};

use datafusion::execution::SessionState;
use deltalake_core::DeltaTable;
use outport_core::{Error, ErrorKind, Result};
use roaring::RoaringTreemap;
use serde_json::json;

use super::changes::{Change, Laid, lay};
use super::log::{Action, path};
use crate::discover::Found;
use crate::error::from_datafusion;
use crate::overlay::AGAIN;
use crate::root::Root;

/// What a serialized vector begins with.
const MAGIC: u32 = 1_681_511_377;

/// A file whose deletion vector a commit replaced.
pub(super) struct Redrawn {
    pub(super) before: Change,
    pub(super) after: Change,
}

/// The pairs of a commit: what it removed and added under one path.
pub(super) fn pair_up(adds: &mut Vec<Action>, removes: &mut Vec<Action>) -> Vec<(Action, Action)> {
    let mut added: HashMap<String, Action> = HashMap::new();
    let gone: HashSet<String> = removes.iter().filter_map(path).map(str::to_owned).collect();
    adds.retain(|add| match path(add) {
        Some(path) if gone.contains(path) => added.insert(path.to_owned(), add.clone()).is_some(),
        _ => true,
    });
    let mut pairs = Vec::new();
    removes.retain(|remove| match path(remove).and_then(|path| added.remove(path)) {
        Some(add) => {
            pairs.push((remove.clone(), add));
            false
        }
        None => true,
    });
    pairs
}

/// The rows that came back and those that went, as files all other rows of which are deleted.
pub(super) async fn rows(
    span: &str,
    found: &Found,
    table: &DeltaTable,
    redrawn: Vec<Redrawn>,
    state: &SessionState,
    root: &Root,
) -> Result<(Vec<Change>, Vec<Change>)> {
    let (mut back, mut gone) = (Vec::new(), Vec::new());
    if redrawn.is_empty() {
        return Ok((back, gone));
    }
    let (before, after): (Vec<Change>, Vec<Change>) = redrawn.into_iter().map(|pair| (pair.before, pair.after)).unzip();
    let old = masks(&format!("{span}-before"), found, table, before, state, root).await?;
    let new = masks(&format!("{span}-after"), found, table, after.clone(), state, root).await?;
    for (index, change) in after.into_iter().enumerate() {
        let none = Vec::new();
        let (old, new) = (old.get(&index).unwrap_or(&none), new.get(&index).unwrap_or(&none));
        // Rows behind the end of a mask are all there.
        let (mut came, mut went) = (RoaringTreemap::new(), RoaringTreemap::new());
        for row in 0..old.len().max(new.len()) {
            match (old.get(row).unwrap_or(&true), new.get(row).unwrap_or(&true)) {
                (true, false) => went.insert(row as u64),
                (false, true) => came.insert(row as u64),
                _ => false,
            };
        }
        for (rows, changes) in [(came, &mut back), (went, &mut gone)] {
            if !rows.is_empty() {
                changes.push(only(found, &change, &rows)?);
            }
        }
    }
    Ok((back, gone))
}

/// Which rows the deletion vectors of files leave, by the position of the file; a file without one has no entry.
async fn masks(
    name: &str,
    found: &Found,
    table: &DeltaTable,
    files: Vec<Change>,
    state: &SessionState,
    root: &Root,
) -> Result<HashMap<usize, Vec<bool>>> {
    let laid = Laid { change_type: None, described: false, numbered: true };
    let own = lay(name, found, table, laid, files, root).await?;
    let scan = own.table_provider().with_session(std::sync::Arc::new(state.clone())).build().await;
    let vectors = match scan {
        Ok(scan) => scan.deletion_vectors(state).await,
        Err(error) => Err(error),
    };
    let vectors = vectors.map_err(|error| super::of_table(&found.name, from_datafusion(error)))?;
    let number = |path: &str| path.split_once(AGAIN)?.1.split_once('/')?.0.parse().ok();
    vectors
        .into_iter()
        .map(|vector| match number(&vector.filepath) {
            Some(number) => Ok((number, vector.keep_mask)),
            None => Err(Error::new(ErrorKind::Internal, format!("\"{}\" is no file that was laid", vector.filepath))),
        })
        .collect()
}

/// The file with these rows alone.
fn only(found: &Found, change: &Change, rows: &RoaringTreemap) -> Result<Change> {
    let wrong = |what: &str| {
        Error::new(
            ErrorKind::Contract,
            format!("delta table \"{}\": a file of commit {} {what}", found.name, change.version),
        )
        .hint("export the whole table once: pass --accept-change, or reset the watermark")
    };
    let stats = change.file.get("stats").and_then(|stats| stats.as_str());
    let stats: Option<serde_json::Value> = stats.and_then(|stats| serde_json::from_str(stats).ok());
    let count = stats.and_then(|stats| stats.get("numRecords")?.as_u64());
    let Some(count) = count else { return Err(wrong("has a deletion vector and no number of rows")) };
    let mut others = RoaringTreemap::new();
    others.insert_range(0..count);
    others -= rows;
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    others
        .serialize_into(&mut bytes)
        .map_err(|error| wrong(&format!("has a deletion vector that does not fit: {error}")))?;
    let mut change = change.clone();
    let vector = json!({
        "storageType": "i", "pathOrInlineDv": base85(&bytes), "sizeInBytes": bytes.len(), "cardinality": others.len(),
    });
    change.file.insert("deletionVector".to_owned(), vector);
    change.file.insert("stats".to_owned(), json!({"numRecords": count, "tightBounds": false}).to_string().into());
    Ok(change)
}

/// Z85, in which vectors stand in a log; padded with zeros, which readers pass over.
fn base85(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let mut text = String::with_capacity(bytes.len().div_ceil(4) * 5);
    for chunk in bytes.chunks(4) {
        let mut four = [0; 4];
        four[..chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes(four);
        for power in (0..5).rev() {
            text.push(char::from(DIGITS[(number / 85_u32.pow(power) % 85) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z85_is_that_of_its_specification() {
        assert_eq!(base85(&[0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]), "HelloWorld");
        assert_eq!(base85(&[0x86]).len(), 5);
    }
}
