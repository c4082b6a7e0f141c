//! Names: which are refused, which belong to one export, which are free.

use outport_core::layout::{Codec, IfExists, Layout, Part, split_extension};
use outport_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::files::store::{Found, Store};

/// The versions that are tried before giving up.
const VERSIONS: u32 = 10_000;

/// Refuses names that would not end up as one file in the layout's folder.
pub(super) fn check(layout: &Layout) -> Result<()> {
    let names = [
        ("file name", Some(&layout.file_name)),
        ("compressed file name", layout.compressed_name.as_ref()),
        ("bundle name", Some(&layout.bundle_stem)),
        ("trigger file name", layout.trigger_name.as_ref()),
        ("manifest name", layout.manifest_name.as_ref()),
    ];
    for (what, name) in names.into_iter().filter_map(|(what, name)| name.map(|name| (what, name))) {
        // The stem of a bundle is used by bundles alone.
        if name.is_empty() && what == "bundle name" && (!layout.splits() || layout.compressed_name.is_some()) {
            continue;
        }
        if name.is_empty()
            || name == "."
            || name == ".."
            || name.contains(['/', '\\'])
            || name.chars().any(char::is_control)
        {
            return Err(Error::new(ErrorKind::Config, format!("{name:?} cannot be a {what}"))
                .hint("folders belong into target_path; a name needs a letter and must not have slashes or control characters"));
        }
    }
    let escapes = |segment: &str| {
        segment.is_empty() || segment == "." || segment == ".." || segment.chars().any(char::is_control)
    };
    if !layout.directory.is_empty() && layout.directory.split('/').any(escapes) {
        return Err(Error::new(ErrorKind::Config, format!("{:?} cannot be a target_path", layout.directory))
            .hint("name folders inside the target, without . and .. and empty segments"));
    }
    Ok(())
}

/// The layout with names that nothing has yet, if the layout asks for that; itself if it does not care.
///
/// # Errors
/// [`ErrorKind::Contract`] where something is there and `if_exists` is `error`.
pub(super) async fn free(store: &Store, layout: &Layout, codec: Codec) -> Result<Layout> {
    if layout.if_exists == IfExists::Overwrite {
        return Ok(layout.clone());
    }
    let there = store.list(&layout.directory, !layout.partition_by.is_empty()).await?;
    let taken = |layout: &Layout| there.iter().find(|found| belongs(layout, codec, &found.path));
    let Some(first) = taken(layout) else { return Ok(layout.clone()) };
    if layout.if_exists == IfExists::Error {
        return Err(exists(store, first));
    }
    (2..=VERSIONS)
        .map(|n| version(layout, n))
        .find(|version| taken(version).is_none())
        .ok_or_else(|| exists(store, first).context(format!("looking for a free version up to {VERSIONS}")))
}

/// Whether a path is one that an export with this layout may have written: the single file, a part or a bundle.
pub(super) fn belongs(layout: &Layout, codec: Codec, path: &str) -> bool {
    let inside = if layout.directory.is_empty() {
        Some(path)
    } else {
        path.strip_prefix(layout.directory.as_str()).and_then(|rest| rest.strip_prefix('/'))
    };
    let Some(inside) = inside else { return false };
    let name = inside.rsplit('/').next().unwrap_or(inside);
    let is = |part| layout.part_name(part) == name || layout.compressed_part_name(part, codec) == name;
    if is(Part::Only) || layout.bundle_name(codec).is_some_and(|bundle| bundle == name) {
        return true;
    }
    let numbers = name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
    numbers.into_iter().any(|n| is(Part::Number(n)))
}

/// The hidden name of a file that is not complete or not published yet.
pub(super) fn temporary(run_id: Uuid, number: u32) -> String {
    format!("{}{number:04}.tmp", temporary_prefix(run_id))
}

/// What all temporary names of a run start with.
pub(super) fn temporary_prefix(run_id: Uuid) -> String {
    format!(".outport-{}-", run_id.simple())
}

/// The run that a temporary file belongs to; `None` for any other file.
pub(crate) fn temporary_owner(path: &str) -> Option<Uuid> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (run, number) = name.strip_prefix(".outport-")?.strip_suffix(".tmp")?.split_once('-')?;
    (run.len() == 32 && number.len() >= 4 && number.bytes().all(|b| b.is_ascii_digit()))
        .then(|| Uuid::try_parse(run).ok())?
}

fn version(layout: &Layout, number: u32) -> Layout {
    let mut version = layout.clone();
    version.file_name = with_suffix(&layout.file_name, number);
    version.compressed_name = layout.compressed_name.as_ref().map(|name| with_suffix(name, number));
    version.manifest_name = layout.manifest_name.as_ref().map(|name| with_suffix(name, number));
    version.bundle_stem = format!("{}_v{number}", layout.bundle_stem);
    version
}

/// `orders.tar.gz` becomes `orders_v2.tar.gz`.
fn with_suffix(name: &str, number: u32) -> String {
    let (mut stem, mut extension) = split_extension(name);
    if let (inner, ".tar") = split_extension(stem) {
        (stem, extension) = (inner, &name[inner.len()..]);
    }
    format!("{stem}_v{number}{extension}")
}

fn exists(store: &Store, found: &Found) -> Error {
    Error::new(ErrorKind::Contract, format!("{} already exists", store.url(&found.path)))
        .hint("set if_exists: overwrite or version, or choose another name")
}

#[cfg(test)]
mod tests;
