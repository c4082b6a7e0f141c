mod capped;
mod schema;
mod variables;
mod versions;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;

use super::*;
use crate::engine::Dialect;
use crate::export::{ConnectionKind, Definition, SourceType, Vocabulary};
use crate::format::{DecodeSettings, Decoder, EncodeSettings, Encoder, FormatCaps, Input, OptionSpec};
use crate::layout::Codec;
use crate::vars::Vars;

/// A text format that holds everything but intervals.
struct Csv;

const OPTIONS: &[OptionSpec] = &[];

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn caps(&self) -> FormatCaps {
        FormatCaps {
            extension: "csv",
            media_type: "text/csv",
            text: true,
            internal_codecs: &[],
            default_codec: Codec::None,
            options: OPTIONS,
            reads: true,
        }
    }

    fn positional(&self) -> bool {
        true
    }

    fn fidelity(&self, field: &Field, _: &FormatOptions) -> Fidelity {
        match field.data_type() {
            DataType::Interval(_) => Fidelity::Refused("cast it to text".to_owned()),
            DataType::List(_) => Fidelity::Lossy("becomes JSON text".to_owned()),
            _ => Fidelity::Exact,
        }
    }

    fn encoder(&self, _: &SchemaRef, _: &EncodeSettings) -> Result<Box<dyn Encoder>> {
        Err(Error::new(ErrorKind::Internal, "planning encodes nothing"))
    }

    fn decoder(&self, _: Arc<dyn Input>, _: &DecodeSettings) -> Result<Box<dyn Decoder>> {
        Err(Error::new(ErrorKind::Internal, "planning decodes nothing"))
    }
}

fn export(yaml: &str) -> Export {
    let base = "source: shop\ntarget: drop\ntarget_path: out/{run_date:%Y}\nfile_format: csv\n";
    let file = crate::config::Text { name: "outport.yml".to_owned(), text: format!("{base}{yaml}") };
    let node = crate::config::parse(&file).unwrap();
    let definition: Definition = crate::config::de::from_node(&node).unwrap();
    let vocabulary = Vocabulary {
        formats: vec![("csv", Csv.caps())],
        connections: vec![
            ("shop".to_owned(), ConnectionKind { source: Some(SourceType::Warehouse), target: false }),
            ("drop".to_owned(), ConnectionKind { source: None, target: true }),
        ],
        check_options: None,
        vars: vars(),
    };
    let key = ExportKey { group: "sales".to_owned(), name: "orders".to_owned() };
    definition.check(key, &node, &node.position, &vocabulary).unwrap()
}

/// One variable with a value and one without.
fn vars() -> Vars {
    let mut vars = Vars::default();
    vars.declare("region", Some("EU".to_owned()));
    vars.declare("tenant", None);
    vars
}

fn moment(date: &str, zone: &str) -> Moment {
    let now = "2026-03-01T01:02:03Z".parse().unwrap();
    Moment::new(Some(date), zone, now, "a1b2c3d4-0000-4000-8000-000000000000".parse().unwrap()).unwrap()
}

fn observed() -> Observed {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("Modified", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("seen", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("day", DataType::Date32, true),
        Field::new("region", DataType::Utf8, true),
    ]);
    Observed {
        schema: Arc::new(schema),
        period: None,
        upper: None,
        cap: None,
        null_cursors: 0,
        estimate: None,
        versions: None,
    }
}

