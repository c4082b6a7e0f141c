//! Iceberg tables that pyiceberg wrote, with deletes and changed schemas and partitions.

use outport_core::ErrorKind;
use outport_core::extract::Extract;
use outport_core::source::Source;
use outport_lakehouse::{LakehouseConfig, TableConfig};
use tempfile::TempDir;

use crate::support::{context, lakehouse, python, query, read, rows, run_python, table, write_arrow};

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_pyiceberg() {
    let Some(python) = python() else { return };
    let folder = TempDir::new().unwrap();
    let expected = run_python(&python, "iceberg_tables.py", &[folder.path().to_str().unwrap()]);
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    std::fs::write(folder.path().join("expected.json"), expected["tables"].to_string()).unwrap();

    let first = TableConfig {
        snapshot_id: expected["first_snapshot"].as_i64(),
        path: Some("evolved".into()),
        ..Default::default()
    };
    let config = LakehouseConfig { tables: [("evolved@first".to_owned(), first)].into(), ..Default::default() };
    let lake = lakehouse(&folder.path().join("lake"), config);
    let names: Vec<&String> = expected["tables"].as_object().unwrap().keys().collect();
    assert!(names.len() >= 8);
    for name in &names {
        let (schema, batches) =
            read(&lake, &Extract::table(*name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = folder.path().join("ours.arrow");
        write_arrow(&ours, &schema, &batches);
        let arguments = [folder.path().join("expected.json"), name.as_str().into(), ours];
        run_python(&python, "iceberg_compare.py", &arguments.each_ref().map(|a| a.to_str().unwrap()));
    }

    let listed = lake.relations(&context()).await.unwrap();
    assert_eq!(listed.iter().collect::<Vec<_>>(), {
        let mut n = names.clone();
        n.sort();
        n
    });

    let count = query(&lake, "SELECT count(*) FROM positions").await.unwrap();
    assert!(table(&count).contains("| 17 "), "{}", table(&count));
    let some = query(&lake, "SELECT v FROM equality WHERE ID >= 6 ORDER BY id").await.unwrap();
    assert_eq!(rows(&some), 2, "{}", table(&some));
    let plan = table(&query(&lake, "EXPLAIN SELECT id FROM partitioned WHERE region = 'eu'").await.unwrap());
    assert!(plan.contains("IcebergScan: table=partitioned") && plan.contains("filters=[region"), "{plan}");
    let snapshot = lake.read(&Extract::table("rewritten"), &context()).await.unwrap().snapshot.unwrap();
    assert!(snapshot.starts_with("iceberg:rewritten@"), "{snapshot}");

    // A table that was moved is found where it is now, and what it names but lost is named.
    let moved = folder.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    std::fs::rename(folder.path().join("lake/positions"), moved.join("positions")).unwrap();
    let lake = lakehouse(&moved, LakehouseConfig::default());
    assert_eq!(rows(&query(&lake, "SELECT * FROM positions").await.unwrap()), 17);
    let lost = std::fs::read_dir(moved.join("positions/data"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| !p.display().to_string().contains("deletes"))
        .unwrap();
    std::fs::remove_file(&lost).unwrap();
    let error = query(&lake, "SELECT * FROM positions").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(lost.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_formats_are_refused() {
    let folder = TempDir::new().unwrap();
    let metadata = folder.path().join("t/metadata");
    std::fs::create_dir_all(&metadata).unwrap();
    std::fs::write(metadata.join("v1.metadata.json"), r#"{"format-version": 3, "location": "s3://b/t"}"#).unwrap();
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let error = query(&lake, "SELECT * FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("format version 3"), "{error}");
}
