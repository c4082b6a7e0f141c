//! How exports run together, how a call ends, and what the log tells of it afterwards.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Folder, finish};

fn config(exports: &str) -> String {
    format!(
        "connections:\n  lake: {{type: lakehouse, url: data}}\n  out: {{type: store, url: out}}\n\
         defaults: {{source: lake, source_table: rows, target: out, target_path: \".\", file_format: csv, manifest: false, \
         target_filename_pattern: \"{{export_name}}_{{run_date:%d}}.csv\"}}\nexports:\n{exports}"
    )
}

fn project(exports: &str) -> Folder {
    let folder = Folder::new(&config(exports));
    folder.write("data/rows.csv", "id\n1\n2\n3\n");
    folder
}

/// A query that takes minutes and yields rows all the while.
const SLOW: &str =
    "SELECT a.value AS id, b.value AS other FROM generate_series(1, 100000) a, generate_series(1, 100000) b";

const BROKEN: &str = "source_table: null, source_query: \"SELECT nothing FROM rows\"";

fn names(summary: &Value) -> Vec<&str> {
    summary["results"].as_array().unwrap().iter().map(|r| r["export_name"].as_str().unwrap()).collect()
}

#[test]
fn execution_groups_go_in_order() {
    let folder = project(
        "  t/last: {execution_group: 20}\n  t/first: {execution_group: 3}\n  t/middle: {execution_group: 10}\n  t/also_middle: {execution_group: 10}\n",
    );
    let summary = folder.json(&["run", "--max-concurrency", "1", "--run-date", "2025-01-01"]);
    let order = names(&summary);
    assert_eq!((order[0], order[3]), ("first", "last"), "{order:?}");
    let times: Vec<(&str, &str)> = summary["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["started_at"].as_str().unwrap(), r["completed_at"].as_str().unwrap()))
        .collect();
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "one after the other: {times:?}");
}

#[test]
fn exit_codes_tell_what_happened() {
    let folder = project(&format!("  t/good: {{}}\n  t/bad: {{{BROKEN}}}\n  t/off: {{is_active: false}}\n"));
    folder.ok(&["run", "good", "--run-date", "2025-01-01"]);
    folder.fails(1, &["run", "bad", "--run-date", "2025-01-01"]);
    folder.fails(5, &["run", "--run-date", "2025-01-01"]);
    folder.fails(2, &["run", "goood"]);
    folder.fails(2, &["run", "--run-date", "yesterday"]);
    folder.fails(2, &["run", "--timezone", "Mars/Olympus"]);
    // What is not active does not run, and that is no failure.
    let summary = folder.json(&["run", "good", "off", "--run-date", "2025-01-02"]);
    assert_eq!(summary["total_exports"], 1);
    assert_eq!(folder.names("out"), ["good_01.csv", "good_02.csv"]);
    folder.edit("url: data", "url: nowhere");
    folder.fails(1, &["run", "good"]);
    folder.edit("type: lakehouse", "type: lakehose");
    let said = folder.fails(2, &["run", "good"]);
    assert!(said.contains("lakehouse") && said.contains("outport.yml:2"), "{said}");
}

#[test]
fn a_failed_group_stops_later_ones_only_where_asked() {
    let folder = project(&format!("  t/bad: {{execution_group: 1, {BROKEN}}}\n  t/later: {{execution_group: 2}}\n"));
    let called = folder.call(&["run", "--fail-fast", "-o", "json", "--run-date", "2025-01-01"]).expect(1, &[]);
    let summary = called.json();
    assert_eq!(
        (&summary["failed"], &summary["skipped"], &summary["successful"]),
        (&1.into(), &1.into(), &0.into()),
        "{summary}"
    );
    assert_eq!(folder.names("out"), [""; 0]);
    let summary = folder.call(&["run", "-o", "json", "--run-date", "2025-01-01"]).expect(5, &[]).json();
    assert_eq!(
        (&summary["failed"], &summary["skipped"], &summary["successful"]),
        (&1.into(), &0.into(), &1.into()),
        "{summary}"
    );
}

