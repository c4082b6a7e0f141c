//! Plans by the versions of a table.

use super::*;
use crate::version::{Span, TableVersion};

fn version(number: i64) -> TableVersion {
    TableVersion { number, table: Some("a1".to_owned()) }
}

fn by_versions(yaml: &str, tombstones: bool) -> Export {
    let mut export = export(yaml);
    export.rows = Rows::Versions { initial: None, tombstones, period_query: None };
    export
}

fn planned(export: &Export, after: Option<i64>, to: i64, empty: bool, options: PlanOptions) -> Plan {
    let mut observed = observed();
    let fields = observed.schema.fields().iter().map(|field| field.as_ref().clone());
    let more = crate::version::CHANGE_COLUMNS.map(|name| Field::new(name, DataType::Utf8, true));
    observed.schema = Arc::new(Schema::new(fields.chain(more).collect::<Vec<_>>()));
    observed.versions =
        Some(VersionsObserved { after: after.map(version), span: Span { to: version(to), empty }, anew: None });
    let last = Last { watermark: after.map(|number| Value::Version(version(number))), ..Last::default() };
    plan(export, &observed, &last, &moment("2025-12-12", "UTC"), &Csv, Dialect::DataFusion, options).unwrap()
}

#[test]
fn the_first_plan_is_the_whole_table_and_the_next_ones_are_spans() {
    let export = by_versions("source_table: orders\n", false);
    let first = planned(&export, None, 5, false, PlanOptions::default());
    assert_eq!(first.sql, "SELECT * FROM \"orders\" VERSION AS OF 5");
    assert_eq!((first.extract_type, first.nothing_new), ("incremental", false));
    assert_eq!(first.watermark, Some(Value::Version(version(5))));
    assert_eq!((first.bounds.watermark_old, first.bounds.watermark_new.as_deref()), (None, Some("5")));

    let next = planned(&export, Some(5), 8, false, PlanOptions::default());
    assert_eq!(next.sql, "SELECT * FROM table_changes('orders', 6, 8)");
    assert_eq!(next.bounds.column.as_deref(), Some("table_version"));
    assert_eq!(next.bounds.watermark_old.as_deref(), Some("5"));
}

#[test]
fn versions_without_rows_are_nothing_new_and_move_the_watermark() {
    let export = by_versions("source_table: orders\n", false);
    let plan = planned(&export, Some(5), 8, true, PlanOptions::default());
    assert!(plan.nothing_new);
    assert_eq!(plan.watermark, Some(Value::Version(version(8))));
    let limited = planned(&export, Some(5), 8, false, PlanOptions { limit: Some(3), ..PlanOptions::default() });
    assert_eq!(limited.watermark, Some(Value::Version(version(5))));
    assert!(limited.sql.ends_with("LIMIT 3"), "{}", limited.sql);
}

#[test]
fn tombstones_bring_their_columns_and_are_another_definition() {
    let export = by_versions("source_table: orders\nsource_columns: [region, _commit_version]\n", true);
    let plan = planned(&export, Some(1), 2, false, PlanOptions::default());
    let columns = plan.extract.columns.unwrap();
    assert_eq!(columns, ["region", "_commit_version", "_change_type", "_commit_timestamp"]);
    let plain = by_versions("source_table: orders\nsource_columns: [region, _commit_version]\n", false);
    assert_ne!(fingerprint(&export), fingerprint(&plain));
}

#[test]
fn the_watermark_of_a_column_is_none_of_versions() {
    let mut export = by_versions("source_table: orders\n", false);
    let last = Last { watermark: Some(Value::Int(7)), ..Last::default() };
    let error = last_version(&export, &last).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contract);
    assert!(error.message().contains("is 7, the value of a column"), "{error}");
    assert_eq!(last_version(&export, &Last::default()).unwrap(), None);
    export.rows = Rows::Versions { initial: Some(3), tombstones: false, period_query: None };
    assert_eq!(last_version(&export, &Last::default()).unwrap(), Some(TableVersion { number: 3, table: None }));
}
