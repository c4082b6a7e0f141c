//! Increments that end before transactions which are still open.

use super::*;
use crate::source::{Horizon, OpenTransaction};

const NOW: &str = "2025-06-01T12:00:00.9Z";

fn capped(column: &str) -> Export {
    export(&format!(
        "source_table: orders\nextract_type: incremental\nincremental_column: {column}\nincremental_cap: open_transactions\n"
    ))
}

fn horizon(open: &[Option<&str>], timezone: Option<&str>) -> Horizon {
    let open = open.iter().map(|since| OpenTransaction {
        since: since.map(|text| text.parse().unwrap()),
        name: "the transaction of process 7 (psql)".to_owned(),
    });
    Horizon { now: NOW.parse().unwrap(), open: open.collect(), timezone: timezone.map(str::to_owned) }
}

fn cap_of(column: &str, horizon: &Horizon) -> Result<Cap> {
    cap(&capped(column), &observed().schema, horizon, &moment("2025-06-01", "UTC"))
}

fn below(column: &str, open: &[Option<&str>], timezone: Option<&str>) -> String {
    cap_of(column, &horizon(open, timezone)).unwrap().below.unwrap().to_string()
}

#[test]
fn the_bound_is_the_earliest_beginning_or_the_clock() {
    // A column may be rounded to seconds, so that the bound is.
    assert_eq!(below("seen", &[], None), "2025-06-01T12:00:00Z");
    let open = [Some("2025-06-01T11:59:58.7Z"), Some("2025-06-01T11:59:59.1Z")];
    assert_eq!(below("seen", &open, None), "2025-06-01T11:59:58Z");
    assert_eq!(below("modified", &open, None), "2025-06-01T11:59:58");
    assert_eq!(below("day", &open, None), "2025-06-01");
}

#[test]
fn columns_without_a_zone_take_the_earlier_of_two() {
    assert_eq!(below("modified", &[], Some("America/New_York")), "2025-06-01T08:00:00");
    assert_eq!(below("modified", &[], Some("Australia/Sydney")), "2025-06-01T12:00:00");
    assert_eq!(below("seen", &[], Some("America/New_York")), "2025-06-01T12:00:00Z");
    assert_eq!(below("day", &[Some("2025-06-01T01:00:00Z")], Some("America/New_York")), "2025-05-31");
}

#[test]
fn columns_of_other_types_are_refused() {
    for column in ["id", "region"] {
        let error = cap_of(column, &horizon(&[], None)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(&format!("\"{column}\" is of type")), "{error}");
    }
}

#[test]
fn what_holds_an_export_back_is_told() {
    let told = cap_of("seen", &horizon(&[Some("2025-06-01T11:50:00Z")], None)).unwrap();
    assert!(told.note.unwrap().contains("process 7 (psql) is open since 2025-06-01T11:50:00Z"));
    assert_eq!(told.warning, None);
    let told = cap_of("seen", &horizon(&[Some("2025-06-01T10:50:00Z")], None)).unwrap();
    assert_eq!(told.warning.unwrap().code, "transaction_open_long");
    assert_eq!(cap_of("seen", &horizon(&[], None)).unwrap().note, None);
}

fn run(cap: &Cap, upper: Option<Value>, watermark: Option<Value>, more: &str) -> Plan {
    let observed = Observed { cap: Some(cap.clone()), upper, ..observed() };
    let yaml = format!("source_table: orders\nextract_type: incremental\nincremental_column: seen\n{more}");
    planned(&yaml, &observed, &Last { watermark, ..Last::default() }).unwrap()
}

#[test]
fn nothing_is_read_while_nobody_knows_when_a_transaction_began() {
    let hidden = cap_of("seen", &horizon(&[None, Some(NOW)], None)).unwrap();
    assert_eq!(hidden.below, None);
    let plan = run(&hidden, None, None, "");
    assert_eq!(
        (plan.sql.as_str(), &plan.watermark, plan.nothing_new),
        ("SELECT * FROM \"orders\" LIMIT 0", &None, true)
    );
    assert_eq!(plan.warnings[0].code, "transaction_without_beginning");
    let before = Value::TimestampTz("2025-01-01T00:00:00Z".parse().unwrap());
    let plan = run(&hidden, None, Some(before.clone()), "");
    assert_eq!((plan.watermark, plan.nothing_new), (Some(before), true));
}

#[test]
fn a_source_without_values_gives_nothing_but_nulls() {
    let none = Cap::default();
    let plan = run(&none, None, None, "on_null_cursor: include\nsource_filter: id > 1\n");
    assert_eq!(plan.sql, "SELECT * FROM \"orders\" WHERE ((id > 1\n) AND \"seen\" IS NULL\n)");
    assert_eq!(plan.watermark, None);
    let plan = run(&none, None, None, "on_null_cursor: exclude\n");
    assert!(plan.sql.ends_with("LIMIT 0"), "{}", plan.sql);
}

#[test]
fn the_largest_value_is_asked_below_the_bound() {
    let export = capped("seen");
    let below = Value::TimestampTz("2025-06-01T11:59:58Z".parse().unwrap());
    let sql = cursor_query(&export, &export.relation, &observed().schema, Dialect::Postgres, Some(&below)).unwrap();
    assert_eq!(
        sql.unwrap(),
        "SELECT max(\"seen\") AS \"upper\" FROM \"orders\" WHERE \"seen\" < TIMESTAMPTZ '2025-06-01 11:59:58+00'"
    );
}
