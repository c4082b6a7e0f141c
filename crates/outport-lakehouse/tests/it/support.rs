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
pub fn lakehouse(root: &Path, config: LakehouseConfig) -> Lakehouse {
    let url = Url::from_directory_path(root).expect("an absolute folder");
    let prefix = object_store::path::Path::from_absolute_path(root).expect("a path");
    Lakehouse::new(config, Arc::new(LocalFileSystem::new()), &url, prefix)
}

pub fn context() -> Context {
    Context::new(Uuid::new_v4())
}

/// All rows of an extract.
pub async fn read(lake: &Lakehouse, extract: &Extract) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let batches = lake.read(extract, &context()).await?;
    Ok((Arc::clone(&batches.schema), batches.collect().await?))
}

/// All rows of a query.
pub async fn query(lake: &Lakehouse, sql: &str) -> Result<Vec<RecordBatch>> {
    read(lake, &Extract::query(sql)).await.map(|(_, batches)| batches)
}

pub fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// A result as the text of a table, to compare with.
pub fn table(batches: &[RecordBatch]) -> String {
    arrow::util::pretty::pretty_format_batches(batches).expect("printable").to_string()
}

/// The folder of test data that others wrote; `None` (said loudly) where a machine does not have it.
pub fn data(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("OUTPORT_TEST_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from).join(folder);
    present(data.canonicalize().ok(), &format!("test data {}", data.display()))
}

/// A Python with pyarrow, pyiceberg and pyroaring; `None` (said loudly) where a machine does not have it.
pub fn python() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var_os("OUTPORT_TEST_PYTHON").map_or(venv, PathBuf::from);
    present(python.exists().then_some(python.clone()), &format!("python {}", python.display()))
}

fn present<T>(found: Option<T>, what: &str) -> Option<T> {
    if found.is_none() {
        assert!(std::env::var("OUTPORT_REQUIRE_SERVICES").is_err(), "{what} is missing");
        eprintln!("SKIPPED: {what} is missing");
    }
    found
}

/// Runs a script of `tests/it` and gives what it prints.
pub fn run_python(python: &Path, script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    let output = Command::new(python).arg(script).args(arguments).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Writes batches where an independent reader finds them.
pub fn write_arrow(path: &Path, schema: &SchemaRef, batches: &[RecordBatch]) {
    let file = std::fs::File::create(path).expect("a new file");
    let mut writer = FileWriter::try_new(file, schema).expect("a schema Arrow files can hold");
    for batch in batches {
        writer.write(batch).expect("written");
    }
    writer.finish().expect("finished");
}