#[test]
fn the_result_has_the_documented_fields() {
    let folder = project("  t/good: {trigger_file_pattern: \"{export_name}.done\"}\n");
    let summary = folder.json(&["run", "--execution-id", "nightly-7", "--run-date", "2025-01-01"]);
    for field in ["success", "execution_id", "total_exports", "successful", "failed", "results"] {
        assert!(summary.get(field).is_some(), "{field}: {summary}");
    }
    assert_eq!(summary["execution_id"], "nightly-7");
    assert_eq!(summary["success"], true);
    let result = &summary["results"][0];
    for field in [
        "export_group_name",
        "export_name",
        "status",
        "metrics",
        "file_paths",
        "trigger_file_path",
        "error_message",
        "started_at",
        "completed_at",
        "watermark_value",
        "period_start_date",
        "period_end_date",
    ] {
        assert!(result.get(field).is_some(), "{field}: {result}");
    }
    assert_eq!(result["metrics"]["rows_exported"], 3);
    assert_eq!(result["metrics"]["files_created"], 1);
    assert_eq!(result["metrics"]["total_bytes"], folder.text("out/good_01.csv").len());
    assert_eq!(result["file_paths"][0], "good_01.csv");
    assert_eq!(result["trigger_file_path"], "good.done");
    let run = &folder.json(&["history"])[0];
    for field in [
        "export_run_id",
        "master_execution_id",
        "export_group_name",
        "export_name",
        "export_state",
        "source_type",
        "source_workspace",
        "source_datastore",
        "source_table",
        "target_path",
        "file_format",
        "compression",
        "watermark_value",
        "period_start_date",
        "period_end_date",
        "started_at",
        "completed_at",
        "duration_ms",
        "rows_exported",
        "files_created",
        "total_bytes",
        "file_paths",
        "trigger_file_path",
        "error_message",
        "updated_at",
    ] {
        assert!(run.get(field).is_some(), "{field}: {run}");
    }
    assert_eq!(run["master_execution_id"], "nightly-7");
}

#[test]
fn a_retry_takes_what_failed_in_that_execution() {
    let folder = project(&format!("  t/good: {{}}\n  t/bad: {{{BROKEN}}}\n"));
    folder.fails(5, &["run", "--execution-id", "monday", "--run-date", "2025-01-06"]);
    folder.edit("SELECT nothing", "SELECT id");
    let summary = folder.json(&["retry", "monday"]);
    assert_eq!(names(&summary), ["bad"]);
    assert_eq!(summary["execution_id"], "monday");
    // What failed on Monday is Monday's file.
    assert_eq!(folder.names("out"), ["bad_06.csv", "good_06.csv"]);
    assert_eq!(folder.json(&["run", "--retry", "--execution-id", "monday"])["total_exports"], 0);
    folder.fails(2, &["run", "--retry"]);
}

#[test]
fn selections() {
    let folder = project(
        "  sales/orders: {tags: [daily, big]}\n  sales/returns: {tags: [daily]}\n  stock/items: {execution_group: 2}\n",
    );
    let select = |arguments: &[&str]| {
        let plans = folder.json(&[&["plan", "--run-date", "2025-01-01"], arguments].concat());
        let name = |plan: &Value| {
            format!("{}/{}", plan["export"]["group"].as_str().unwrap(), plan["export"]["name"].as_str().unwrap())
        };
        let mut names: Vec<String> = plans.as_array().unwrap().iter().map(name).collect();
        names.sort();
        names.join(" ")
    };
    let all = "sales/orders sales/returns stock/items";
    for (arguments, expected) in [
        (&[][..], all),
        (&["orders"], "sales/orders"),
        (&["sales/orders", "items"], "sales/orders stock/items"),
        (&["--select", "sales/*"], "sales/orders sales/returns"),
        (&["--select", "tag:daily", "--exclude", "tag:big"], "sales/returns"),
        (&["--select", "group:st*"], "stock/items"),
        (&["--group", "sales"], "sales/orders sales/returns"),
        (&["--execution-group", "2"], "stock/items"),
        (&["--select", "source:lake"], all),
        (&["--select", "target:out", "--select", "format:parquet", "--allow-none"], all),
        (&["--select", "format:parquet", "--allow-none"], ""),
    ] {
        assert_eq!(select(arguments), expected, "{arguments:?}");
    }
    let said = folder.fails(2, &["plan", "ordres"]);
    assert!(said.contains("orders"), "{said}");
    folder.fails(2, &["plan", "--select", "tag:weekly"]);
    folder.fails(2, &["plan", "orders", "--exclude", "orders"]);
}