fn timestamp(text: &str) -> Value {
    Value::parse(text, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap()
}

fn date(text: &str) -> Value {
    Value::parse(text, &DataType::Date32).unwrap()
}

fn planned(yaml: &str, observed: &Observed, last: &Last) -> Result<Plan> {
    planned_with(yaml, observed, last, PlanOptions::default())
}

fn planned_with(yaml: &str, observed: &Observed, last: &Last, options: PlanOptions) -> Result<Plan> {
    plan(&export(yaml), observed, last, &moment("2025-12-12", "UTC"), &Csv, Dialect::DuckDb, options)
}

const INCREMENTAL: &str = "source_table: orders\nextract_type: incremental\nincremental_column: modified\n";

#[test]
fn a_first_incremental_run_is_bounded_above_alone() {
    let observed = Observed { upper: Some(timestamp("2025-12-11 23:59:59")), ..observed() };
    let plan = planned(INCREMENTAL, &observed, &Last::default()).unwrap();
    assert_eq!(plan.sql, r#"SELECT * FROM "orders" WHERE "Modified" <= TIMESTAMP '2025-12-11 23:59:59'"#);
    assert_eq!(plan.watermark, Some(timestamp("2025-12-11T23:59:59")));
    assert!(!plan.nothing_new);
}

#[test]
fn a_later_run_begins_behind_the_watermark_and_ends_at_the_frozen_bound() {
    let observed = Observed { upper: Some(timestamp("2025-12-12 08:00:00.5")), ..observed() };
    let last = Last { watermark: Some(timestamp("2025-12-11 23:59:59")), ..Last::default() };
    let plan = planned(INCREMENTAL, &observed, &last).unwrap();
    assert_eq!(
        plan.sql,
        r#"SELECT * FROM "orders" WHERE "Modified" > TIMESTAMP '2025-12-11 23:59:59' AND "Modified" <= TIMESTAMP '2025-12-12 08:00:00.5'"#
    );
    assert_eq!(plan.bounds.watermark_old.as_deref(), Some("2025-12-11T23:59:59"));
}

#[test]
fn nothing_new_leaves_the_watermark_even_when_the_source_went_back() {
    let observed = Observed { upper: Some(timestamp("2025-01-01")), ..observed() };
    let last = Last { watermark: Some(timestamp("2025-12-11")), ..Last::default() };
    let plan = planned(INCREMENTAL, &observed, &last).unwrap();
    assert!(plan.nothing_new);
    assert_eq!(plan.watermark, Some(timestamp("2025-12-11")));
}

#[test]
fn lookback_reads_again_but_the_watermark_is_not_lagged() {
    let observed = Observed { upper: Some(timestamp("2025-12-12")), ..observed() };
    let last = Last { watermark: Some(timestamp("2025-12-11")), ..Last::default() };
    let plan = planned(&format!("{INCREMENTAL}incremental_lookback: 2 hours\n"), &observed, &last).unwrap();
    assert!(plan.sql.contains("> TIMESTAMP '2025-12-10 22:00:00'"), "{}", plan.sql);
    assert_eq!(plan.watermark, Some(timestamp("2025-12-12")));
}

#[test]
fn an_initial_watermark_is_exclusive_and_typed() {
    let observed = Observed { upper: Some(timestamp("2025-12-12")), ..observed() };
    let yaml = format!("{INCREMENTAL}incremental_initial_watermark: \"2024-01-01\"\n");
    let plan = planned(&yaml, &observed, &Last::default()).unwrap();
    assert!(plan.sql.contains(r#""Modified" > TIMESTAMP '2024-01-01 00:00:00'"#), "{}", plan.sql);
    let yaml = format!("{INCREMENTAL}incremental_initial_watermark: soon\n");
    assert!(
        planned(&yaml, &observed, &Last::default())
            .unwrap_err()
            .to_string()
            .contains("expected a timestamp, found \"soon\"")
    );
}

#[test]
fn null_cursors_are_refused_included_or_left_out() {
    let observed = Observed { upper: Some(timestamp("2025-12-12")), null_cursors: 3, ..observed() };
    let error = planned(INCREMENTAL, &observed, &Last::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contract);
    assert!(error.to_string().starts_with("3 rows have NULL in the incremental column"), "{error}");
    let included = planned(&format!("{INCREMENTAL}on_null_cursor: include\n"), &observed, &Last::default()).unwrap();
    assert!(
        included.sql.ends_with(r#"("Modified" IS NULL OR ("Modified" <= TIMESTAMP '2025-12-12 00:00:00'))"#),
        "{}",
        included.sql
    );
    let excluded = planned(&format!("{INCREMENTAL}on_null_cursor: exclude\n"), &observed, &Last::default()).unwrap();
    assert_eq!(excluded.null_cursors_excluded, 3);
}

#[test]
fn limit_freezes_the_watermark() {
    let observed = Observed { upper: Some(timestamp("2025-12-12")), ..observed() };
    let options = PlanOptions { limit: Some(5), ..PlanOptions::default() };
    let plan = planned_with(INCREMENTAL, &observed, &Last::default(), options).unwrap();
    assert!(plan.sql.ends_with("LIMIT 5"), "{}", plan.sql);
    assert_eq!(plan.watermark, None);
}

#[test]
fn an_edited_definition_under_an_old_watermark_is_refused_until_accepted() {
    let observed = Observed { upper: Some(timestamp("2025-12-12")), ..observed() };
    let old = fingerprint(&export(INCREMENTAL));
    let last = Last { watermark: Some(timestamp("2025-12-11")), fingerprint: Some(old), columns: None };
    let edited = format!("{INCREMENTAL}source_filter: id > 5\n");
    assert!(planned(INCREMENTAL, &observed, &last).is_ok());
    let error = planned(&edited, &observed, &last).unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (ErrorKind::Contract, 4));
    let options = PlanOptions { accept_change: true, ..PlanOptions::default() };
    assert!(planned_with(&edited, &observed, &last, options).is_ok());
    // Without a watermark nothing can be missed.
    assert!(planned(&edited, &observed, &Last { watermark: None, ..last }).is_ok());
}

#[test]
fn a_query_with_its_own_lower_bound_gets_the_upper_one_around_it() {
    let yaml = "source_query: \"SELECT * FROM o WHERE modified > '{watermark}'\"\nextract_type: incremental\nincremental_column: modified\n";
    let observed = Observed { upper: Some(timestamp("2025-12-12")), ..observed() };
    let last = Last { watermark: Some(timestamp("2025-12-11T10:00:00")), ..Last::default() };
    let plan = planned(yaml, &observed, &last).unwrap();
    assert_eq!(
        plan.sql,
        "SELECT * FROM (SELECT * FROM o WHERE modified > '2025-12-11T10:00:00'\n) AS \"extract\" WHERE \"Modified\" <= TIMESTAMP '2025-12-12 00:00:00'"
    );
    let error = planned(yaml, &observed, &Last::default()).unwrap_err();
    assert!(error.to_string().contains("{watermark} has no value before the first run"), "{error}");
}

#[test]
fn a_date_end_means_the_whole_day_in_the_exports_zone() {
    let period = |column: &str, zone: &str| {
        let yaml = format!(
            "source_table: orders\nextract_type: period\nperiod_filter_column: {column}\nperiod_date_query: q\n"
        );
        let observed = Observed { period: Some((date("2025-12-01"), date("2025-12-31"))), ..observed() };
        plan(
            &export(&yaml),
            &observed,
            &Last::default(),
            &moment("2025-12-12", zone),
            &Csv,
            Dialect::DuckDb,
            PlanOptions::default(),
        )
        .unwrap()
        .sql
    };
    assert!(period("modified", "UTC").ends_with(
        "\"Modified\" >= TIMESTAMP '2025-12-01 00:00:00' AND \"Modified\" < TIMESTAMP '2026-01-01 00:00:00'"
    ));
    assert!(period("day", "UTC").ends_with("\"day\" >= DATE '2025-12-01' AND \"day\" <= DATE '2025-12-31'"));
    assert!(period("seen", "Australia/Sydney").ends_with(
        "\"seen\" >= TIMESTAMPTZ '2025-11-30 13:00:00+00' AND \"seen\" < TIMESTAMPTZ '2025-12-31 13:00:00+00'"
    ));
}

#[test]
fn a_timestamp_end_is_inclusive_as_documented() {
    let yaml = "source_table: orders\nextract_type: period\nperiod_filter_column: modified\nperiod_date_query: q\n";
    let observed = Observed { period: Some((timestamp("2025-12-01"), timestamp("2025-12-31 12:00:00"))), ..observed() };
    let plan = planned(yaml, &observed, &Last::default()).unwrap();
    assert!(plan.sql.ends_with("<= TIMESTAMP '2025-12-31 12:00:00'"), "{}", plan.sql);
}

#[test]
fn missing_columns_name_the_nearest() {
    let error =
        planned("source_table: orders\nsource_columns: [id, regoin]\n", &observed(), &Last::default()).unwrap_err();
    assert_eq!(error.to_string(), "outport.yml:6:17: source_columns: there is no column \"regoin\"");
    assert_eq!(error.hint_text(), Some("did you mean \"region\"?"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn names_follow_the_document() {
    let cases = [
        ("", "out/2025/orders_20260301_010203.csv"),
        ("target_filename_pattern: \"o_{run_date:%Y%m%d}.csv\"\ncompression: gzip\n", "out/2025/o_20251212.csv.gz"),
        ("target_filename_pattern: \"o_{run_date:%Y%m%d}.csv\"\ncompression: zipdeflate\n", "out/2025/o_20251212.zip"),
        (
            "target_filename_pattern: o.csv\ncompression: zip\ncompressed_filename_pattern: \"A0_{run_date:%Y%m%d}.zip\"\n",
            "out/2025/A0_20251212.zip",
        ),
        (
            "target_filename_pattern: \"{export_group_name}_{export_name}_{run_id}.{ext}\"\n",
            "out/2025/sales_orders_a1b2c3d4.csv",
        ),
        ("target_filename_pattern: \"o_{process_date:%H%M%S}.csv\"\n", "out/2025/o_010203.csv"),
        ("target_filename_pattern: \"o_{run_date}.csv\"\n", "out/2025/o_2025-12-12 00:00:00.csv"),
    ];
    for (yaml, expected) in cases {
        let plan = planned(&format!("source_table: orders\n{yaml}"), &observed(), &Last::default()).unwrap();
        assert_eq!(plan.paths, [expected], "{yaml}");
    }
}

#[test]
fn a_name_that_leaves_its_folder_is_refused() {
    for yaml in ["target_path: ../x\n", "target_filename_pattern: \"{export_name:%d}/x.csv\"\n"] {
        let text = format!("source_table: orders\n{yaml}").replace("target_path: ../x\n", "");
        let mut export = export(&text);
        if yaml.starts_with("target_path") {
            export.target_path = "../x".to_owned();
        }
        let result = plan(
            &export,
            &observed(),
            &Last::default(),
            &moment("2025-12-12", "UTC"),
            &Csv,
            Dialect::DuckDb,
            PlanOptions::default(),
        );
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Config, "{yaml}");
    }
}

#[test]
fn exports_that_would_write_one_path_are_refused() {
    let one = planned("source_table: orders\ntarget_filename_pattern: x.csv\n", &observed(), &Last::default()).unwrap();
    let mut other =
        planned("source_table: orders\ntarget_filename_pattern: X.csv\n", &observed(), &Last::default()).unwrap();
    assert!(check_collisions(&[one.clone(), other.clone()]).is_ok(), "one export may stand twice in a list");
    other.export.name = "returns".to_owned();
    let error = check_collisions(&[one, other]).unwrap_err();
    let all: Vec<String> = std::iter::once(&error).chain(error.others()).map(ToString::to_string).collect();
    assert!(
        all.iter().any(|m| m
            .contains("exports \"sales/orders\" and \"sales/returns\" would both write \"out/2025/X.csv\" on drop")),
        "{all:?}"
    );
}

#[test]
fn types_that_the_format_cannot_hold_are_named() {
    let mut observed = observed();
    let interval = Field::new("wait", DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano), true);
    let list = Field::new_list("tags", Field::new_list_field(DataType::Utf8, true), true);
    let mut fields: Vec<_> = observed.schema.fields().iter().cloned().collect();
    fields.extend([Arc::new(interval), Arc::new(list)]);
    observed.schema = Arc::new(Schema::new(fields));
    let error = planned("source_table: orders\n", &observed, &Last::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("format csv cannot hold column \"wait\" of type Interval"), "{error}");
    let plan = planned("source_table: orders\nsource_columns: [id, tags]\n", &observed, &Last::default()).unwrap();
    assert_eq!(plan.type_losses.len(), 1);
}

#[test]
fn quotes_in_names_and_values_cannot_leave_their_place() {
    let mut extract = Extract::of(Relation::Table { schema: Some("a\"b".to_owned()), name: "c'd".to_owned() });
    extract.columns = Some(vec!["x\"; DROP TABLE y; --".to_owned()]);
    extract.range = Some(crate::extract::Range {
        column: "q".to_owned(),
        lower: Some(crate::extract::Bound { value: Value::Text("it's \\".to_owned()), inclusive: false }),
        upper: None,
        nulls: false,
    });
    assert_eq!(
        extract.to_sql(Dialect::DuckDb),
        r#"SELECT "x""; DROP TABLE y; --" FROM "a""b"."c'd" WHERE "q" > 'it''s \'"#
    );
    assert!(extract.to_sql(Dialect::Postgres).ends_with(r"> E'it''s \\'"));
}

#[test]
fn run_dates_are_read_in_the_zone() {
    let now = "2025-12-31T23:30:00Z".parse().unwrap();
    let today = Moment::new(None, "Australia/Sydney", now, Uuid::nil()).unwrap();
    assert_eq!(today.run_date.datetime().to_string(), "2026-01-01T00:00:00");
    assert_eq!(today.process_date.datetime().to_string(), "2026-01-01T10:30:00");
    assert!(
        Moment::new(Some("12/12/2025"), "UTC", now, Uuid::nil())
            .unwrap_err()
            .to_string()
            .contains("expected a date such as 2025-12-12")
    );
}

proptest! {
    /// Periods that follow one another take every instant once: no row in both, no row in neither.
    #[test]
    fn consecutive_periods_tile(days in proptest::collection::vec(1_i32..40, 2..12), offset in 0_i64..86_400 * 200) {
        let start = jiff::civil::Date::constant(2024, 1, 1);
        let instant = start.to_datetime(jiff::civil::Time::midnight()).checked_add(jiff::Span::new().seconds(offset)).unwrap();
        let yaml = "source_table: orders\nextract_type: period\nperiod_filter_column: modified\nperiod_date_query: q\n";
        let mut first = start;
        let mut hits = 0;
        for length in &days {
            let end = first.checked_add(jiff::Span::new().days(length - 1)).unwrap();
            let observed = Observed { period: Some((Value::Date(first), Value::Date(end))), ..observed() };
            let plan = planned(yaml, &observed, &Last::default()).unwrap();
            hits += usize::from(contains(plan.extract.range.as_ref().unwrap(), &Value::Timestamp(instant)));
            first = end.tomorrow().unwrap();
        }
        let covered = instant.date() < first;
        prop_assert_eq!(hits, usize::from(covered));
    }

    /// Whatever the watermarks, each row is exported by exactly one run.
    #[test]
    fn incremental_runs_tile(uppers in proptest::collection::vec(0_i64..1000, 1..10), row in 0_i64..1000) {
        let mut last = Last::default();
        let mut hits = 0;
        let yaml = "source_table: orders\nextract_type: incremental\nincremental_column: id\n";
        let mut reached = -1;
        for upper in uppers {
            // A row is there when a run has seen a value at least as large.
            let observed = Observed { upper: Some(Value::Int(upper.into())), ..observed() };
            let plan = planned(yaml, &observed, &last).unwrap();
            hits += usize::from(contains(plan.extract.range.as_ref().unwrap(), &Value::Int(row.into())));
            last.watermark = plan.watermark;
            reached = reached.max(upper);
        }
        prop_assert_eq!(hits, usize::from(row <= reached));
    }
}

/// What a database makes of a range.
fn contains(range: &crate::extract::Range, value: &Value) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let above = range.lower.as_ref().is_none_or(|b| match value.partial_cmp(&b.value) {
        Some(Greater) => true,
        Some(Equal) => b.inclusive,
        _ => false,
    });
    let below = range.upper.as_ref().is_none_or(|b| match value.partial_cmp(&b.value) {
        Some(Less) => true,
        Some(Equal) => b.inclusive,
        _ => false,
    });
    above && below
}
