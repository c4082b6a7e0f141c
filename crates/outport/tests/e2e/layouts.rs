//! Names, compression, parts, partitions, triggers and manifests as the export contract has them, read by Python.

use crate::postgres_server::PostgresServer;
use crate::support::{Folder, python};

/// One file or several, read by what Python has for it: for each the rows of every member.
const READ: &str = r#"
import sys, os, io, csv, gzip, zipfile, tarfile, json
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.ipc as ipc

def rows(name, raw):
    low = name.lower()
    if low.endswith('.tar.gz'):
        with tarfile.open(fileobj=io.BytesIO(raw), mode='r:gz') as tar:
            return [[m.name, rows(m.name, tar.extractfile(m).read())] for m in tar.getmembers()]
    if low.endswith('.zip'):
        with zipfile.ZipFile(io.BytesIO(raw)) as z:
            assert z.testzip() is None
            return [[n, rows(n, z.read(n))] for n in z.namelist()]
    if low.endswith('.gz'):
        return rows(name[:-3], gzip.decompress(raw))
    if low.endswith('.zst'):
        return rows(name[:-4], pa.CompressedInputStream(pa.BufferReader(raw), 'zstd').read())
    if low.endswith('.lz4'):
        return rows(name[:-4], pa.CompressedInputStream(pa.BufferReader(raw), 'lz4').read())
    if low.endswith('.br'):
        import brotli
        return rows(name[:-3], brotli.decompress(raw))
    if low.endswith('.sz'):
        import cramjam
        return rows(name[:-3], bytes(cramjam.snappy.decompress(raw)))
    if low.endswith('.parquet'):
        return pq.read_table(io.BytesIO(raw)).num_rows
    if low.endswith('.arrow'):
        return ipc.open_file(io.BytesIO(raw)).read_all().num_rows
    if low.endswith(('.json', '.ndjson')):
        return len([json.loads(line) for line in raw.decode().splitlines()])
    return len(list(csv.reader(io.StringIO(raw.decode())))) - 1

found = {}
for folder, _, names in os.walk('out'):
    for name in names:
        path = os.path.relpath(os.path.join(folder, name), 'out')
        with open(os.path.join(folder, name), 'rb') as f:
            found[path] = rows(name, f.read()) if not name.endswith(('.done', '_manifest.json')) else name[-5:]
print(json.dumps(found, sort_keys=True, separators=(',', ':')), flush=True)
os._exit(0)  # pyarrow's threads now and then outlive the interpreter, and abort it
"#;

/// Exports of ten rows with these settings each, by name.
fn exported(exports: &[(&str, &str)]) -> Option<Folder> {
    python()?;
    let lines: String = exports.iter().map(|(name, settings)| format!("  l/{name}: {{{settings}}}\n")).collect();
    let folder = Folder::new(&format!(
        "connections:\n  lake: {{type: lakehouse, url: data}}\n  out: {{type: store, url: out}}\n\
         defaults: {{source: lake, source_table: ten, target: out, target_path: \".\", file_format: csv, manifest: false, \
         target_filename_pattern: \"{{export_name}}.{{ext}}\"}}\nexports:\n{lines}"
    ));
    let rows: String = (1..=10).map(|i| format!("{i},{}\n", ["north", "south"][i % 2])).collect();
    folder.write("data/ten.csv", &format!("id,region\n{rows}"));
    folder.ok(&["run", "--run-date", "2025-12-12"]);
    Some(folder)
}

/// What Python finds in `out`, as JSON with the names in order.
fn found(folder: &Folder) -> String {
    folder.python(READ).trim().to_owned()
}