#[test]
fn run_does_what_plan_said() {
    let folder = project(
        "  t/full: {}\n  t/new: {extract_type: incremental, incremental_column: id, target_path: \"a/{run_date:%Y}\", compression: gzip}\n",
    );
    let code = |arguments: &[&str]| {
        folder.call(&[&["plan", "--run-date", "2025-01-01", "--detailed-exitcode"], arguments].concat()).code
    };
    assert_eq!(code(&[]), 6);
    let plans = folder.json(&["plan", "--run-date", "2025-01-01"]);
    assert_eq!(folder.names("out"), [""; 0], "a plan touches nothing");
    let summary = folder.json(&["run", "--run-date", "2025-01-01"]);
    for plan in plans.as_array().unwrap() {
        let results = summary["results"].as_array().unwrap();
        let result = results.iter().find(|r| r["export_name"] == plan["export"]["name"]).unwrap();
        assert_eq!(result["file_paths"], plan["paths"]);
        assert_eq!(result["new_watermark_value"], plan["bounds"]["watermark_new"], "{plan}");
    }
    assert_eq!(code(&["new"]), 0);
    assert_eq!(code(&["full"]), 6);
    assert_eq!(code(&["nonsense"]), 2);
}

#[test]
fn gaps_are_the_days_without_a_success() {
    let folder = project(&format!("  t/good: {{}}\n  t/bad: {{{BROKEN}}}\n"));
    for day in ["2025-01-01", "2025-01-02", "2025-01-05"] {
        folder.call(&["run", "--run-date", day]);
    }
    let gaps = |export: &str| -> Vec<(String, String)> {
        let gaps = folder.json(&["gaps", export, "--to", "2025-01-06"]);
        let text = |gap: &Value, field: &str| gap[field].as_str().unwrap().to_owned();
        gaps.as_array().unwrap().iter().map(|gap| (text(gap, "run_date"), text(gap, "last_state"))).collect()
    };
    let day = |day: u32, state: &str| (format!("2025-01-{day:02}"), state.to_owned());
    assert_eq!(gaps("good"), [day(3, "never run"), day(4, "never run"), day(6, "never run")]);
    assert_eq!(gaps("bad")[..2], [day(1, "error"), day(2, "error")]);
    let status = folder.json(&["status"]);
    let states: Vec<&str> = status.as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["error", "success"], "bad comes before good: {status}");
}

/// Starts an export that does not end, and waits until it writes.
fn start_slow(folder: &Folder, arguments: &[&str]) -> Child {
    let child = folder.start(arguments);
    let began = Instant::now();
    while folder.hidden("out").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not begin to write");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn slow() -> Folder {
    project(&format!("  t/slow: {{source_table: null, source_query: \"{SLOW}\"}}\n"))
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn signals_leave_nothing() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = slow();
        let child = start_slow(&folder, &["run"]);
        let began = Instant::now();
        signal(&child, name);
        let called = finish(child).expect(code, &["run"]);
        assert!(began.elapsed() < Duration::from_secs(10), "{called:?}");
        assert_eq!((folder.names("out"), folder.hidden("out")), (vec![], vec![]), "{name}: {called:?}");
        let log = folder.json(&["history"]);
        assert_eq!(log[0]["export_state"], "error");
        assert!(log[0]["error_message"].as_str().unwrap().starts_with("Cancelled"), "{log}");
    }
}

#[test]
fn two_processes_do_not_run_one_export() {
    let folder = slow();
    let first = start_slow(&folder, &["run", "--execution-id", "first"]);
    let began = Instant::now();
    let said = folder.fails(1, &["run", "--execution-id", "second"]);
    assert!(said.contains("export \"t/slow\" is being run by process") || said.contains("is being run by"), "{said}");
    assert!(said.contains(&first.id().to_string()), "the holder {} is named: {said}", first.id());
    assert!(began.elapsed() < Duration::from_secs(15), "it does not wait");
    // A process that is killed says nothing: the next one finds out by itself, and a retry takes what it left undone.
    signal(&first, "KILL");
    assert_eq!(finish(first).code, -1);
    assert!(!folder.hidden("out").is_empty(), "the killed process cannot clean up");
    folder.edit(SLOW, "SELECT id FROM rows");
    let summary = folder.json(&["retry", "first"]);
    assert_eq!(names(&summary), ["slow"]);
    assert_eq!(folder.hidden("out"), [""; 0]);
    assert_eq!(folder.lines(&format!("out/{}", folder.names("out")[0])), ["id", "1", "2", "3"]);
}
