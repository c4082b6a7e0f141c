//! What the tests of the state share: a PostgreSQL server of their own, plans, and processes that can be killed.

#![allow(clippy::print_stderr)] // What is skipped is said.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use outport_core::Error;
use outport_core::destination::{FileReceipt, Receipt};
use outport_core::export::ExportKey;
use outport_core::extract::Extract;
use outport_core::layout::{Compression, Header, IfExists, Layout, OnEmpty};
use outport_core::manifest::Bounds;
use outport_core::plan::{Column, Plan};
use outport_core::value::Value;
use outport_runtime::state::RunStart;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) fn key(name: &str) -> ExportKey {
    ExportKey { group: "sales".into(), name: name.into() }
}

pub(crate) fn start(key: &ExportKey, execution_id: &str) -> RunStart {
    RunStart {
        run_id: Uuid::new_v4(),
        execution_id: execution_id.into(),
        key: key.clone(),
        source_type: "warehouse".into(),
        source_workspace: None,
        source: "shop".into(),
        source_table: Some("public.orders".into()),
        target: "drop".into(),
        target_path: "sales/{run_date:%Y}".into(),
        file_format: "csv".into(),
        compression: "zip".into(),
        run_date: "2025-12-12T00:00:00".into(),
        vars: [("region".to_owned(), "EU".to_owned())].into(),
    }
}

/// What a run of an incremental export will do; success moves the watermark to `watermark`.
pub(crate) fn plan(key: &ExportKey, run_id: Uuid, watermark: Option<Value>) -> Plan {
    Plan {
        export: key.clone(),
        run_id,
        extract_type: "incremental",
        source: "shop".into(),
        extract: Extract::table("orders"),
        sql: "SELECT 1".into(),
        target: "drop".into(),
        file_format: "csv".into(),
        file_format_options: Default::default(),
        layout: Layout {
            directory: "sales/2025".into(),
            file_name: "orders.csv".into(),
            compressed_name: None,
            bundle_stem: "orders".into(),
            compression: Compression::default(),
            max_rows_per_file: None,
            max_bytes_per_file: None,
            partition_by: Vec::new(),
            trigger_name: None,
            manifest_name: None,
            if_exists: IfExists::default(),
            on_empty: OnEmpty::default(),
            header: Header::default(),
        },
        paths: vec!["sales/2025/orders.csv".into()],
        bounds: Bounds {
            column: Some("modified".into()),
            watermark_old: Some("2025-12-11T00:00:00".into()),
            watermark_new: watermark.as_ref().map(ToString::to_string),
            period_start: Some("2025-12-01".into()),
            period_end: Some("2025-12-31T00:00:00".into()),
        },
        watermark,
        nothing_new: false,
        columns: vec![column("id", "Int64"), column("name", "Utf8")],
        schema_changes: Vec::new(),
        type_losses: Vec::new(),
        null_cursors_excluded: 0,
        estimated_rows: None,
        run_date: "2025-12-12T00:00:00".into(),
        fingerprint: "f1".into(),
        vars: Default::default(),
        notes: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(crate) fn column(name: &str, data_type: &str) -> Column {
    Column { name: name.into(), data_type: data_type.into(), extension: None }
}

pub(crate) fn receipt() -> Receipt {
    let file = FileReceipt { path: "sales/2025/orders.csv".into(), rows: 7, bytes: 90, ..FileReceipt::default() };
    Receipt {
        files: vec![file],
        rows: 7,
        bytes: 90,
        trigger: Some("sales/2025/orders.done".into()),
        ..Receipt::default()
    }
}

pub(crate) fn failure() -> Error {
    Error::new(outport_core::ErrorKind::Write, "the target is gone").context("export sales/orders")
}

/// A PostgreSQL server that lives as long as this value.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    process: Child,
}

const BIN: &str = "/usr/lib/postgresql/15/bin";

impl Server {
    /// Starts a server; `None`, said loudly, on a machine without.
    pub(crate) fn start() -> Option<Self> {
        if !Path::new(BIN).join("postgres").exists() {
            assert!(std::env::var_os("OUTPORT_REQUIRE_SERVICES").is_none(), "there is no PostgreSQL in {BIN}");
            eprintln!("SKIPPED: there is no PostgreSQL in {BIN}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        if as_root() {
            assert!(Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap().success());
        }
        let data = folder.path().join("data");
        let initdb =
            program("initdb").args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"]).arg(&data).output().unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = program("postgres")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "fsync=off", "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { folder, port, process };
        let begun = Instant::now();
        while !server.psql("SELECT 1") {
            assert!(begun.elapsed() < Duration::from_secs(60), "PostgreSQL did not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(server)
    }

    /// The URL of a new, empty database.
    pub(crate) fn database(&self, name: &str) -> String {
        assert!(self.psql(&format!("CREATE DATABASE {name}")));
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    fn psql(&self, sql: &str) -> bool {
        let port = self.port.to_string();
        let mut command = Command::new(Path::new(BIN).join("psql"));
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-qc", sql]);
        command.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let stopped = program("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(data).output();
        if !stopped.is_ok_and(|output| output.status.success()) {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

fn as_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// A program of PostgreSQL, as a user that it accepts.
fn program(name: &str) -> Command {
    let path: PathBuf = Path::new(BIN).join(name);
    let mut command = if as_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(path);
        command
    } else {
        Command::new(path)
    };
    command.current_dir("/");
    command
}

/// This test program once more, in a process of its own that runs only `test`, with `variables`.
pub(crate) fn child(test: &str, variables: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap()
}
