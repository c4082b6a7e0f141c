//! Sources whose columns change between two runs.

use serde_json::{Value, json};

use crate::postgres_server::PostgresServer;
use crate::support::{Folder, python};

/// Exports of every kind on a table `t` with the columns `id`, `name` and `day`.
fn project(connection: &str, schema: &str, policy: &str) -> Folder {
    let table = format!("source_table: t{schema}");
    Folder::new(&format!(
        "connections:\n  in: {connection}\n  out: {{type: store, url: out}}\n\
         defaults: {{source: in, target: out, target_path: \"{{run_date:%d}}\", target_filename_pattern: \"{{export_name}}.csv\", \
         file_format: csv, manifest: false, schema_policy: {policy}}}\n\
         exports:\n  s/full: {{{table}}}\n  s/query: {{source_query: \"SELECT * FROM t\"}}\n  \
         s/increment: {{{table}, extract_type: incremental, incremental_column: id}}\n  \
         s/period: {{{table}, extract_type: period, period_filter_column: day, \
         period_date_query: \"SELECT DATE '2025-01-01' AS start_date, DATE '2025-12-31' AS end_date\"}}\n"
    ))
}

const EXPORTS: [&str; 4] = ["full", "increment", "period", "query"];

fn header(folder: &Folder, day: u32, export: &str) -> String {
    folder.lines(&format!("out/{day:02}/{export}.csv")).remove(0)
}

fn run(folder: &Folder, day: u32, more: &[&str]) -> Value {
    folder.json(&[&["run", "--run-date", &format!("2025-01-{day:02}")], more].concat())
}

/// Four shapes of the source one after the other: as it is, with a column more, with another type of `id`, without `name`.
fn frozen(folder: &Folder, shape: impl Fn(u32)) {
    shape(1);
    run(folder, 1, &[]);
    shape(2);
    let plans = folder.json(&["plan"]);
    let ran = run(folder, 2, &[]);
    for (index, export) in EXPORTS.iter().enumerate() {
        let plan = plans.as_array().unwrap().iter().find(|plan| plan["export"]["name"] == *export).unwrap();
        assert_eq!(
            plan["schema_changes"],
            json!([{"change": "added", "column": "extra", "data_type": "Utf8"}]),
            "{plan}"
        );
        assert_eq!(plan["columns"].as_array().unwrap().len(), 3);
        assert_eq!(header(folder, 2, export), "id,name,day", "{export}");
        let warnings = ran["results"][index]["warnings"][0].as_str().unwrap();
        assert!(warnings.contains("is left out") && warnings.ends_with("(1 in column \"extra\")"), "{warnings}");
    }
    assert_eq!(folder.lines("out/02/query.csv")[1..], folder.lines("out/02/full.csv")[1..]);
    assert_eq!(folder.lines("out/02/increment.csv"), ["id,name,day", "2,b,2025-01-02"]);

    shape(3);
    for command in ["plan", "run"] {
        let said = folder.fails(4, &[command, "--run-date", "2025-01-03"]);
        assert_eq!(said.matches("column \"id\" was Int32 and is Int64 now").count(), EXPORTS.len(), "{said}");
        assert!(said.contains("--accept-change"), "{said}");
    }
    run(folder, 3, &["--accept-change"]);
    for export in EXPORTS {
        assert_eq!(header(folder, 3, export), "id,name,day,extra", "{export}: what was accepted is all of it");
    }
    assert_eq!(folder.lines("out/03/increment.csv")[1..], ["3,c,2025-01-03,x"]);

    shape(4);
    let said = folder.fails(4, &["run", "--run-date", "2025-01-04"]);
    assert_eq!(said.matches("column \"name\" Utf8 is gone").count(), EXPORTS.len(), "{said}");
    // A watermark that is forgotten does not unfreeze the columns.
    folder.ok(&["watermark", "reset", "s/increment"]);
    folder.fails(4, &["run", "s/increment", "--run-date", "2025-01-04"]);
    run(folder, 4, &["--accept-change"]);
    for export in EXPORTS {
        assert_eq!(header(folder, 4, export), "id,day,extra", "{export}");
    }
    assert!(run(folder, 5, &[])["success"].as_bool().unwrap());
}

const SQL: [&str; 4] = [
    "CREATE TABLE t (id INTEGER, name VARCHAR, day DATE); INSERT INTO t VALUES (1, 'a', DATE '2025-01-01')",
    "ALTER TABLE t ADD COLUMN extra VARCHAR; INSERT INTO t VALUES (2, 'b', DATE '2025-01-02', 'x')",
    "ALTER TABLE t ALTER id TYPE BIGINT; INSERT INTO t VALUES (3, 'c', DATE '2025-01-03', 'x')",
    "ALTER TABLE t DROP COLUMN name",
];

#[test]
fn frozen_duckdb() {
    if python().is_none() {
        return;
    }
    let folder = project("{type: duckdb, path: shop.duckdb}", "", "freeze");
    frozen(&folder, |n| folder.duckdb("shop.duckdb", SQL[n as usize - 1]));
}

#[test]
fn frozen_postgres() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql("CREATE SCHEMA frozen");
    let url = format!("{}?options=-csearch_path%3Dfrozen", server.url());
    let folder = project(&format!("{{type: postgres, url: \"{url}\"}}"), "", "freeze");
    frozen(&folder, |n| drop(server.psql(&format!("SET search_path = frozen; {}", SQL[n as usize - 1]))));
}

