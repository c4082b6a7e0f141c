//! A folder to run the program in, and transcripts of what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The connections and defaults that most configurations here begin with.
const HEAD: &str = "\
connections:
  lake: {type: lakehouse, url: data}
  drop: {type: store, url: out}
defaults: {source: lake, target: drop, file_format: csv, target_path: out, target_filename_pattern: '{export_name}.csv'}
";

/// A temporary folder with a table of cities.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        folder.write("data/cities.csv", "city,population,founded\nGent,262219,0630-01-01\nOslo,709037,1040-01-01\n");
        folder
    }

    /// A folder whose configuration has these exports.
    pub(crate) fn with_exports(exports: &str) -> Self {
        let folder = Self::new();
        folder.exports(exports);
        folder
    }

    /// Writes a configuration with these exports, each line indented already.
    pub(crate) fn exports(&self, exports: &str) {
        self.write("outport.yml", format!("{HEAD}exports:\n{exports}"));
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// The program with an environment of its own.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outport"));
        command.args(arguments.split(' ').filter(|word| !word.is_empty()));
        command.current_dir(self.path()).env_clear().env("LD_LIBRARY_PATH", library_path());
        command
    }

    /// Runs the program; its exit code and what it said.
    pub(crate) fn run(&self, arguments: &str) -> String {
        self.transcript(&mut self.command(arguments))
    }

    pub(crate) fn transcript(&self, command: &mut Command) -> String {
        let output = command.output().expect("the program starts");
        assert!(output.status.code().is_some(), "the program died: {output:?}");
        self.show(&output)
    }

    fn show(&self, output: &Output) -> String {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!err.contains("panicked") && !err.contains("RUST_BACKTRACE"), "{err}");
        let code = output.status.code().unwrap_or_default();
        let rule = if out.is_empty() || err.is_empty() { "" } else { "--- stderr\n" };
        let text = format!("exit {code}\n{out}{rule}{err}");
        text.replace(&self.path().display().to_string(), "[folder]")
    }
}

/// Where the prebuilt libduckdb lies, for a program that was built without a path to it.
fn library_path() -> String {
    std::env::var("LD_LIBRARY_PATH").unwrap_or_default()
}

/// Checks a transcript against its snapshot, without what differs from run to run.
#[macro_export]
macro_rules! check {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            omit_expression => true,
            prepend_module_to_snapshot => false,
            filters => vec![
                (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
                (r"\.outport-[0-9a-f]{32}", ".outport-[id]"),
                (r"fingerprint [0-9a-f]{8} is now [0-9a-f]{8}", "fingerprint [old] is now [new]"),
                (r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?Z", "[time]"),
                (r"in \d+\.\d+ s, [\d,]+ rows/s", "in [seconds] s, [rate] rows/s"),
                (r"( 0 B +)\d\.\d", "${1}0.0"),
                (r"process \d+ \([^)]*\)", "process [pid] ([program])"),
                (r"PID \d+", "PID [pid]"),
            ]
        }, { insta::assert_snapshot!($name, $text) });
    };
}

/// A Python with DuckDB and pyarrow; `None`, said loudly, on a machine without.
#[allow(clippy::print_stderr)]
pub(crate) fn python() -> Option<PathBuf> {
    let given = std::env::var_os("OUTPORT_TEST_PYTHON").map(PathBuf::from);
    let python = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python"));
    let works = Command::new(&python).args(["-c", "import duckdb, pyarrow, jsonschema, yaml"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skip(&format!("{} has no duckdb, pyarrow, jsonschema and yaml; set OUTPORT_TEST_PYTHON", python.display()));
    None
}

/// The folder of test data; `None`, said loudly, where there is none.
pub(crate) fn test_data() -> Option<PathBuf> {
    let given = std::env::var_os("OUTPORT_TEST_DATA").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    if folder.is_dir() {
        return Some(folder);
    }
    skip(&format!("there is no test data in {}; set OUTPORT_TEST_DATA", folder.display()));
    None
}

/// Says that a test cannot run here; fails where it has to.
#[allow(clippy::print_stderr)]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var("OUTPORT_REQUIRE_SERVICES").as_deref() != Ok("1"), "{why}");
    eprintln!("SKIPPED: {why}");
}
