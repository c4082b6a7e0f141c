//! `doctor` and `conns` against real systems, and what they say of one that is not there.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::postgres_server::PostgresServer;
use crate::support::object_store::Bucket;
use crate::support::{Folder, python};

/// One system of each type; `None`, said loudly, where a server is missing.
fn project() -> Option<(Folder, std::sync::Arc<PostgresServer>, Bucket)> {
    python()?;
    let server = PostgresServer::shared()?;
    let bucket = Bucket::start()?;
    // The tests run side by side, mostly on one server, and none of them changes the table.
    server.psql(
        "DO $$ BEGIN
           PERFORM pg_advisory_xact_lock(1);
           IF to_regclass('public.conns_orders') IS NULL THEN
             CREATE TABLE public.conns_orders (id BIGINT NOT NULL, name TEXT, amount NUMERIC(10,2));
             INSERT INTO public.conns_orders VALUES (1, 'a', 1.50), (2, NULL, 2.25);
           END IF;
         END $$",
    );
    let folder = Folder::new(&format!(
        "connections:\n  shop: {{type: postgres, url: \"{}\"}}\n  house: {{type: duckdb, path: house.duckdb}}\n  \
         lake: {{type: lakehouse, url: data}}\n  local: {{type: store, url: out}}\n  bucket: {}\n\
         exports:\n  t/a: {{source: lake, source_table: ten, target: local, target_path: t, file_format: csv}}\n",
        server.url(),
        bucket.connection("drop")
    ));
    folder.write("data/ten.csv", "id,name\n1,x\n2,y\n");
    folder.duckdb(
        "house.duckdb",
        "CREATE TABLE stock (id BIGINT NOT NULL, name VARCHAR); INSERT INTO stock VALUES (7, 'é')",
    );
    Some((folder, server, bucket))
}

/// A port on which nothing listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port()
}

fn by<'a>(table: &'a Value, field: &str, name: &str) -> &'a Value {
    let found = table.as_array().unwrap().iter().find(|row| row[field] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {table}"))
}

#[test]
fn doctor_checks_everything() {
    let Some((folder, _server, _bucket)) = project() else { return };
    let checks = folder.json(&["doctor"]);
    for (check, result) in [
        ("configuration", "ok: outport.yml"),
        ("exports", "ok: 1 defined"),
        ("connection house", "ok: 1 relation"),
        ("connection lake", "ok: 1 relation, written and deleted"),
        ("connection local", "ok: written and deleted"),
        ("connection bucket", "ok: written and deleted"),
    ] {
        assert_eq!(by(&checks, "check", check)["result"], result, "{checks}");
    }
    for check in ["state", "temp_directory", "clock", "connection shop"] {
        assert!(by(&checks, "check", check)["result"].as_str().unwrap().starts_with("ok: "), "{checks}");
    }
    assert_eq!(checks.as_array().unwrap().len(), 10);
    assert_eq!((folder.names("out"), folder.hidden("out")), (vec![], vec![]), "what was written is deleted");
    // A selection is of connections; the rest is checked all the same.
    let text = folder.ok(&["doctor", "house"]);
    assert!(text.contains("connection house") && !text.contains("connection shop") && text.contains("state"), "{text}");
    folder.fails(2, &["doctor", "hous"]);
}

#[test]
fn doctor_goes_on_behind_what_fails() {
    let Some((folder, _server, _bucket)) = project() else { return };
    let port = closed_port();
    folder.edit(
        "exports:\n",
        &format!("  gone: {{type: postgres, url: \"postgres://me@127.0.0.1:{port}/x\"}}\nexports:\n"),
    );
    let called = folder.call(&["doctor", "-o", "json"]).expect(3, &["doctor"]);
    let checks = called.json();
    let failed = by(&checks, "check", "connection gone")["result"].as_str().unwrap();
    assert!(failed.starts_with("failed: ") && failed.contains(&port.to_string()), "{failed}");
    assert!(by(&checks, "check", "connection shop")["result"].as_str().unwrap().starts_with("ok"), "{checks}");
    assert!(called.stderr.contains("error: connection gone: ") && called.stderr.contains("hint:"), "{}", called.stderr);

    // The first kind of failure counts, and all are told.
    folder.edit("connections:\n", "state: outport.yml\ntemp_directory: nowhere\nconnections:\n");
    let called = folder.call(&["doctor", "-o", "json"]).expect(1, &["doctor"]);
    let checks = called.json();
    for check in ["state", "temp_directory", "connection gone"] {
        assert!(by(&checks, "check", check)["result"].as_str().unwrap().starts_with("failed: "), "{checks}");
    }
    assert!(called.stderr.contains("3 checks failed") && called.stderr.contains("nowhere"), "{}", called.stderr);
}

