//! DuckDB files read through the public interface.

mod support;

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use futures::StreamExt;
use outport_core::engine::{Dialect, Engine};
use outport_core::extract::{Bound, Extract, Range, Relation};
use outport_core::source::Source;
use outport_core::value::Value;
use outport_core::{Context, ErrorKind};
use outport_duckdb::{AccessMode, DuckDb, DuckDbConfig, Setting};
use support::{context, created, read, reader};

#[tokio::test]
async fn a_table_comes_whole_and_in_order() {
    let (_folder, path) =
        created(&["CREATE TABLE numbers AS SELECT i::BIGINT AS i, i::VARCHAR AS t FROM range(300000) r(i)"]).await;
    let batches = read(&reader(&path), &Extract::table("numbers")).await.unwrap();
    let all: Vec<i64> =
        batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert!(all.iter().copied().eq(0..300_000));
    assert!(batches.len() < 60, "chunks of 2048 rows are gathered, found {} batches", batches.len());
}

#[tokio::test]
async fn columns_filter_range_and_limit_reach_duckdb() {
    let (_folder, path) = created(&["CREATE TABLE t AS SELECT i, i % 7 AS k, 'x' AS s FROM range(1000) r(i)"]).await;
    let source = reader(&path);
    let mut extract = Extract::table("t");
    extract.columns = Some(vec!["k".into(), "i".into()]);
    extract.filter = Some("k = 3".into());
    extract.range = Some(Range {
        column: "i".into(),
        lower: Some(Bound { value: Value::Int(100), inclusive: false }),
        upper: Some(Bound { value: Value::Int(200), inclusive: true }),
        nulls: false,
    });
    let schema = source.schema(&extract, &context()).await.unwrap();
    let batches = read(&source, &extract).await.unwrap();
    assert_eq!(batches[0].schema(), schema);
    let values: Vec<i64> = batches[0].column(1).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(values, (101..=200).filter(|i| i % 7 == 3).collect::<Vec<_>>());
    extract.limit = Some(4);
    assert_eq!(read(&source, &extract).await.unwrap().iter().map(|b| b.num_rows()).sum::<usize>(), 4);
}

#[tokio::test]
async fn an_empty_table_has_its_schema() {
    let (_folder, path) = created(&["CREATE TABLE empty (i INTEGER, u UUID)"]).await;
    let batches = reader(&path).read(&Extract::table("empty"), &context()).await.unwrap();
    assert_eq!(batches.schema.field(1).data_type(), &DataType::FixedSizeBinary(16));
    assert!(batches.collect().await.unwrap().is_empty());
}

#[tokio::test]
async fn relations_and_estimates_are_known() {
    let (_folder, path) = created(&[
        "CREATE TABLE orders AS SELECT * FROM range(5000)",
        "CREATE SCHEMA sales",
        "CREATE VIEW sales.big AS SELECT 1 AS one",
    ])
    .await;
    let source = reader(&path);
    assert_eq!(source.relations(&context()).await.unwrap(), ["main.orders", "sales.big"]);
    assert_eq!(source.estimate(&Extract::table("orders"), &context()).await.unwrap(), Some(5000));
    let view = Extract::of(Relation::Table { schema: Some("sales".into()), name: "big".into() });
    assert_eq!(source.estimate(&view, &context()).await.unwrap(), None);
    assert_eq!(source.estimate(&Extract::query("SELECT 1"), &context()).await.unwrap(), None);
}

#[tokio::test]
async fn what_does_not_exist_is_named_with_what_does() {
    let (folder, path) = created(&["CREATE TABLE orders (id INTEGER)"]).await;
    let source = reader(&path);
    let error = source.schema(&Extract::table("order"), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "table \"order\" does not exist in test.duckdb");
    assert_eq!(error.hint_text(), Some("did you mean \"orders\"?"));

    let mut extract = Extract::table("orders");
    extract.columns = Some(vec!["idd".into()]);
    let error = source.read(&extract, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint_text(), Some("there are: \"id\""));

    let missing = folder.path().join("tets.duckdb");
    let error = reader(&missing).relations(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint_text(), Some("did you mean \"test.duckdb\"?"));
    assert!(!missing.exists(), "a source must not create the file");
}

