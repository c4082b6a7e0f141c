//! Incremental exports: nothing is lost and nothing sent twice, whatever the rows do between two runs.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use outport::{Project, Systems};
use outport_core::context::Cancel;
use outport_core::destination::{Destination, Intent, Recovery};
use outport_core::engine::Engine;
use outport_core::environment::Environment;
use outport_core::extract::Extract;
use outport_core::format::Format;
use outport_core::manifest::Provenance;
use outport_core::plan::Plan;
use outport_core::source::{Source, SourceCaps};
use outport_core::{Batches, Context, Result};
use outport_runtime::{Parameters, process_exports};

use crate::postgres_server::PostgresServer;
use crate::support::{Folder, python};

const CONFIG: &str = r#"
connections:
  lake: {type: lakehouse, url: data}
  out: {type: store, url: out}
defaults: {source: lake, target: out, target_path: ".", file_format: csv, manifest: false}
exports:
  t/orders:
    source_table: orders
    extract_type: incremental
    incremental_column: id
    target_filename_pattern: "{run_date:%d}.csv"
"#;

/// A table `orders` with a column `id` and one of names.
fn orders(folder: &Folder, rows: &[(&str, &str)]) {
    let rows: String = rows.iter().map(|(id, name)| format!("{id},{name}\n")).collect();
    folder.write("data/orders.csv", &format!("id,name\n{rows}"));
}

fn run(folder: &Folder, day: u32) -> String {
    folder.ok(&["run", "--run-date", &format!("2025-01-{day:02}")])
}

/// The lines of a day's file, without the header, sorted.
fn rows(folder: &Folder, day: u32) -> Vec<String> {
    let mut lines = folder.lines(&format!("out/{day:02}.csv"));
    assert_eq!(lines.remove(0), "id,name");
    lines.sort();
    lines
}

#[test]
fn each_run_takes_what_is_new() {
    let folder = Folder::new(CONFIG);
    // Two rows share the largest value: both belong to the first run, and neither to the second.
    orders(&folder, &[("8", "a"), ("9", "b"), ("9", "c")]);
    run(&folder, 1);
    assert_eq!(rows(&folder, 1), ["8,a", "9,b", "9,c"]);
    assert_eq!(folder.watermark("t/orders"), "9");
    // As text, 10 is less than 9.
    orders(&folder, &[("8", "a"), ("9", "b"), ("9", "c"), ("10", "d"), ("11", "e")]);
    run(&folder, 2);
    assert_eq!(rows(&folder, 2), ["10,d", "11,e"]);
    assert_eq!(folder.watermark("t/orders"), "11");
    assert_eq!(rows(&folder, 1).len(), 3, "the first file is as it was");
}

#[test]
fn an_increment_that_replaces_another_is_a_warning() {
    let folder = Folder::new(CONFIG);
    orders(&folder, &[("1", "a"), ("2", "b")]);
    run(&folder, 1);
    orders(&folder, &[("1", "a"), ("2", "b"), ("3", "c")]);
    let summary = folder.json(&["run", "--run-date", "2025-01-01"]);
    assert_eq!(rows(&folder, 1), ["3,c"]);
    assert_eq!(summary["results"][0]["status"], "warning");
    let warning = summary["results"][0]["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("rows of the increment before are not in the files that replace it")
            && warning.ends_with("(2)"),
        "{warning}"
    );
    // On another day nothing is replaced, and after a reset nothing is missed.
    orders(&folder, &[("3", "c"), ("4", "d")]);
    assert_eq!(folder.json(&["run", "--run-date", "2025-01-02"])["results"][0]["status"], "success");
    folder.ok(&["watermark", "reset", "t/orders"]);
    assert_eq!(folder.json(&["run", "--run-date", "2025-01-02"])["results"][0]["status"], "success");
}