#[test]
fn connections_are_listed_and_tested() {
    let Some((folder, _server, bucket)) = project() else { return };
    let list = folder.json(&["conns", "list"]);
    for (name, kind, usage) in [
        ("shop", "postgres", "source"),
        ("house", "duckdb", "source"),
        ("lake", "lakehouse", "source, target"),
        ("local", "store", "target"),
        ("bucket", "store", "target"),
    ] {
        let row = by(&list, "connection", name);
        assert_eq!((&row["type"], &row["use"]), (&kind.into(), &usage.into()));
    }
    let tested = folder.json(&["conns", "test"]);
    assert!(
        tested.as_array().unwrap().iter().all(|row| row["result"].as_str().unwrap().starts_with("ok: ")),
        "{tested}"
    );
    assert!(tested[0]["milliseconds"].is_number());
    assert!(bucket.objects("drop").is_empty(), "what was written is deleted");
    let csv = folder.ok(&["conns", "test", "house", "-o", "csv"]);
    assert!(csv.starts_with("connection,result,milliseconds\nhouse,ok: 1 relation,"), "{csv}");
    let said = folder.fails(2, &["conns", "test", "hose"]);
    assert!(said.contains("there is no connection \"hose\"") && said.contains("did you mean \"house\"?"), "{said}");
}

#[test]
fn a_system_that_is_not_there_is_named() {
    if python().is_none() {
        return;
    }
    let port = closed_port();
    let store = |options: &str| {
        format!(
            "{{type: store, url: \"s3://bucket/x\", options: {{endpoint: \"http://127.0.0.1:{port}\", allow_http: true, region: us-east-1, access_key_id: a, secret_access_key: b{options}}}}}"
        )
    };
    let folder = Folder::new(&format!(
        "connections:\n  postgres: {{type: postgres, url: \"postgres://me:canary@127.0.0.1:{port}/x\"}}\n  \
         duckdb: {{type: duckdb, path: nowhere.duckdb}}\n  lake: {{type: lakehouse, url: nowhere}}\n  bucket: {}\n",
        store("")
    ));
    for (name, code) in [("postgres", 3), ("duckdb", 1), ("bucket", 3)] {
        let began = Instant::now();
        let called = folder.call(&["conns", "test", name, "-o", "json"]).expect(code, &[name]);
        assert!(began.elapsed() < Duration::from_secs(60), "{name} took {:?}", began.elapsed());
        assert!(called.json()[0]["result"].as_str().unwrap().starts_with("failed: "), "{}", called.stdout);
        assert_eq!(called.stderr.matches(&format!("connection {name}")).count(), 1, "{}", called.stderr);
        assert!(!format!("{called:?}").contains("canary"), "{called:?}");
    }
    // Nothing is where the lakehouse is to be: it has no tables, and files can be written.
    let tested = folder.json(&["conns", "test", "lake"]);
    assert_eq!(tested[0]["result"], "ok: 0 relations, written and deleted");
    folder.fails(3, &["conns", "discover", "postgres"]);
    folder.fails(3, &["conns", "exec", "postgres", "SELECT 1"]);
}

