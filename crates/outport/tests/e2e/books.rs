//! Runs for many run dates, and what the log tells of one.

use serde_json::Value;

use crate::support::Folder;

fn project(exports: &str) -> Folder {
    let folder = Folder::new(&format!(
        "connections:\n  lake: {{type: lakehouse, url: data}}\n  out: {{type: store, url: out}}\n\
         defaults: {{source: lake, source_table: sales, target: out, target_path: \".\", file_format: csv, manifest: false, \
         target_filename_pattern: \"{{export_name}}_{{run_date:%Y%m%d}}.csv\"}}\nexports:\n{exports}"
    ));
    folder.write("data/sales.csv", "id,day\n1,2025-01-01\n2,2025-01-02\n3,2025-01-02\n4,2025-01-04\n");
    folder
}

/// The rows of one day: that of the run.
const DAILY: &str = "  t/daily: {extract_type: period, period_filter_column: day, \
    period_date_query: \"SELECT DATE '{run_date:%Y-%m-%d}' AS start_date, DATE '{run_date:%Y-%m-%d}' AS end_date\"}\n";

fn dates(done: &Value) -> Vec<&str> {
    done.as_array().unwrap().iter().map(|dated| dated["run_date"].as_str().unwrap()).collect()
}

#[test]
fn a_period_is_filled_day_by_day() {
    let folder = project(DAILY);
    let done = folder.json(&["backfill", "daily", "--from", "2025-01-01", "--to", "2025-01-04"]);
    assert_eq!(dates(&done), ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"]);
    let rows: Vec<&Value> =
        done.as_array().unwrap().iter().map(|dated| &dated["results"][0]["metrics"]["rows_exported"]).collect();
    assert_eq!(rows, [1, 2, 0, 1]);
    assert_eq!(folder.lines("out/daily_20250102.csv"), ["id,day", "2,2025-01-02", "3,2025-01-02"]);
    assert_eq!(folder.names("out").len(), 4);
    // One after the other, each an execution of its own that the log knows by its date.
    let text = |dated: &Value, field: &str| dated["results"][0][field].as_str().unwrap().to_owned();
    let done = done.as_array().unwrap();
    assert!(done.windows(2).all(|pair| text(&pair[0], "completed_at") <= text(&pair[1], "started_at")), "{done:?}");
    let mut executions: Vec<&str> = done.iter().map(|dated| dated["execution_id"].as_str().unwrap()).collect();
    executions.dedup();
    assert_eq!(executions.len(), 4);
    assert_eq!(folder.json(&["gaps", "daily", "--to", "2025-01-04"]), serde_json::json!([]));
    let table = folder.ok(&["backfill", "daily", "--from", "2025-01-01", "--to", "2025-01-02"]);
    assert_eq!(table.lines().filter(|line| line.contains("t/daily  success")).count(), 2, "{table}");
    assert!(table.starts_with("Run date") && table.contains("\n2025-01-02"), "{table}");
}

#[test]
fn weeks_and_months() {
    let folder = project(DAILY);
    let run = |arguments: &[&str]| {
        let done = folder.json(&[&["backfill", "daily", "--from", "2025-01-31"], arguments].concat());
        dates(&done).join(" ")
    };
    assert_eq!(run(&["--to", "2025-04-29", "--every", "month"]), "2025-01-31 2025-02-28 2025-03-31");
    assert_eq!(run(&["--to", "2025-02-14", "--every", "week"]), "2025-01-31 2025-02-07 2025-02-14");
    assert_eq!(run(&["--to", "2025-01-31"]), "2025-01-31");
}

#[test]
fn an_incremental_export_takes_everything_on_the_first_date() {
    let folder = project("  t/new: {extract_type: incremental, incremental_column: id}\n");
    let called =
        folder.call(&["backfill", "new", "--from", "2025-01-01", "--to", "2025-01-02", "-o", "json"]).expect(0, &[]);
    assert!(called.stderr.contains("t/new is incremental"), "{}", called.stderr);
    let done = called.json();
    assert_eq!(done[0]["results"][0]["metrics"]["rows_exported"], 4);
    assert_eq!(done[1]["results"][0]["metrics"]["rows_exported"], 0);
    assert_eq!(folder.watermark("t/new"), "4");
}

#[test]
fn a_backfill_goes_on_behind_a_failure_unless_it_is_not_to() {
    // Of the second there is no file.
    let folder = project("  t/file: {source_table: null, source_query: \"SELECT id FROM sales_{run_date:%d}\"}\n");
    folder.write("data/sales_01.csv", "id\n1\n");
    folder.write("data/sales_03.csv", "id\n3\n");
    let range = ["backfill", "file", "--from", "2025-01-01", "--to", "2025-01-03"];
    let said = folder.fails(5, &range);
    assert!(said.contains("to run again what failed for 2025-01-02: outport retry "), "{said}");
    assert_eq!(folder.names("out"), ["file_20250101.csv", "file_20250103.csv"]);
    let called = folder.call(&[&range[..], &["--fail-fast", "-o", "json"]].concat()).expect(5, &range);
    assert_eq!(dates(&called.json()), ["2025-01-01", "2025-01-02"]);
    // What failed is run again for its own date.
    folder.write("data/sales_02.csv", "id\n2\n");
    let id = said.split("outport retry ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    folder.ok(&["retry", &id]);
    assert_eq!(folder.lines("out/file_20250102.csv"), ["id", "2"]);
}

#[test]
fn a_wrong_range_is_refused() {
    let folder = project(DAILY);
    for (arguments, expected) in [
        (&["--from", "2025-01-02", "--to", "2025-01-01"][..], "--from 2025-01-02 lies behind --to 2025-01-01"),
        (
            &["--from", "yesterday", "--to", "2025-01-01"],
            "--from: expected a date such as 2025-12-12, found \"yesterday\"",
        ),
        (&["--from", "2025-01-01"], "--to"),
        (&["--from", "2025-01-01", "--to", "2025-01-02", "--every", "hour"], "day, week, month"),
        (&["--from", "2025-01-01", "--to", "2025-01-02", "--timezone", "Mars/Base"], "Mars/Base"),
    ] {
        let said = folder.fails(2, &[&["backfill", "daily"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let said = folder.fails(2, &["backfill", "--from", "2025-01-01", "--to", "2025-01-02"]);
    assert!(said.contains("name the exports"), "{said}");
    assert_eq!(folder.names("out"), [""; 0]);
}

#[test]
fn a_run_is_shown_whole() {
    let folder = project(
        "  t/new: {extract_type: incremental, incremental_column: id, trigger_file_pattern: \"{export_name}.done\"}\n  \
         t/bad: {source_table: null, source_query: \"SELECT nothing FROM sales\"}\n",
    );
    folder.ok(&["run", "new", "--run-date", "2025-01-01", "--execution-id", "nightly"]);
    folder.fails(1, &["run", "bad", "--run-date", "2025-01-01"]);
    assert_eq!(folder.json(&["runs", "list"]), folder.json(&["history"]));
    assert_eq!(folder.json(&["runs", "list", "new", "--limit", "5"]).as_array().unwrap().len(), 1);
    let id = folder.json(&["history", "new"])[0]["export_run_id"].as_str().unwrap().to_owned();
    let run = folder.json(&["runs", "show", &id]);
    for (field, expected) in [
        ("export_run_id", id.as_str()),
        ("export_state", "success"),
        ("master_execution_id", "nightly"),
        ("run_date", "2025-01-01T00:00:00"),
        ("target", "out"),
        ("new_watermark_value", "4"),
        ("trigger_file_path", "new.done"),
    ] {
        assert_eq!(run[field], expected, "{run}");
    }
    assert_eq!((&run["rows_exported"], &run["file_paths"][0]), (&4.into(), &"new_20250101.csv".into()));
    // The beginning that the list shows is enough, with or without hyphens.
    let list = folder.ok(&["runs", "list", "new"]);
    let short = list.lines().nth(1).unwrap().split_whitespace().nth(2).unwrap();
    assert_eq!((short.len(), &id[..8]), (8, short), "{list}");
    for prefix in [short, &id[..13], &id.replace('-', "")] {
        assert_eq!(folder.json(&["runs", "show", prefix])["export_run_id"], id.as_str());
    }
    let text = folder.ok(&["runs", "show", short]);
    assert!(text.contains("watermark after  4\n") && text.contains("file             new_20250101.csv\n"), "{text}");

    let bad = folder.json(&["history", "bad"])[0]["export_run_id"].as_str().unwrap().to_owned();
    let text = folder.ok(&["runs", "show", &bad]);
    assert!(text.contains("nothing") && text.contains("error"), "{text}");
    for (id, expected) in
        [("ffffffff", "there is no run ffffffff"), ("nightly", "expected the id of a run"), ("", "expected the id")]
    {
        let said = folder.fails(2, &["runs", "show", id]);
        assert!(said.contains(expected), "{said}");
    }
}
