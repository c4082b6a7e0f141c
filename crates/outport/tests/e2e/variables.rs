//! `vars:` and `--vars`.

use crate::support::Folder;

const CONFIG: &str = r#"
vars:
  region: EU
  ids: 1
  tenant:
connections:
  lake: {type: lakehouse, url: data}
  out: {type: store, url: out}
defaults: {source: lake, target: out, target_path: "{var:region}", file_format: csv, manifest: false}
exports:
  v/query:
    source_query: "SELECT id, '{var:region}' AS region FROM orders WHERE id IN ({var:ids})"
    target_filename_pattern: "query_{var:region}_{run_date:%d}.csv"
  v/filter: {source_table: orders, source_filter: "id IN ({var:ids})", target_filename_pattern: "filter.csv"}
  v/tenant: {source_table: orders, source_filter: "name = '{var:tenant}'", target_filename_pattern: "tenant.csv", is_active: true}
"#;

fn project() -> Folder {
    let folder = Folder::new(CONFIG);
    folder.write("data/orders.csv", "id,name\n1,a\n2,b\n3,c\n");
    folder
}

const DAY: [&str; 2] = ["--run-date", "2025-01-01"];

fn with<'a>(first: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [first, &DAY, rest].concat()
}

#[test]
fn defaults_hold_until_the_command_line_says_otherwise() {
    let folder = project();
    folder.ok(&with(&["run", "v/query", "v/filter"], &[]));
    assert_eq!(folder.lines("out/EU/query_EU_01.csv"), ["id,region", "1,EU"]);
    assert_eq!(folder.lines("out/EU/filter.csv"), ["id,name", "1,a"]);
    // As written, commas, signs of equality and braces included.
    let given = ["--vars", "ids=2, 3", "--vars", "region=US={run_date}"];
    folder.ok(&with(&["run", "v/query"], &given));
    let mut lines = folder.lines("out/US={run_date}/query_US={run_date}_01.csv");
    lines.sort();
    assert_eq!(lines, ["2,US={run_date}", "3,US={run_date}", "id,region"]);
    let plan = folder.json(&["plan", "v/query", "--vars", "ids=2"]);
    assert_eq!(plan[0]["vars"], serde_json::json!({"ids": "2", "region": "EU"}));
    assert!(plan[0]["sql"].as_str().unwrap().ends_with("WHERE id IN (2)"), "{plan}");
    assert!(folder.ok(&["plan", "v/query"]).contains("region = EU"));
    folder.ok(&["backfill", "v/query", "--from", "2025-01-02", "--to", "2025-01-03", "--vars", "region=AU"]);
    assert_eq!(folder.names("out/AU"), ["query_AU_02.csv", "query_AU_03.csv"]);
    let folder = project().with_variable("OUTPORT__VARS__REGION", "CA");
    folder.ok(&with(&["run", "v/query"], &[]));
    assert_eq!(folder.names("out/CA"), ["query_CA_01.csv"]);
}

#[test]
fn what_is_not_declared_or_has_no_value_is_named() {
    let folder = project();
    let said = folder.fails(2, &["run", "v/query", "--vars", "regoin=US"]);
    assert!(said.contains("there is no variable \"regoin\"") && said.contains("did you mean \"region\"?"), "{said}");
    assert!(folder.fails(2, &["check", "--vars", "regoin=US"]).contains("regoin"));
    assert!(folder.fails(2, &["run", "--vars", "region"]).contains("expected NAME=VALUE"));
    // Only who uses a variable needs its value.
    for command in ["plan", "run"] {
        let said = folder.fails(2, &[command]);
        assert!(
            said.contains("v/tenant: variable \"tenant\" has no value") && said.contains("--vars tenant=VALUE"),
            "{said}"
        );
    }
    folder.ok(&["check"]);
    folder.ok(&["status"]);
    folder.ok(&with(&["run", "v/tenant"], &["--vars", "tenant=b"]));
    assert_eq!(folder.lines("out/EU/tenant.csv"), ["id,name", "2,b"]);

    folder.edit("{var:ids})\", target", "{var:idz})\", target");
    let said = folder.fails(2, &["check"]);
    assert!(said.contains("there is no variable \"idz\"") && said.contains("did you mean \"ids\"?"), "{said}");
    assert!(said.contains("outport.yml:14:"), "{said}");
    folder.edit("  ids: 1", "  the ids: 1");
    assert!(folder.fails(2, &["check"]).contains("\"the ids\" cannot be the name of a variable"));
}

