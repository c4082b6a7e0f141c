//! What a manifest says, compared with what is there.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use outport_core::format::{DecodeSettings, Format};
use outport_core::manifest::Manifest;
use outport_core::{Context, Error, Result};
use serde_json::json;

use super::source::unpack_and_detect;
use super::store::{Store, blocking};

/// What came of checking a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The manifest.
    pub manifest: Manifest,
    /// Its files in order.
    pub files: Vec<FileReport>,
    /// What is wrong with the manifest as a whole, such as sums that do not add up.
    pub problems: Vec<String>,
}

/// What came of checking one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The path inside the store.
    pub path: String,
    /// The rows that were counted; `None` where they cannot be: in bundles of several files, and where bytes differ already.
    pub rows: Option<u64>,
    /// What differs; empty where all is as the manifest says.
    pub problems: Vec<String>,
}

impl Report {
    /// Whether everything is as the manifest says.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty() && self.files.iter().all(|file| file.problems.is_empty())
    }

    /// The report as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "ok": self.is_ok(),
            "run_id": self.manifest.provenance.run_id,
            "export": self.manifest.provenance.export,
            "problems": self.problems,
            "files": self.files.iter().map(|f| json!({"path": f.path, "rows": f.rows, "problems": f.problems})).collect::<Vec<_>>(),
        })
    }
}

/// Checks every file of the manifest at `path`: that it is there, its size, its SHA-256, and its rows, counted anew by decoding.
///
/// # Errors
/// [`outport_core::ErrorKind::NotFound`] if there is no manifest, and whatever stops the checking itself; what is wrong with the files is in
/// the report.
pub async fn verify(
    store: &Store,
    path: &str,
    formats: &[Arc<dyn Format>],
    temporary: &Path,
    context: &Context,
) -> Result<Report> {
    let bytes = match store.read(path).await? {
        Some(bytes) => bytes,
        None => return Err(store.not_found(path).await),
    };
    let manifest = Manifest::parse(&store.url(path), &bytes)?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut files = Vec::new();
    for file in &manifest.files {
        context.cancel.check()?;
        let path = if folder.is_empty() { file.path.clone() } else { format!("{folder}/{}", file.path) };
        let mut report = FileReport { path: path.clone(), ..FileReport::default() };
        match store.head(&path).await? {
            None => report.problems.push("is missing".to_owned()),
            Some(found) if found.size != file.bytes => {
                report.problems.push(format!("has {} bytes, expected {}", found.size, file.bytes));
            }
            Some(_) => {
                let sha256 = super::destination::sha256(store, &path).await?;
                if sha256 != file.sha256 {
                    report.problems.push(format!("has sha256 {sha256}, expected {}", file.sha256));
                } else if file.entries.len() < 2 {
                    report.rows = count(store, &path, &manifest.file_format, formats, temporary).await?;
                }
            }
        }
        if let Some(rows) = report.rows
            && rows != file.rows
            && !may_be_header(&manifest.file_format, rows, file.rows)
        {
            report.problems.push(format!("has {rows} rows, expected {}", file.rows));
        }
        files.push(report);
    }
    let mut problems = Vec::new();
    for (what, sum, said) in [
        ("rows", manifest.files.iter().map(|f| f.rows).sum::<u64>(), manifest.rows),
        ("bytes", manifest.files.iter().map(|f| f.bytes).sum::<u64>(), manifest.bytes),
    ] {
        if sum != said {
            problems.push(format!("the files have {sum} {what} together, the manifest says {said}"));
        }
    }
    Ok(Report { manifest, files, problems })
}

/// The rows of a file: from its footer where it has one, else by decoding all of it.
async fn count(
    store: &Store,
    path: &str,
    format: &str,
    formats: &[Arc<dyn Format>],
    temporary: &Path,
) -> Result<Option<u64>> {
    let Some(format) = formats.iter().find(|f| f.name() == format && f.caps().reads).cloned() else {
        return Ok(None);
    };
    let input = store.input(path).await?;
    let temporary = temporary.to_owned();
    let url = store.url(path);
    blocking(move || {
        let (input, format) = unpack_and_detect(input, &[], Some(&format), &temporary)?;
        let mut decoder = format.decoder(input, &DecodeSettings::default())?;
        if let Some(rows) = decoder.rows() {
            return Ok(Some(rows));
        }
        let mut rows = 0;
        while let Some(piece) = decoder.next_piece()? {
            piece.decode(&mut |batch| {
                rows += batch.num_rows() as u64;
                ControlFlow::Continue(())
            })?;
        }
        Ok(Some(rows))
    })
    .await
    .map_err(|e: Error| e.context(format!("counting the rows of {url}")))
}

/// Whether a difference of one row may be a header that cannot be told from data, or the other way round: text says neither.
fn may_be_header(format: &str, found: u64, expected: u64) -> bool {
    matches!(format, "csv" | "tsv") && found.abs_diff(expected) == 1
}
