//! What the tests share: data, Python, a lakehouse on a local folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use object_store::local::LocalFileSystem;
use outport_core::extract::Extract;
use outport_core::source::Source;
use outport_core::{Context, Result};
use outport_lakehouse::{Lakehouse, LakehouseConfig};
use url::Url;
use uuid::Uuid;

/// A lakehouse on a local folder.
pub(crate) fn lakehouse(root: &Path, config: LakehouseConfig) -> Lakehouse {
    let url = Url::from_directory_path(root).expect("an absolute folder");
    let prefix = object_store::path::Path::from_absolute_path(root).expect("a path");
    Lakehouse::new(config, Arc::new(LocalFileSystem::new()), &url, prefix)
}

pub(crate) fn context() -> Context {
    Context::new(Uuid::new_v4())
}

/// All rows of an extract.
pub(crate) async fn read(lake: &Lakehouse, extract: &Extract) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let batches = lake.read(extract, &context()).await?;
    Ok((Arc::clone(&batches.schema), batches.collect().await?))
}

/// All rows of a query.
pub(crate) async fn query(lake: &Lakehouse, sql: &str) -> Result<Vec<RecordBatch>> {
    read(lake, &Extract::query(sql)).await.map(|(_, batches)| batches)
}

pub(crate) fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// A result as the text of a table, to compare with.
pub(crate) fn table(batches: &[RecordBatch]) -> String {
    arrow::util::pretty::pretty_format_batches(batches).expect("printable").to_string()
}

/// The folder of test data that others wrote; `None` (said loudly) where a machine does not have it.
pub(crate) fn data(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data =
        std::env::var_os("OUTPORT_TEST_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from).join(folder);
    present(data.canonicalize().ok(), &format!("test data {}", data.display()))
}

/// A Python with pyarrow, pyiceberg and pyroaring; `None` (said loudly) where a machine does not have it.
pub(crate) fn python() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var_os("OUTPORT_TEST_PYTHON").map_or(venv, PathBuf::from);
    present(python.exists().then_some(python.clone()), &format!("python {}", python.display()))
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn present<T>(found: Option<T>, what: &str) -> Option<T> {
    if found.is_none() {
        assert!(std::env::var("OUTPORT_REQUIRE_SERVICES").is_err(), "{what} is missing");
        eprintln!("SKIPPED: {what} is missing");
    }
    found
}

/// Runs a script of `tests/it` and gives what it prints.
pub(crate) fn run_python(python: &Path, script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    let output = Command::new(python).arg(script).args(arguments).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Writes batches where an independent reader finds them.
pub(crate) fn write_arrow(path: &Path, schema: &SchemaRef, batches: &[RecordBatch]) {
    let file = std::fs::File::create(path).expect("a new file");
    let mut writer = FileWriter::try_new(file, schema).expect("a schema Arrow files can hold");
    for batch in batches {
        writer.write(batch).expect("written");
    }
    writer.finish().expect("finished");
}

/// Writes a Parquet file, with a row group every `group` rows.
pub(crate) fn write_parquet(path: &Path, batch: &RecordBatch, group: usize) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let properties =
        parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let file = std::fs::File::create(path).expect("a new file");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

/// Whole numbers from `start` on, as column `id`.
pub(crate) fn ids(start: i64, rows: i64) -> RecordBatch {
    let ids = arrow::array::Int64Array::from_iter_values(start..start + rows);
    RecordBatch::try_from_iter([("id", Arc::new(ids) as arrow::array::ArrayRef)]).expect("a batch")
}
