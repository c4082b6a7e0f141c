//! What the tests of this crate share.
#![allow(dead_code, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use arrow::array::RecordBatch;
use outport_core::engine::Engine;
use outport_core::extract::Extract;
use outport_core::source::Source;
use outport_core::{Context, Result};
use outport_duckdb::{AccessMode, DuckDb, DuckDbConfig};
use tempfile::TempDir;

pub(crate) fn context() -> Context {
    Context::new(uuid::Uuid::nil())
}

/// A new file in which `statements` were run, and the folder that it goes with.
pub(crate) async fn created(statements: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.duckdb");
    let engine = DuckDb::new(DuckDbConfig::new(path.to_string_lossy()), AccessMode::ReadWrite);
    for statement in statements {
        engine.execute(statement, &context()).await.unwrap();
    }
    (folder, path)
}

pub(crate) fn reader(path: &Path) -> DuckDb {
    DuckDb::new(DuckDbConfig::new(path.to_string_lossy()), AccessMode::ReadOnly)
}

pub(crate) async fn read(source: &DuckDb, extract: &Extract) -> Result<Vec<RecordBatch>> {
    source.read(extract, &context()).await?.collect().await
}

/// A Python that has the duckdb package; `None`, said loudly, on a machine without.
pub(crate) fn python() -> Option<PathBuf> {
    let given = std::env::var_os("OUTPORT_TEST_PYTHON").map(PathBuf::from);
    let python = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python"));
    let works =
        Command::new(&python).args(["-c", "import duckdb, pyarrow, pytz"]).output().is_ok_and(|o| o.status.success());
    if works {
        return Some(python);
    }
    assert!(
        std::env::var_os("OUTPORT_REQUIRE_SERVICES").is_none(),
        "{} has no duckdb, pyarrow and pytz",
        python.display()
    );
    eprintln!("SKIPPED: {} has no duckdb, pyarrow and pytz; set OUTPORT_TEST_PYTHON", python.display());
    None
}

/// A process that holds something until it is stopped.
pub(crate) struct Holder(Child);

impl Holder {
    /// Runs `code`, which prints a line when it holds what it is to hold and ends when its input does.
    pub(crate) fn start(python: &Path, code: &str) -> Self {
        let mut child =
            Command::new(python).args(["-c", code]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the process ended before it held anything");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn stop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The memory that this process has now.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
