//! Every type of DuckDB, compared with what DuckDB's own Python package reads from the same file.

mod support;

use std::fs::File;
use std::process::Command;

use arrow::datatypes::{DataType, TimeUnit};
use arrow::ipc::writer::FileWriter;
use outport_core::ErrorKind;
use outport_core::extract::Extract;
use outport_core::source::Source;
use support::{context, created, read, reader};

/// A column of each type, with a value, another one, and NULL.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("bo", "true", "false"),
    ("ti", "(-128)::TINYINT", "127::TINYINT"),
    ("ub", "18446744073709551615::UBIGINT", "0::UBIGINT"),
    ("re", "1.5::FLOAT", "-0.25::FLOAT"),
    ("du", "1e300::DOUBLE", "-1.5::DOUBLE"),
    ("hu", "99999999999999999999999999999999999999::HUGEINT", "(-99999999999999999999999999999999999999)::HUGEINT"),
    ("uh", "99999999999999999999999999999999999999::UHUGEINT", "0::UHUGEINT"),
    ("bn", "12345678901234567890123456789012345678901234567890::BIGNUM", "(-77)::BIGNUM"),
    ("d1", "99.99::DECIMAL(4,2)", "-0.01::DECIMAL(4,2)"),
    ("d2", "1234567890123456789012345678.0123456789::DECIMAL(38,10)", "-1::DECIMAL(38,10)"),
    ("vc", "'häß 😀'", "''"),
    ("bl", "'\\xAA\\x00b'::BLOB", "''::BLOB"),
    ("bi", "'010111'::BIT", "'1'::BIT"),
    ("uu", "'00112233-4455-6677-8899-aabbccddeeff'::UUID", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID"),
    ("js", "'{\"a\": [1, null]}'::JSON", "'null'::JSON"),
    ("en", "'b'::ENUM('a', 'b')", "'a'::ENUM('a', 'b')"),
    ("da", "DATE '2024-02-29'", "DATE '0001-01-01'"),
    ("tm", "TIME '23:59:59.999999'", "TIME '00:00:00'"),
    ("tz", "'10:11:12.5+02'::TIMETZ", "'00:00:00-05:30'::TIMETZ"),
    ("ts", "TIMESTAMP '2024-02-29 12:00:00.000001'", "TIMESTAMP '1900-01-01 00:00:00'"),
    ("t0", "'2024-02-29 12:00:01'::TIMESTAMP_S", "'1970-01-01 00:00:00'::TIMESTAMP_S"),
    ("t3", "'2024-02-29 12:00:01.123'::TIMESTAMP_MS", "'1970-01-01 00:00:00'::TIMESTAMP_MS"),
    ("t9", "'2024-02-29 12:00:01.123456000'::TIMESTAMP_NS", "'1970-01-01 00:00:00'::TIMESTAMP_NS"),
    ("tt", "'2024-02-29 12:00:00+02'::TIMESTAMPTZ", "'1970-01-01 00:00:00Z'::TIMESTAMPTZ"),
    ("li", "[1, NULL, 3]", "[]::INTEGER[]"),
    ("ar", "[1, 2, 3]::INTEGER[3]", "[4, 5, 6]::INTEGER[3]"),
    ("st", "{'a': 1, 'u': '00112233-4455-6677-8899-aabbccddeeff'::UUID}", "{'a': NULL, 'u': NULL}"),
    ("ma", "MAP {'k': [true, false]}", "MAP {}"),
    ("lh", "[5::HUGEINT, NULL]", "[]::HUGEINT[]"),
    ("un", "union_value(num := 2)::UNION(num INTEGER, str VARCHAR)", "'x'::UNION(num INTEGER, str VARCHAR)"),
];

