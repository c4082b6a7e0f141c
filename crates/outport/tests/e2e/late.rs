//! Rows that are committed later than others with a later time.

use std::time::{Duration, Instant};

use crate::postgres_server::PostgresServer;
use crate::support::{Folder, python};

/// A server whose databases no other test opens a transaction in.
fn server() -> Option<PostgresServer> {
    let server = PostgresServer::start()?;
    server.psql("ALTER SYSTEM SET max_prepared_transactions = 5");
    server.restart();
    server.psql(
        "CREATE TABLE go (n INT); CREATE TABLE late (id INT, instant TIMESTAMPTZ, civil TIMESTAMP, day DATE); \
         INSERT INTO late SELECT 1, t, t, t FROM (SELECT now() - INTERVAL '3 days' AS t) AS times",
    );
    Some(server)
}

/// One export for each type of cursor, and one that is not capped.
fn project(url: &str) -> Folder {
    let export = |name: &str, column: &str, more: &str| {
        format!(
            "  l/{name}: {{source_columns: [id], incremental_column: {column}, target_filename_pattern: \"{name}_{{run_date:%d}}.csv\"{more}}}\n"
        )
    };
    let cap = ", incremental_cap: open_transactions";
    let exports: String = ["instant", "civil", "day"].iter().map(|column| export(column, column, cap)).collect();
    Folder::new(&format!(
        "connections:\n  shop: {{type: postgres, url: \"{url}\"}}\n  house: {{type: duckdb, path: house.duckdb}}\n  \
         out: {{type: store, url: out}}\n\
         defaults: {{source: shop, source_table: late, target: out, target_path: '.', file_format: csv, manifest: false, \
         extract_type: incremental}}\nexports:\n{exports}{}{}{}",
        export("plain", "instant", ""),
        export("number", "id", cap),
        export("duckdb", "instant", ", source: house, incremental_cap: open_transactions"),
    ))
}

/// Waits until there is a row in `go`, or for half a minute.
const WAIT: &str =
    "DO $$ BEGIN FOR i IN 1..1500 LOOP EXIT WHEN EXISTS (SELECT FROM go); PERFORM pg_sleep(0.02); END LOOP; END $$";

const CAPPED: [&str; 3] = ["l/instant", "l/civil", "l/day"];

fn run(folder: &Folder, day: &str, exports: &[&str]) {
    folder.ok(&[&["run", "--run-date", &format!("2025-01-{day}")], exports].concat());
}

fn ids(folder: &Folder, export: &str, day: &str) -> Vec<String> {
    let mut lines = folder.lines(&format!("out/{export}_{day}.csv"));
    lines.remove(0);
    lines.sort();
    lines
}

