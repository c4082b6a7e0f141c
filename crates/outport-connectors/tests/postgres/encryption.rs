//! TLS as `sslmode` asks for it.

use std::path::Path;
use std::process::{Command, Stdio};

use outport_core::ErrorKind;
use outport_core::extract::Extract;
use serde_json::json;

use crate::server::PostgresServer;
use crate::{context, query, read, shown, source};

/// An authority `ca.crt` and a certificate `server.crt` of it for the host `localhost`.
fn make_certificates(folder: &Path) -> bool {
    let steps = [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    ];
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").expect("a file");
    steps.iter().all(|step| {
        let mut command = Command::new("openssl");
        command.args(step.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

#[tokio::test]
async fn each_mode_checks_what_it_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    if !make_certificates(folder.path()) {
        assert!(std::env::var("OUTPORT_REQUIRE_SERVICES").as_deref() != Ok("1"), "openssl is required and missing");
        eprintln!("SKIPPED: openssl could not make certificates");
        return;
    }
    let Some(server) = PostgresServer::start() else { return };
    server.encrypt_with(folder.path());
    let authority = folder.path().join("ca.crt");
    let authority = authority.to_str().expect("UTF-8");
    let encrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let at = |host: &str, mode: &str, root: Option<&str>| {
        let url = format!("postgres://postgres@{host}:{}/postgres", server.port);
        source(&server, json!({"url": url, "sslmode": mode, "sslrootcert": root}))
    };

    for (mode, expected) in [("disable", "false"), ("prefer", "true"), ("require", "true")] {
        assert_eq!(shown(&query(&at("127.0.0.1", mode, None), encrypted).await), expected, "{mode}");
    }
    assert_eq!(shown(&query(&at("127.0.0.1", "verify-ca", Some(authority)), encrypted).await), "true");
    assert_eq!(shown(&query(&at("localhost", "verify-full", Some(authority)), encrypted).await), "true");

    let large = "SELECT sum(length(t)) FROM (SELECT repeat('x', 1000) AS t FROM generate_series(1, 20000)) AS q";
    assert_eq!(shown(&query(&at("127.0.0.1", "require", None), large).await), "20000000");
    let rows =
        query(&at("127.0.0.1", "require", None), "SELECT repeat('x', 1000) AS t FROM generate_series(1, 20000)").await;
    assert_eq!(rows.num_rows(), 20_000);

    for (host, mode, root) in [
        ("127.0.0.1", "verify-full", Some(authority)),
        ("localhost", "verify-full", None),
        ("127.0.0.1", "verify-ca", None),
    ] {
        let error = read(&at(host, mode, root), &Extract::query("SELECT 1"), &context())
            .await
            .expect_err("an untrusted server");
        assert!(matches!(error.kind(), ErrorKind::Connection | ErrorKind::Config), "{host} {mode}: {error}");
        assert!(!error.is_retryable() && error.hint_text().is_some(), "{error}");
    }
    let error =
        read(&at("localhost", "verify-full", Some("/no/such.pem")), &Extract::query("SELECT 1"), &context()).await;
    let error = error.expect_err("no file of certificates");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("/no/such.pem"), "{error}");
}