#[test]
fn no_new_rows_write_skip_or_fail() {
    for (policy, code, file) in [("write", 0, true), ("skip", 0, false), ("fail", 1, false)] {
        let folder = Folder::new(&CONFIG.replace("manifest: false", &format!("manifest: false, on_empty: {policy}")));
        orders(&folder, &[("1", "a")]);
        run(&folder, 1);
        let called = folder.call(&["run", "--run-date", "2025-01-02"]);
        assert_eq!(called.code, code, "{policy}: {called:?}");
        assert_eq!(folder.names("out").contains(&"02.csv".to_owned()), file, "{policy}");
        if file {
            assert_eq!(rows(&folder, 2), [""; 0], "a header and no rows");
        }
        assert_eq!(folder.watermark("t/orders"), "1", "{policy}");
        orders(&folder, &[("1", "a"), ("2", "b")]);
        run(&folder, 3);
        assert_eq!(rows(&folder, 3), ["2,b"], "{policy}");
    }
}

#[test]
fn a_second_call_on_one_day_does_not_empty_the_file_of_the_first() {
    let folder = Folder::new(CONFIG);
    orders(&folder, &[("1", "a")]);
    run(&folder, 1);
    run(&folder, 1);
    assert_eq!(rows(&folder, 1), ["1,a"]);
    let log = folder.json(&["history"]);
    let exported: Vec<_> = log.as_array().unwrap().iter().map(|run| run["rows_exported"].as_u64().unwrap()).collect();
    assert_eq!(exported, [0, 1]);
}

#[test]
fn late_rows_come_with_a_lookback() {
    let folder = Folder::new(&format!("{CONFIG}    incremental_lookback: 5\n"));
    orders(&folder, &[("90", "a"), ("98", "b"), ("100", "c")]);
    run(&folder, 1);
    assert_eq!(rows(&folder, 1).len(), 3, "a first run looks back at nothing");
    orders(&folder, &[("90", "a"), ("94", "too late"), ("97", "late"), ("98", "b"), ("100", "c"), ("101", "d")]);
    run(&folder, 2);
    assert_eq!(rows(&folder, 2), ["100,c", "101,d", "97,late", "98,b"]);
    assert_eq!(folder.watermark("t/orders"), "101");
}

#[test]
fn null_cursors_are_an_error_included_or_excluded() {
    let nulls = [("1", "a"), ("", "lost"), ("", "lost too")];
    let folder = Folder::new(CONFIG);
    orders(&folder, &nulls);
    let said = folder.fails(4, &["run", "--run-date", "2025-01-01"]);
    assert!(said.contains("2 rows have NULL in the incremental column \"id\""), "{said}");
    assert!(said.contains("on_null_cursor: include"), "{said}");
    assert_eq!(folder.names("out"), [""; 0]);

    let folder = Folder::new(&format!("{CONFIG}    on_null_cursor: exclude\n"));
    orders(&folder, &nulls);
    let summary = folder.json(&["run", "--run-date", "2025-01-01"]);
    assert_eq!(summary["results"][0]["status"], "warning");
    let warning = summary["results"][0]["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("2 in column \"id\""), "{warning}");
    assert_eq!(rows(&folder, 1), ["1,a"]);

    let folder = Folder::new(&format!("{CONFIG}    on_null_cursor: include\n"));
    orders(&folder, &nulls);
    run(&folder, 1);
    assert_eq!(rows(&folder, 1), [",lost", ",lost too", "1,a"]);
    orders(&folder, &[&nulls[..], &[("2", "b")]].concat());
    run(&folder, 2);
    assert_eq!(rows(&folder, 2), [",lost", ",lost too", "2,b"]);
}

/// Without a value there is no bound, which does not mean that everything is read.
#[test]
fn a_source_with_nothing_but_nulls_gives_them_or_nothing() {
    if python().is_none() {
        return;
    }
    for (policy, first) in [("exclude", &[""; 0][..]), ("include", &[",a", ",b"])] {
        let folder = Folder::new(&format!("{CONFIG}    on_null_cursor: {policy}\n"));
        folder.edit("{type: lakehouse, url: data}", "{type: duckdb, path: shop.duckdb}");
        folder.duckdb(
            "shop.duckdb",
            "CREATE TABLE orders (id INT, name TEXT); INSERT INTO orders VALUES (NULL, 'a'), (NULL, 'b')",
        );
        run(&folder, 1);
        assert_eq!(rows(&folder, 1), first, "{policy}");
        assert_eq!(folder.watermark("t/orders"), "", "{policy}");
        folder.duckdb("shop.duckdb", "INSERT INTO orders VALUES (1, 'c')");
        run(&folder, 2);
        assert_eq!(rows(&folder, 2), [first, &["1,c"]].concat(), "{policy}");
    }
}

