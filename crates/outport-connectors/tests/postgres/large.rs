//! Tables that are read in slices by several connections.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use outport_core::extract::{Bound, Extract, Range};
use outport_core::source::Source;
use outport_core::value::Value;
use serde_json::json;

use crate::server::PostgresServer;
use crate::{context, read, source};

const ROWS: i64 = 400_000;

/// A table of some 50 MB that leaves room in no page.
fn make(server: &PostgresServer, name: &str) {
    server.psql(&format!(
        "CREATE TABLE {name} AS SELECT i::bigint AS id, repeat(chr(65 + (i % 26)::int), 100) AS filler FROM generate_series(1, {ROWS}) AS i; \
         CREATE INDEX ON {name} (id); ANALYZE {name}"
    ));
}

fn ids(batch: &arrow::array::RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn slices_come_in_order_and_leave_nothing_out() {
    let Some(server) = PostgresServer::shared() else { return };
    make(&server, "sliced");
    let source = source(&server, json!({"parallel": 3}));
    let found = read(&source, &Extract::table("sliced"), &context()).await.expect("rows");
    assert_eq!(ids(&found), (1..=ROWS).collect::<Vec<_>>());

    let mut narrowed = Extract::table("sliced");
    narrowed.columns = Some(vec!["id".into()]);
    narrowed.filter = Some("id % 2 = 0 OR false -- even".into());
    let bound = |value: i64, inclusive| Some(Bound { value: Value::Int(value.into()), inclusive });
    narrowed.range =
        Some(Range { column: "id".into(), lower: bound(10, false), upper: bound(ROWS - 10, true), nulls: false });
    let found = read(&source, &narrowed, &context()).await.expect("rows");
    assert_eq!(ids(&found), (12..=ROWS - 10).step_by(2).collect::<Vec<_>>());
    narrowed.limit = Some(5);
    assert_eq!(read(&source, &narrowed, &context()).await.expect("rows").num_rows(), 5);
    narrowed.limit = None;
    narrowed.range = Some(Range { column: "id".into(), lower: bound(10, true), upper: bound(20, true), nulls: false });
    assert_eq!(ids(&read(&source, &narrowed, &context()).await.expect("rows")), [10, 12, 14, 16, 18, 20]);
}

#[tokio::test]
async fn all_slices_see_one_snapshot() {
    let Some(server) = PostgresServer::shared() else { return };
    make(&server, "moving");
    let source = source(&server, json!({"parallel": 2, "application_name": "moving"}));
    let mut batches = source.read(&Extract::table("moving"), &context()).await.expect("a read");
    assert!(batches.snapshot.as_deref().is_some_and(|s| s.starts_with("snapshot ")), "{:?}", batches.snapshot);
    let connections = server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moving'");
    assert_eq!(connections, "2");
    // Every row moves to another page before the second half of the table is read.
    server.psql("UPDATE moving SET id = -id; DELETE FROM moving WHERE id > -1000; INSERT INTO moving VALUES (0, '')");
    let mut all = Vec::new();
    while let Some(batch) = batches.stream.next().await {
        all.extend(ids(&batch.expect("rows")));
    }
    assert_eq!(all, (1..=ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_says_in_which_slice() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql(&format!(
        "CREATE TABLE flawed AS SELECT i::bigint AS id, CASE i WHEN {} THEN 'infinity' ELSE '2024-01-01' END::date AS day, \
         repeat('x', 90) AS filler FROM generate_series(1, {ROWS}) AS i",
        ROWS - 1
    ));
    let source = source(&server, json!({"parallel": 2}));
    let error = read(&source, &Extract::table("flawed"), &context()).await.expect_err("infinity");
    let told = error.to_string();
    let numbers: Vec<i64> = told.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert!(told.starts_with("pages from ") && told.contains("column \"day\", row "), "{told}");
    // The row counts from the page that is named.
    let counted =
        format!("SELECT day FROM flawed WHERE ctid >= '({},0)' OFFSET {} LIMIT 1", numbers[0], numbers[3] - 1);
    assert_eq!(server.psql(&counted), "infinity", "{told}");
}

#[tokio::test]
async fn chunks_are_read_as_they_are_then() {
    let Some(server) = PostgresServer::shared() else { return };
    make(&server, "chunked");
    let source = source(&server, json!({"parallel": 2, "consistency": "chunk"}));
    let batches = source.read(&Extract::table("chunked"), &context()).await.expect("a read");
    assert!(batches.snapshot.as_deref().is_some_and(|s| s.starts_with("chunk")), "{:?}", batches.snapshot);
    server.psql("DELETE FROM chunked WHERE id % 2 = 0");
    let rows: usize = batches.collect().await.expect("rows").iter().map(arrow::array::RecordBatch::num_rows).sum();
    assert_eq!(rows as i64, ROWS / 2);
}

#[tokio::test]
async fn dropping_or_cancelling_a_sliced_read_ends_every_connection() {
    let Some(server) = PostgresServer::shared() else { return };
    make(&server, "abandoned");
    let source = source(&server, json!({"parallel": 3, "application_name": "abandoned"}));
    let connections = || server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'abandoned'");
    for cancel in [false, true] {
        let context = context();
        let mut batches = source.read(&Extract::table("abandoned"), &context).await.expect("a read");
        batches.stream.next().await.expect("a batch").expect("rows");
        assert_ne!(connections(), "0");
        if cancel {
            context.cancel.cancel();
            let error = batches.stream.next().await.expect("an end").expect_err("a cancelled read");
            assert_eq!(error.kind(), outport_core::ErrorKind::Cancelled);
        }
        drop(batches);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while connections() != "0" {
            assert!(std::time::Instant::now() < deadline, "connections are left");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
