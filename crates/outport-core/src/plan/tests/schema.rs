//! What a policy makes of a source whose columns changed.

use super::*;

/// The columns of [`observed`], as a run before would have left them.
fn kept(fields: &[(&str, &str)]) -> Last {
    let columns = fields.iter().map(|(name, data_type)| Column {
        name: (*name).to_owned(),
        data_type: (*data_type).to_owned(),
        extension: None,
    });
    Last { columns: Some(columns.map(KeptColumn::Typed).collect()), ..Last::default() }
}

const ALL: [(&str, &str); 5] = [
    ("id", "Int64"),
    ("Modified", "Timestamp(µs)"),
    ("seen", "Timestamp(µs, \"UTC\")"),
    ("day", "Date32"),
    ("region", "Utf8"),
];

fn policy(policy: &str, more: &str) -> String {
    format!("source_table: orders\nschema_policy: {policy}\n{more}")
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.columns.iter().map(|c| c.name.as_str()).collect()
}

const ACCEPT: PlanOptions = PlanOptions { accept_change: true, limit: None };

#[test]
fn an_unchanged_schema_is_read_as_it_stands() {
    for name in ["evolve", "fail", "freeze"] {
        let plan = planned(&policy(name, ""), &observed(), &kept(&ALL)).unwrap();
        assert_eq!((plan.schema_changes.len(), plan.warnings.len(), plan.notes.len()), (0, 0, 0), "{name}");
        assert_eq!(plan.sql, "SELECT * FROM \"orders\"");
    }
}

#[test]
fn evolve_takes_the_new_schema_and_warns() {
    let plan = planned(&policy("evolve", ""), &observed(), &kept(&[("id", "Int32"), ("gone", "Utf8")])).unwrap();
    assert_eq!(plan.schema_changes.len(), 6);
    assert_eq!(plan.columns.len(), 5);
    let warning = &plan.warnings[0];
    assert_eq!(warning.code, "schema_changed");
    assert!(warning.message.contains("~ id Int32 -> Int64") && warning.message.contains("- gone Utf8"), "{warning:?}");
    let plan = planned_with(&policy("evolve", ""), &observed(), &kept(&ALL[..2]), ACCEPT).unwrap();
    assert!(plan.warnings.is_empty() && plan.notes[0].ends_with("it is accepted"), "{:?}", plan.notes);
}

#[test]
fn fail_refuses_every_change_until_it_is_accepted() {
    let types: Vec<_> = [("id", "Int32")].into_iter().chain(ALL[1..].iter().copied()).collect();
    let swapped = [ALL[1], ALL[0], ALL[2], ALL[3], ALL[4]];
    let more: Vec<_> = ALL.into_iter().chain([("gone", "Utf8")]).collect();
    for (last, what) in [
        (&types[..], "~ id Int32 -> Int64"),
        (&ALL[1..], "+ id Int64"),
        (&more, "- gone Utf8"),
        (&swapped, "order Modified, id"),
    ] {
        let error = planned(&policy("fail", ""), &observed(), &kept(last)).unwrap_err();
        assert_eq!(error.kind().exit_code(), 4);
        assert!(error.message().contains(what), "{error}");
        assert!(planned_with(&policy("fail", ""), &observed(), &kept(last), ACCEPT).is_ok());
    }
}

#[test]
fn frozen_columns_stay_in_their_order_whatever_is_new() {
    let last = kept(&[ALL[4], ALL[0]]);
    let plan = planned(&policy("freeze", ""), &observed(), &last).unwrap();
    assert_eq!(plan.sql, "SELECT \"region\", \"id\" FROM \"orders\"");
    assert_eq!(names(&plan), ["region", "id"]);
    let left_out: Vec<_> = plan.warnings.iter().map(|w| w.column.as_deref().unwrap()).collect();
    assert_eq!(left_out, ["Modified", "seen", "day"]);
    assert!(plan.notes[0].contains("another order"), "{:?}", plan.notes);
    let query = "source_query: SELECT * FROM o\nschema_policy: freeze\n";
    let plan = planned(query, &observed(), &last).unwrap();
    assert_eq!(plan.sql, "SELECT \"region\", \"id\" FROM (SELECT * FROM o\n) AS \"extract\"");
    // Accepted, everything is taken, and frozen by the next run.
    let plan = planned_with(&policy("freeze", ""), &observed(), &last, ACCEPT).unwrap();
    assert_eq!(plan.columns.len(), 5);
    assert!(plan.notes[0].contains("frozen from now on"), "{:?}", plan.notes);
}

