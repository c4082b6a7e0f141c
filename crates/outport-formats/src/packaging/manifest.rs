//! The bytes of a manifest.

use outport_core::manifest::Manifest;
use outport_core::{Error, ErrorKind, Result};

/// A manifest as JSON that people can read: indented, with a line end at its end.
pub fn manifest_bytes(manifest: &Manifest) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(manifest)
        .map_err(|e| Error::new(ErrorKind::Internal, "a manifest could not be written as JSON").with_source(e))?;
    bytes.push(b'\n');
    Ok(bytes)
}