#[test]
fn one_file_with_every_compression() {
    let Some(folder) = exported(&[
        ("plain", ""),
        ("gz", "compression: gzip, compression_level: 1"),
        ("zip", "compression: zip, compression_level: 9"),
        ("deflate", "compression: zipdeflate"),
        ("zstd", "compression: zstd, compression_level: 19"),
        ("lz4", "compression: lz4"),
        ("snappy", "compression: snappy"),
        ("brotli", "compression: brotli"),
        ("named", "compression: gzip, compressed_filename_pattern: \"all_{run_date:%Y}.gz\""),
        ("parquet", "file_format: parquet"),
        ("parquet_gz", "file_format: parquet, compression: gzip"),
        ("json", "file_format: json, compression: gzip"),
        ("ndjson", "file_format: ndjson"),
        ("arrow", "file_format: arrow"),
    ]) else {
        return;
    };
    let expected = [
        r#""all_2025.gz":10"#,
        r#""arrow.arrow":10"#,
        r#""brotli.csv.br":10"#,
        r#""deflate.zip":[["deflate.csv",10]]"#,
        r#""gz.csv.gz":10"#,
        r#""json.json.gz":10"#,
        r#""lz4.csv.lz4":10"#,
        r#""ndjson.ndjson":10"#,
        r#""parquet.parquet":10"#,
        r#""parquet_gz.parquet":10"#,
        r#""plain.csv":10"#,
        r#""snappy.csv.sz":10"#,
        r#""zip.zip":[["zip.csv",10]]"#,
        r#""zstd.csv.zst":10"#,
    ];
    assert_eq!(found(&folder), format!("{{{}}}", expected.join(",")));
}

#[test]
fn several_parts() {
    let Some(folder) = exported(&[
        ("plain", "max_rows_per_file: 4"),
        ("equal", "max_rows_per_file: 10"),
        ("numbered", "max_rows_per_file: 5, target_filename_pattern: \"numbered-{part}.csv\""),
        ("zipped", "max_rows_per_file: 4, compression: zip, compressed_filename_pattern: \"bundle.zip\""),
        ("tarred", "max_rows_per_file: 4, compression: gzip, compressed_filename_pattern: \"bundle_{run_date:%d}\""),
        ("one", "max_rows_per_file: 10, compression: zip"),
        ("zstd", "max_rows_per_file: 6, compression: zstd"),
        ("parquet", "max_rows_per_file: 4, file_format: parquet"),
        ("parted", "partition_by: region"),
        ("both", "partition_by: [region], max_rows_per_file: 3"),
    ]) else {
        return;
    };
    let expected = [
        r#""bundle.zip":[["zipped_part0001.csv",4],["zipped_part0002.csv",4],["zipped_part0003.csv",2]]"#,
        r#""bundle_12.tar.gz":[["tarred_part0001.csv",4],["tarred_part0002.csv",4],["tarred_part0003.csv",2]]"#,
        r#""equal.csv":10"#,
        r#""numbered-1.csv":5"#,
        r#""numbered-2.csv":5"#,
        r#""one.zip":[["one.csv",10]]"#,
        r#""parquet_part0001.parquet":4"#,
        r#""parquet_part0002.parquet":4"#,
        r#""parquet_part0003.parquet":2"#,
        r#""plain_part0001.csv":4"#,
        r#""plain_part0002.csv":4"#,
        r#""plain_part0003.csv":2"#,
        r#""region=north/both_part0001.csv":3"#,
        r#""region=north/both_part0002.csv":2"#,
        r#""region=north/parted.csv":5"#,
        r#""region=south/both_part0001.csv":3"#,
        r#""region=south/both_part0002.csv":2"#,
        r#""region=south/parted.csv":5"#,
        r#""zstd_part0001.csv.zst":6"#,
        r#""zstd_part0002.csv.zst":4"#,
    ];
    assert_eq!(found(&folder), format!("{{{}}}", expected.join(",")));
}

#[test]
fn existing_targets_and_no_rows() {
    let Some(folder) = exported(&[
        ("error", "if_exists: error"),
        ("version", "if_exists: version"),
        ("over", ""),
        ("empty", "source_filter: \"id > 99\", trigger_file_pattern: \"empty.done\""),
        ("skip", "source_filter: \"id > 99\", on_empty: skip, trigger_file_pattern: \"skip.done\""),
        ("schema", "source_filter: \"id > 99\", file_format: parquet"),
    ]) else {
        return;
    };
    let said = folder.fails(4, &["run", "error"]);
    assert!(said.contains("already exists") && said.contains("if_exists"), "{said}");
    folder.ok(&["run", "version", "over"]);
    folder.ok(&["run", "version"]);
    let expected = [
        r#""empty.csv":0"#,
        r#""empty.done":".done""#,
        r#""error.csv":10"#,
        r#""over.csv":10"#,
        r#""schema.parquet":0"#,
        r#""version.csv":10"#,
        r#""version_v2.csv":10"#,
        r#""version_v3.csv":10"#,
    ];
    assert_eq!(found(&folder), format!("{{{}}}", expected.join(",")));
    folder.write("outport.yml", &folder.text("outport.yml").replace("on_empty: skip", "on_empty: fail"));
    let said = folder.fails(1, &["run", "skip"]);
    assert!(said.contains("no rows") || said.contains("on_empty"), "{said}");
}

