//! Folders and single files.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use outport_core::extract::Extract;
use outport_core::source::Source;
use outport_core::{Context, ErrorKind};
use outport_lakehouse::LakehouseConfig;
use tempfile::TempDir;

use crate::support::{context, data, ids, lakehouse, python, query, read, rows, run_python, table, write_parquet};

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_the_order_of_the_files() {
    let folder = TempDir::new().unwrap();
    for (at, start) in [0, 300_000, 600_000, 900_000].into_iter().enumerate() {
        write_parquet(&folder.path().join(format!("t/part-{at}.parquet")), &ids(start, 300_000), 50_000);
    }
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    for threads in [1, 4] {
        let context = Context { threads, ..context() };
        let batches =
            lake.read(&Extract::query("SELECT id + 0 AS id FROM t WHERE id % 7 <> 3"), &context).await.unwrap();
        let found: Vec<i64> = batches
            .collect()
            .await
            .unwrap()
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        assert!(found.iter().copied().eq((0..1_200_000).filter(|id| id % 7 != 3)), "{threads} threads");
    }
    let first = query(&lake, "SELECT id FROM t LIMIT 3").await.unwrap();
    assert_eq!(first[0].column(0).as_primitive::<Int64Type>().values(), &[0, 1, 2]);
    let extract = Extract::table("t");
    assert_eq!(lake.estimate(&extract, &context()).await.unwrap(), Some(1_200_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_become_columns_and_leave_out_files() {
    let folder = TempDir::new().unwrap();
    for (at, partition) in
        ["year=2024/region=eu", "year=2025/region=a%20b", "year=2025/region=__HIVE_DEFAULT_PARTITION__"]
            .iter()
            .enumerate()
    {
        write_parquet(&folder.path().join(format!("t/{partition}/f.parquet")), &ids(at as i64 * 10, 10), 10);
    }
    fs::write(folder.path().join("t/_SUCCESS"), "").unwrap();
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let found =
        query(&lake, "SELECT region, year, min(id) AS low, count(*) AS n FROM t GROUP BY region, year ORDER BY low")
            .await
            .unwrap();
    assert_lines(
        &table(&found),
        &["| eu     | 2024 | 0   | 10 |", "| a b    | 2025 | 10  | 10 |", "|        | 2025 | 20  | 10 |"],
    );
    assert_eq!(rows(&query(&lake, "SELECT id FROM t WHERE region IS NULL").await.unwrap()), 10);
    let plan = table(&query(&lake, "EXPLAIN SELECT id FROM t WHERE year = 2024 AND id > 5").await.unwrap());
    assert!(plan.contains("year=2024") && !plan.contains("year=2025"), "{plan}");
    assert!(plan.contains("projection=[id]") && plan.contains("id@0 > 5"), "{plan}");
    assert!(plan.contains("pruning_predicate"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_all_files_are_united() {
    let folder = TempDir::new().unwrap();
    let batch = |columns: Vec<(&str, ArrayRef)>| RecordBatch::try_from_iter(columns).unwrap();
    let int = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let text = || Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
    write_parquet(&folder.path().join("t/a.parquet"), &batch(vec![("id", int()), ("old", text())]), 10);
    write_parquet(&folder.path().join("t/b.parquet"), &ids(5_000_000_000, 1), 10);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let found = table(&query(&lake, "SELECT * FROM t ORDER BY id").await.unwrap());
    assert_lines(&found, &["| 1          | x   |", "| 5000000000 |     |"]);

    write_parquet(&folder.path().join("t/c.parquet"), &batch(vec![("id", text())]), 10);
    let error = query(&lake, "SELECT * FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contract);
    assert!(error.to_string().contains("\"id\"") && error.to_string().contains("t/c.parquet"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_by_extension() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.csv"), "id,name\n1,x\n2,\"y\nz\"\n").unwrap();
    fs::write(path("b.tsv"), "id\tname\n1\tx\n").unwrap();
    fs::write(path("c.json"), "[{\"id\": 1}, {\"id\": 2}]").unwrap();
    fs::write(path("d.ndjson"), "{\"id\": 1}\n{\"id\": 2, \"n\": {\"x\": 1}}\n").unwrap();
    let mut gz =
        flate2::write::GzEncoder::new(fs::File::create(path("e.csv.gz")).unwrap(), flate2::Compression::default());
    std::io::Write::write_all(&mut gz, b"id\n1\n2\n3\n").unwrap();
    gz.finish().unwrap();
    let (schema, batch) = (ids(0, 4).schema(), ids(0, 4));
    crate::support::write_arrow(&path("f.arrow"), &schema, &[batch]);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    assert_eq!(lake.relations(&context()).await.unwrap(), ["a", "b", "c", "d", "e", "f"]);
    for (name, expected) in [("a", 2), ("b", 1), ("c", 2), ("d", 2), ("e", 3), ("f", 4)] {
        let found =
            query(&lake, &format!("SELECT * FROM {name}")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rows(&found), expected, "{name}");
    }
    // The whole name is a name too, and the folder of one file may be the connection.
    assert_eq!(rows(&query(&lake, "SELECT * FROM \"a.csv\"").await.unwrap()), 2);
    let single = lakehouse(&path("d.ndjson"), LakehouseConfig::default());
    assert_eq!(single.relations(&context()).await.unwrap(), ["d"]);
    assert_eq!(rows(&query(&single, "SELECT d.n FROM d").await.unwrap()), 2);
    assert_eq!(query(&single, "SELECT * FROM a").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_are_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("t/a.parquet");
    write_parquet(&file, &ids(0, 100_000), 10_000);
    let whole = fs::read(&file).unwrap();
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    fs::write(folder.path().join("t/b.parquet"), &whole[..whole.len() / 2]).unwrap();
    let error = query(&lake, "SELECT * FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert!(error.to_string().contains("t/b.parquet"), "{error}");

    let mut corrupt = whole.clone();
    corrupt[4..60].fill(0xff);
    fs::write(folder.path().join("t/b.parquet"), &corrupt).unwrap();
    let error = query(&lake, "SELECT * FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert!(error.to_string().contains("t/b.parquet") && !error.to_string().contains("External"), "{error}");

    fs::remove_file(folder.path().join("t/b.parquet")).unwrap();
    fs::write(folder.path().join("t/b.csv"), "id\n1\n").unwrap();
    let error = query(&lake, "SELECT * FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contract, "{error}");
    assert!(error.to_string().contains("parquet (t/a.parquet), csv (t/b.csv)"), "{error}");

    fs::write(folder.path().join("c.csv"), "id,v\n1,2\n2,3,4\n").unwrap();
    let error = query(&lake, "SELECT * FROM c").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert!(error.to_string().contains("c.csv"), "{error}");
}

/// The files that a reader must refuse, but one that is readable.
#[tokio::test(flavor = "multi_thread")]
async fn bad_parquet_is_an_error() {
    let Some(folder) = data("parquet/bad_data") else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".parquet") {
            continue;
        }
        seen += 1;
        let expected = (name == "ARROW-GH-43605.parquet").then_some(21_186);
        match read(&lake, &Extract::table(&name)).await {
            Ok((_, batches)) => assert_eq!(Some(rows(&batches)), expected, "{name}"),
            Err(error) => {
                assert_eq!(expected, None, "{name}: {error}");
                assert!(
                    matches!(error.kind(), ErrorKind::Data | ErrorKind::Unsupported),
                    "{name}: {:?} {error}",
                    error.kind()
                );
                assert!(error.to_string().contains(&name), "{name}: {error}");
            }
        }
    }
    assert!(seen > 5);
}

/// Bounds that are equal say nothing of NaN, and nothing of what the pages hold.
#[tokio::test(flavor = "multi_thread")]
async fn values_come_from_the_data_and_not_from_statistics() {
    let folder = TempDir::new().unwrap();
    let floats = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 1.0])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("x", floats), ("n", Arc::new(Int32Array::from(vec![7; 3])) as ArrayRef)]);
    let file = folder.path().join("t.parquet");
    write_parquet(&file, &batch.unwrap(), 10);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    for sql in ["SELECT * FROM t", "SELECT * FROM t WHERE n > 0"] {
        assert_lines(&table(&query(&lake, sql).await.unwrap()), &["| 1.0 | 7 |", "| NaN | 7 |", "| 1.0 | 7 |"]);
    }
    assert_eq!(rows(&query(&lake, "SELECT x FROM t WHERE n > 7").await.unwrap()), 0);

    // The page of the column that has one value only becomes a page of an index, which readers pass over.
    let bytes = fs::read(&file).unwrap();
    let footer =
        parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&fs::File::open(&file).unwrap());
    let page = footer.unwrap().row_group(0).column(1).data_page_offset() as usize;
    assert_eq!(bytes[page..page + 2], [0x15, 0x00], "a page header that begins with its type");
    let mut damaged = bytes.clone();
    damaged[page + 1] = 0x02;
    fs::write(&file, damaged).unwrap();
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    let error = query(&lake, "SELECT * FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert!(error.to_string().contains("t.parquet"), "{error}");
}

/// Avro of every codec, written by another library.
#[tokio::test(flavor = "multi_thread")]
async fn avro_is_read_whatever_its_codec() {
    let Some(python) = python() else { return };
    let folder = TempDir::new().unwrap();
    let written = run_python(&python, "write_avro.py", &[folder.path().to_str().unwrap()]);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    for codec in written.lines() {
        let sql = format!("SELECT count(*) AS n, sum(id) AS s, count(name) AS m, max(name) AS x FROM \"{codec}.avro\"");
        let found = query(&lake, &sql).await.unwrap_or_else(|error| panic!("{codec}: {error}"));
        assert_lines(&table(&found), &["| 5000 | 12497500 | 4500 | name 999 |"]);
    }
    assert_eq!(written.lines().count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_beside_floats_are_widened() {
    let folder = TempDir::new().unwrap();
    let float = RecordBatch::try_from_iter([("id", Arc::new(Float64Array::from(vec![0.5])) as ArrayRef)]).unwrap();
    write_parquet(&folder.path().join("t/a.parquet"), &ids(1, 1), 10);
    write_parquet(&folder.path().join("t/b.parquet"), &float, 10);
    let lake = lakehouse(folder.path(), LakehouseConfig::default());
    assert_lines(&table(&query(&lake, "SELECT * FROM t").await.unwrap()), &["| 1.0 |", "| 0.5 |"]);
}

/// Every line stands in the text, in this order.
fn assert_lines(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line} is not in\n{text}"));
        rest = &rest[at..];
    }
}
