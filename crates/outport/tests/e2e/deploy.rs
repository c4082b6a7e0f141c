//! Deployment: a warehouse is built and published by the program; what stands in the store is read by DuckDB's own modules, the
//! validators of the interchange formats, and a browser.

mod browser;
mod faults;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Folder, clean, missing, python};

const READER: &str = include_str!("deploy/reader.py");

/// A warehouse whose every row of `mart.facts`, and of its partitioned double, says which generation it is of.
fn warehouse(deployment: &str) -> Option<Folder> {
    python()?;
    let folder = Folder::new("");
    std::fs::remove_file(folder.path().join("outport.yml")).unwrap();
    folder.write("reader.py", READER);
    configure(&folder, deployment);
    generation(&folder, 1);
    folder.write("models/staging/numbers.sql", "SELECT i, 'text ' || i AS label FROM range(3000) t(i)");
    folder.write(
        "models/mart/by_kind.sql",
        "SELECT *, CASE i % 4 WHEN 0 THEN 'RUN' WHEN 1 THEN 'x y/0' WHEN 2 THEN 'ünï' END AS kind FROM mart.facts",
    );
    folder.write(
        "models/mart/per_label.sql",
        "SELECT i % 10 AS digit, count(*) AS facts FROM staging.numbers GROUP BY 1 ORDER BY 1",
    );
    folder.write(
        "models/mart/schema.yml",
        "version: 2\nmodels:\n\
         \x20 - {name: facts, materialized: export_table, description: \"It's \\\"all\\\" <facts>\", tags: [main], export: {path: marts/facts.parquet},\n\
         \x20    columns: [{name: label, description: What it's called}]}\n\
         \x20 - {name: by_kind, materialized: export_view, export: {path: marts/by_kind, partition_by: [kind]}}\n\
         \x20 - {name: per_label, materialized: export_view, export: {path: marts/per_label.csv, format: csv, compression: none}}\n",
    );
    Some(folder)
}

fn configure(folder: &Folder, deployment: &str) {
    folder.write("warehouse.yml", &format!("warehouse: {{db_path: w.duckdb}}\ndeployment: {deployment}\n"));
}

fn generation(folder: &Folder, number: u64) {
    let sql = format!("SELECT i, label, {number} AS generation, nullif(i % 5, 0) AS maybe FROM staging.numbers");
    folder.write("models/mart/facts.sql", &sql);
}

fn build(folder: &Folder) {
    folder.ok(&["warehouse", "run"]);
}

fn catalog(folder: &Folder, path: &str) -> Value {
    serde_json::from_str(&folder.text(path)).unwrap()
}

fn table<'a>(catalog: &'a Value, name: &str) -> &'a Value {
    catalog["tables"].as_array().unwrap().iter().find(|t| t["name"] == name).unwrap()
}

/// A program that ends with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already, or it goes now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(folder: &Folder, inside: &str) -> Server {
    std::fs::create_dir_all(folder.path().join(inside)).unwrap();
    let mut command = Command::new(python().unwrap());
    clean(&mut command, folder.path());
    let mut child = command.args(["reader.py", "serve", inside]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Server { child, port: line.trim().parse().unwrap() }
}