#[test]
fn manifests_tell_what_is_there() {
    let Some(folder) = exported(&[
        (
            "zipped",
            "max_rows_per_file: 4, compression: zip, compressed_filename_pattern: z.zip, manifest: \"{export_name}.manifest.json\"",
        ),
        (
            "parts",
            "max_rows_per_file: 4, manifest: true, trigger_file_pattern: \"{export_name}_{run_date:%Y%m%d}.done\"",
        ),
    ]) else {
        return;
    };
    let manifest: serde_json::Value = serde_json::from_str(&folder.text("out/parts_manifest.json")).unwrap();
    assert_eq!(manifest["rows"], 10);
    let hashes = folder.python(
        "import json, hashlib\nm = json.load(open('out/parts_manifest.json'))\n\
         print(all(hashlib.sha256(open('out/' + f['path'], 'rb').read()).hexdigest() == f['sha256'] for f in m['files']), len(m['files']))",
    );
    assert_eq!(hashes.trim(), "True 3");
    assert_eq!(folder.text("out/parts_20251212.done"), "");
    folder.ok(&["verify", "out/parts_manifest.json"]);
    folder.ok(&["verify", "out/zipped.manifest.json"]);
    folder.ok(&["verify", "parts_manifest.json", "--connection", "out"]);
    folder.write("out/parts_part0002.csv", "id,region\n");
    let called = folder.call(&["verify", "out/parts_manifest.json"]).expect(4, &[]);
    assert!(called.stdout.contains("parts_part0002.csv") && called.stdout.contains("ok"), "{called:?}");
    std::fs::remove_file(folder.path().join("out/parts_part0003.csv")).unwrap();
    folder.fails(4, &["verify", "out/parts_manifest.json"]);
    // A rerun with fewer parts removes those that are no longer its own.
    folder.edit("4, manifest: true", "6, manifest: true");
    folder.ok(&["run", "parts", "--run-date", "2025-12-12"]);
    folder.ok(&["verify", "out/parts_manifest.json"]);
    assert!(!folder.names("out").contains(&"parts_part0003.csv".to_owned()));
}