#[test]
fn values_cannot_leave_the_folder_of_a_name() {
    let folder = project();
    let said = folder.fails(2, &with(&["run", "v/query"], &["--vars", "region=a/b"]));
    assert!(said.contains("holds a slash"), "{said}");
    let said = folder.fails(2, &with(&["run", "v/filter"], &["--vars", "region=../x"]));
    assert!(said.contains("leaves the target"), "{said}");
    assert_eq!(folder.names("out"), [""; 0]);
}

#[test]
fn a_watermark_holds_for_the_values_it_was_reached_with() {
    let folder = project();
    folder.edit(
        "target_filename_pattern: \"filter.csv\"",
        "extract_type: incremental, incremental_column: id, target_filename_pattern: \"{run_date:%d}.csv\"",
    );
    folder.ok(&with(&["run", "v/filter"], &[]));
    // Another folder is no other query.
    folder.ok(&["run", "v/filter", "--run-date", "2025-01-02", "--vars", "region=US"]);
    let said = folder.fails(4, &["run", "v/filter", "--run-date", "2025-01-03", "--vars", "ids=1, 2"]);
    assert!(said.contains("changed since its watermark was set"), "{said}");
    folder.ok(&["run", "v/filter", "--run-date", "2025-01-03", "--vars", "ids=1, 2", "--accept-change"]);
    assert_eq!(folder.lines("out/EU/03.csv"), ["id,name", "2,b"]);
}

#[test]
fn a_retry_has_the_values_of_what_it_repeats() {
    for again in [&["retry"][..], &["run", "--retry", "--execution-id", "e1", "--run-date", "2025-01-01"]] {
        let folder = project();
        let orders = folder.text("data/orders.csv");
        std::fs::remove_file(folder.path().join("data/orders.csv")).unwrap();
        let given = ["--vars", "region=US", "--vars", "ids=2", "--execution-id", "e1"];
        folder.call(&with(&["run", "v/query"], &given)).expect(1, &["run"]);
        folder.write("data/orders.csv", &orders);
        // The defaults of today are not those of the run.
        folder.edit("ids: 1", "ids: 3");
        folder.ok(again);
        assert_eq!(folder.lines("out/US/query_US_01.csv"), ["id,region", "2,US"], "{again:?}");
        let run = folder.json(&["history"])[0]["export_run_id"].as_str().unwrap().to_owned();
        assert_eq!(folder.json(&["runs", "show", &run])["vars"], serde_json::json!({"ids": "2", "region": "US"}));
        assert!(folder.ok(&["runs", "show", &run]).contains("region = US"));
    }
    // The command line comes first.
    let folder = project();
    std::fs::remove_file(folder.path().join("data/orders.csv")).unwrap();
    folder.call(&with(&["run", "v/query"], &["--vars", "region=US", "--vars", "ids=2"])).expect(1, &["run"]);
    folder.write("data/orders.csv", "id,name\n1,a\n2,b\n3,c\n");
    folder.ok(&["retry", "--vars", "ids=3"]);
    assert_eq!(folder.lines("out/US/query_US_01.csv"), ["id,region", "3,US"]);
}

#[test]
fn rows_of_a_definition_table_hold_variables_and_other_files_declare_none() {
    let folder = project();
    let columns = "export_group_name,export_name,source_table,source_filter,target_filename_pattern";
    folder.write("data/defs.csv", &format!("{columns}\nd,one,orders,id IN ({{var:ids}}),one_{{var:region}}.csv\n"));
    folder.edit("exports:\n", "exports_from: {connection: lake, table: defs}\nexports:\n");
    folder.ok(&with(&["run", "d/one"], &["--vars", "ids=3"]));
    assert_eq!(folder.lines("out/EU/one_EU.csv"), ["id,name", "3,c"]);
    folder.write("data/defs.csv", &format!("{columns}\nd,one,orders,id IN ({{var:idz}}),one.csv\n"));
    let said = folder.fails(2, &["plan", "d/one"]);
    assert!(said.contains("there is no variable \"idz\"") && said.contains("row 1, column source_filter"), "{said}");
    folder.write("exports/more.yml", "vars: {more: 1}\n");
    let said = folder.fails(2, &["check"]);
    assert!(said.contains("more.yml:1:1") && said.contains("it belongs in the main file"), "{said}");
}
