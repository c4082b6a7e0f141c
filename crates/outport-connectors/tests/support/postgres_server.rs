//! A PostgreSQL server of the tests' own: made in a temporary folder, stopped when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

/// A running server on a free port of 127.0.0.1 that trusts its superuser `postgres`.
pub(crate) struct PostgresServer {
    bin: PathBuf,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl PostgresServer {
    /// The server that all tests of this program share while any of them runs; `None`, said loudly, where PostgreSQL is not
    /// installed, which is a failure where OUTPORT_REQUIRE_SERVICES is set.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A server of its own.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = find_binaries() else {
            assert!(
                std::env::var("OUTPORT_REQUIRE_SERVICES").as_deref() != Ok("1"),
                "PostgreSQL (initdb) is required and missing"
            );
            eprintln!("SKIPPED: no PostgreSQL server (initdb) was found; install the package postgresql");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let server = Self { bin, folder, port };
        let data = server.data();
        run(server
            .command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data));
        std::fs::write(
            data.join("pg_hba.conf"),
            "local all all trust\n\
             host with_scram all 127.0.0.1/32 scram-sha-256\n\
             host with_md5 all 127.0.0.1/32 md5\n\
             host with_password all 127.0.0.1/32 password\n\
             host all all 127.0.0.1/32 trust\n",
        )
        .expect("pg_hba.conf");
        server.pg_ctl(&["start"]);
        Some(server)
    }

    /// Lets the server encrypt, with `server.crt` and `server.key` of a folder.
    pub(crate) fn encrypt_with(&self, folder: &Path) {
        for name in ["server.crt", "server.key"] {
            // What is written into a file keeps its owner and mode, and the server is strict about those of its key.
            let target = self.data().join(name);
            run(self.command("install").args(["-m", "600", "/dev/null"]).arg(&target));
            std::fs::write(&target, std::fs::read(folder.join(name)).expect("a certificate")).expect("a certificate");
        }
        self.psql("ALTER SYSTEM SET ssl = on");
        self.restart();
    }

    /// Stops the server and starts it with what `ALTER SYSTEM` set.
    pub(crate) fn restart(&self) {
        self.pg_ctl(&["-m", "fast", "restart"]);
    }

    /// Starts the server again as a standby, which waits for a primary and can be read meanwhile.
    pub(crate) fn become_standby(&self) {
        self.pg_ctl(&["-m", "fast", "stop"]);
        std::fs::write(self.data().join("standby.signal"), "").expect("standby.signal");
        self.pg_ctl(&["start"]);
    }

    /// The folder of the Unix socket.
    pub(crate) fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The URL of the database `postgres`.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// What `psql` prints for `sql`, unaligned, without headers, NULL as `∅`; panics where it fails.
    pub(crate) fn psql(&self, sql: &str) -> String {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-P", "null=∅", "-d", &self.url(), "-f", "-"]);
        command.env("PGOPTIONS", "-c timezone=UTC -c intervalstyle=iso_8601 -c extra_float_digits=3");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql");
        std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), sql.as_bytes()).expect("sql");
        let output = child.wait_with_output().expect("psql");
        assert!(output.status.success(), "psql: {}\n{sql}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim_end_matches('\n').to_owned()
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        let options = format!("-p {} -h 127.0.0.1 -k '{}' -c fsync=off", self.port, self.folder.path().display());
        let log = self.folder.path().join("log");
        run(self
            .command("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .arg("-w")
            .arg("-l")
            .arg(&log)
            .args(["-o", &options])
            .args(arguments));
    }

    /// A program run as the owner of the server, which refuses to run as root.
    fn command(&self, program: &str) -> Command {
        // What PostgreSQL does not bring along is the system's.
        let program = Some(self.bin.join(program)).filter(|path| path.exists()).unwrap_or_else(|| program.into());
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let stopped =
            self.command("pg_ctl").arg("-D").arg(self.data()).args(["-m", "immediate", "-w", "stop"]).output();
        if !stopped.is_ok_and(|o| o.status.success()) {
            eprintln!("the PostgreSQL server on port {} could not be stopped", self.port);
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n")
}

/// The folder named by OUTPORT_TEST_POSTGRES_BIN, one on the PATH, or that of the newest version that Debian installed.
fn find_binaries() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("OUTPORT_TEST_POSTGRES_BIN").map(PathBuf::from).into_iter().collect();
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|e| e.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.into_iter().find(|folder| ["initdb", "pg_ctl", "psql"].iter().all(|program| folder.join(program).exists()))
}

fn run(command: &mut Command) {
    // Not piped: the server that pg_ctl leaves behind would hold the pipe open.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(status.success(), "{command:?}: {status}");
}
