//! What is said when a connection cannot be made or is lost.

use outport_connectors::postgres::{Postgres, PostgresConfig};
use outport_core::extract::Extract;
use outport_core::source::Source;
use outport_core::{Error, ErrorKind};
use serde_json::json;

use crate::server::PostgresServer;
use crate::{context, query, read, shown, source};

const CANARY: &str = "canary-3f9a";

async fn refused(options: serde_json::Value, environment: &[(&str, &str)]) -> Error {
    let config: PostgresConfig = serde_json::from_value(options).expect("a configuration");
    let environment = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    let error = match Postgres::new(config, &environment) {
        Ok(source) => source.relations(&context()).await.expect_err("an error"),
        Err(error) => error,
    };
    let everything = format!("{error} {error:?} {:?} {:?}", error.causes(), error.hint_text());
    assert!(!everything.contains(CANARY), "the password is in the error: {everything}");
    assert!(error.hint_text().is_some(), "{error} has no hint");
    error
}

#[tokio::test]
async fn every_way_to_log_in_works_and_a_wrong_password_is_said() {
    let Some(server) = PostgresServer::shared() else { return };
    for method in ["scram", "md5", "password"] {
        let encryption = if method == "md5" { "md5" } else { "scram-sha-256" };
        server.psql(&format!(
            "SET password_encryption = '{encryption}'; CREATE ROLE {method}_user LOGIN PASSWORD 'p@ss/w:rd%'; CREATE DATABASE with_{method}"
        ));
        let url =
            |password: &str| format!("postgres://{method}_user:{password}@127.0.0.1:{}/with_{method}", server.port);
        let right = source(&server, json!({"url": url("p%40ss%2Fw%3Ard%25")}));
        assert_eq!(shown(&query(&right, "SELECT current_user").await), format!("{method}_user"));
        let error = refused(json!({"url": url(CANARY)}), &[]).await;
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        assert!(!error.is_retryable() && error.to_string().contains(&format!("{method}_user")), "{error}");
        let none = json!({"host": "127.0.0.1", "port": server.port, "user": format!("{method}_user"), "dbname": format!("with_{method}")});
        assert_eq!(refused(none.clone(), &[]).await.kind(), ErrorKind::Auth);

        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pgpass");
        std::fs::write(&file, format!("other:*:*:*:no\n127.0.0.1:*:with_{method}:{method}_user:p@ss/w\\:rd%\n"))
            .expect("a file");
        let file = file.to_str().expect("UTF-8").to_owned();
        let config = serde_json::from_value(none).expect("a configuration");
        let environment = |name: &str| (name == "PGPASSFILE").then(|| file.clone());
        let by_file = Postgres::new(config, &environment).expect("a source");
        assert_eq!(shown(&query(&by_file, "SELECT 1").await), "1");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let Some(server) = PostgresServer::shared() else { return };
    let at = |rest: &str| json!({"url": format!("postgres://postgres:{CANARY}@127.0.0.1:{}/{rest}", server.port)});
    let database = refused(at("nowhere"), &[]).await;
    assert_eq!(database.kind(), ErrorKind::NotFound);
    assert!(database.to_string().contains("database \"nowhere\" does not exist"), "{database}");

    let user =
        refused(json!({"host": "127.0.0.1", "port": server.port, "user": "nobody2", "password": CANARY}), &[]).await;
    assert_eq!(user.kind(), ErrorKind::Auth, "{user}");

    let tls = refused(at("postgres?sslmode=require"), &[]).await;
    assert_eq!((tls.kind(), tls.is_retryable()), (ErrorKind::Connection, false));
    assert!(tls.to_string().contains("does not accept encrypted connections"), "{tls}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let closed = refused(json!({"host": "127.0.0.1", "port": free, "password": CANARY}), &[]).await;
    assert_eq!((closed.kind(), closed.is_retryable()), (ErrorKind::Connection, true));
    assert!(closed.to_string().contains(&format!("127.0.0.1:{free}")), "{closed}");

    let host = refused(json!({}), &[("PGHOST", "no-such-host.invalid"), ("PGPASSWORD", CANARY)]).await;
    assert_eq!((host.kind(), host.is_retryable()), (ErrorKind::Connection, true));
    assert!(host.to_string().contains("no-such-host.invalid"), "{host}");
}

#[tokio::test]
async fn a_port_that_speaks_something_else_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = refused(json!({"host": "127.0.0.1", "port": port, "sslmode": "disable"}), &[]).await;
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let error =
        refused(json!({"host": "127.0.0.1", "port": port, "sslmode": "disable", "connect_timeout": 1}), &[]).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connection, true), "{error}");
}

#[tokio::test]
async fn permission_and_urls_are_checked() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql("CREATE ROLE reader LOGIN; CREATE TABLE hidden (i int)");
    let reader = source(&server, json!({"user": "reader"}));
    let error = read(&reader, &Extract::table("hidden"), &context()).await.expect_err("no permission");
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.to_string().contains("permission denied for table hidden"), "{error}");

    for url in [
        format!("mysql://u:{CANARY}@h/d"),
        format!("postgres://u:{CANARY}@h:99999/d"),
        format!("postgres://u:{CANARY}@h/d?sslmod=require"),
    ] {
        assert_eq!(refused(json!({"url": url}), &[]).await.kind(), ErrorKind::Config);
    }
    let unknown: Result<PostgresConfig, _> = serde_json::from_value(json!({"hots": "x"}));
    assert!(unknown.is_err());
}

#[tokio::test]
async fn a_server_that_stops_in_the_midst_is_a_lost_connection() {
    let Some(server) = PostgresServer::shared() else { return };
    let source = source(&server, json!({"application_name": "doomed"}));
    let sql = "SELECT i FROM (SELECT generate_series(1, 10000000000) AS i) AS s";
    let mut batches = source.read(&Extract::query(sql), &context()).await.expect("a read");
    futures::StreamExt::next(&mut batches.stream).await.expect("a batch").expect("rows");
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'");
    let error = loop {
        match futures::StreamExt::next(&mut batches.stream).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a broken read ended well"),
        }
    };
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connection, true), "{error}");
}