#[test]
fn frozen_columns_that_are_gone_or_of_another_type_are_refused() {
    let error = planned(&policy("freeze", ""), &observed(), &kept(&[("id", "Int32"), ("gone", "Utf8")])).unwrap_err();
    assert_eq!(error.kind().exit_code(), 4);
    assert!(error.message().contains("column \"id\" was Int32 and is Int64 now"), "{error}");
    assert!(error.message().contains("column \"gone\" Utf8 is gone"), "{error}");
    assert!(error.hint_text().unwrap().contains("--accept-change"));
    // A narrower type would fit, but what holds for all types is easier to rely on.
    let error = planned(&policy("freeze", ""), &observed(), &kept(&[("id", "UInt64")])).unwrap_err();
    assert!(error.message().contains("was UInt64"), "{error}");
    // Columns that the definition lists are what there is.
    let listed = policy("freeze", "source_columns: [id, day]\n");
    let error = planned(&listed, &observed(), &kept(&[ALL[0], ALL[4]])).unwrap_err();
    assert!(error.message().contains("column \"region\" Utf8 is gone"), "{error}");
}

#[test]
fn a_frozen_schema_holds_for_increments_and_partitions() {
    let last = Last { watermark: Some(Value::Int(7)), ..kept(&ALL[..2]) };
    let observed = Observed { upper: Some(Value::Int(9)), ..observed() };
    let incremental = policy("freeze", "extract_type: incremental\nincremental_column: id\n");
    let plan = planned(&incremental, &observed, &last).unwrap();
    assert_eq!(plan.sql, "SELECT \"id\", \"Modified\" FROM \"orders\" WHERE \"id\" > 7 AND \"id\" <= 9");
    // The cursor may be a column that the files do not have.
    let last = Last { watermark: Some(Value::Int(7)), ..kept(&ALL[1..]) };
    assert!(planned(&incremental, &observed, &last).unwrap().sql.ends_with("\"id\" <= 9"));
    let error = planned(&policy("freeze", "partition_by: [region]\n"), &observed, &kept(&ALL[..2])).unwrap_err();
    assert!(error.hint_text().unwrap().contains("--accept-change"), "{error}");
}

#[test]
fn a_new_column_that_the_format_cannot_hold_does_not_matter_where_it_is_left_out() {
    let mut observed = observed();
    let mut fields: Vec<_> = observed.schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("wait", DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano), true)));
    observed.schema = Arc::new(Schema::new(fields));
    assert!(planned(&policy("evolve", ""), &observed, &kept(&ALL)).is_err());
    assert_eq!(names(&planned(&policy("freeze", ""), &observed, &kept(&ALL)).unwrap()).len(), 5);
}

#[test]
fn two_columns_of_one_name_cannot_be_chosen_from() {
    let two = |names: &[&str]| {
        let fields: Vec<_> = names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        Observed { schema: Arc::new(Schema::new(fields)), ..observed() }
    };
    let last = kept(&[("a", "Int64"), ("a", "Int64")]);
    let query = "source_query: SELECT * FROM o\nschema_policy: freeze\n";
    assert_eq!(planned(query, &two(&["a", "a"]), &last).unwrap().sql, "SELECT * FROM o");
    let error = planned(query, &two(&["a", "a", "b"]), &last).unwrap_err();
    assert!(error.message().contains("two columns \"a\""), "{error}");
}
