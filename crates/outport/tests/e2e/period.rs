//! Period exports: both ends belong to the period, a date means the whole of its day, and days tile without gap or overlap.

use std::collections::BTreeMap;

use crate::support::{Folder, python};

/// Rows around the ends of 10 and 11 January 2025, as date, as civil time, and as instant of the same clock time in UTC.
const EVENTS: &str = "CREATE TABLE events (id INTEGER, day DATE, moment TIMESTAMP, instant TIMESTAMPTZ); SET TimeZone = 'UTC'; \
    INSERT INTO events SELECT id, m::DATE, m, m::TIMESTAMPTZ FROM (VALUES \
    (1, TIMESTAMP '2025-01-09 12:59:59.999999'), (2, TIMESTAMP '2025-01-09 13:00:00'), (3, TIMESTAMP '2025-01-09 23:59:59.999999'), \
    (4, TIMESTAMP '2025-01-10 00:00:00'), (5, TIMESTAMP '2025-01-11 12:00:00'), (6, TIMESTAMP '2025-01-11 12:59:59.999999'), \
    (7, TIMESTAMP '2025-01-11 13:00:00'), (8, TIMESTAMP '2025-01-11 23:59:59.999999'), (9, TIMESTAMP '2025-01-12 00:00:00'), \
    (10, NULL)) v(id, m)";

fn project(exports: &str) -> Option<Folder> {
    python()?;
    let folder = Folder::new(&format!(
        "connections:\n  shop: {{type: duckdb, path: shop.duckdb}}\n  out: {{type: store, url: out}}\n\
         defaults: {{source: shop, source_schema: main, target: out, target_path: \"{{run_date:%Y%m%d}}\", file_format: csv, \
         manifest: false, extract_type: period, target_filename_pattern: \"{{export_name}}.csv\"}}\nexports:\n{exports}"
    ));
    folder.duckdb("shop.duckdb", EVENTS);
    Some(folder)
}

/// An export of the ids of a period of one column.
fn export(name: &str, column: &str, start: &str, end: &str) -> String {
    format!(
        "  p/{name}: {{source_table: events, source_columns: [id], period_filter_column: {column}, \
         period_date_query: \"SELECT {start} AS start_date, {end} AS end_date\"}}\n"
    )
}

