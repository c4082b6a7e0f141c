//! The suite that every source passes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use outport_connectors::postgres::Postgres;
use outport_core::engine::Dialect;
use outport_core::extract::{Extract, Relation};
use outport_core::source::Source;
use outport_core::testkit::source::{SourceFixture, all};

use crate::server::PostgresServer;
use crate::source;

struct Fixture {
    server: Arc<PostgresServer>,
    source: Postgres,
}

#[async_trait]
impl SourceFixture for Fixture {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    async fn create(&self, name: &str, rows: &RecordBatch) -> Relation {
        let dialect = Dialect::Postgres;
        let columns: Vec<String> = rows
            .schema()
            .fields()
            .iter()
            .map(|f| format!("{} {}", dialect.ident(f.name()), sql_type(f.data_type())))
            .collect();
        let table = dialect.ident(name);
        let mut sql = format!("CREATE TABLE {table} ({});\n", columns.join(", "));
        let options = FormatOptions::new();
        let values: Vec<_> =
            rows.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).expect("a formatter")).collect();
        for row in 0..rows.num_rows() {
            let literals: Vec<String> = values
                .iter()
                .zip(rows.columns())
                .map(|(v, c)| if c.is_null(row) { "NULL".to_owned() } else { dialect.text(&v.value(row).to_string()) })
                .collect();
            sql.push_str(&format!("INSERT INTO {table} VALUES ({});\n", literals.join(", ")));
        }
        self.server.psql(&sql);
        Relation::table(name)
    }

    fn endless(&self) -> Option<Extract> {
        Some(Extract::query(
            "SELECT i AS id, 'row ' || i AS name FROM (SELECT generate_series(1, 10000000000) AS i) AS s",
        ))
    }

    fn silent(&self) -> Option<Extract> {
        Some(Extract::query("SELECT count(*) AS id FROM (SELECT generate_series(1, 10000000000) AS i) AS s"))
    }

    async fn held(&self) -> Option<usize> {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'conformance'";
        self.server.psql(count).parse().ok()
    }
}

fn sql_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "bigint",
        DataType::Float64 => "double precision",
        DataType::Boolean => "boolean",
        DataType::Utf8 => "text",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 => "date",
        other => panic!("the suite asks for a column of type {other}"),
    }
}

#[tokio::test]
async fn the_source_conforms() {
    let Some(server) = PostgresServer::shared() else { return };
    let source = source(&server, serde_json::json!({"application_name": "conformance"}));
    all(&Fixture { server, source }).await;
}