/// Waits for the session called `slow` to have come to its wait.
fn begun(server: &PostgresServer) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow' AND query LIKE 'DO %'";
    let since = Instant::now();
    while server.psql(sql) != "1" {
        assert!(since.elapsed() < Duration::from_secs(20), "the session did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn rows_of_an_open_transaction_are_neither_lost_nor_sent_twice() {
    let Some(server) = server() else { return };
    let folder = project(&server.url());
    std::thread::scope(|scope| {
        // Begins first, and commits when it is told to.
        let open = scope.spawn(|| {
            server.psql(&format!(
                "SET application_name = 'slow'; BEGIN; INSERT INTO late VALUES (2, now(), now(), now()); \
                 {WAIT}; COMMIT",
            ))
        });
        begun(&server);
        // Begins later and is there first.
        server.psql("SELECT pg_sleep(1.1); INSERT INTO late VALUES (3, now(), now(), now()); SELECT pg_sleep(1.1)");
        let plan = folder.ok(&["plan", "l/instant"]);
        assert!(plan.contains("wait for a later run") && plan.contains("(slow) is open since"), "{plan}");
        run(&folder, "01", &[&CAPPED[..], &["l/plain"]].concat());
        for export in ["instant", "civil", "day"] {
            assert_eq!(ids(&folder, export, "01"), ["1"], "{export}");
        }
        assert_eq!(ids(&folder, "plain", "01"), ["1", "3"]);
        run(&folder, "02", &CAPPED);
        assert_eq!(ids(&folder, "instant", "02"), [""; 0], "as long as it is open");
        server.psql("INSERT INTO go VALUES (1)");
        open.join().unwrap();
    });
    run(&folder, "03", &[&CAPPED[..], &["l/plain"]].concat());
    for export in ["instant", "civil"] {
        assert_eq!(ids(&folder, export, "03"), ["2", "3"], "{export}");
    }
    assert_eq!(ids(&folder, "day", "03"), [""; 0], "a day is over when it is over");
    assert_eq!(
        ids(&folder, "plain", "03"),
        [""; 0],
        "without the cap the row is lost, which is what this test is about"
    );
    run(&folder, "04", &CAPPED);
    for export in ["instant", "civil", "day"] {
        assert_eq!(ids(&folder, export, "04"), [""; 0], "{export}: nothing comes twice");
    }
}

#[test]
fn a_prepared_transaction_holds_everything_back() {
    let Some(server) = server() else { return };
    let folder = project(&server.url());
    // It was prepared behind the row that another transaction wrote, and began before it.
    std::thread::scope(|scope| {
        let prepared = scope.spawn(|| {
            server.psql(&format!(
                "SET application_name = 'slow'; BEGIN; INSERT INTO late VALUES (2, now(), now(), now()); \
                 {WAIT}; \
                 PREPARE TRANSACTION 'two-phase'",
            ))
        });
        begun(&server);
        server
            .psql("SELECT pg_sleep(1.1); INSERT INTO late VALUES (3, now(), now(), now()); INSERT INTO go VALUES (1)");
        prepared.join().unwrap();
    });
    server.psql("SELECT pg_sleep(1.1)");
    let summary = folder.json(&["run", "l/instant", "--run-date", "2025-01-01"]);
    let warning = summary["results"][0]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("prepared transaction 'two-phase' of postgres is open"), "{warning}");
    assert_eq!(ids(&folder, "instant", "01"), [""; 0]);
    assert_eq!(folder.watermark("l/instant"), "");
    server.psql("COMMIT PREPARED 'two-phase'");
    run(&folder, "02", &["l/instant"]);
    assert_eq!(ids(&folder, "instant", "02"), ["1", "2", "3"]);
    run(&folder, "03", &["l/instant"]);
    assert_eq!(ids(&folder, "instant", "03"), [""; 0]);
}

#[test]
fn where_open_transactions_cannot_be_seen_the_export_is_refused() {
    let Some(server) = server() else { return };
    if python().is_none() {
        return;
    }
    let folder = project(&server.url());
    let said = folder.fails(2, &["run", "l/number"]);
    assert!(said.contains("needs a column of dates or times, \"id\" is of type Int32"), "{said}");
    folder.duckdb("house.duckdb", "CREATE TABLE late (id INT, instant TIMESTAMPTZ)");
    let said = folder.call(&["run", "l/duckdb"]).stderr;
    assert!(said.contains("incremental_cap: open_transactions needs a PostgreSQL source, duckdb has none"), "{said}");

    server.psql("CREATE ROLE reader LOGIN; GRANT SELECT ON late TO reader");
    let folder = project(&server.url().replace("postgres@", "reader@"));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| server.psql(&format!("SET application_name = 'slow'; {WAIT}")));
        begun(&server);
        let said = folder.fails(3, &["run", "l/instant"]);
        assert!(said.contains("\"reader\" may not see the transactions of user \"postgres\""), "{said}");
        assert!(said.contains("GRANT pg_read_all_stats"), "{said}");
        server.psql("GRANT pg_read_all_stats TO reader");
        run(&folder, "01", &["l/instant"]);
        server.psql("INSERT INTO go VALUES (1)");
        other.join().unwrap();
    });
    assert_eq!(ids(&folder, "instant", "01"), ["1"]);
    folder.edit("extract_type: incremental", "extract_type: full");
    let said = folder.fails(2, &["check"]);
    assert!(said.contains("incremental_cap has no effect without an incremental extract"), "{said}");
}