#[test]
fn the_initial_watermark_is_exclusive() {
    let folder = Folder::new(&format!("{CONFIG}    incremental_initial_watermark: \"9\"\n"));
    orders(&folder, &[("8", "a"), ("9", "b"), ("10", "c")]);
    run(&folder, 1);
    assert_eq!(rows(&folder, 1), ["10,c"]);
}

#[test]
fn a_limit_leaves_the_watermark() {
    let folder = Folder::new(CONFIG);
    orders(&folder, &[("1", "a"), ("2", "b"), ("3", "c")]);
    folder.ok(&["run", "--run-date", "2025-01-01", "--limit", "2"]);
    assert_eq!(rows(&folder, 1).len(), 2);
    assert_eq!(folder.watermark("t/orders"), "");
    run(&folder, 2);
    assert_eq!(rows(&folder, 2).len(), 3);
    assert_eq!(folder.watermark("t/orders"), "3");
}

#[test]
fn an_edited_query_is_refused_until_it_is_accepted() {
    let query = CONFIG.replace("source_table: orders", "source_query: \"SELECT id, name FROM orders WHERE id < 100\"");
    let folder = Folder::new(&query);
    orders(&folder, &[("1", "a"), ("200", "big")]);
    run(&folder, 1);
    assert_eq!(folder.watermark("t/orders"), "1");
    folder.edit("id < 100", "id < 1000");
    let said = folder.fails(4, &["run", "--run-date", "2025-01-02"]);
    assert!(said.contains("changed since its watermark was set"), "{said}");
    assert!(said.contains("--accept-change") && said.contains("watermark reset t/orders"), "{said}");
    assert_eq!(folder.watermark("t/orders"), "1");
    assert_eq!(folder.fails(4, &["plan", "--run-date", "2025-01-02"]).matches("changed since").count(), 1);
    folder.ok(&["run", "--run-date", "2025-01-02", "--accept-change"]);
    assert_eq!(rows(&folder, 2), ["200,big"]);
    // Once accepted, it is the query.
    run(&folder, 3);
    folder.edit("id < 1000", "id < 2000");
    folder.ok(&["watermark", "reset", "t/orders"]);
    run(&folder, 4);
    assert_eq!(rows(&folder, 4), ["1,a", "200,big"]);
}

#[test]
fn a_query_may_hold_the_watermark() {
    let query = CONFIG.replace(
        "source_table: orders",
        "source_query: \"SELECT id, upper(name) AS name FROM orders WHERE id > {watermark}\"",
    );
    let folder = Folder::new(&query);
    orders(&folder, &[("1", "a"), ("2", "b")]);
    let said = folder.fails(2, &["run", "--run-date", "2025-01-01"]);
    assert!(said.contains("{watermark} has no value before the first run"), "{said}");
    folder.write("outport.yml", &format!("{query}    incremental_initial_watermark: \"1\"\n"));
    run(&folder, 1);
    assert_eq!(rows(&folder, 1), ["2,B"]);
    orders(&folder, &[("1", "a"), ("2", "b"), ("3", "c")]);
    run(&folder, 2);
    assert_eq!(rows(&folder, 2), ["3,C"]);
    run(&folder, 3);
    assert_eq!(rows(&folder, 3), [""; 0]);
    assert_eq!(folder.watermark("t/orders"), "3");
}

#[test]
fn watermarks_are_shown_set_and_forgotten() {
    let folder = Folder::new(CONFIG);
    orders(&folder, &[("1", "a"), ("2", "b"), ("3", "c")]);
    assert_eq!(folder.watermark("t/orders"), "");
    folder.ok(&["export", "watermark", "set", "t/orders", "2"]);
    assert_eq!(folder.watermark("t/orders"), "2");
    run(&folder, 1);
    assert_eq!(rows(&folder, 1), ["3,c"]);
    let said = folder.fails(2, &["watermark", "set", "t/orders", "2025-01-01"]);
    assert!(said.contains("expected an integer"), "{said}");
    let said = folder.fails(2, &["watermark", "set", "t/order", "2"]);
    assert!(said.contains("orders"), "{said}");
    folder.fails(2, &["watermark", "reset"]);
    folder.ok(&["watermark", "reset", "*"]);
    assert_eq!(folder.watermark("t/orders"), "");
    run(&folder, 2);
    assert_eq!(rows(&folder, 2).len(), 3);
}

