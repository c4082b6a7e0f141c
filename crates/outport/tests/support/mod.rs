//! What the end-to-end tests share: a project in a folder of its own, the program, Python, and servers.

pub(crate) mod azure;
pub(crate) mod google;
pub(crate) mod object_store;
pub(crate) mod proxy;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A project in a temporary folder: `outport.yml`, data to read, and `out` to write to.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What a call of the program gave.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    /// A project with this configuration.
    pub(crate) fn new(config: &str) -> Self {
        let new = Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() };
        new.write("outport.yml", config);
        new
    }

    /// Sets an environment variable for every call.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces text of the configuration, which must be there.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let config = std::fs::read_to_string(self.path().join("outport.yml")).unwrap();
        assert!(config.contains(from), "{from} is not in the configuration");
        self.write("outport.yml", &config.replace(from, to));
    }

    /// The program in this folder, with an environment that holds nothing of the user's.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outport"));
        clean(&mut command, self.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).args(arguments);
        command
    }

    /// Calls the program and waits for its end.
    pub(crate) fn call(&self, arguments: &[&str]) -> Called {
        Called::of(self.command(arguments).output().unwrap())
    }

    /// Starts the program; its output is collected by [`finish`].
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Calls the program, which must succeed, and returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.call(arguments).expect(0, arguments).stdout
    }

    /// Calls the program with `-o json`, which must succeed, and returns what it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.call(&[arguments, &["-o", "json"]].concat()).expect(0, arguments).json()
    }

    /// Calls the program, which must end with `code`, and returns what it said on stderr.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        self.call(arguments).expect(code, arguments).stderr
    }

    /// The visible files below `folder`, by their path inside it.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        walk(&self.path().join(folder), "", &mut files);
        files.retain(|path, _| !is_hidden(path));
        files
    }

    /// The names of the visible files below `folder`.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        self.files(folder).into_keys().collect()
    }

    /// The hidden files below `folder`: what a run has not published, or left behind.
    pub(crate) fn hidden(&self, folder: &str) -> Vec<String> {
        let mut files = BTreeMap::new();
        walk(&self.path().join(folder), "", &mut files);
        files.into_keys().filter(|path| is_hidden(path)).collect()
    }

    /// A text file.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name))
            .unwrap_or_else(|e| panic!("{name}: {e}; there is {:?}", self.names("")))
    }

    /// The lines of a text file.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        self.text(name).lines().map(str::to_owned).collect()
    }

    /// The watermark of an export as text; empty where there is none.
    pub(crate) fn watermark(&self, export: &str) -> String {
        let table = self.json(&["watermark", "get", export]);
        match &table[0]["watermark"] {
            serde_json::Value::Null => String::new(),
            value => value.as_str().unwrap_or_else(|| panic!("{table}")).to_owned(),
        }
    }

    /// Runs Python in this folder and returns what it printed.
    pub(crate) fn python(&self, script: &str) -> String {
        let mut command = Command::new(python().expect("python, which the test asked for before"));
        clean(&mut command, self.path());
        let called = Called::of(command.args(["-c", script]).output().unwrap());
        called.expect(0, &["python"]).stdout
    }

    /// Runs a DuckDB script on the database file `name`, with DuckDB's own Python module.
    pub(crate) fn duckdb(&self, name: &str, sql: &str) {
        self.python(&format!("import duckdb\nduckdb.connect({name:?}).execute({sql:?})"));
    }
}

impl Called {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32, arguments: &[&str]) -> Self {
        let Self { code: found, stdout, stderr } = &self;
        assert_eq!(*found, code, "outport {}\n{stdout}\n{stderr}", arguments.join(" "));
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Waits for a program that was started.
pub(crate) fn finish(child: Child) -> Called {
    Called::of(child.wait_with_output().unwrap())
}

/// An environment with nothing but what a program needs to start.
pub(crate) fn clean(command: &mut Command, folder: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("AWS_EC2_METADATA_DISABLED", "true");
}

/// Python with the readers that check files; `None`, said loudly, where it is missing.
pub(crate) fn python() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("OUTPORT_TEST_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    if python.exists() {
        return Some(python);
    }
    missing(&format!("Python ({})", python.display()));
    None
}

/// Runs Python, which must be there and succeed, and returns what it printed.
pub(crate) fn run_python(arguments: &[&str]) -> String {
    let output = Command::new(python().expect("python, which the test asked for before")).args(arguments).output();
    Called::of(output.unwrap()).expect(0, &["python"]).stdout
}

/// Says that a test is skipped, and fails where all servers have to be there.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var("OUTPORT_REQUIRE_SERVICES").as_deref() != Ok("1"), "{what} is required and missing");
    eprintln!("SKIPPED: {what} is missing");
}

fn is_hidden(path: &str) -> bool {
    path.split('/').any(|segment| segment.starts_with('.'))
}

fn walk(folder: &Path, inside: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{inside}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{name}/"), files);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            files.insert(name, bytes);
        }
    }
}