/// What queries return in a version of DuckDB; none, said loudly, where it is not installed.
fn read_with(folder: &Folder, version: &str, database: &str, queries: &[&str]) -> Option<Value> {
    let mut command = Command::new(python()?);
    clean(&mut command, folder.path());
    if version != "1.5.5" {
        let modules = python()?.parent()?.parent()?.join(format!("duckdb-{version}"));
        if !modules.exists() {
            missing(&format!("DuckDB {version}"));
            return None;
        }
        command.env("PYTHONPATH", modules);
    }
    let output = command.args(["reader.py", "read", database]).args(queries).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("DuckDB {version}: {e}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(found["version"], version);
    Some(found["rows"].clone())
}

#[test]
fn every_duckdb_reads_the_views_over_http() {
    let Some(folder) = warehouse("{}") else { return };
    let server = serve(&folder, "bucket");
    // Nothing listens at this URL while the database is written: no request is made.
    configure(&folder, &format!("{{url: bucket, public_url: \"http://127.0.0.1:{}\", name: Facts}}", server.port));
    build(&folder);
    folder.ok(&["deploy", "publish"]);
    let queries = [
        "SELECT count(*), sum(i), min(label), max(label), sum(generation), count(maybe) FROM mart.facts",
        "SELECT count(*), sum(i) FROM facts",
        "SELECT kind, count(*), sum(i) FROM by_kind GROUP BY kind ORDER BY kind",
        "SELECT * FROM mart.per_label ORDER BY digit",
    ];
    let own = format!(
        "import duckdb, json\nc = duckdb.connect('w.duckdb', read_only=True)\nprint(json.dumps({{q: c.execute(q.replace('FROM facts', 'FROM mart.facts').replace('FROM by_kind', 'FROM mart.by_kind')).fetchall() for q in {queries:?}}}, default=str))"
    );
    let expected: Value = serde_json::from_str(&folder.python(&own)).unwrap();
    for version in ["1.0.0", "1.5.5", "2.0.0"] {
        let Some(found) = read_with(&folder, version, "bucket/omicidx.duckdb", &queries) else { continue };
        assert_eq!(found, expected, "DuckDB {version}");
        let sql = "SELECT json_extract_string(catalog, '$.name') FROM _catalog";
        assert_eq!(read_with(&folder, version, "bucket/omicidx.duckdb", &[sql]).unwrap()[sql], json!([["Facts"]]));
    }
    let found = catalog(&folder, "bucket/catalog.json");
    let facts = table(&found, "facts");
    assert_eq!(facts["rows"], 3000);
    assert_eq!(facts["schema"], json!({"i": "BIGINT", "label": "VARCHAR", "generation": "INTEGER", "maybe": "BIGINT"}));
    assert_eq!(facts["depends_on"], json!(["staging.numbers"]));
    assert_eq!(facts["columns"][1]["description"], "What it's called");
    assert_eq!(facts["columns"][3]["nulls"], 600);
    assert_eq!((facts["columns"][0]["min"].as_str(), facts["columns"][0]["max"].as_str()), (Some("0"), Some("2999")));
    let path = facts["path"].as_str().unwrap();
    assert!(path.starts_with("data/marts/facts.") && path.ends_with(".parquet") && path.len() == 37, "{path}");
    assert_eq!(facts["r2_url"], format!("http://127.0.0.1:{}/{path}", server.port));
    let by_kind = table(&found, "by_kind");
    assert_eq!((by_kind["rows"].as_u64(), by_kind["files"].as_array().unwrap().len()), (Some(3000), 4));
    // The documented name is there, too, and the statements are those of the database.
    assert_eq!(folder.files("bucket")["data/marts/facts.parquet"], folder.files("bucket")[path]);
    let sql = "import duckdb\nc = duckdb.connect()\nimport sys; sys.argv = ['', 'none']\nc.execute('create schema x')\nprint(open('bucket/catalog.sql').read().count('CREATE OR REPLACE VIEW'))";
    assert_eq!(folder.python(sql).trim(), "6");
}

#[test]
fn text_files_are_read_as_they_were_written() {
    let Some(folder) = warehouse("{}") else { return };
    let server = serve(&folder, "bucket");
    configure(&folder, &format!("{{url: bucket, public_url: \"http://127.0.0.1:{}\"}}", server.port));
    let values = "SELECT * FROM (VALUES (1, '007', 'a;b', 1.50::DECIMAL(6,2)), (2, '', NULL, NULL), (3, 'NA', 'he said \"x\"', -2.25), \
                  (4, '2024-02-29', 'a\tb', 0)) t(id, code, note, price)";
    let exports = [
        ("plain", "format: csv, compression: gzip"),
        (
            "other",
            "format: csv, compression: none, options: {delimiter: ';', header: false, 'NULL AS': NA, escape: \"\\\\\", quote: \"'\"}",
        ),
        ("tabs", "format: tsv, compression: none, options: {sep: '\\t', quoteAll: true}"),
        ("lines", "format: ndjson, compression: zstd"),
        ("utf16", "format: csv, compression: none, options: {encoding: UTF-16}"),
    ];
    let mut schema = "models:\n".to_owned();
    for (name, export) in exports {
        folder.write(&format!("models/text/{name}.sql"), values);
        schema.push_str(&format!(
            "  - {{name: {name}, materialized: export_view, export: {{path: text/{name}.x, {export}}}}}\n"
        ));
    }
    folder.write("models/text/schema.yml", &schema);
    build(&folder);
    let said = folder.call(&["deploy", "publish"]).expect(0, &["deploy", "publish"]);
    assert!(said.stderr.contains("text.utf16"), "a table without a view is passed over in silence: {}", said.stderr);
    let expected = json!([
        [1, "007", "a;b", 1.5],
        [2, "", null, null],
        [3, "NA", "he said \"x\"", -2.25],
        [4, "2024-02-29", "a\tb", 0.0]
    ]);
    let queries: Vec<String> = ["plain", "other", "tabs", "lines"]
        .map(|name| format!("SELECT id, code, note, price::DOUBLE FROM text.{name} ORDER BY id"))
        .into();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    for version in ["1.0.0", "1.5.5", "2.0.0"] {
        let Some(found) = read_with(&folder, version, "bucket/omicidx.duckdb", &queries) else { continue };
        for query in &queries {
            assert_eq!(found[query], expected, "DuckDB {version}: {query}");
        }
    }
    let script = "
import os
os.chdir('bucket')
from frictionless import Package
package = Package('datapackage.json')
for name in ['text.other', 'text.tabs', 'text.utf16']:
    resource = package.get_resource(name)
    assert resource.validate().valid, (name, resource.validate())
    assert len(resource.read_rows()) == 4, name
assert [row['code'] for row in package.get_resource('text.other').read_rows()][3] == '2024-02-29'
print('ok')
";
    assert_eq!(folder.python(script).trim().lines().last(), Some("ok"));
}

#[test]
fn the_database_is_written_without_a_request() {
    let Some(folder) = warehouse("{url: bucket, public_url: \"https://nowhere.invalid/it's\"}") else { return };
    build(&folder);
    let said = folder.ok(&["deploy", "create-remote-db"]);
    assert!(said.contains("wrote exports/omicidx.duckdb"), "{said}");
    let columns = folder.python(
        "import duckdb\nc = duckdb.connect('exports/omicidx.duckdb', read_only=True)\nprint(c.execute(\"select column_name, data_type from duckdb_columns() where table_name = 'by_kind' and schema_name = 'mart'\").fetchall(), c.execute(\"select comment from duckdb_views() where view_name = 'facts' and schema_name = 'mart'\").fetchall())",
    );
    assert!(columns.contains("('label', 'VARCHAR')") && columns.contains("('kind', 'VARCHAR')"), "{columns}");
    assert!(columns.contains("It\\'s \"all\" <facts>"), "{columns}");
    // As the document calls it: the URL of the data folder.
    folder.ok(&["deploy", "create-remote-db", "--r2-url", "https://pub-xxx.r2.dev/data"]);
    assert!(folder.text("exports/catalog.sql").contains("'https://pub-xxx.r2.dev/data/marts/facts."));
}

#[test]
fn only_what_changed_is_sent_and_old_versions_go() {
    let Some(folder) = warehouse("{url: bucket, keep_versions: 1}") else { return };
    build(&folder);
    let would = folder.ok(&["deploy", "upload", "--no-catalog", "--no-database", "--dry-run"]);
    assert!(
        would.contains("[data    ] data/marts/facts.") && would.contains("total: 6 files would be sent"),
        "{would}"
    );
    assert!(!folder.path().join("bucket").exists(), "a dry run wrote something");
    // The steps one by one are the same as all at once.
    assert!(folder.fails(1, &["deploy", "upload"]).contains("catalog.json is missing"));
    folder.ok(&["deploy", "catalog"]);
    folder.ok(&["deploy", "database"]);
    let first = folder.json(&["deploy", "upload"]);
    assert_eq!((first["unchanged"].as_u64(), first["sent"].as_array().unwrap().len()), (Some(0), 11));
    let again = folder.json(&["warehouse", "deploy", "all"]);
    assert_eq!(again["unchanged"], 6);
    assert!(again["sent"].as_array().unwrap().iter().all(|sent| sent["stage"] != "data"), "{again}");
    assert_eq!((again["copied"].as_array().unwrap().len(), again["removed"].as_array().unwrap().len()), (0, 0));

    generation(&folder, 2);
    build(&folder);
    let stale = folder.fails(4, &["deploy", "upload"]);
    assert!(stale.contains("catalog.json is of other exports than those that are there now"), "{stale}");
    let before = folder.names("bucket/data/marts");
    let third = folder.json(&["deploy", "publish"]);
    // The CSV did not change. What is young stays, because somebody may just be about to point at it.
    assert_eq!((third["unchanged"].as_u64(), third["removed"].as_array().unwrap().len()), (Some(1), 0));
    for name in before {
        let file =
            std::fs::File::options().write(true).open(folder.path().join("bucket/data/marts").join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(7200)).unwrap();
    }
    let fourth = folder.json(&["deploy", "publish"]);
    assert_eq!(fourth["removed"].as_array().unwrap().len(), 5, "{fourth}");
    let names = folder.names("bucket/data/marts");
    assert_eq!(names.iter().filter(|name| name.starts_with("facts.")).count(), 2, "{names:?}");
    assert_eq!(names.len(), 12, "{names:?}");
}

#[test]
fn the_catalogue_is_a_data_package_and_croissant() {
    let Some(folder) = warehouse("{url: bucket, name: \"All the Facts\"}") else { return };
    build(&folder);
    folder.ok(&["deploy", "publish"]);
    let script = "
import json, os, sys
os.chdir('bucket')
from frictionless import Package, Resource
descriptor = json.load(open('datapackage.json'))
package = Package('datapackage.json')
# It knows several paths of a resource, but not under the name that the specification gives them.
assert isinstance(descriptor['resources'][0].pop('path'), list)
descriptor['resources'][0]['path'] = package.resources[0].path
errors = [str(e) for e in Package.metadata_validate(descriptor)]
assert not errors, errors
assert len(package.resources[0].extrapaths) == 3
assert [r.name for r in package.resources] == ['mart.by_kind', 'mart.facts', 'mart.per_label']
report = package.get_resource('mart.per_label').validate()
assert report.valid, report
import mlcroissant
dataset = mlcroissant.Dataset('croissant.json')
assert not dataset.metadata.ctx.issues.errors, dataset.metadata.ctx.issues.errors
rows = list(dataset.records('mart.per_label'))
assert len(rows) == 10, rows
facts = next(iter(dataset.records('mart.facts')))
assert facts['mart.facts/i'] == 0, facts
print('ok')
";
    assert_eq!(folder.python(script).trim().lines().last(), Some("ok"));
}

#[test]
fn what_is_wrong_is_said_before_anything_is_sent() {
    let Some(folder) = warehouse("{url: bucket}") else { return };
    let none = folder.fails(1, &["deploy", "publish"]);
    assert!(none.contains("there is no warehouse"), "{none}");
    build(&folder);
    folder.ok(&["deploy", "publish"]);
    let before = folder.files("bucket");
    let exported = folder.path().join("exports/marts/facts.parquet");
    let mut bytes = std::fs::read(&exported).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&exported, &bytes).unwrap();
    let changed = folder.fails(4, &["deploy", "publish"]);
    assert!(
        changed.contains("exports/marts/facts.parquet has sha256")
            && changed.contains("warehouse run --models mart.facts"),
        "{changed}"
    );
    std::fs::remove_file(&exported).unwrap();
    let gone = folder.fails(4, &["deploy", "publish"]);
    assert!(gone.contains("exports/marts/facts.parquet is missing"), "{gone}");
    folder.ok(&["warehouse", "run"]);
    configure(&folder, "{url: bucket, storage_version: v0.1}");
    let version = folder.fails(2, &["deploy", "publish"]);
    assert!(version.contains("storage_version \"v0.1\" is unknown"), "{version}");
    // To say where readers will look needs no store, to send something does.
    configure(&folder, "{public_url: \"https://pub.example\"}");
    folder.ok(&["deploy", "catalog"]);
    folder.ok(&["docs"]);
    assert!(folder.text("exports/docs/index.html").contains("pub.example"));
    let nowhere = folder.fails(2, &["deploy", "publish"]);
    assert!(nowhere.contains("names no store to publish to") && nowhere.contains("bucket_name"), "{nowhere}");
    folder.write("warehouse.yml", "warehouse: {db_path: w.duckdb}\n");
    let unset = folder.fails(2, &["deploy", "catalog"]);
    assert!(unset.contains("Deployment not configured. Add 'deployment:' section to warehouse.yml"), "{unset}");
    assert_eq!(folder.files("bucket"), before, "something that stood in the store was touched");
}
