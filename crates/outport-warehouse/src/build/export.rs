//! A model's rows as files: written beside their place, and put there whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use outport_core::destination::{Destination, FileReceipt, Receipt};
use outport_core::error::from_io;
use outport_core::format::FormatOptions;
use outport_core::layout::{Header, IfExists, Layout, OnEmpty, split_extension};
use outport_core::manifest::Provenance;
use outport_core::{Context, ErrorKind, Result};
use sha2::{Digest, Sha256};

use super::Build;
use crate::catalog::with_content;
use crate::model::{Export, Model};
use crate::plan::partition_columns;
use crate::sql;
use crate::state::ExportRecord;

/// Makes the destination of an export; the one place that knows formats and stores.
pub trait Exporter: Send + Sync {
    /// Files of `format` in the layout, under `folder`.
    fn destination(
        &self,
        folder: &Path,
        format: &str,
        options: FormatOptions,
        layout: Layout,
        provenance: Provenance,
    ) -> Result<Arc<dyn Destination>>;

    /// Gives a file of a folder another name, for good.
    fn rename(&self, folder: &Path, from: &str, to: &str) -> Result<()>;

    /// Puts a folder in the place of another, so that whoever opens that path sees the one or the other whole.
    fn exchange(&self, new: &Path, place: &Path) -> Result<()>;
}

/// The name of the file in a partition, in front of its content and its extension.
const PARTITION_FILE: &str = "data_0";

impl Build<'_> {
    /// Writes the model's export, if it has one.
    pub(super) async fn export(&self, model: &Model, run_id: &str, context: &Context) -> Result<Option<ExportRecord>> {
        let Some(export) = &model.export else { return Ok(None) };
        let path = self.warehouse.export_path(model, export)?;
        let relation = sql::relation(&model.layer, &model.name);
        let batches = self.engine.query(&format!("SELECT * FROM {relation}"), context).await?;
        let columns: Vec<String> = batches.schema.fields().iter().map(|field| field.name().clone()).collect();
        partition_columns(model, export, &columns)?;
        let provenance = Provenance { run_id: context.run_id, export: model.full_name(), ..Provenance::default() };
        let options =
            FormatOptions::from_pairs(export.options.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let staged = format!(".outport-{}-{name}", context.run_id);
        let layout = if export.partition_by.is_empty() {
            layout(export, folder.to_owned(), name.to_owned())
        } else {
            let directory = if folder.is_empty() { staged.clone() } else { format!("{folder}/{staged}") };
            layout(export, directory, format!("{PARTITION_FILE}.{}", export.extension))
        };
        let directory = layout.directory.clone();
        let export_dir = &self.options.export_dir;
        let destination = self.exporter.destination(export_dir, &export.format, options, layout, provenance)?;
        let receipt = match destination.write(batches, context).await {
            Ok(receipt) => receipt,
            Err(error) => {
                if !export.partition_by.is_empty() {
                    remove(&export_dir.join(&directory));
                }
                return Err(error.context(format!("exporting {path}")));
            }
        };
        let record = if export.partition_by.is_empty() {
            record(model, export, run_id, receipt, None)
        } else {
            let staged = export_dir.join(&directory);
            // Without a row there is no partition, and so no folder yet.
            fs::create_dir_all(&staged).map_err(|e| from_io(ErrorKind::Write, e))?;
            let receipt = self.name_by_content(export_dir, receipt)?;
            self.exporter.exchange(&staged, &export_dir.join(&path))?;
            record(model, export, run_id, receipt, Some((&directory, &path)))
        };
        Ok(Some(record))
    }

    /// Puts the content of each file into its name. Whoever listed a folder before it was exchanged then finds, file by file, what
    /// was listed or nothing, and never rows of two runs side by side.
    fn name_by_content(&self, export_dir: &Path, mut receipt: Receipt) -> Result<Receipt> {
        for file in &mut receipt.files {
            let named = with_content(&file.path, &file.sha256, true);
            let (folder, from) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
            let to = named.rsplit_once('/').map_or(named.as_str(), |(_, name)| name);
            self.exporter.rename(&export_dir.join(folder), from, to)?;
            file.path = named;
        }
        Ok(receipt)
    }

    /// Removes what exports of dead runs left; their hidden names start with the run.
    pub(super) fn remove_leftovers(&self, runs: &[String]) {
        let folders: std::collections::BTreeSet<_> = self
            .warehouse
            .project
            .models
            .iter()
            .filter_map(|model| self.warehouse.export_path(model, model.export.as_ref()?).ok())
            .filter_map(|path| self.options.export_dir.join(path).parent().map(Path::to_owned))
            .collect();
        for entry in folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if runs.iter().any(|run| !run.is_empty() && name.starts_with(".outport-") && name.contains(run.as_str())) {
                remove(&entry.path());
            }
        }
    }
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("{} could not be removed: {error}", path.display());
    }
}

fn layout(export: &Export, directory: String, file_name: String) -> Layout {
    Layout {
        directory,
        bundle_stem: split_extension(&file_name).0.to_owned(),
        file_name,
        compressed_name: None,
        compression: export.compression,
        max_rows_per_file: None,
        max_bytes_per_file: None,
        partition_by: export.partition_by.clone(),
        trigger_name: None,
        manifest_name: None,
        if_exists: IfExists::Overwrite,
        on_empty: OnEmpty::Write,
        header: Header::Each,
    }
}

/// What the books keep; files that were written elsewhere first are named by where they are now.
fn record(model: &Model, export: &Export, run_id: &str, receipt: Receipt, moved: Option<(&str, &str)>) -> ExportRecord {
    let mut files: Vec<FileReceipt> = receipt.files;
    if let Some((from, to)) = moved {
        for file in &mut files {
            if let Some(rest) = file.path.strip_prefix(from) {
                file.path = format!("{to}{rest}");
            }
        }
    }
    let (path, sha256) = match (&files[..], moved) {
        ([only], None) => (only.path.clone(), only.sha256.clone()),
        (_, moved) => {
            let mut hash = Sha256::new();
            for file in &files {
                hash.update(format!("{} {}\n", file.sha256, file.path));
            }
            (moved.map_or_else(|| export.path.clone(), |(_, to)| to.to_owned()), hex::encode(hash.finalize()))
        }
    };
    ExportRecord {
        run_id: run_id.to_owned(),
        model: model.full_name(),
        path,
        format: export.format.clone(),
        compression: export.compression.codec.name().to_owned(),
        options: export.options.iter().cloned().collect(),
        partition_by: export.partition_by.clone(),
        rows: receipt.rows,
        bytes: receipt.bytes,
        sha256,
        columns: receipt.columns,
        files,
        exported_at: String::new(),
    }
}