#[test]
fn connections_tell_what_they_hold() {
    let Some((folder, _server, _bucket)) = project() else { return };
    let names = |connection: &str, more: &[&str]| -> Vec<String> {
        let found = folder.json(&[&["conns", "discover", connection], more].concat());
        found.as_array().unwrap().iter().map(|row| row["relation"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("lake", &[]), ["ten"]);
    assert_eq!(names("shop", &["--pattern", "*conns_orders"]), ["public.conns_orders"]);
    assert_eq!(names("shop", &["--pattern", "no_such*"]), [""; 0]);
    let columns = folder.json(&["conns", "discover", "shop", "--columns", "--pattern", "public.conns_orders"]);
    let column = |name: &str, data_type: &str, nullable: &str| {
        let row = by(&columns, "column", name);
        assert_eq!((&row["type"], &row["nullable"]), (&data_type.into(), &nullable.into()), "{columns}");
    };
    // What a query gives may be NULL whatever the table says.
    column("id", "Int64", "yes");
    column("amount", "Decimal128(10, 2)", "yes");
    let house = folder.ok(&["conns", "discover", "house", "--columns", "-o", "csv"]);
    assert!(house.contains("main.stock,name,Utf8") || house.contains("stock,name,Utf8"), "{house}");
    let said = folder.fails(2, &["conns", "discover", "local"]);
    assert!(said.contains("is a store of files"), "{said}");
    folder.fails(2, &["conns", "discover", "shop", "--pattern", "[a"]);
}

#[test]
fn a_query_is_run_and_changes_nothing() {
    let Some((folder, server, _bucket)) = project() else { return };
    let sql = "SELECT id, name, amount FROM public.conns_orders ORDER BY id";
    assert_eq!(folder.ok(&["conns", "exec", "shop", sql]), "id  name  amount\n 1  a       1.50\n 2          2.25\n");
    assert_eq!(folder.ok(&["conns", "exec", "shop", sql, "-o", "csv"]), "id,name,amount\n1,a,1.50\n2,,2.25\n");
    let rows = folder.json(&["conns", "exec", "shop", sql]);
    assert_eq!((&rows[0]["id"], &rows[1]["name"]), (&1.into(), &Value::Null), "{rows}");
    assert_eq!(folder.json(&["conns", "exec", "house", "SELECT name FROM stock"])[0]["name"], "é");
    let lake = ["conns", "exec", "lake", "SELECT id, name AS \"Name\" FROM ten ORDER BY id DESC"];
    assert_eq!(folder.ok(&[&lake[..], &["-o", "csv", "--limit", "1"]].concat()), "id,Name\n2,y\n");
    // Text stops at a screenful, and says so; what a machine reads is whole.
    let many = ["conns", "exec", "house", "SELECT range AS n FROM range(250)"];
    let called = folder.call(&many).expect(0, &many);
    assert_eq!(called.stdout.lines().count(), 101);
    assert!(called.stderr.contains("the first 100 rows"), "{}", called.stderr);
    assert_eq!(folder.ok(&[&many[..], &["-o", "csv"]].concat()).lines().count(), 251);
    assert_eq!(folder.json(&["conns", "exec", "house", "SELECT 1 AS n WHERE false"]), serde_json::json!([]));

    // Nothing is changed, whatever the statement is.
    server.psql("CREATE OR REPLACE FUNCTION public.conns_write() RETURNS int LANGUAGE sql AS 'INSERT INTO public.conns_orders VALUES (9) RETURNING 1'");
    for (connection, sql) in [
        ("shop", "INSERT INTO public.conns_orders VALUES (3) RETURNING id"),
        ("shop", "WITH x AS (DELETE FROM public.conns_orders RETURNING id) SELECT * FROM x"),
        ("shop", "SELECT public.conns_write()"),
        ("shop", "DROP TABLE public.conns_orders"),
        ("shop", "SELECT 1; DELETE FROM public.conns_orders"),
        ("house", "DELETE FROM stock"),
        ("house", "CREATE TABLE more (id INT)"),
        ("lake", "CREATE TABLE more (id INT)"),
    ] {
        let called = folder.call(&["conns", "exec", connection, sql]);
        assert_ne!(called.code, 0, "{connection}: {sql}: {called:?}");
        assert!(called.stderr.contains("error:") && called.stdout.is_empty(), "{called:?}");
    }
    assert_eq!(server.psql("SELECT count(*) FROM public.conns_orders"), "2");
    assert_eq!(folder.json(&["conns", "exec", "house", "SELECT count(*) AS n FROM stock"])[0]["n"], 1);
    let said = folder.fails(2, &["conns", "exec", "local", "SELECT 1"]);
    assert!(said.contains("is a store of files"), "{said}");
}