/// Compares our file with DuckDB's own values, column by column.
const COMPARE: &str = r#"
import duckdb, pyarrow as pa, sys, decimal, datetime
ours = pa.ipc.open_file(sys.argv[2]).read_all()
theirs = duckdb.connect(sys.argv[1], read_only=True).execute("SELECT * FROM types ORDER BY n")
names = [d[0] for d in theirs.description]
rows = theirs.fetchall()
assert names == ours.column_names, (names, ours.column_names)
def norm(v, name):
    if name == 'tz' and v is not None and not isinstance(v, str): return v.isoformat()
    if name == 'tz' and v is not None: return datetime.time.fromisoformat(v).isoformat()
    if name == 'bn' and v is not None: return int(v)
    if name == 'un' and isinstance(v, dict): return next((x for x in v.values() if x is not None), None)
    if name == 'ma' and isinstance(v, list): return dict(v)
    if name == 'ar' and v is not None: return list(v)
    if name in ('tt',) and v is not None: return v.astimezone(datetime.timezone.utc)
    if hasattr(v, 'to_pydatetime'): return v.to_pydatetime()
    if isinstance(v, decimal.Decimal): return decimal.Decimal(v)
    return v
bad = []
for i, name in enumerate(names):
    for theirs_v, ours_v in zip([r[i] for r in rows], ours.column(i).to_pylist()):
        a, b = norm(theirs_v, name), norm(ours_v, name)
        if a != b: bad.append((name, a, b))
print(ours.schema)
assert len(rows) == ours.num_rows
assert not bad, bad
"#;

async fn all_types() -> (tempfile::TempDir, std::path::PathBuf) {
    let list = |pick: fn(&(&str, &str, &str)) -> String| COLUMNS.iter().map(pick).collect::<Vec<_>>().join(", ");
    let create = format!(
        "CREATE TABLE types AS SELECT 1 AS n, {} UNION ALL SELECT 2, {} UNION ALL SELECT 3, {}",
        list(|(name, first, _)| format!("{first} AS {name}")),
        list(|(_, _, second)| (*second).to_owned()),
        list(|_| "NULL".to_owned())
    );
    created(&["SET SESSION enable_progress_bar = false", &create]).await
}

#[tokio::test]
async fn values_are_those_that_duckdb_reads() {
    let Some(python) = support::python() else { return };
    let (folder, path) = all_types().await;
    let batches = read(&reader(&path), &Extract::table("types")).await.unwrap();
    let file = folder.path().join("ours.arrow");
    let mut writer = FileWriter::try_new(File::create(&file).unwrap(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.finish().unwrap();
    let output = Command::new(python).args(["-c", COMPARE]).args([&path, &file]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn types_are_standard_arrow_types() {
    let (_folder, path) = all_types().await;
    let schema = reader(&path).schema(&Extract::table("types"), &context()).await.unwrap();
    let data_type = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    let extension = |name: &str| schema.field_with_name(name).unwrap().metadata().get("ARROW:extension:name").cloned();
    assert_eq!(data_type("bo"), DataType::Boolean);
    assert_eq!(data_type("hu"), DataType::Decimal128(38, 0));
    assert_eq!(data_type("en"), DataType::Utf8);
    assert_eq!(data_type("bn"), DataType::Utf8);
    assert_eq!(data_type("uu"), DataType::FixedSizeBinary(16));
    assert_eq!(extension("uu").as_deref(), Some("arrow.uuid"));
    assert_eq!(extension("js").as_deref(), Some("arrow.json"));
    assert_eq!(extension("hu"), None);
    assert_eq!(data_type("tt"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert!(matches!(data_type("un"), DataType::Struct(fields) if fields.len() == 2));
}

#[tokio::test]
async fn what_has_no_place_in_arrow_names_its_column() {
    let (_folder, path) = created(&[
        "CREATE TABLE h AS SELECT 170141183460469231731687303715884105727::HUGEINT AS big",
        "CREATE TABLE i AS SELECT 'infinity'::TIMESTAMP AS seen",
        "CREATE TABLE d AS SELECT ['-infinity'::DATE] AS days",
    ])
    .await;
    for (table, expected) in [
        ("h", "column \"big\": 170141183460469231731687303715884105727 has more than the 38 digits"),
        ("i", "column \"seen\": the timestamp \"infinity\""),
        ("d", "column \"days\": the date \"infinity\""),
    ] {
        let error = read(&reader(&path), &Extract::table(table)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().starts_with(expected), "{error}");
        assert!(error.hint_text().is_some());
    }
    let error = read(&reader(&path), &Extract::query("SELECT 1 AS a, 42::VARIANT AS v")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
