//! Every Delta table of the shared test data: read to the last value, or refused with the reason.
//!
//! What is read is compared, value by value, with `delta_reference.py`: a log replay in Python that has pyarrow read the files
//! and pyroaring the deletion vectors.

use std::fs;

use outport_core::ErrorKind;
use outport_core::extract::Extract;
use outport_lakehouse::LakehouseConfig;
use tempfile::TempDir;

use crate::support::{data, lakehouse, python, query, read, rows, run_python, table, write_arrow};

enum Outcome {
    /// So many rows, the same as the reference reader's.
    Rows(usize),
    /// An error of this kind that says this.
    Refused(ErrorKind, &'static str),
}
use Outcome::{Refused, Rows};

const MISSING: ErrorKind = ErrorKind::NotFound;
const UNSUPPORTED: ErrorKind = ErrorKind::Unsupported;

/// Every folder with a `_delta_log`, in the order of their names.
const TABLES: [(&str, Outcome); 50] = [
    ("COVID-19_NYT", Rows(1_111_930)),
    ("cdc_ict_table", Rows(2)),
    ("cdf-table", Rows(9)),
    ("cdf-table-non-partitioned", Rows(11)),
    ("cdf-table-with-cdc-and-dvs", Rows(5)),
    ("checkpoint-cdf-table", Rows(13)),
    ("checkpoint-v2-table", Refused(UNSUPPORTED, "V2Checkpoint")),
    ("checkpoint_with_partitions", Refused(MISSING, "f62d8868-d952-4f9d-8bb2-fd4e011ebf36")),
    ("checkpoints", Refused(MISSING, "part-00000-69e74256-615d-49cc-94c8-a02826bd4221.c000.snappy.parquet")),
    ("checkpoints_vacuumed", Refused(MISSING, "part-00000-69e74256-615d-49cc-94c8-a02826bd4221.c000.snappy.parquet")),
    ("concurrent_workers", Rows(0)),
    ("delta-0.2.0", Rows(6)),
    ("delta-0.8-empty", Rows(0)),
    ("delta-0.8.0", Rows(4)),
    ("delta-0.8.0-date", Rows(5)),
    ("delta-0.8.0-null-partition", Rows(2)),
    ("delta-0.8.0-numeric-partition", Rows(2)),
    ("delta-0.8.0-partitioned", Rows(7)),
    ("delta-0.8.0-special-partition", Rows(2)),
    ("delta-1.2.1-only-struct-stats", Rows(12)),
    ("delta-2.2.0-partitioned-types", Rows(3)),
    ("delta-checkpoint-stats-optional", Rows(2)),
    ("delta-live-table", Rows(0)),
    ("delta-stats-optional", Rows(2)),
    ("golden/data-reader-array-primitives", Rows(10)),
    ("http_requests", Rows(1581)),
    ("issue-2152", Rows(0)),
    ("issue_1374", Rows(20)),
    (
        "latest_not_checkpointed",
        Refused(MISSING, "part-00000-70b1dcdf-0236-4f63-a072-124cdbafd8a0-c000.snappy.parquet"),
    ),
    ("partition-type-primitives", Rows(16)),
    ("python-0.25.5-checkpoint", Rows(6)),
    ("simple_commit", Rows(0)),
    ("simple_table", Rows(3)),
    (
        "simple_table_features",
        Refused(UNSUPPORTED, "Reader features must not be present when minimum reader version != 3"),
    ),
    ("simple_table_with_cdc", Rows(1)),
    ("simple_table_with_checkpoint", Rows(11)),
    ("spark-shredded-variant-preview-delta", Refused(UNSUPPORTED, "VariantShreddingPreview")),
    ("spark-variant-checkpoint", Rows(102)),
    ("spark-variant-stable-feature-checkpoint", Refused(MISSING, "test%file%prefix-part-00000")),
    (
        "table-with-domain-metadata",
        Refused(MISSING, "part-00000-01813162-d9a8-4a52-b64d-38a381a1041a-c000.snappy.parquet"),
    ),
    ("table-with-dv-small", Rows(8)),
    ("table-without-dv-small", Rows(10)),
    ("table_failed_last_checkpoint_update", Rows(20)),
    ("table_with_column_mapping", Rows(5)),
    ("table_with_deletion_logs", Rows(98)),
    ("table_with_edge_timestamps", Rows(2)),
    ("table_with_liquid_clustering", Rows(10)),
    ("table_with_null_stats_in_notnull_struct", Refused(UNSUPPORTED, "nullable struct field 'l'")),
    ("table_with_partitioning_mapping", Rows(2)),
    (
        "with_checkpoint_no_last_checkpoint",
        Refused(MISSING, "part-00000-70b1dcdf-0236-4f63-a072-124cdbafd8a0-c000.snappy.parquet"),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_table_of_the_collection() {
    let (Some(folder), Some(python)) = (data("delta"), python()) else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let scratch = TempDir::new().unwrap();
    let ours = scratch.path().join("ours.arrow");
    for (name, outcome) in &TABLES {
        match (read(&lake, &Extract::table(*name)).await, outcome) {
            (Ok((schema, batches)), Rows(expected)) => {
                assert_eq!(rows(&batches), *expected, "{name}");
                let count = query(&lake, &format!("SELECT count(*) AS n FROM \"{name}\"")).await.unwrap();
                assert!(table(&count).contains(&format!("| {expected} ")), "{name}: {}", table(&count));
                // A million rows of Python objects take a minute: the large table is compared by an aggregate below.
                if *expected < 100_000 {
                    write_arrow(&ours, &schema, &batches);
                    let place = folder.join(name);
                    let said =
                        run_python(&python, "delta_reference.py", &[place.to_str().unwrap(), ours.to_str().unwrap()]);
                    assert_eq!(said.trim(), expected.to_string(), "{name}");
                }
            }
            (Err(error), Refused(kind, text)) => {
                assert_eq!(error.kind(), *kind, "{name}: {error}");
                assert!(error.to_string().contains(text), "{name}: {error}");
                assert!(!error.to_string().contains("External"), "{name}: {error}");
            }
            (Ok((_, batches)), Refused(..)) => panic!("{name}: {} rows", rows(&batches)),
            (Err(error), Rows(_)) => panic!("{name}: {error}"),
        }
    }
}

/// No folder is forgotten in the list.
#[test]
fn the_list_is_complete() {
    let Some(folder) = data("delta") else { return };
    let mut found: Vec<String> = ["", "golden"]
        .iter()
        .flat_map(|below| fs::read_dir(folder.join(below)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("_delta_log").is_dir())
        .map(|path| path.strip_prefix(&folder).unwrap().display().to_string())
        .collect();
    found.sort();
    assert_eq!(found, TABLES.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}

/// Numbers that pyarrow finds in the files of the table, which has no deletes.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows() {
    let (Some(folder), Some(python)) = (data("delta"), python()) else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let sql = "SELECT count(*) AS n, sum(cases) AS cases, sum(deaths) AS deaths, count(fips) AS fips, min(date) AS first, \
               max(date) AS last, count(DISTINCT county) AS counties, sum(length(county || state)) AS text FROM \"COVID-19_NYT\"";
    let found = query(&lake, sql).await.unwrap();
    let expected = run_python(&python, "covid.py", &[folder.join("COVID-19_NYT").to_str().unwrap()]);
    let line = table(&found)
        .lines()
        .nth(3)
        .unwrap()
        .replace(['|', ' '], ";")
        .split(';')
        .filter(|s| !s.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(line, expected.trim());
}

/// What makes a reader skip rows must not shift a deletion vector.
#[tokio::test(flavor = "multi_thread")]
async fn limits_and_filters_keep_deleted_rows_deleted() {
    let (Some(folder), Some(_)) = (data("delta"), python()) else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    // The vector removes the rows 0 and 9 of ten.
    let all = table(&query(&lake, "SELECT value FROM \"table-with-dv-small\" ORDER BY value").await.unwrap());
    assert!(all.contains("| 1 ") && all.contains("| 8 ") && !all.contains("| 0 ") && !all.contains("| 9 "), "{all}");
    for (sql, expected) in [
        ("SELECT * FROM \"table-with-dv-small\" LIMIT 8", 8),
        ("SELECT * FROM \"table-with-dv-small\" WHERE value >= 5", 4),
        ("SELECT * FROM \"table-with-dv-small\" WHERE value IN (0, 9)", 0),
        ("SELECT * FROM (SELECT * FROM \"table-with-dv-small\" ORDER BY value DESC LIMIT 3) AS t WHERE value < 8", 2),
        ("SELECT a.value FROM \"table-with-dv-small\" a JOIN \"table-without-dv-small\" b ON a.value = b.value", 8),
    ] {
        assert_eq!(rows(&query(&lake, sql).await.unwrap()), expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_table_are_read_in_parallel() {
    let Some(folder) = data("delta") else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let plan =
        table(&query(&lake, "EXPLAIN SELECT date, cases FROM \"COVID-19_NYT\" WHERE state = 'Ohio'").await.unwrap());
    let threads = std::thread::available_parallelism().unwrap().get();
    assert!(threads == 1 || plan.contains(&format!("file_groups={{{threads} groups")), "{plan}");
    assert!(plan.contains("predicate=state"), "{plan}");
}
