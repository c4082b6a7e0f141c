//! PostgreSQL as a source, against a real server; values are compared with what `psql` prints.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "../support/postgres_server.rs"]
mod server;

mod conformance;
mod encryption;
mod failures;
mod large;
mod open;
mod reading;
mod values;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use outport_connectors::postgres::{Postgres, PostgresConfig};
use outport_core::extract::Extract;
use outport_core::secret::Secret;
use outport_core::source::Source;
use outport_core::{Context, Result};
use server::PostgresServer;

/// A source on the server with these options, as JSON.
fn source(server: &PostgresServer, options: serde_json::Value) -> Postgres {
    let mut config: PostgresConfig = serde_json::from_value(options).expect("a configuration");
    config.url.get_or_insert_with(|| Secret::new(server.url()));
    Postgres::new(config, &|_| None).expect("a source")
}

fn context() -> Context {
    Context::new(uuid::Uuid::nil())
}

async fn read(source: &Postgres, extract: &Extract, context: &Context) -> Result<RecordBatch> {
    let batches = source.read(extract, context).await?;
    let schema = batches.schema.clone();
    Ok(concat_batches(&schema, &batches.collect().await?)?)
}

async fn query(source: &Postgres, sql: &str) -> RecordBatch {
    let found = read(source, &Extract::query(sql), &context()).await;
    found.unwrap_or_else(|e| panic!("{sql}: {e} ({:?})", e.hint_text()))
}

/// A batch as `psql -At` would print it, NULL as `∅`.
fn shown(batch: &RecordBatch) -> String {
    let options = FormatOptions::new()
        .with_null("∅")
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00"));
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).expect("a formatter")).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect::<Vec<_>>()
        .join("\n")
}
