//! Shapes of results: none, wide, heavy; statements with an effect; estimates.

use arrow::array::{Array, AsArray};
use futures::StreamExt;
use outport_core::engine::Engine;
use outport_core::extract::{Extract, Relation};
use outport_core::source::Source;
use serde_json::json;

use crate::server::PostgresServer;
use crate::{context, query, read, shown, source};

#[tokio::test]
async fn rows_without_columns_are_counted() {
    let Some(server) = PostgresServer::shared() else { return };
    let found = query(&source(&server, json!({})), "SELECT FROM generate_series(1, 7)").await;
    assert_eq!((found.num_rows(), found.num_columns()), (7, 0));
}

#[tokio::test]
async fn the_widest_table_is_read() {
    let Some(server) = PostgresServer::shared() else { return };
    let columns: Vec<String> = (0..1600).map(|n| format!("c{n} int")).collect();
    server.psql(&format!(
        "CREATE TABLE wide ({}); INSERT INTO wide (c0, c1599) SELECT i, -i FROM generate_series(1, 100) AS i",
        columns.join(", ")
    ));
    let found = read(&source(&server, json!({})), &Extract::table("wide"), &context()).await.expect("rows");
    assert_eq!((found.num_rows(), found.num_columns()), (100, 1600));
    assert_eq!(found.column(1599).as_primitive::<arrow::datatypes::Int32Type>().value(99), -100);
    assert_eq!(found.column(800).null_count(), 100);
}

#[tokio::test]
async fn a_row_of_a_hundred_megabytes_is_a_batch_of_its_own() {
    let Some(server) = PostgresServer::shared() else { return };
    let sql = "SELECT i, repeat('x', CASE i WHEN 2 THEN 100000000 ELSE 10 END) AS t FROM generate_series(1, 3) AS i";
    let source = source(&server, json!({}));
    let mut batches = source.read(&Extract::query(sql), &context()).await.expect("a read");
    let mut lengths = Vec::new();
    while let Some(batch) = batches.stream.next().await {
        let batch = batch.expect("rows");
        lengths.push(batch.column(1).as_string::<i32>().iter().flatten().map(str::len).collect::<Vec<_>>());
    }
    assert_eq!(lengths, [vec![10, 100_000_000], vec![10]]);
}

#[tokio::test]
async fn columns_may_share_a_name() {
    let Some(server) = PostgresServer::shared() else { return };
    let found = query(&source(&server, json!({})), "SELECT 1 AS a, '10.0.0.1'::inet AS a, 'x' AS \"A\"").await;
    assert_eq!(shown(&found), "1|10.0.0.1|x");
}

#[tokio::test]
async fn generated_columns_views_partitions_and_children_are_read() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql(
        "CREATE SCHEMA kinds; SET search_path = kinds; \
         CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO generated VALUES (1); \
         CREATE VIEW seen AS SELECT a, b FROM generated; CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen; \
         CREATE TABLE parts (a int, b int) PARTITION BY LIST (a); CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1); \
         INSERT INTO parts VALUES (1, 2); \
         CREATE TABLE parent (a int, b int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1, 2)",
    );
    let source = source(&server, json!({}));
    for name in ["generated", "seen", "kept", "parts", "part_1", "parent"] {
        let relation = Relation::Table { schema: Some("kinds".into()), name: name.into() };
        let found = read(&source, &Extract::of(relation), &context()).await.expect("rows");
        assert_eq!(shown(&found), "1|2", "{name}");
    }
}

#[tokio::test]
async fn statements_tell_how_many_rows_they_touched() {
    let Some(server) = PostgresServer::shared() else { return };
    let source = source(&server, json!({}));
    assert_eq!(source.execute("CREATE TABLE touched (i int)", &context()).await.expect("created"), 0);
    assert_eq!(
        source.execute("INSERT INTO touched SELECT generate_series(1, 42)", &context()).await.expect("inserted"),
        42
    );
    assert_eq!(source.execute("DELETE FROM touched WHERE i > 40", &context()).await.expect("deleted"), 2);
    let found = source.query("SELECT max(i), count(*) FROM touched", &context()).await.expect("a query");
    assert_eq!(shown(&found.collect().await.expect("rows")[0]), "40|40");
    server.psql("ANALYZE touched");
    assert_eq!(source.estimate(&Extract::table("touched"), &context()).await.expect("an estimate"), Some(40));
}

#[tokio::test]
async fn the_socket_of_the_host_is_read_too() {
    let Some(server) = PostgresServer::shared() else { return };
    let mut config = json!({"port": server.port, "user": "postgres"});
    config["host"] = server.socket_folder().to_str().expect("UTF-8").into();
    let config = serde_json::from_value(config).expect("a configuration");
    let source = outport_connectors::postgres::Postgres::new(config, &|_| None).expect("a source");
    assert_eq!(shown(&query(&source, "SELECT inet_client_addr() IS NULL").await), "true");
    assert!(source.check(&context()).await.expect("an answer").starts_with("PostgreSQL 1"));
}
