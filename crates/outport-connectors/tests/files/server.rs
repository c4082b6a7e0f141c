//! Emulators of the object stores, each on a free port, stopped when dropped.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use outport_connectors::files::{Credentials, Store};
use outport_core::Environment;
use outport_core::secret::Secret;

/// A server that this test started.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already, or it goes now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `program` with arguments made from the port; `None`, loudly, where it is not installed.
    pub(crate) fn start(program: &str, arguments: impl Fn(u16) -> Vec<String>) -> Option<Self> {
        Self::start_with(program, &[], arguments)
    }

    #[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
    /// Starts `program` with environment variables as well.
    pub(crate) fn start_with(
        program: &str,
        variables: &[(&str, &str)],
        arguments: impl Fn(u16) -> Vec<String>,
    ) -> Option<Self> {
        let Some(program) = find(program) else {
            assert!(std::env::var_os("OUTPORT_REQUIRE_SERVICES").is_none(), "{program} is required and not installed");
            eprintln!("SKIPPED: {program} is not installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(&program)
            .args(arguments(port))
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        let server = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "{} did not start", program.display());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a plain request and returns the answer.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> String {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=key/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A service account of GCS that needs no login, as emulators want it.
pub(crate) const NO_LOGIN: &str =
    r#"{"disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}"#;

/// A store with options.
pub(crate) fn open<const N: usize>(url: &str, options: [(&str, &str); N]) -> Store {
    let options: Credentials = options.into_iter().map(|(k, v)| (k.to_owned(), Secret::new(v.to_owned()))).collect();
    Store::open(url, &options, &Environment::default()).unwrap()
}

/// A program of the Python environment, of npm, or of the path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("OUTPORT_TEST_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let folders = [
        python.parent().map(PathBuf::from),
        std::env::var_os("OUTPORT_TEST_NODE_BIN").map(PathBuf::from),
        Some(root.join(".npm/node_modules/.bin")),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders
        .into_iter()
        .flatten()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|p| p.exists())
}
