//! The warehouse: models built, exported and written down by the program, looked at with DuckDB's own Python module.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Called, Folder, finish, python};

/// A warehouse of these files; `None` where Python is missing.
fn warehouse(files: &[(&str, &str)]) -> Option<Folder> {
    python()?;
    let folder = Folder::new("");
    std::fs::remove_file(folder.path().join("outport.yml")).unwrap();
    folder.write("warehouse.yml", "warehouse:\n  db_path: w.duckdb\n");
    for (name, text) in files {
        folder.write(name, text);
    }
    Some(folder)
}

/// The project of the document: accessions, and the metadata that is exported.
const DOCUMENT: &[(&str, &str)] = &[
    (
        "models/raw/sra_accessions.sql",
        "SELECT 'SRR' || i AS accession, ['RUN', 'STUDY'][1 + i % 2] AS \"Type\", i FROM range(1000) t(i);\n",
    ),
    (
        "models/mart/sra_metadata.sql",
        "-- what people want\nSELECT accession, \"Type\", i * 2 AS bases FROM raw.sra_accessions\n;\n",
    ),
    (
        "models/mart/schema.yml",
        "version: 2\nmodels:\n  - name: sra_metadata\n    description: All runs and studies.\n    materialized: export_view\n    export:\n      path: \"marts/sra_metadata.parquet\"\n      compression: zstd\n",
    ),
];

/// Rows of a query on a warehouse file, as JSON.
fn rows(folder: &Folder, sql: &str) -> Value {
    let script = format!(
        "import duckdb, json\nc = duckdb.connect('w.duckdb', read_only=True)\nprint(json.dumps(c.execute({sql:?}).fetchall(), default=str))"
    );
    serde_json::from_str(&folder.python(&script)).unwrap()
}

