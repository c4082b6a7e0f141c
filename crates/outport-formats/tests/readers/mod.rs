//! Readers that are not ours, in Python.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn missing(what: &str) {
    assert!(std::env::var_os("OUTPORT_REQUIRE_SERVICES").is_none_or(|v| v != "1"), "{what} is missing and required");
    eprintln!("SKIPPED: {what} is missing");
}

/// The test data, or `None`, said loudly.
pub(crate) fn test_data() -> Option<PathBuf> {
    let path = std::env::var_os("OUTPORT_TEST_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    if !path.is_dir() {
        missing("the test data (OUTPORT_TEST_DATA)");
        return None;
    }
    Some(path)
}

/// The Python with the readers, or `None`, said loudly.
pub(crate) fn python() -> Option<PathBuf> {
    let path = std::env::var_os("OUTPORT_TEST_PYTHON").map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
    if !path.is_file() {
        missing("python with pyarrow and duckdb (OUTPORT_TEST_PYTHON)");
        return None;
    }
    Some(path)
}

/// Runs a script of `tests/readers`, which has to succeed.
pub(crate) fn run(python: &Path, script: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers").join(script);
    let output = Command::new(python).arg(path).args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} failed:\n{text}");
    eprint!("{text}");
    text
}