fn ids(folder: &Folder, path: &str) -> Vec<i64> {
    let mut ids: Vec<i64> =
        folder.lines(&format!("out/{path}.csv"))[1..].iter().map(|line| line.parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn both_ends_are_inclusive() {
    let (start, end) = ("DATE '2025-01-10'", "DATE '2025-01-11'");
    let exports = [
        export("day", "day", start, end),
        export("moment", "moment", start, end),
        export("instant", "instant", start, end),
        export("exact", "moment", "TIMESTAMP '2025-01-09 13:00:00'", "TIMESTAMP '2025-01-11 12:00:00'"),
        export("exact_day", "day", "TIMESTAMP '2025-01-10 00:00:00'", "TIMESTAMP '2025-01-11 12:00:00'"),
        export("backwards", "moment", end, start),
    ];
    let Some(folder) = project(&exports.concat()) else { return };
    folder.ok(&["run", "--run-date", "2025-01-12"]);
    for (name, expected) in [
        ("day", vec![4, 5, 6, 7, 8]),
        ("moment", vec![4, 5, 6, 7, 8]),
        ("instant", vec![4, 5, 6, 7, 8]),
        ("exact", vec![2, 3, 4, 5]),
        ("exact_day", vec![4, 5, 6, 7, 8]),
        ("backwards", vec![]),
    ] {
        assert_eq!(ids(&folder, &format!("20250112/{name}")), expected, "{name}");
    }
    let log = folder.json(&["history", "p/day"]);
    assert_eq!(log[0]["period_start_date"].as_str().unwrap()[..10], *"2025-01-10", "{log}");
    assert_eq!(log[0]["period_end_date"].as_str().unwrap()[..10], *"2025-01-11", "{log}");
}

/// A day of Sydney begins at 13:00 UTC in January. Only instants know that; a civil time is what it says.
#[test]
fn days_are_those_of_the_zone() {
    let (start, end) = ("DATE '2025-01-10'", "DATE '2025-01-11'");
    let exports = export("instant", "instant", start, end) + &export("moment", "moment", start, end);
    let Some(folder) = project(&exports) else { return };
    folder.ok(&["run", "--run-date", "2025-01-12", "--timezone", "Australia/Sydney"]);
    assert_eq!(ids(&folder, "20250112/instant"), [2, 3, 4, 5, 6]);
    assert_eq!(ids(&folder, "20250112/moment"), [4, 5, 6, 7, 8]);
}

#[test]
fn a_query_takes_the_dates_where_it_wants_them() {
    let query = "  p/query: {source_query: \"SELECT id FROM events WHERE day BETWEEN '{period_start_date:%Y-%m-%d}' AND '{period_end_date:%Y-%m-%d}'\", \
        period_date_query: \"SELECT DATE '{run_date:%Y-%m-%d}' - 1 AS start_date, DATE '{run_date:%Y-%m-%d}' AS end_date\", \
        target_filename_pattern: \"{period_start_date:%d}-{period_end_date:%d}.csv\"}\n";
    let Some(folder) = project(query) else { return };
    folder.ok(&["run", "--run-date", "2025-01-10"]);
    assert_eq!(ids(&folder, "20250110/09-10"), [1, 2, 3, 4]);
}

#[test]
fn dates_that_are_none_are_refused() {
    let query = |name: &str, sql: &str| {
        format!("  p/{name}: {{source_table: events, period_filter_column: day, period_date_query: \"{sql}\"}}\n")
    };
    let exports = [
        query("none", "SELECT DATE '2025-01-01' AS start_date, DATE '2025-01-01' AS end_date WHERE false"),
        query("named", "SELECT DATE '2025-01-01' AS start_dat, DATE '2025-01-01' AS end_date"),
        query("text", "SELECT DATE '2025-01-01' AS start_date, '2025-01-01' AS end_date"),
        query("null", "SELECT DATE '2025-01-01' AS start_date, NULL::DATE AS end_date"),
        query("broken", "SELECT nonsense"),
    ];
    let Some(folder) = project(&exports.concat()) else { return };
    for (name, code, expected) in [
        ("none", 2, "period_date_query returned no row"),
        ("named", 2, "returns no column start_date"),
        ("text", 2, "CAST(end_date AS DATE)"),
        ("null", 2, "end_date is NULL"),
        ("broken", 1, "Failed to resolve period dates"),
    ] {
        let said = folder.fails(code, &["run", &format!("p/{name}"), "--run-date", "2025-01-12"]);
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains("Failed to resolve period dates"), "{name}: {said}");
    }
    assert_eq!(folder.names("out"), [""; 0]);
}

/// Twelve days in a row, over the end of summer time in Sydney on 6 April 2025: every row is in exactly one file.
#[test]
fn consecutive_days_tile() {
    let day = "DATE '{run_date:%Y-%m-%d}'";
    let table = |column: &str| export(column, column, day, day).replace("source_table: events", "source_table: ticks");
    let Some(folder) = project(&(table("moment") + &table("instant"))) else { return };
    folder.duckdb(
        "shop.duckdb",
        "SET TimeZone = 'Australia/Sydney'; CREATE TABLE ticks AS SELECT row_number() OVER () AS id, t::TIMESTAMP AS moment, t AS instant \
         FROM (SELECT unnest(generate_series(TIMESTAMPTZ '2025-04-01 00:00:00', TIMESTAMPTZ '2025-04-12 23:30:00', INTERVAL 30 MINUTE)) AS t \
         UNION ALL SELECT unnest(generate_series(TIMESTAMPTZ '2025-04-01 23:59:59.999999', TIMESTAMPTZ '2025-04-12 23:59:59.999999', INTERVAL 1 DAY)))",
    );
    let all: i64 = folder
        .python("import duckdb\nprint(duckdb.connect('shop.duckdb').sql('SELECT count(*) FROM ticks').fetchone()[0])")
        .trim()
        .parse()
        .unwrap();
    assert!(all > 580, "{all}");
    let mut seen: BTreeMap<(&str, i64), u32> = BTreeMap::new();
    for day in 1..=12 {
        let date = format!("2025-04-{day:02}");
        folder.ok(&["run", "--run-date", &date, "--timezone", "Australia/Sydney"]);
        for column in ["moment", "instant"] {
            for id in ids(&folder, &format!("{}/{column}", date.replace('-', ""))) {
                *seen.entry((column, id)).or_default() += 1;
            }
        }
    }
    for column in ["moment", "instant"] {
        for id in 1..=all {
            assert_eq!(seen.get(&(column, id)), Some(&1), "row {id} by {column}");
        }
    }
}