/// A row that arrives when the upper bound is known and nothing is read yet belongs to the next run.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_arrive_meanwhile_come_with_the_next_run() {
    let folder = Folder::new(CONFIG);
    orders(&folder, &[("1", "a"), ("5", "b")]);
    let project = Project::load(&folder.path().join("outport.yml"), Environment::default()).unwrap();
    let systems = Systems::new(&project).unwrap();
    let exports = project.exports(&systems).await.unwrap();
    let state = project.open_state().await.unwrap();
    let file = folder.path().join("data/orders.csv");
    let busy = Busy {
        systems,
        arrive: Arc::new(move || std::fs::write(&file, "id,name\n1,a\n5,b\n6,meanwhile\n3,late\n").unwrap()),
    };
    let parameters = Parameters { run_date: Some("2025-01-01".to_owned()), ..Parameters::default() };
    let summary =
        process_exports(exports, &parameters, &busy, &state, &outport::Silent, &Cancel::default()).await.unwrap();
    assert!(summary.success, "{:?}", summary.results);
    state.close().await;
    assert_eq!(rows(&folder, 1), ["1,a", "3,late", "5,b"]);
    assert_eq!(folder.watermark("t/orders"), "5");
    run(&folder, 2);
    assert_eq!(rows(&folder, 2), ["6,meanwhile"]);
}

/// Systems whose tables change between the plan and the read.
struct Busy {
    systems: Systems,
    arrive: Arc<dyn Fn() + Send + Sync>,
}

#[async_trait]
impl outport_runtime::systems::Systems for Busy {
    async fn source(&self, connection: &str, context: &Context) -> Result<Arc<dyn Source>> {
        let source = self.systems.source(connection, context).await?;
        Ok(Arc::new(BusySource { source, arrive: self.arrive.clone() }))
    }

    fn format(&self, name: &str) -> Result<Arc<dyn Format>> {
        self.systems.format(name)
    }

    async fn destination(&self, plan: &Plan, provenance: Provenance) -> Result<Arc<dyn Destination>> {
        self.systems.destination(plan, provenance).await
    }

    async fn recover(&self, connection: &str, intent: &Intent, context: &Context) -> Result<Recovery> {
        self.systems.recover(connection, intent, context).await
    }
}

struct BusySource {
    source: Arc<dyn Source>,
    arrive: Arc<dyn Fn() + Send + Sync>,
}

#[async_trait]
impl Source for BusySource {
    fn caps(&self) -> SourceCaps {
        self.source.caps()
    }

    async fn schema(&self, extract: &Extract, context: &Context) -> Result<SchemaRef> {
        self.source.schema(extract, context).await
    }

    async fn read(&self, extract: &Extract, context: &Context) -> Result<Batches> {
        (self.arrive)();
        self.source.read(extract, context).await
    }

    async fn relations(&self, context: &Context) -> Result<Vec<String>> {
        self.source.relations(context).await
    }

    fn engine(&self) -> Option<&dyn Engine> {
        self.source.engine()
    }
}

/// One export for each type that a watermark can have: the name of its column is the name of the export.
const TYPES: &[&str] = &["small", "large", "amount", "code", "day", "moment", "instant"];

fn typed(connection: &str, table: &str) -> Folder {
    let exports: String = TYPES
        .iter()
        .map(|column| {
            format!("  t/{column}: {{source_columns: [id], incremental_column: {column}, target_path: \"{{run_date:%d}}\"}}\n")
        })
        .collect();
    Folder::new(&format!(
        "connections:\n  in: {connection}\n  out: {{type: store, url: out}}\n\
         defaults: {{source: in, {table}, target: out, file_format: csv, manifest: false, extract_type: incremental, \
         target_filename_pattern: \"{{export_name}}.csv\"}}\nexports:\n{exports}"
    ))
}