#[tokio::test]
async fn broken_sql_has_line_and_column() {
    let (_folder, path) = created(&["CREATE TABLE orders (id INTEGER)"]).await;
    let error = reader(&path).read(&Extract::query("SELECT id\nFORM orders x y"), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceRead);
    let location = error.location().unwrap();
    assert_eq!((location.line, location.text.as_deref()), (2, Some("FORM orders x y")));
    let error = reader(&path).schema(&Extract::query("SELECT idd FROM orders"), &context()).await.unwrap_err();
    let location = error.location().unwrap();
    assert_eq!((location.line, location.column), (1, 8), "{error}");
}

#[tokio::test]
async fn an_error_in_the_middle_is_not_an_end() {
    let values = "CASE WHEN i = 2900000 THEN 'x' ELSE i::VARCHAR END AS v";
    let (_folder, path) = created(&[&format!("CREATE TABLE t AS SELECT {values} FROM range(3000000) r(i)")]).await;
    // DuckDB works ahead, so the error may come with the first answer.
    let error = read(&reader(&path), &Extract::query("SELECT v::INTEGER AS v FROM t")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert!(error.message().contains("'x'"), "{error}");
}

#[tokio::test]
async fn files_that_are_no_database_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("a.parquet", b"PAR1 and so on", "a Parquet file"),
        ("a.csv", b"id,name\n1,x\n", "text"),
        ("a.sqlite", b"SQLite format 3\0....", "an SQLite database"),
        ("empty", b"", "an empty file"),
    ];
    for (name, bytes, what) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = reader(&path).relations(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{name}");
        assert!(error.message().ends_with(&format!("found {what}")), "{error}");
    }
    let error = reader(folder.path()).relations(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_newer_storage_version_names_both() {
    // The main header that DuckDB 2.0.0 writes, with its checksum, and empty database headers behind it.
    let mut header = vec![0; 12288];
    header[..16]
        .copy_from_slice(&[0x47, 0x1b, 0xd7, 0x9a, 0x96, 0x4e, 0xa6, 0x6d, b'D', b'U', b'C', b'K', 0xe7, 3, 0, 0]);
    header[52..58].copy_from_slice(b"v2.0.0");
    header[84..94].copy_from_slice(b"d54cbbe3df");
    header[124..140].copy_from_slice(&[
        0xcd, 0x4a, 0x45, 0xc5, 0x43, 0x02, 0x0d, 0x75, 0x6b, 0x8a, 0x4e, 0xab, 0x69, 0xa0, 0x6a, 0x9c,
    ]);
    for empty_block in [4096, 8192] {
        header[empty_block..empty_block + 8].copy_from_slice(&5381_u64.to_le_bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.duckdb");
    std::fs::write(&path, header).unwrap();
    let error = reader(&path).relations(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error} {:?}", error.causes());
    assert!(error.message().contains("was written by DuckDB v2.0.0: found storage version"), "{error}");
}

#[tokio::test]
async fn a_wrong_setting_is_a_configuration_error() {
    let mut config = DuckDbConfig::new(":memory:");
    config.settings.insert("preserve_insertion_ordr".into(), Setting::Bool(false));
    let error = DuckDb::new(config, AccessMode::ReadOnly).relations(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.hint_text(), Some("did you mean \"preserve_insertion_order\"?"));

    let config = DuckDbConfig { memory_limit: Some("lots".into()), ..DuckDbConfig::new(":memory:") };
    let error = DuckDb::new(config, AccessMode::ReadOnly).relations(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().starts_with("setting memory_limit to \"lots\""), "{error}");
}

#[tokio::test]
async fn a_source_cannot_write() {
    let (_folder, path) = created(&["CREATE TABLE orders (id INTEGER)"]).await;
    let error = reader(&path).execute("INSERT INTO orders VALUES (1)", &context()).await.unwrap_err();
    assert!(error.message().contains("read-only"), "{error}");
}

#[tokio::test]
async fn an_engine_counts_the_rows_it_changes() {
    let (_folder, path) = created(&["CREATE TABLE orders (id INTEGER)"]).await;
    let engine = DuckDb::new(DuckDbConfig::new(path.to_string_lossy()), AccessMode::ReadWrite);
    assert_eq!(engine.dialect(), Dialect::DuckDb);
    assert_eq!(engine.execute("INSERT INTO orders SELECT * FROM range(17)", &context()).await.unwrap(), 17);
    let batches = engine.query("SELECT count(*) FROM orders", &context()).await.unwrap().collect().await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 17);
}

/// A query that runs for hours before its first row.
const ENDLESS: &str =
    "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE hash(a.range) = hash(b.range) + 1";

#[tokio::test]
async fn cancelling_interrupts_within_a_second() {
    let (_folder, path) = created(&["CREATE TABLE orders (id INTEGER)"]).await;
    let source = reader(&path);
    let context = context();
    let cancel = context.cancel.clone();
    let canceller = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
        Instant::now()
    });
    let error = source.read(&Extract::query(ENDLESS), &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(canceller.await.unwrap().elapsed() < Duration::from_secs(1));
    let error = source.execute(ENDLESS, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    drop(source);
    // The file is free again only when the query's thread has let go of it.
    writable_within(&path, Duration::from_secs(5)).await;
}

#[tokio::test]
async fn dropping_the_stream_stops_the_query() {
    let (_folder, path) = created(&["CREATE TABLE orders (id INTEGER)"]).await;
    let source = reader(&path);
    let sql = "SELECT a.range AS i, repeat('x', 1000) AS t FROM range(1000000000) a";
    let mut batches = source.read(&Extract::query(sql), &context()).await.unwrap();
    batches.stream.next().await.unwrap().unwrap();
    drop((batches, source));
    writable_within(&path, Duration::from_secs(5)).await;
}

/// Waits until no one in this process holds the file; another process can then lock it for writing.
async fn writable_within(path: &std::path::Path, limit: Duration) {
    let Some(python) = support::python() else { return };
    let code = format!("import duckdb; duckdb.connect({:?})", path.to_string_lossy());
    let start = Instant::now();
    loop {
        let output = std::process::Command::new(&python).args(["-c", &code]).output().unwrap();
        if output.status.success() {
            return;
        }
        assert!(start.elapsed() < limit, "still held: {}", String::from_utf8_lossy(&output.stderr));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_lock_names_its_holder_and_a_copy_gets_around_it() {
    let Some(python) = support::python() else { return };
    let (_folder, path) = created(&["CREATE TABLE orders AS SELECT * FROM range(10) r(i)"]).await;
    let code = format!(
        "import duckdb, sys\nc = duckdb.connect({:?})\nc.execute('insert into orders values (10)')\nprint('locked', flush=True)\nsys.stdin.read()",
        path.to_string_lossy()
    );
    let mut holder = support::Holder::start(&python, &code);
    let error = reader(&path).relations(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_retryable());
    assert!(error.message().contains(&format!("locked by process {} (python", holder.pid())), "{error}");

    let config = DuckDbConfig { snapshot_copy: true, ..DuckDbConfig::new(path.to_string_lossy()) };
    let copy = DuckDb::new(config, AccessMode::ReadOnly);
    let batches = read(&copy, &Extract::table("orders")).await.unwrap();
    assert_eq!(
        batches.iter().map(|b| b.num_rows()).sum::<usize>(),
        11,
        "the row in the log is committed and must be there"
    );
    holder.stop();
    assert!(reader(&path).relations(&context()).await.is_ok());
}

#[tokio::test]
async fn memory_stays_flat() {
    let (_folder, path) =
        created(&["CREATE TABLE wide AS SELECT i, repeat(md5(i::VARCHAR), 8) AS t FROM range(600000) r(i)"]).await;
    let source = reader(&path);
    let mut batches = source.read(&Extract::table("wide"), &Context::new(uuid::Uuid::nil())).await.unwrap();
    batches.stream.next().await.unwrap().unwrap();
    // A slow reader: what waits for it must not grow with the table.
    let before = support::resident_bytes();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let grown = support::resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB wait for a reader that does not read", grown >> 20);
    let mut rows = 0;
    while let Some(batch) = batches.stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert!(rows > 500_000);
}

/// A stream that ends at the very moment in which it is dropped interrupts a query whose connection is being closed.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_end_as_they_are_dropped_touch_nothing_that_is_gone() {
    let (_folder, path) = created(&["CREATE TABLE t AS SELECT 1 AS i"]).await;
    let source = reader(&path);
    for _ in 0..2000 {
        let batches = source.query("SELECT max(i) FROM t", &context()).await.unwrap();
        assert_eq!(batches.collect().await.unwrap().len(), 1);
    }
}
