//! `{var:NAME}` in queries, filters and names.

use super::*;

fn with(yaml: &str, region: &str) -> Export {
    let mut export = export(yaml);
    export.vars.set("region", region).unwrap();
    export
}

fn sql(export: &Export, last: &Last) -> Result<Plan> {
    let observed = Observed { upper: Some(Value::Int(9)), ..observed() };
    plan(export, &observed, last, &moment("2025-12-12", "UTC"), &Csv, Dialect::DuckDb, PlanOptions::default())
}

#[test]
fn values_stand_as_they_are_written() {
    let query = "source_query: \"SELECT '{var:region}' AS r, {'a': 1} AS s\"\ntarget_filename_pattern: 'o_{var:region}_{run_date:%Y}.csv'\n";
    let plan = sql(&export(query), &Last::default()).unwrap();
    assert_eq!(plan.sql, "SELECT 'EU' AS r, {'a': 1} AS s");
    assert_eq!(plan.paths, ["out/2025/o_EU_2025.csv"]);
    assert_eq!(plan.vars, [("region".to_owned(), "EU".to_owned())].into());
    // A value is no template.
    let plan = sql(&with(query, "{run_date}"), &Last::default()).unwrap();
    assert_eq!(plan.sql, "SELECT '{run_date}' AS r, {'a': 1} AS s");
    let filtered = "source_table: orders\nsource_filter: region = '{var:region}'\n";
    assert!(sql(&export(filtered), &Last::default()).unwrap().sql.ends_with("WHERE (region = 'EU'\n)"));
}

#[test]
fn names_with_values_are_checked() {
    let named = "source_table: orders\ntarget_filename_pattern: 'o_{var:region}.csv'\n";
    let error = sql(&with(named, "a/b"), &Last::default()).unwrap_err();
    assert!(error.to_string().contains("\"o_a/b.csv\" holds a slash"), "{error}");
    let mut outside = export("source_table: orders\n");
    outside.target_path = "x/{var:region}/y".to_owned();
    outside.vars = vars();
    outside.vars.set("region", "..").unwrap();
    let error = sql(&outside, &Last::default()).unwrap_err();
    assert!(error.to_string().contains("leaves the target"), "{error}");
}

#[test]
fn a_variable_needs_a_value() {
    let export = export("source_query: SELECT {var:tenant}\n");
    let error = sql(&export, &Last::default()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Usage, "variable \"tenant\" has no value"));
    assert!(error.hint_text().unwrap().contains("--vars tenant=VALUE"));
    assert!(export.vars.require().is_err());
}

#[test]
fn the_values_that_select_rows_belong_to_the_fingerprint() {
    let incremental = "extract_type: incremental\nincremental_column: id\n";
    let query = format!("source_query: SELECT * FROM o WHERE region = '{{var:region}}'\n{incremental}");
    let plain = format!("source_query: SELECT * FROM o WHERE region = 'EU'\n{incremental}");
    let filter = format!("source_table: o\nsource_filter: region = '{{var:region}}'\n{incremental}");
    let name = format!("source_table: o\ntarget_filename_pattern: '{{var:region}}.csv'\n{incremental}");
    assert_eq!(fingerprint(&export(&query)), fingerprint(&export(&plain)), "what is asked of the source counts");
    for (yaml, refused) in [(&query, true), (&filter, true), (&name, false)] {
        let last =
            Last { watermark: Some(Value::Int(5)), fingerprint: Some(fingerprint(&export(yaml))), ..Last::default() };
        assert!(sql(&export(yaml), &last).is_ok());
        let other = sql(&with(yaml, "US"), &last);
        assert_eq!(other.is_err_and(|error| error.kind() == ErrorKind::Contract), refused, "{yaml}");
    }
}

#[test]
fn slips_are_found() {
    use crate::placeholder::{check, check_query};
    let vars = vars();
    let near = check("target_path", "x/{var:regoin}", &[], &vars).unwrap_err();
    assert_eq!(near.to_string(), "target_path: there is no variable \"regoin\"");
    assert_eq!(near.hint_text(), Some("did you mean \"region\"?"));
    for wrong in ["{var}", "{vars:region}", "{variable:region}", "{var: region}"] {
        let error = check("target_path", wrong, &[], &vars).unwrap_err();
        assert!(error.hint_text().unwrap().contains("{var:NAME}"), "{wrong}: {error}");
    }
    for wrong in ["{var}", "{vars:region}", "{var:regoin}"] {
        assert!(check_query("source_query", wrong, &[], &vars).is_err(), "{wrong}");
    }
    // Structs of DuckDB.
    for fine in ["{var: 1}", "{'var': 1}", "{val: 2}", "{var:region}"] {
        check_query("source_query", fine, &[], &vars).unwrap();
    }
}