#[test]
fn names_that_cannot_be_are_refused_all_at_once() {
    let folder = Folder::new(
        "connections:\n  lake: {type: lakehouse, url: data}\n  out: {type: store, url: out}\n\
         defaults: {source: lake, source_table: ten, target: out, target_path: \".\", file_format: csv}\nexports:\n  \
         l/watermark: {target_filename_pattern: \"{watermark}.csv\"}\n  l/level: {compression: gzip, compression_level: 10}\n  \
         l/none: {compression_level: 3}\n  l/both: {source_query: \"SELECT 1\"}\n  l/format: {file_format: xslx}\n  \
         l/rows: {max_rows_per_file: 0}\n  l/target: {target: uot}\n  l/option: {file_format_options: {sepp: \"|\"}}\n",
    );
    let said = folder.fails(2, &["check"]);
    for expected in [
        "l/watermark",
        "Invalid placeholder(s) in target_filename_pattern: {watermark}",
        "l/level",
        "l/none",
        "l/both",
        "l/format",
        "l/rows",
        "l/target",
        "l/option",
        "sep",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    folder.edit("l/level", "l/field: {traget_path: a}\n  l/level");
    let said = folder.fails(2, &["check"]);
    assert!(said.contains("traget_path") && said.contains("target_path"), "{said}");
}

/// Definitions as rows of a table: in DuckDB, in PostgreSQL and in a lakehouse.
#[test]
fn exports_from_tables() {
    const TABLE: &str = "export_group_name VARCHAR, export_name VARCHAR, is_active BOOLEAN, execution_group INTEGER, source_type VARCHAR, \
        source_datastore VARCHAR, source_schema VARCHAR, source_table VARCHAR, source_columns VARCHAR, target_lakehouse VARCHAR, \
        target_path VARCHAR, target_filename_pattern VARCHAR, file_format VARCHAR, file_format_options VARCHAR, compression VARCHAR, \
        max_rows_per_file BIGINT, created_at TIMESTAMP";
    const ROWS: &str = "('g', 'a', true, 1, 'lakehouse', 'lake', NULL, 'ten', '[\"id\"]', 'files', 'a', 'a.csv', 'csv', '{\"sep\": \"|\", \"header\": \"false\"}', 'gzip', NULL, TIMESTAMP '2025-01-01 00:00:00'), \
        ('g', 'b', false, 1, 'lakehouse', 'lake', NULL, 'ten', NULL, 'files', 'b', 'b.csv', 'csv', NULL, NULL, 3, NULL), \
        ('h', 'c', true, 2, 'lakehouse', 'lake', NULL, 'ten', NULL, 'files', 'c', 'c.parquet', 'parquet', NULL, NULL, 6, NULL)";
    if python().is_none() {
        return;
    }
    let Some(server) = PostgresServer::shared() else { return };
    server.psql(&format!(
        "CREATE TABLE public.config_export_resource ({TABLE}); INSERT INTO public.config_export_resource VALUES {ROWS}"
    ));
    let postgres = format!("{{type: postgres, url: \"{}\"}}", server.url());
    for (connection, table) in [
        ("{type: duckdb, path: config.duckdb}", "config_resource_export"),
        (postgres.as_str(), "config_export_resource"),
        ("{type: lakehouse, url: definitions}", "config_export_resource"),
    ] {
        let folder = Folder::new(&format!(
            "connections:\n  lake: {{type: lakehouse, url: data}}\n  files: {{type: lakehouse, url: target}}\n  definitions: {connection}\n\
             exports_from: {{connection: definitions, table: {table}}}\ndefaults: {{manifest: false}}\n"
        ));
        folder.write("data/ten.csv", "id,name\n1,x\n2,y\n");
        folder.duckdb(
            "config.duckdb",
            &format!("CREATE TABLE config_resource_export ({TABLE}); INSERT INTO config_resource_export VALUES {ROWS}"),
        );
        folder.python(
            "import duckdb, deltalake\nt = duckdb.connect('config.duckdb').sql('FROM config_resource_export').to_arrow_table()\n\
             deltalake.write_deltalake('definitions/config_export_resource', t)",
        );
        let summary = folder.json(&["run", "--run-date", "2025-01-01"]);
        assert_eq!(summary["total_exports"], 2, "{connection}: {summary}");
        // What a lakehouse is given lies below its Files.
        let files: Vec<String> =
            folder.names("target").into_iter().filter(|name| !name.ends_with("manifest.json")).collect();
        assert_eq!(files, ["Files/a/a.csv.gz", "Files/c/c.parquet"], "{connection}");
        assert_eq!(
            folder.python("import gzip; print(gzip.open('target/Files/a/a.csv.gz').read())").trim(),
            r"b'1\n2\n'"
        );
    }
}

#[test]
fn the_state_may_be_in_postgres() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql("CREATE DATABASE outport_state");
    let url = format!("{}/outport_state", server.url().trim_end_matches("/postgres"));
    let folder = Folder::new(
        "state: \"${env:STATE}\"\nconnections: {lake: {type: lakehouse, url: data}, out: {type: store, url: out}}\n\
         exports: {t/a: {source: lake, source_table: a, target: out, target_path: t, file_format: csv, extract_type: incremental, \
         incremental_column: id, target_filename_pattern: \"{run_date:%d}.csv\"}}\n",
    )
    .with_variable("STATE", &url);
    folder.write("data/a.csv", "id\n1\n2\n");
    folder.ok(&["run", "--run-date", "2025-01-01", "--execution-id", "first"]);
    assert_eq!(folder.watermark("t/a"), "2");
    folder.write("data/a.csv", "id\n1\n2\n3\n");
    folder.ok(&["run", "--run-date", "2025-01-02"]);
    assert_eq!(folder.lines("out/t/02.csv"), ["id", "3"]);
    assert_eq!(folder.json(&["history"]).as_array().unwrap().len(), 2);
    assert!(!folder.path().join(".outport").exists(), "nothing is kept beside the project");
    // Others read the documented tables.
    let psql = |sql: &str| server.psql(&format!("\\c outport_state\n{sql}"));
    assert_eq!(
        psql("SELECT string_agg(export_state || rows_exported, ' ' ORDER BY started_at) FROM log_resource_export"),
        "success2 success1"
    );
    assert_eq!(
        psql("SELECT string_agg(watermark_value, ' ' ORDER BY updated_at) FROM log_resource_export_watermark"),
        "2 3"
    );
}