#[test]
fn frozen_lakehouse() {
    if python().is_none() {
        return;
    }
    // Delta keeps its schema in the log, plain files in their footers.
    let delta = "import deltalake\ndeltalake.write_deltalake('lake/t', t, mode='overwrite', schema_mode='overwrite')";
    let parquet =
        "import os, pyarrow.parquet as p\nos.makedirs('lake/t', exist_ok=True)\np.write_table(t, 'lake/t/1.parquet')";
    for write in [delta, parquet] {
        let folder = project("{type: lakehouse, url: lake}", "", "freeze");
        frozen(&folder, |n| {
            let build =
                format!("import duckdb\nc = duckdb.connect()\nfor s in {:?}: c.execute(s)\n", &SQL[..n as usize]);
            drop(folder.python(&format!("{build}t = c.execute('FROM t').to_arrow_table()\n{write}")));
        });
    }
}

/// A table whose columns stand in the order given.
fn parquet(folder: &Folder, columns: &str) {
    folder.python(&format!(
        "import os, duckdb\nos.makedirs('lake', exist_ok=True)\n\
         duckdb.sql(\"COPY (SELECT {columns} FROM (SELECT 1 AS id, 'a' AS name, DATE '2025-01-01' AS day)) TO 'lake/t.parquet'\")"
    ));
}

#[test]
fn the_order_of_columns_matters_where_files_are_read_by_it() {
    if python().is_none() {
        return;
    }
    let folder = project("{type: lakehouse, url: lake}", "", "fail");
    parquet(&folder, "id, name, day");
    run(&folder, 1, &[]);
    parquet(&folder, "name, id, day");
    let said = folder.fails(4, &["run", "s/full"]);
    assert!(said.contains("order id, name, day -> name, id, day"), "{said}");
    folder.edit("schema_policy: fail", "schema_policy: freeze");
    run(&folder, 2, &[]);
    for export in ["full", "query", "period"] {
        assert_eq!(folder.lines(&format!("out/02/{export}.csv")), ["id,name,day", "1,a,2025-01-01"], "{export}");
    }
    folder.edit("schema_policy: freeze", "schema_policy: evolve");
    let ran = run(&folder, 3, &[]);
    assert_eq!(header(&folder, 3, "full"), "name,id,day");
    assert_eq!(ran["results"][0]["status"], "warning");
    assert!(
        ran["results"][0]["warnings"][0].as_str().unwrap().contains("order id, name, day -> name, id, day"),
        "{ran}"
    );
    assert_eq!(run(&folder, 3, &[])["results"][0]["status"], "success", "a change is told once");

    // Readers of Parquet go by names.
    let folder = project("{type: lakehouse, url: lake}", "", "fail");
    folder.edit("file_format: csv", "file_format: parquet");
    parquet(&folder, "id, name, day");
    run(&folder, 1, &[]);
    parquet(&folder, "name, id, day");
    run(&folder, 2, &[]);
}

#[test]
fn a_plan_shows_what_changed() {
    if python().is_none() {
        return;
    }
    let folder = project("{type: lakehouse, url: lake}", "", "evolve");
    parquet(&folder, "id, name, day");
    run(&folder, 1, &[]);
    parquet(&folder, "id::BIGINT AS id, day, 2.5::DECIMAL(9, 2) AS price");
    let text = folder.ok(&["plan", "s/full"]);
    for line in
        ["~ id Int32 -> Int64", "- name Utf8", "+ price Decimal128(9, 2)", "the schema changed since the last run"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let changes = &folder.json(&["plan", "s/full"])[0]["schema_changes"];
    assert_eq!(changes[0], json!({"change": "type_changed", "column": "id", "from": "Int32", "to": "Int64"}));
    // Who reads the files may not read the log.
    folder.edit("manifest: false", "manifest: m.json");
    run(&folder, 2, &["s/period"]);
    let manifest: Value = serde_json::from_str(&folder.text("out/02/m.json")).unwrap();
    assert_eq!(
        (&manifest["warnings"][0]["code"], &manifest["warnings"][0]["count"]),
        (&"schema_changed".into(), &1.into())
    );
    folder.edit("schema_policy: evolve", "schema_policy: fail");
    let said = folder.fails(4, &["run", "s/full"]);
    assert!(said.contains("~ id Int32 -> Int64"), "{said}");
    folder.ok(&["run", "s/full", "--accept-change"]);
    folder.ok(&["run", "s/full"]);
}

/// The type of a numeric without precision depends on the rows that are read, which the catalogue does not know.
#[test]
fn types_that_depend_on_rows_do_not_slip_through() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql(
        "CREATE SCHEMA loose; CREATE TABLE loose.t (id INT, price NUMERIC); INSERT INTO loose.t VALUES (1, 1.25)",
    );
    let folder = Folder::new(&format!(
        "connections:\n  in: {{type: postgres, url: \"{}\"}}\n  out: {{type: store, url: out}}\n\
         exports:\n  s/t: {{source: in, source_schema: loose, source_table: t, target: out, target_path: '.', \
         target_filename_pattern: '{{run_date:%d}}.csv', file_format: csv, manifest: false, extract_type: incremental, \
         incremental_column: id, schema_policy: freeze}}\n",
        server.url()
    ));
    run(&folder, 1, &[]);
    server.psql("INSERT INTO loose.t VALUES (2, 2.5)");
    let said = folder.fails(4, &["run", "--run-date", "2025-01-02"]);
    assert!(said.contains("~ price Decimal128(38, 2) -> Decimal128(38, 1)"), "{said}");
    assert!(said.contains("numeric: decimal(p,s)"), "{said}");
    assert_eq!(folder.names("out"), ["01.csv"]);
    folder.edit("{type: postgres,", "{type: postgres, numeric: \"decimal(38,2)\",");
    run(&folder, 2, &[]);
    assert_eq!(folder.lines("out/02.csv"), ["id,price", "2,2.50"]);
}
