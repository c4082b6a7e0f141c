//! SQL across tables, and what accompanies a read: versions, options, memory, cancellation.

use std::time::{Duration, Instant};

use futures::StreamExt;
use outport_core::ErrorKind;
use outport_core::engine::Engine;
use outport_core::extract::{Bound, Extract, Range};
use outport_core::source::Source;
use outport_core::value::Value;
use outport_core::{Context, context::Budget};
use outport_lakehouse::{LakehouseConfig, TableConfig};
use tempfile::TempDir;

use crate::support::{context, data, ids, lakehouse, query, read, rows, table, write_parquet};

#[tokio::test(flavor = "multi_thread")]
async fn dates_compare_with_text_and_bounds() {
    let Some(folder) = data("delta") else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let some = query(&lake, "SELECT count(*) AS n FROM \"COVID-19_NYT\" WHERE date >= '2021-01-01' AND STATE = 'Ohio'")
        .await
        .unwrap();
    let same = query(&lake, "SELECT count(*) AS n FROM \"COVID-19_NYT\" WHERE date > '2020-12-31' AND state = 'Ohio'")
        .await
        .unwrap();
    assert_eq!(table(&some), table(&same));
    assert!(!table(&some).contains("| 0 "), "{}", table(&some));

    let folder = TempDir::new().unwrap();
    let micros =
        arrow::array::TimestampMicrosecondArray::from_iter_values((0..4).map(|day| (20_089 + day) * 86_400_000_000));
    let plain = std::sync::Arc::new(micros.clone()) as arrow::array::ArrayRef;
    let zoned = std::sync::Arc::new(micros.with_timezone("UTC")) as arrow::array::ArrayRef;
    let batch = arrow::array::RecordBatch::try_from_iter([("at", plain), ("seen", zoned)]).unwrap();
    write_parquet(&folder.path().join("t.parquet"), &batch, 10);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    for predicate in [
        "at > '2025-01-02'",
        "seen > '2025-01-02'",
        "at > DATE '2025-01-02'",
        "seen > '2025-01-02 00:00:00'",
        "seen > '2025-01-02T00:00:00Z'",
    ] {
        let found = query(&lake, &format!("SELECT * FROM t WHERE {predicate}"))
            .await
            .unwrap_or_else(|e| panic!("{predicate}: {e}"));
        assert_eq!(rows(&found), 2, "{predicate}");
    }
    for (column, data_type) in [("at", batch.column(0).data_type()), ("seen", batch.column(1).data_type())] {
        let bound = |text, inclusive| Some(Bound { value: Value::parse(text, data_type).unwrap(), inclusive });
        let range = Range {
            column: column.into(),
            lower: bound("2025-01-01", false),
            upper: bound("2025-01-03", true),
            nulls: false,
        };
        let extract = Extract { range: Some(range), ..Extract::table("t") };
        assert_eq!(rows(&read(&lake, &extract).await.unwrap().1), 2, "{column}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_name_every_version_they_read() {
    let Some(folder) = data("delta") else { return };
    let old = TableConfig { path: Some("simple_table".into()), version: Some(0), ..Default::default() };
    let none = TableConfig { path: Some("simple_table".into()), version: Some(99), ..Default::default() };
    let then = TableConfig {
        path: Some("simple_table".into()),
        timestamp: Some("2100-01-01T00:00:00Z".into()),
        ..Default::default()
    };
    let tables = [("old".to_owned(), old), ("none".to_owned(), none), ("then".to_owned(), then)];
    let lake = lakehouse(&folder, LakehouseConfig { tables: tables.into(), ..Default::default() });
    let sql = "SELECT o.id FROM old O JOIN \"delta-0.2.0\" AS d ON o.ID = D.value";
    let read = lake.read(&Extract::query(sql), &context()).await.unwrap();
    assert_eq!(read.snapshot.as_deref(), Some("delta:delta-0.2.0@3, delta:old@0"));
    read.collect().await.unwrap();
    let now = lake.read(&Extract::table("simple_table"), &context()).await.unwrap();
    assert_eq!(now.snapshot.as_deref(), Some("delta:simple_table@4"));
    assert_eq!(rows(&now.collect().await.unwrap()), 3);
    assert_eq!(rows(&query(&lake, "SELECT * FROM old").await.unwrap()), 5);
    assert_eq!(lake.read(&Extract::table("then"), &context()).await.unwrap().snapshot.as_deref(), Some("delta:then@4"));
    let error = query(&lake, "SELECT * FROM none").await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("99"), "{:?} {error}", error.kind());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sees_one_state() {
    let folder = TempDir::new().unwrap();
    write_parquet(&folder.path().join("t/a.parquet"), &ids(0, 10), 10);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let run = context();
    lake.schema(&Extract::table("t"), &run).await.unwrap();
    write_parquet(&folder.path().join("t/b.parquet"), &ids(10, 10), 10);
    let seen = lake.read(&Extract::table("t"), &run).await.unwrap().collect().await.unwrap();
    assert_eq!(rows(&seen), 10);
    assert_eq!(rows(&query(&lake, "SELECT * FROM t").await.unwrap()), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_set_for_a_run() {
    let folder = TempDir::new().unwrap();
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let run = context();
    assert_eq!(lake.execute("SET datafusion.execution.batch_size = 100", &run).await.unwrap(), 0);
    let batches = lake.query("SELECT * FROM generate_series(1, 250)", &run).await.unwrap().collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 100));
    assert_eq!(rows(&batches), 250);
    assert_eq!(lake.execute("SET datafusion.no_such = 1", &run).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(lake.execute("DELETE FROM t", &run).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_within_a_second() {
    let folder = TempDir::new().unwrap();
    write_parquet(&folder.path().join("t.parquet"), &ids(0, 20_000), 10_000);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let run = context();
    // A cross join that would take far longer than the test.
    let mut batches = lake.query("SELECT max(a.id + b.id + c.id) FROM t a, t b, t c", &run).await.unwrap();
    let cancel = run.cancel.clone();
    let started = Instant::now();
    let (next, ()) = tokio::join!(batches.stream.next(), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    assert_eq!(next.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_millis(1200), "{:?}", started.elapsed());
    assert_eq!(lake.schema(&Extract::table("t"), &run).await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn sorts_spill_within_the_budget() {
    let folder = TempDir::new().unwrap();
    write_parquet(&folder.path().join("t.parquet"), &ids(0, 2_000_000), 100_000);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let run = Context { budget: Budget::new(24 << 20), threads: 2, ..context() };
    let sorted =
        lake.query("SELECT id, id * 2 AS b FROM t ORDER BY id DESC", &run).await.unwrap().collect().await.unwrap();
    assert_eq!(rows(&sorted), 2_000_000);
}
