//! Files of ours before readers that are not: Python's csv and json, pyarrow, DuckDB.

use std::path::{Path, PathBuf};
use std::process::Command;

use outport_core::format::{EncodeSettings, Format, FormatOptions, encode_all};
use outport_core::testkit::sample;
use outport_formats::csv::Csv;
use outport_formats::json::Json;

/// The Python with the readers; `None`, said loudly, where there is none.
#[allow(clippy::print_stderr)]
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = std::env::var_os("OUTPORT_TEST_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("OUTPORT_REQUIRE_SERVICES").is_none(), "no Python at {}", path.display());
    eprintln!("SKIPPED: no Python at {}; set OUTPORT_TEST_PYTHON", path.display());
    None
}

fn run(file: &str, bytes: &[u8], script: &str) {
    let Some(python) = python() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    std::fs::write(&path, bytes).expect("written");
    let output = Command::new(python).arg("-c").arg(script).arg(&path).output().expect("Python runs");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn rows(format: &dyn Format, options: &[(&str, &str)]) -> Vec<u8> {
    let batch = sample::rows(1000).expect("rows");
    let settings =
        EncodeSettings { options: FormatOptions::from_pairs(options.iter().copied()), ..EncodeSettings::default() };
    encode_all(format, &batch.schema(), &[batch], &settings).expect("encoded")
}

#[test]
fn others_read_our_csv() {
    run(
        "rows.csv",
        &rows(&Csv::CSV, &[]),
        r#"
import csv, sys, duckdb, pyarrow.csv as pc
path = sys.argv[1]
table = list(csv.reader(open(path, newline="", encoding="utf-8")))
assert table[0] == ["id", "name", "spots", "score", "price", "live", "day", "updated"], table[0]
assert len(table) == 1001 and all(len(row) == 8 for row in table)
multi = [row for row in table[1:] if "\n" in row[1]]
assert multi and all(row[1] == f'a "{row[0]}", with\nlines' for row in multi), multi[:3]
found = pc.read_csv(path, parse_options=pc.ParseOptions(newlines_in_values=True),
    convert_options=pc.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]))
assert found.num_rows == 1000
names = found["name"].to_pylist()
assert None in names and "" in names
assert str(found.schema.field("updated").type).startswith("timestamp"), found.schema
assert str(found.schema.field("day").type) == "date32[day]", found.schema
duck = duckdb.sql(f"select count(*), count(name), sum(id), sum(price), count(spots), sum(live::int) from read_csv('{path}')").fetchone()
prices = sum(float(row[4]) for row in table[1:])
assert duck[0] == 1000 and duck[2] == 499500 and abs(float(duck[3]) - prices) < 1e-3, duck
assert duck[4] == sum(row[2] != "" for row in table[1:]), duck
scores = [row[0] for row in duckdb.sql(f"select score from read_csv('{path}') order by id").fetchall()]
assert scores == [float(row[3]) for row in table[1:]]
"#,
    );
}

#[test]
fn others_read_our_tsv_and_dialects() {
    run(
        "rows.tsv",
        &rows(&Csv::TSV, &[("lineSep", "\\r\\n"), ("nullValue", "NULL"), ("encoding", "UTF-16")]),
        r#"
import csv, sys
table = list(csv.reader(open(sys.argv[1], newline="", encoding="utf-16"), delimiter="\t"))
assert len(table) == 1001 and all(len(row) == 8 for row in table)
assert any(row[1] == "NULL" for row in table) and any(row[1] == "" for row in table)
"#,
    );
}

#[test]
fn others_read_our_json() {
    run(
        "rows.ndjson",
        &rows(&Json::NDJSON, &[]),
        r#"
import json, sys, duckdb, pyarrow.json as pj
path = sys.argv[1]
records = [json.loads(line) for line in open(path, encoding="utf-8")]
assert len(records) == 1000 and list(records[0]) == ["id", "name", "spots", "score", "price", "live", "day", "updated"]
assert pj.read_json(path)["id"].to_pylist() == list(range(1000))
duck = duckdb.sql(f"select count(*), sum(id), count(name), count(spots) from read_json('{path}')").fetchone()
assert duck == (1000, 499500, sum(r["name"] is not None for r in records), sum(r["spots"] is not None for r in records)), duck
"#,
    );
    run(
        "rows.json",
        &rows(&Json::JSON, &[("array", "true"), ("bigint", "string")]),
        r#"
import json, sys, duckdb
records = json.load(open(sys.argv[1], encoding="utf-8"))
assert len(records) == 1000 and all(isinstance(r["id"], str) for r in records)
assert duckdb.sql(f"select count(*) from read_json('{sys.argv[1]}')").fetchone() == (1000,)
"#,
    );
}

#[test]
fn others_read_every_type_as_json() {
    for (name, batch) in sample::types().expect("types") {
        let bytes = encode_all(&Json::NDJSON, &batch.schema(), &[batch], &EncodeSettings::default()).expect("encoded");
        run(
            &format!("{name}.ndjson"),
            &bytes,
            r#"
import json, sys, re, datetime, os
values = [json.loads(line)["value"] for line in open(sys.argv[1], encoding="utf-8")]
name = os.path.basename(sys.argv[1]).split(".")[0]
assert len(values) == 4 and values[1] is None, values
if name.startswith("timestamptz"):
    assert all(v is None or re.search(r"(Z|[+-]\d\d:\d\d)$", v) for v in values), values
if name == "timestamptz_named":
    instant = datetime.datetime.fromisoformat(values[0]).timestamp()
    assert instant == 1709210096, values
if name == "uuid":
    assert values[2] == "ffffffff-ffff-ffff-ffff-ffffffffffff", values
if name == "int64":
    assert values[0] == -2**63 and values[3] == 2**63 - 1, values
"#,
        );
    }
}
