//! States that other versions wrote.

use outport_core::plan::KeptColumn;

use crate::open;
use crate::support::key;

#[tokio::test]
async fn a_state_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    open(&path.to_string_lossy()).await.close().await;
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("INSERT INTO outport_schema_version VALUES (99, 'later')").execute(&pool).await.unwrap();
    pool.close().await;
    let error = outport_runtime::state::State::open(&path.to_string_lossy()).await.unwrap_err();
    assert!(error.message().contains("version 99, expected at most 2"), "{error}");
}

/// A state of the first version, with the columns of a run as it wrote them.
#[tokio::test]
async fn a_state_of_the_first_version_is_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    let first = include_str!("../../src/state/migrations/sqlite/0001_state.sql");
    let old = "CREATE TABLE outport_schema_version (version BIGINT PRIMARY KEY, applied_at TEXT NOT NULL); \
        INSERT INTO outport_schema_version VALUES (1, 'once'); \
        INSERT INTO log_resource_export (export_run_id, master_execution_id, export_group_name, export_name, export_state, \
        started_at, updated_at) VALUES ('a1b2c3d4-0000-4000-8000-000000000000', 'e1', 'sales', 'orders', 'error', \
        '2025-01-01T00:00:00.000000Z', '2025-01-01T00:00:00.000000Z'); \
        INSERT INTO outport_run (export_run_id, host, machine, process, run_date) \
        VALUES ('a1b2c3d4-0000-4000-8000-000000000000', 'h', 'm', 'p', '2025-01-01T00:00:00'); \
        INSERT INTO outport_fingerprint VALUES ('sales', 'orders', 'f1', '[\"id Int64\",\"order date Date32\"]', 'r', 'then')";
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{first};{old}"))).execute(&pool).await.unwrap();
    pool.close().await;

    let state = open(&path.to_string_lossy()).await;
    let last = state.last(&key("orders")).await.unwrap();
    let kept = ["id Int64", "order date Date32"].map(|text| KeptColumn::Text(text.into()));
    assert_eq!(last.columns.unwrap(), kept);
    assert!(state.vars_of("e1").await.unwrap().is_empty());
    assert!(state.find_run("a1b2c3d4").await.unwrap().vars.is_empty());
}
