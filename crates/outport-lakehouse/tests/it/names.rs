//! Names of tables and columns, and what is said of those that do not exist.

use std::fs;

use outport_core::ErrorKind;
use outport_core::source::Source;
use outport_lakehouse::{LakehouseConfig, TableConfig};
use tempfile::TempDir;

use crate::support::{context, ids, lakehouse, query, rows, write_parquet};

fn lake_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (at, table) in ["Orders", "Tables/customers", "Tables/sales/items", "raw/deep/events"].iter().enumerate() {
        write_parquet(&folder.path().join(table).join("f.parquet"), &ids(0, at as i64 + 1), 10);
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_found_by_name() {
    let folder = lake_folder();
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    for (name, expected) in [
        ("Orders", 1),
        ("orders", 1),
        ("dbo.ORDERS", 1),
        ("\"Orders\"", 1),
        ("customers", 2),
        ("dbo.customers", 2),
        ("gold.dbo.customers", 2),
        ("sales.items", 3),
        ("\"raw/deep/events\"", 4),
    ] {
        let found =
            query(&lake, &format!("SELECT * FROM {name}")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rows(&found), expected, "{name}");
    }
    assert_eq!(lake.relations(&context()).await.unwrap(), ["Orders", "customers", "sales.items"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_names_come_with_the_nearest() {
    let folder = lake_folder();
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let error = query(&lake, "SELECT * FROM custmers").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.hint_text()),
        (ErrorKind::NotFound, Some("did you mean \"customers\"?")),
        "{error}"
    );
    let error = query(&lake, "SELECT idd FROM customers").await.unwrap_err();
    assert_eq!((error.kind(), error.hint_text()), (ErrorKind::NotFound, Some("did you mean \"id\"?")), "{error}");
    assert_eq!(error.message(), "column \"idd\" does not exist");
    let error = query(&lake, "SELEC id FROM customers").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let error = query(&lake, "SELECT * FROM \"../x\"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    for sql in ["DROP TABLE customers", "CREATE TABLE x AS SELECT 1", "COPY (SELECT 1) TO '/tmp/x.csv'"] {
        assert_eq!(query(&lake, sql).await.unwrap_err().kind(), ErrorKind::Unsupported, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_tables() {
    let folder = lake_folder();
    fs::write(folder.path().join("odd.dat"), "id\n1\n2\n").unwrap();
    let table = |path: &str, format| TableConfig { path: Some(path.into()), format, ..Default::default() };
    let config = LakehouseConfig {
        tables: [
            ("events".to_owned(), table("raw/deep/events", None)),
            ("odd".to_owned(), table("odd.dat", Some(outport_lakehouse::TableFormat::Csv))),
            ("gone".to_owned(), table("nowhere", None)),
        ]
        .into(),
        ..Default::default()
    };
    let lake = lakehouse(folder.path(), config);
    assert_eq!(rows(&query(&lake, "SELECT * FROM EVENTS").await.unwrap()), 4);
    assert_eq!(rows(&query(&lake, "SELECT * FROM odd").await.unwrap()), 2);
    let error = query(&lake, "SELECT * FROM gone").await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("nowhere"), "{error}");
}