/// The rows of the first run, then those that arrive; the last of the first run is the watermark of every column.
const FIRST: &str = "(1, 8, 9007199254740992, 9.50, 'a''b', DATE '2024-12-31', TIMESTAMP '2024-12-31 23:59:59.999998', TIMESTAMPTZ '2025-03-30 00:30:00+00'), \
    (2, 9, 9007199254740993, 9.75, 'b', DATE '2025-01-09', TIMESTAMP '2025-01-09 23:59:59.999999', TIMESTAMPTZ '2025-03-30 01:30:00+00')";
const SECOND: &str = "(3, 10, 9007199254740994, 10.00, 'é', DATE '2025-01-10', TIMESTAMP '2025-01-10 00:00:00', TIMESTAMPTZ '2025-03-30 01:30:00.000001+00'), \
    (4, 11, 9007199254740995, 10.25, 'é1', DATE '2025-01-11', TIMESTAMP '2025-01-10 00:00:00.000001', TIMESTAMPTZ '2025-03-30 02:30:00+00')";
const TABLE: &str = "CREATE TABLE typed (id INTEGER, small INTEGER, large BIGINT, amount DECIMAL(12, 2), code VARCHAR, day DATE, \
    moment TIMESTAMP, instant TIMESTAMPTZ)";

/// Two runs, rows between them, and a third run with nothing new.
fn each_row_once(folder: &Folder, insert: impl FnOnce()) {
    run(folder, 1);
    insert();
    run(folder, 2);
    run(folder, 3);
    for column in TYPES {
        for (day, ids) in [(1, &["id", "1", "2"][..]), (2, &["id", "3", "4"]), (3, &["id"])] {
            let mut lines = folder.lines(&format!("out/{day:02}/{column}.csv"));
            lines[1..].sort();
            assert_eq!(lines, ids, "{column} on day {day}");
        }
    }
    assert_eq!(folder.watermark("t/large"), "9007199254740995");
    assert_eq!(folder.watermark("t/amount"), "10.25");
    assert_eq!(folder.watermark("t/moment"), "2025-01-10T00:00:00.000001");
    assert_eq!(folder.watermark("t/instant"), "2025-03-30T02:30:00Z");
}

#[test]
fn typed_watermarks_of_duckdb() {
    if python().is_none() {
        return;
    }
    let folder = typed("{type: duckdb, path: shop.duckdb}", "source_table: typed, source_schema: main");
    folder.duckdb("shop.duckdb", &format!("{TABLE}; INSERT INTO typed VALUES {FIRST}"));
    each_row_once(&folder, || folder.duckdb("shop.duckdb", &format!("INSERT INTO typed VALUES {SECOND}")));
}

#[test]
fn typed_watermarks_of_postgres() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql(&format!("CREATE SCHEMA wm; SET search_path = wm; {TABLE}; INSERT INTO typed VALUES {FIRST}"));
    let folder =
        typed(&format!("{{type: postgres, url: \"{}\"}}", server.url()), "source_table: typed, source_schema: wm");
    each_row_once(&folder, || drop(server.psql(&format!("INSERT INTO wm.typed VALUES {SECOND}"))));
}

#[test]
fn typed_watermarks_of_delta_and_parquet() {
    if python().is_none() {
        return;
    }
    let arrow = |rows: &str| {
        format!(
            "import duckdb\nc = duckdb.connect()\nc.execute({TABLE:?})\nc.execute({:?})\nt = c.execute('FROM typed').to_arrow_table()\n",
            format!("INSERT INTO typed VALUES {rows}")
        )
    };
    let delta = "import deltalake\ndeltalake.write_deltalake('lake/typed', t, mode='append')";
    let folder = typed("{type: lakehouse, url: lake}", "source_table: typed");
    folder.python(&(arrow(FIRST) + delta));
    each_row_once(&folder, || drop(folder.python(&(arrow(SECOND) + delta))));

    let parquet = |n: u32| {
        format!(
            "import os, pyarrow.parquet as p\nos.makedirs('lake/typed', exist_ok=True)\np.write_table(t, 'lake/typed/{n}.parquet')"
        )
    };
    let folder = typed("{type: lakehouse, url: lake}", "source_table: typed");
    folder.python(&(arrow(FIRST) + &parquet(1)));
    each_row_once(&folder, || drop(folder.python(&(arrow(SECOND) + &parquet(2)))));
}
