//! Which transactions are told to be open.

use std::time::{Duration, Instant};

use outport_connectors::postgres::Postgres;
use outport_core::source::{Horizon, Source};
use outport_core::{ErrorKind, Result};
use serde_json::json;

use crate::server::PostgresServer;
use crate::{context, source};

/// Waits until there is a row in `go`, or for half a minute.
const WAIT: &str =
    "DO $$ BEGIN FOR i IN 1..1500 LOOP EXIT WHEN EXISTS (SELECT FROM go); PERFORM pg_sleep(0.02); END LOOP; END $$";

fn horizon(source: &Postgres) -> Result<Horizon> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(source.horizon(&context()))
}

fn until(server: &PostgresServer, sessions: &str) {
    let since = Instant::now();
    while server.psql(&format!("SELECT count(*) FROM pg_stat_activity WHERE {sessions}")) != "1" {
        assert!(since.elapsed() < Duration::from_secs(20), "the session did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn open_transactions_are_told_with_their_beginning() {
    let Some(server) = PostgresServer::start() else { return };
    server.psql("CREATE TABLE go (n INT); ALTER DATABASE postgres SET timezone = 'Australia/Sydney'");
    server.psql("CREATE DATABASE other");
    let source = source(&server, json!({}));
    let before = horizon(&source).unwrap();
    assert_eq!(before.open, [], "the call's own transaction does not count");
    assert_eq!(before.timezone.as_deref(), Some("Australia/Sydney"));
    std::thread::scope(|scope| {
        scope.spawn(|| server.psql(&format!("SET application_name = 'slow'; BEGIN; {WAIT}; COMMIT")));
        // What is open in another database writes nothing here.
        scope.spawn(|| server.psql("\\c other\nSET application_name = 'elsewhere'; BEGIN; SELECT pg_sleep(3)"));
        until(&server, "application_name = 'slow' AND query LIKE 'DO %'");
        until(&server, "application_name = 'elsewhere' AND query LIKE '%pg_sleep%'");
        let found = horizon(&source);
        server.psql("INSERT INTO go VALUES (1)");
        let found = found.unwrap();
        let [open] = found.open.as_slice() else { panic!("{found:?}") };
        assert!(open.name.ends_with("(slow)"), "{open:?}");
        let since = open.since.unwrap();
        assert!(before.now <= since && since <= found.now, "{before:?} {found:?}");
    });
}

#[test]
fn what_cannot_be_seen_is_refused() {
    let Some(server) = PostgresServer::start() else { return };
    server.psql("CREATE TABLE go (n INT)");
    let source = source(&server, json!({}));
    std::thread::scope(|scope| {
        scope.spawn(|| server.psql(&format!("SET track_activities = off; {WAIT}")));
        until(&server, "state = 'disabled'");
        let found = horizon(&source);
        server.psql("INSERT INTO go VALUES (1)");
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("does not tell its transactions"), "{error}");
        assert!(error.hint_text().unwrap().contains("track_activities"), "{error}");
    });
    server.become_standby();
    let error = horizon(&source).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("on a standby"), "{error}");
}