/// What a run says of each model.
fn statuses(called: &Called) -> Value {
    let found: serde_json::Map<String, Value> = called.json()["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["model_name"].as_str().unwrap().to_owned(), result["status"].clone()))
        .collect();
    Value::Object(found)
}

fn run(folder: &Folder, code: i32, arguments: &[&str]) -> Called {
    folder.call(&[&["warehouse", "run", "-o", "json"], arguments].concat()).expect(code, arguments)
}

#[test]
fn the_documents_example_works_as_written() {
    let Some(folder) = warehouse(DOCUMENT) else { return };
    let plan = folder.json(&["warehouse", "plan"]);
    assert_eq!(plan["models"][1]["model"], "mart.sra_metadata");
    assert_eq!(plan["models"][1]["change"], "new");
    assert_eq!(plan["models"][1]["depends_on"], json!(["raw.sra_accessions"]));
    assert!(
        !folder.path().join("w.duckdb").exists() && !folder.path().join("exports").exists(),
        "a plan wrote something"
    );
    run(&folder, 0, &[]);
    run(&folder, 0, &["--models", "sra_metadata"]);
    assert_eq!(folder.names("exports"), ["marts/sra_metadata.parquet"]);
    assert!(folder.hidden("exports").is_empty());
    let read = folder.python(
        "import duckdb\nprint(duckdb.sql(\"select count(*), sum(bases), count(distinct \\\"Type\\\") from 'exports/marts/sra_metadata.parquet'\").fetchall())",
    );
    assert_eq!(read.trim(), "[(1000, 999000, 2)]");
    let groups = folder.python(
        "import pyarrow.parquet as pq\nm = pq.ParquetFile('exports/marts/sra_metadata.parquet').metadata\nprint(m.row_group(0).column(0).compression, m.num_rows)",
    );
    assert_eq!(groups.trim(), "ZSTD 1000");
    // The warehouse is a DuckDB file like any other.
    assert_eq!(rows(&folder, "SELECT count(*) FROM mart.sra_metadata"), json!([[1000]]));
    let books =
        rows(&folder, "SELECT model_name, status, rows_affected FROM meta.model_runs ORDER BY started_at, model_name");
    assert_eq!(
        books,
        json!([
            ["raw.sra_accessions", "success", null],
            ["mart.sra_metadata", "success", null],
            ["mart.sra_metadata", "success", null]
        ])
    );
    assert_eq!(rows(&folder, "SELECT count(DISTINCT run_id) FROM meta.model_runs"), json!([[3]]));
    let exports =
        rows(&folder, "SELECT model, path, format, rows, len(sha256), bytes > 0 FROM meta.model_exports LIMIT 1");
    assert_eq!(exports, json!([["mart.sra_metadata", "marts/sra_metadata.parquet", "parquet", 1000, 64, true]]));
    // A run of one model leaves the lineage of the others alone.
    let lineage = "SELECT model_name, depends_on_model FROM meta.model_lineage";
    assert_eq!(rows(&folder, lineage), json!([["mart.sra_metadata", "raw.sra_accessions"]]));
    run(&folder, 0, &["--models", "sra_accessions"]);
    assert_eq!(rows(&folder, lineage), json!([["mart.sra_metadata", "raw.sra_accessions"]]));
    let docs = rows(&folder, "SELECT model_name, description FROM meta.model_docs WHERE layer = 'mart'");
    assert_eq!(docs, json!([["mart.sra_metadata", "All runs and studies."]]));
}

#[test]
fn every_command_of_the_document_answers() {
    let Some(folder) = warehouse(DOCUMENT) else { return };
    run(&folder, 0, &[]);
    assert_eq!(folder.json(&["warehouse", "list-models"])["models"].as_array().unwrap().len(), 2);
    assert_eq!(folder.json(&["warehouse", "history", "--limit", "1"])["runs"].as_array().unwrap().len(), 1);
    let tables = folder.json(&["warehouse", "tables", "--layer", "mart"]);
    assert_eq!(tables["tables"][0]["name"], "sra_metadata");
    let described = folder.json(&["warehouse", "describe", "sra_metadata"]);
    assert_eq!(described["columns"][0], json!({"name": "accession", "data_type": "VARCHAR", "description": ""}));
    assert_eq!(described["export"]["rows"], 1000);
    let config = folder.json(&["warehouse", "show-config"]);
    assert!(config["warehouse"]["db_path"].as_str().unwrap().ends_with("w.duckdb"));
    assert!(folder.fails(2, &["warehouse", "describe", "sra_metdata"]).contains("sra_metadata"));
    let text = folder.ok(&["warehouse", "plan"]);
    assert!(text.contains("Execution plan (2 models):") && text.contains("1."), "{text}");
}

#[test]
fn a_project_for_the_old_tool_runs_with_its_variables() {
    let Some(folder) = warehouse(DOCUMENT) else { return };
    std::fs::remove_file(folder.path().join("warehouse.yml")).unwrap();
    let folder = folder
        .with_variable("OMICIDX_DB_PATH", "old.duckdb")
        .with_variable("OMICIDX_EXPORT_DIR", "elsewhere")
        .with_variable("OMICIDX_THREADS", "2")
        .with_variable("OMICIDX_MEMORY_LIMIT", "1GB");
    run(&folder, 0, &[]);
    assert_eq!(folder.names("elsewhere"), ["marts/sra_metadata.parquet"]);
    assert!(folder.path().join("old.duckdb").exists());
}

#[test]
fn what_the_old_tool_let_pass_is_a_warning() {
    let Some(folder) = warehouse(&[
        ("models/a/m.sql", "SELECT 1 AS x"),
        (
            "models/a/schema.yml",
            "models:\n  - name: m\n    owner: somebody\n    materialized: table\n    export: {enabled: true}\n  - name: gone\n",
        ),
    ]) else {
        return;
    };
    let called = run(&folder, 0, &[]);
    for part in ["schema.yml:3", "owner", "export.enabled is true", "gone.sql"] {
        assert!(called.stderr.contains(part), "{part}: {}", called.stderr);
    }
    assert!(folder.names("exports").is_empty());
}

#[test]
fn a_model_may_change_from_table_to_view_and_back() {
    let Some(folder) = warehouse(&[("models/a/m.sql", "SELECT 1 AS x")]) else { return };
    for (kind, standing) in
        [("table", "BASE TABLE"), ("view", "VIEW"), ("export_table", "BASE TABLE"), ("export_view", "VIEW")]
    {
        folder.write("models/a/schema.yml", &format!("models: [{{name: m, materialized: {kind}}}]"));
        run(&folder, 0, &[]);
        let found = rows(&folder, "SELECT table_type FROM information_schema.tables WHERE table_name = 'm'");
        assert_eq!(found, json!([[standing]]), "{kind}");
    }
    // Without an export section the file has the default path.
    assert_eq!(folder.names("exports"), ["a/m.parquet"]);
    folder.write("models/a/m.sql", "CREATE OR REPLACE TABLE a.other AS SELECT 2 AS y");
    folder.write("models/a/schema.yml", "models: [{name: m, materialized: external_table}]");
    run(&folder, 0, &[]);
    assert_eq!(rows(&folder, "SELECT y FROM a.other"), json!([[2]]));
}

#[test]
fn what_needs_a_failed_model_is_skipped_and_what_stood_stays() {
    let Some(folder) = warehouse(&[
        ("models/raw/a.sql", "SELECT 1 AS x"),
        ("models/raw/b.sql", "SELECT 1 AS x"),
        ("models/mart/on_a.sql", "SELECT x FROM raw.a"),
        ("models/mart/on_b.sql", "SELECT x FROM raw.b"),
        (
            "models/mart/schema.yml",
            "models:\n  - {name: on_a, materialized: export_table}\n  - {name: on_b, materialized: export_table}\n",
        ),
    ]) else {
        return;
    };
    run(&folder, 0, &[]);
    let before = folder.files("exports");
    folder.write("models/raw/a.sql", "SELECT\n  no_such_column\nFROM range(3)");
    let called = run(&folder, 1, &["--no-fail-fast"]);
    let expected = json!({"raw.a": "error", "raw.b": "success", "mart.on_a": "skipped", "mart.on_b": "success"});
    assert_eq!(statuses(&called), expected);
    assert!(called.stderr.contains("models/raw/a.sql:2"), "{}", called.stderr);
    assert_eq!(folder.files("exports")["mart/on_a.parquet"], before["mart/on_a.parquet"]);
    assert_eq!(rows(&folder, "SELECT x FROM raw.a"), json!([[1]]), "the old view is gone");
    // One after the other, nothing begins after a failure.
    let called = run(&folder, 1, &["--jobs", "1"]);
    let expected = json!({"raw.a": "error", "raw.b": "skipped", "mart.on_a": "skipped", "mart.on_b": "skipped"});
    assert_eq!(statuses(&called), expected);
    assert_eq!(
        rows(&folder, "SELECT status FROM meta.model_runs WHERE model_name = 'raw.a' ORDER BY started_at DESC LIMIT 1"),
        json!([["error"]])
    );
}

#[test]
fn bad_projects_are_refused_with_their_places() {
    let Some(folder) = warehouse(&[("models/a/one.sql", "SELECT * FROM a.two"), ("models/a/two.sql", "SELECT 1 AS x")])
    else {
        return;
    };
    let check = |files: &[(&str, &str)], code: i32, parts: &[&str]| {
        for (name, text) in files {
            folder.write(name, text);
        }
        let said = folder.fails(code, &["warehouse", "plan"]);
        for part in parts {
            assert!(said.contains(part), "{part} is not in\n{said}");
        }
    };
    check(
        &[("models/a/two.sql", "SELECT * FROM a.one")],
        2,
        &["Circular dependency detected involving", "a.one", "a.two"],
    );
    check(&[("models/a/two.sql", "SELECT 1 AS x\nFORM t")], 2, &["models/a/two.sql:2", "FORM"]);
    folder.write("models/a/two.sql", "SELECT 1 AS x");
    let schema = "models/a/schema.yml";
    check(&[(schema, "models:\n  - name: two\n    depends_on: [raw.nothing]\n")], 2, &["schema.yml:3", "raw.nothing"]);
    check(
        &[(schema, "models:\n  - name: two\n    materialised: view\n")],
        2,
        &["schema.yml:3:5", "materialised", "materialized"],
    );
    check(
        &[(schema, "models:\n  - name: two\n    materialized: vew\n")],
        2,
        &["Unsupported materialization: vew", "external_table"],
    );
    check(
        &[(schema, "models:\n  - {name: two, materialized: export_view, export: {path: ../out.parquet}}\n")],
        2,
        &["inside export_dir"],
    );
    check(
        &[(schema, "models:\n  - {name: two, materialized: export_view, export: {format: csv, row_group_size: 10}}\n")],
        2,
        &["row_group_size is an option of parquet"],
    );
    check(
        &[(schema, "models:\n  - {name: two, materialized: export_view, export: {partition_by: [Type]}}\n")],
        2,
        &["partition_by names the column \"Type\"", "schema.yml:2"],
    );
    check(
        &[(
            schema,
            "models:\n  - {name: one, materialized: export_view, export: {path: x.parquet}}\n  - {name: two, materialized: export_view, export: {path: x.parquet}}\n",
        )],
        2,
        &["a.one and a.two export to the same path x.parquet"],
    );
    check(&[(schema, "models:\n  - name: two\n  - name: two\n")], 2, &["two is described twice"]);
    check(&[(schema, "models:\n  - name: [\n")], 2, &["schema.yml"]);
    folder.write("models/a/TWO.sql", "SELECT 2 AS x");
    check(&[(schema, "models: []")], 2, &["is there twice", "TWO.sql", "two.sql"]);
    std::fs::remove_file(folder.path().join("models/a/TWO.sql")).unwrap();
    check(
        &[(schema, "models: []"), ("warehouse.yml", "warehouse:\n  db_pth: x\n")],
        2,
        &["warehouse.yml:2:3", "db_path"],
    );
    assert!(!folder.path().join("w.duckdb").exists());
}

#[test]
fn partitions_are_rewritten_whole_under_a_reader() {
    let Some(folder) = warehouse(&[
        (
            "models/m/t.sql",
            "SELECT i % {{ var('parts') }} AS p, i, {{ var('parts') }} AS generation FROM range(20000) t(i)",
        ),
        (
            "models/m/schema.yml",
            "models: [{name: t, materialized: export_table, export: {path: by_p, partition_by: [p]}}]",
        ),
    ]) else {
        return;
    };
    run(&folder, 0, &["--vars", "parts=7"]);
    // Somebody lists and reads by path all the time, slowly, and must see one generation, whole, or be told that a file is gone.
    let reader = folder.path().join("reader.py");
    std::fs::write(
        &reader,
        "import glob, os, time, pyarrow.parquet as pq\nseen = set()\nwhile not os.path.exists('stop'):\n\
         \x20   before = os.stat('exports/by_p').st_ino\n\
         \x20   names = sorted(glob.glob('exports/by_p/*/*'))\n\
         \x20   if os.stat('exports/by_p').st_ino != before: continue\n\
         \x20   tables = []\n\
         \x20   try:\n\
         \x20       for name in names:\n\
         \x20           tables.append(pq.ParquetFile(name).read())\n\
         \x20           time.sleep(0.02)\n\
         \x20   except FileNotFoundError: continue\n\
         \x20   generations = {g for t in tables for g in set(t['generation'].to_pylist())}\n\
         \x20   rows = sum(t.num_rows for t in tables)\n\
         \x20   assert len(generations) == 1 and rows == 20000 and len(names) == generations.copy().pop(), (generations, rows, names)\n\
         \x20   seen |= generations\nassert seen\nprint(sorted(seen))\n",
    )
    .unwrap();
    let mut command = std::process::Command::new(python().unwrap());
    crate::support::clean(&mut command, folder.path());
    let child = command.arg(&reader).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for parts in [3, 5, 2, 7, 4] {
        run(&folder, 0, &["--vars", &format!("parts={parts}")]);
        assert_eq!(std::fs::read_dir(folder.path().join("exports/by_p")).unwrap().count(), parts);
    }
    folder.write("stop", "");
    let read = finish(child);
    assert_eq!(read.code, 0, "{}", read.stderr);
    assert_eq!(folder.files("exports").len(), 4);
    assert!(folder.hidden("exports").is_empty());
    let record = rows(
        &folder,
        "SELECT rows, json_array_length(files), partition_by FROM meta.model_exports ORDER BY exported_at DESC LIMIT 1",
    );
    assert_eq!(record, json!([[20000, 4, "[\"p\"]"]]));
}

#[test]
fn a_failed_test_holds_the_export_back() {
    let schema = |kind: &str| {
        format!(
            "models:\n  - name: m\n    materialized: {kind}\n    tests:\n      - sql: SELECT * FROM a.m WHERE id > 100\n    columns:\n\
         \x20     - name: id\n        tests: [not_null, unique]\n      - name: state\n        tests:\n          - accepted_values: {{values: [live, gone]}}\n\
         \x20         - relationships: {{to: a.states, field: name}}\n"
        )
    };
    let Some(folder) = warehouse(&[
        ("models/a/states.sql", "SELECT unnest(['live', 'gone']) AS name"),
        ("models/a/m.sql", "SELECT 1 AS id, 'live' AS state FROM a.states LIMIT 1"),
    ]) else {
        return;
    };
    for kind in ["export_table", "export_view"] {
        folder.write("models/a/schema.yml", &schema(kind));
        folder.write("models/a/m.sql", "SELECT 1 AS id, 'live' AS state FROM a.states LIMIT 1");
        run(&folder, 0, &[]);
        let before = folder.files("exports");
        folder.write(
            "models/a/m.sql",
            "SELECT unnest([1, 1, NULL, 200]) AS id, 'lost' AS state, (SELECT count(*) FROM a.states) AS n",
        );
        let called = run(&folder, 1, &[]);
        for test in ["not_null id", "unique id", "accepted_values state", "relationships state", "test sql"] {
            assert!(called.stderr.contains(test), "{test}: {}", called.stderr);
        }
        assert!(called.stderr.contains("schema.yml:"), "{}", called.stderr);
        assert_eq!(folder.files("exports"), before);
    }
}

#[test]
fn incremental_models_take_what_is_new() {
    let Some(folder) = warehouse(&[
        ("models/raw/events.sql", "SELECT * FROM read_csv('events.csv')"),
        (
            "models/mart/log.sql",
            "SELECT id, ts, note FROM {{ ref('events') }}{% if is_incremental() %} WHERE ts >= (SELECT max(ts) FROM {{ this }}){% endif %}",
        ),
        ("models/mart/latest.sql", "SELECT id, max(ts) AS ts, arg_max(note, ts) AS note FROM raw.events GROUP BY id"),
        (
            "models/mart/schema.yml",
            "models:\n  - {name: log, materialized: incremental, incremental: {time_column: ts}}\n\
             \x20 - {name: latest, materialized: incremental, incremental: {unique_key: id}}\n",
        ),
        ("events.csv", "id,ts,note\n1,2025-01-01 00:00:00,a\n2,2025-01-02 00:00:00,b\n"),
    ]) else {
        return;
    };
    run(&folder, 0, &[]);
    run(&folder, 0, &[]);
    assert_eq!(rows(&folder, "SELECT count(*) FROM mart.log"), json!([[2]]), "a second run repeats rows");
    folder.write("events.csv", "id,ts,note\n1,2025-01-03 00:00:00,c\n3,2025-01-04 00:00:00,d\n");
    run(&folder, 0, &["--changed"]);
    assert_eq!(rows(&folder, "SELECT note FROM mart.log ORDER BY ts"), json!([["a"], ["b"], ["c"], ["d"]]));
    assert_eq!(rows(&folder, "SELECT id, note FROM mart.latest ORDER BY id"), json!([[1, "c"], [2, "b"], [3, "d"]]));
    // An edited query under old rows is refused, until somebody says what is meant.
    folder.write(
        "models/mart/latest.sql",
        "SELECT id, max(ts) AS ts, upper(arg_max(note, ts)) AS note FROM raw.events GROUP BY id",
    );
    let called = run(&folder, 4, &["--models", "latest"]);
    assert!(called.stderr.contains("--full-refresh") && called.stderr.contains("--accept-change"), "{}", called.stderr);
    run(&folder, 0, &["--models", "latest", "--accept-change"]);
    assert_eq!(rows(&folder, "SELECT id, note FROM mart.latest ORDER BY id"), json!([[1, "C"], [2, "b"], [3, "D"]]));
    run(&folder, 0, &["--models", "latest", "--full-refresh"]);
    assert_eq!(rows(&folder, "SELECT id, note FROM mart.latest ORDER BY id"), json!([[1, "C"], [3, "D"]]));
    // A row without a time would never be seen again.
    folder.write("events.csv", "id,ts,note\n9,,x\n8,2025-01-09 00:00:00,y\n");
    folder.write("models/mart/log.sql", "SELECT id, ts, note FROM raw.events");
    let called = run(&folder, 1, &["--models", "log", "--accept-change"]);
    assert!(called.stderr.contains("time_column \"ts\" is NULL in 1 rows"), "{}", called.stderr);
    assert_eq!(rows(&folder, "SELECT count(*) FROM mart.log"), json!([[4]]), "half of a run stayed");
}

#[test]
fn rows_without_a_time_are_replaced_or_left_out() {
    let Some(folder) = warehouse(&[
        ("models/raw/events.sql", "SELECT * FROM read_csv('events.csv')"),
        ("models/mart/all_of_them.sql", "SELECT id, ts FROM raw.events"),
        ("models/mart/dated.sql", "SELECT id, ts FROM raw.events"),
        (
            "models/mart/schema.yml",
            "models:\n  - {name: all_of_them, materialized: incremental, incremental: {time_column: ts, on_null_cursor: include}}\n\
             \x20 - {name: dated, materialized: incremental, incremental: {time_column: ts, on_null_cursor: exclude}}\n",
        ),
    ]) else {
        return;
    };
    let ids = |events: &str| {
        folder.write("events.csv", &format!("id,ts\n{events}"));
        run(&folder, 0, &[]);
        let of = |model: &str| rows(&folder, &format!("SELECT string_agg(id, ' ' ORDER BY id) FROM mart.{model}"));
        (of("all_of_them")[0][0].clone(), of("dated")[0][0].clone())
    };
    assert_eq!(ids("1,2025-01-01\n2,\n"), (json!("1 2"), json!("1")));
    assert_eq!(
        ids("1,2025-01-01\n2,\n3,\n"),
        (json!("1 2 3"), json!("1")),
        "rows without a time are those of the last run"
    );
    assert_eq!(ids("2,2025-01-02\n3,\n4,\n"), (json!("1 2 3 4"), json!("1 2")));
    folder.write(
        "models/mart/schema.yml",
        "models: [{name: dated, materialized: incremental, incremental: {time_column: ts, on_null_cursor: drop}}]",
    );
    let said = folder.fails(2, &["warehouse", "plan"]);
    assert!(said.contains("expected error, include or exclude") && said.contains("schema.yml:1"), "{said}");
}

#[test]
fn selectors_and_changed_leave_the_rest_alone() {
    let Some(folder) = warehouse(DOCUMENT) else { return };
    let called = run(&folder, 0, &["--models", "+sra_metadata"]);
    assert_eq!(statuses(&called), json!({"raw.sra_accessions": "success", "mart.sra_metadata": "success"}));
    let called = run(&folder, 0, &["--changed"]);
    assert_eq!(statuses(&called), json!({"raw.sra_accessions": "unchanged", "mart.sra_metadata": "unchanged"}));
    folder.write(
        "models/raw/sra_accessions.sql",
        "SELECT 'SRR' || i AS accession, 'RUN' AS \"Type\", i FROM range(10) t(i)",
    );
    let plan = folder.json(&["warehouse", "plan"]);
    assert_eq!((&plan["models"][0]["change"], &plan["models"][1]["change"]), (&json!("changed"), &json!("changed")));
    let called = run(&folder, 0, &["--changed"]);
    assert_eq!(statuses(&called), json!({"raw.sra_accessions": "success", "mart.sra_metadata": "success"}));
    std::fs::remove_file(folder.path().join("exports/marts/sra_metadata.parquet")).unwrap();
    let called = run(&folder, 0, &["--changed"]);
    assert_eq!(statuses(&called), json!({"raw.sra_accessions": "unchanged", "mart.sra_metadata": "success"}));
    assert!(folder.fails(2, &["warehouse", "run", "--models", "sra_metdata"]).contains("sra_metadata"));
}

#[test]
fn exports_have_every_format_and_dates_in_their_names() {
    let export = |name: &str, settings: &str| {
        format!("  - {{name: {name}, materialized: export_table, export: {{{settings}}}}}\n")
    };
    let schema = format!(
        "models:\n{}{}{}{}{}",
        export("a", "format: csv, compression: gzip"),
        export("b", "format: ndjson, compression: none"),
        export("c", "compression: none, path: 'c_{{ date }}.parquet'"),
        export("d", "compression: snappy, path: 'd_{run_date:%Y}.parquet', row_group_size: 100"),
        export("e", "format: arrow, path: deep/er/e.arrow"),
    );
    let models: Vec<(String, String)> = ["a", "b", "c", "d", "e"]
        .map(|n| (format!("models/x/{n}.sql"), "SELECT i FROM range(500) t(i)".to_owned()))
        .to_vec();
    let mut files: Vec<(&str, &str)> = models.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.push(("models/x/schema.yml", &schema));
    let Some(folder) = warehouse(&files) else { return };
    run(&folder, 0, &["--run-date", "2025-10-30"]);
    assert_eq!(
        folder.names("exports"),
        ["c_20251030.parquet", "d_2025.parquet", "deep/er/e.arrow", "x/a.csv.gz", "x/b.ndjson"]
    );
    let groups = folder.python(
        "import pyarrow.parquet as pq\nprint(pq.ParquetFile('exports/d_2025.parquet').metadata.num_row_groups)",
    );
    assert_eq!(groups.trim(), "5");
}

#[test]
fn a_database_in_use_is_named_and_left_alone() {
    let Some(folder) = warehouse(DOCUMENT) else { return };
    run(&folder, 0, &[]);
    let mut command = std::process::Command::new(python().unwrap());
    crate::support::clean(&mut command, folder.path());
    let mut holder = command
        .args(["-c", "import duckdb, time\nc = duckdb.connect('w.duckdb')\nopen('held', 'w')\ntime.sleep(60)"])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !folder.path().join("held").exists() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = folder.call(&["warehouse", "run"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("w.duckdb") && said.stderr.contains(&holder.id().to_string()), "{}", said.stderr);
}

#[test]
fn what_a_killed_run_left_is_gone_after_the_next() {
    let Some(folder) = warehouse(&[
        ("models/m/big.sql", "SELECT i AS id, md5(i::VARCHAR) AS h, i % 50 AS p FROM range(6000000) t(i)"),
        (
            "models/m/schema.yml",
            "models: [{name: big, materialized: export_view, export: {path: big, partition_by: [p], compression_level: 19}}]",
        ),
    ]) else {
        return;
    };
    let mut child = folder.start(&["warehouse", "run"]);
    let begun = Instant::now();
    while folder.hidden("exports").is_empty() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!folder.hidden("exports").is_empty(), "it was killed too late");
    assert!(folder.names("exports").is_empty(), "half an export can be seen");
    folder.write("models/m/big.sql", "SELECT i AS id, 'h' AS h, i % 5 AS p FROM range(600) t(i)");
    run(&folder, 0, &[]);
    assert!(folder.hidden("exports").is_empty());
    assert_eq!(folder.names("exports").len(), 5);
    let died = rows(&folder, "SELECT status, error_message FROM meta.model_runs ORDER BY started_at LIMIT 1");
    assert_eq!(died, json!([["error", "the process died"]]));
}

#[test]
fn lineage_events_tell_of_begin_and_end() {
    let Some(folder) = warehouse(DOCUMENT) else { return };
    folder.write("models/mart/broken.sql", "SELECT nothing FROM raw.sra_accessions");
    run(&folder, 1, &["--no-fail-fast", "--openlineage", "events.ndjson"]);
    let events: Vec<Value> =
        folder.lines("events.ndjson").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |model: &str| -> Vec<&Value> { events.iter().filter(|event| event["job"]["name"] == model).collect() };
    let told = of("mart.sra_metadata");
    assert_eq!((&told[0]["eventType"], &told[1]["eventType"]), (&json!("START"), &json!("COMPLETE")));
    assert_eq!(told[0]["run"]["runId"], told[1]["run"]["runId"]);
    assert_eq!(told[1]["inputs"][0]["name"], "raw.sra_accessions");
    assert_eq!(told[1]["outputs"][1]["outputFacets"]["outputStatistics"]["rowCount"], 1000);
    let failed = of("mart.broken");
    assert_eq!(failed[1]["eventType"], "FAIL");
    assert!(failed[1]["run"]["facets"]["errorMessage"]["message"].as_str().unwrap().contains("nothing"));
    // A server gets the same events, where the specification says.
    folder.write(
        "server.py",
        "import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n\
         \x20   def do_POST(self):\n\
         \x20       body = self.rfile.read(int(self.headers['content-length'])).decode()\n\
         \x20       open('posted', 'a').write(self.path + ' ' + str(self.headers['authorization']) + ' ' + body + '\\n')\n\
         \x20       self.send_response(201); self.end_headers()\n\
         \x20   def log_message(self, *a): pass\n\
         s = http.server.HTTPServer(('127.0.0.1', 0), H)\nopen('port.tmp', 'w').write(str(s.server_port))\nimport os\nos.rename('port.tmp', 'port')\ns.serve_forever()\n",
    );
    let mut command = std::process::Command::new(python().unwrap());
    crate::support::clean(&mut command, folder.path());
    let mut server = command.arg("server.py").spawn().unwrap();
    let begun = Instant::now();
    while !folder.path().join("port").exists() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let url = format!("http://127.0.0.1:{}", folder.text("port"));
    let arguments = ["warehouse", "run", "--models", "sra_metadata"];
    let sent =
        folder.command(&arguments).env("OPENLINEAGE_URL", url).env("OPENLINEAGE_API_KEY", "k3y").output().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(sent.status.success());
    let posted = folder.lines("posted");
    assert_eq!(posted.len(), 2, "{posted:?}");
    assert!(posted.iter().all(|line| line.starts_with("/api/v1/lineage Bearer k3y {")), "{posted:?}");
    // A server that is not there is said once, and stops nothing.
    let called = run(&folder, 0, &["--models", "sra_metadata", "--openlineage", "http://127.0.0.1:9"]);
    assert_eq!(called.stderr.matches("lineage events are not sent").count(), 1, "{}", called.stderr);
}
