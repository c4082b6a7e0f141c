//! An Azure server of the tests' own, azurite's, with one container, `container`.

use std::path::PathBuf;

use super::server::Server;

/// The account that azurite has, with its published key.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(crate) struct Container {
    server: Server,
}

impl Container {
    /// Starts the server; `None`, said loudly, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        super::python()?;
        let npm = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.npm/node_modules/.bin");
        let folder = std::env::var_os("OUTPORT_TEST_NODE_BIN").map_or(npm, PathBuf::from);
        let program = folder.join("azurite-blob");
        if !program.exists() {
            super::missing("azurite-blob");
            return None;
        }
        let arguments =
            "--blobHost 127.0.0.1 --inMemoryPersistence --skipApiVersionCheck --disableTelemetry --blobPort";
        let server = Server::start(&program, &[], |port| {
            arguments.split(' ').map(str::to_owned).chain([port.to_string()]).collect()
        });
        let container = Self { server };
        let script = format!("{}/tests/support/azure_container.py", env!("CARGO_MANIFEST_DIR"));
        super::run_python(&[&script, &container.endpoint(), ACCOUNT, KEY, "container"]);
        Some(container)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.server.url())
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.server.port)
    }
}

/// The options of a connection to a server at `endpoint`, as YAML.
pub(crate) fn options(endpoint: &str, key: &str) -> String {
    format!("{{endpoint: \"{endpoint}\", allow_http: true, account_name: {ACCOUNT}, access_key: \"{key}\"}}")
}
