//! The conformance suite of sources, on a DuckDB file.

mod support;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use outport_core::engine::{Dialect, Engine};
use outport_core::extract::{Extract, Relation};
use outport_core::source::Source;
use outport_core::testkit::source::{SourceFixture, all};
use outport_duckdb::{AccessMode, DuckDb, DuckDbConfig};
use support::context;
use tempfile::TempDir;

/// A file that is open for writing, since a source that only reads holds on to the state in which it found the file.
struct Fixture {
    source: DuckDb,
    _folder: TempDir,
}

#[async_trait]
impl SourceFixture for Fixture {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    async fn create(&self, name: &str, rows: &RecordBatch) -> Relation {
        let schema = rows.schema();
        let columns: Vec<String> = schema
            .fields()
            .iter()
            .map(|f| format!("{} {}", Dialect::DuckDb.ident(f.name()), sql_type(f.data_type())))
            .collect();
        let table = Dialect::DuckDb.ident(name);
        self.source.execute(&format!("CREATE TABLE {table} ({})", columns.join(", ")), &context()).await.unwrap();
        let tuple = |row| {
            let values: Vec<String> = rows.columns().iter().map(|column| literal(column, row)).collect();
            format!("({})", values.join(", "))
        };
        let tuples: Vec<String> = (0..rows.num_rows()).map(tuple).collect();
        for some in tuples.chunks(1000) {
            self.source.execute(&format!("INSERT INTO {table} VALUES {}", some.join(", ")), &context()).await.unwrap();
        }
        Relation::table(name)
    }

    fn endless(&self) -> Option<Extract> {
        Some(Extract::query("SELECT range AS i, repeat('x', 100) AS t FROM range(100000000000)"))
    }

    fn silent(&self) -> Option<Extract> {
        let sql = "SELECT count(*) AS n FROM range(1000000000) a, range(1000000000) b WHERE hash(a.range) = hash(b.range) + 1";
        Some(Extract::query(sql))
    }
}

fn sql_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "BIGINT",
        DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Utf8 => "VARCHAR",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP",
        DataType::Date32 => "DATE",
        other => panic!("the suite does not use {other}"),
    }
}

fn literal(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    let text = Dialect::DuckDb.text(&array_value_to_string(column, row).unwrap());
    format!("CAST({text} AS {})", sql_type(column.data_type()))
}

#[tokio::test]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.duckdb");
    let source = DuckDb::new(DuckDbConfig::new(path.to_string_lossy()), AccessMode::ReadWrite);
    all(&Fixture { source, _folder: folder }).await;
}
