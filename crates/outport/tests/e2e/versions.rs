//! Increments by the versions of a table: what commits brought and took, checked by writers and readers that are not ours.

mod refused;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Folder, python};

const CONFIG: &str = r#"
connections:
  lake: {type: lakehouse, url: lake}
  out: {type: store, url: out}
defaults:
  source: lake
  target: out
  target_path: "."
  file_format: csv
  manifest: false
  target_filename_pattern: "{run_date:%d}.csv"
  extract_type: incremental
  incremental_by: table_version
  source_table: orders
exports:
  t/orders: {}
"#;

/// What every script begins with.
const PRELUDE: &str = r#"
import os, shutil, json
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

T = "lake/orders"
FEED = {"delta.enableChangeDataFeed": "true"}

def rows(*ids, amount=0.5):
    regions = ["north", "south", "west"]
    return pa.table({
        "id": pa.array(ids, pa.int64()),
        "region": pa.array([regions[i % 3] for i in ids]),
        "amount": pa.array([i * amount for i in ids], pa.float64()),
    })

def append(*ids, **options):
    write_deltalake(T, rows(*ids), mode="append", **options)

def say(value):
    # pyarrow's threads may crash a Python that ends in the ordinary way.
    print(json.dumps(value), flush=True)
    os._exit(0)

def merge(*ids):
    (DeltaTable(T).merge(rows(*ids, amount=-1.0), "t.id = s.id", source_alias="s", target_alias="t")
        .when_matched_update_all().when_not_matched_insert_all().execute())
"#;

fn lake(folder: &Folder, script: &str) -> String {
    folder.python(&format!("{PRELUDE}{script}"))
}

fn run(folder: &Folder, day: u32) -> Value {
    folder.json(&["run", "--run-date", &format!("2025-01-{day:02}")])["results"][0].clone()
}

fn refused(folder: &Folder, day: u32) -> String {
    let said = folder.fails(4, &["run", "--run-date", &format!("2025-01-{day:02}")]);
    assert!(!folder.names("out").contains(&format!("{day:02}.csv")), "{said}");
    said
}

/// The ids in a day's file, sorted.
fn ids(folder: &Folder, day: u32) -> Vec<i64> {
    let lines = folder.lines(&format!("out/{day:02}.csv"));
    assert!(lines[0].starts_with("id,region,amount"), "{lines:?}");
    let mut ids: Vec<i64> = lines[1..].iter().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    ids.sort();
    ids
}

#[test]
fn each_run_takes_what_was_appended() {
    if python().is_none() {
        return;
    }
    for partitioned in ["", ", partition_by=['region']"] {
        let folder = Folder::new(CONFIG);
        lake(&folder, &format!("append(1, 2, 3{partitioned}); append(4)"));
        assert_eq!(run(&folder, 1)["new_watermark_value"], "1");
        assert_eq!(ids(&folder, 1), [1, 2, 3, 4]);
        // Nothing new, on the same day and on another.
        assert_eq!(run(&folder, 1)["metrics"]["files_created"], 0);
        assert_eq!(ids(&folder, 1), [1, 2, 3, 4]);
        assert_eq!(run(&folder, 2)["metrics"]["rows_exported"], 0);
        assert_eq!(folder.lines("out/02.csv"), ["id,region,amount"]);
        // Files that are laid out anew hold nothing new, although those that were appended are gone from the table.
        lake(&folder, "append(5, 6); DeltaTable(T).optimize.compact(); append(7); DeltaTable(T).create_checkpoint()");
        let plan = folder.ok(&["plan", "--run-date", "2025-01-03"]);
        assert!(plan.contains("table_changes('orders', 2, 4)") && plan.contains("1 < table_version <= 4"), "{plan}");
        assert_eq!(folder.call(&["plan", "--detailed-exitcode", "--run-date", "2025-01-03"]).code, 6);
        let third = run(&folder, 3);
        assert_eq!((&third["watermark_value"], &third["new_watermark_value"]), (&"1".into(), &"4".into()), "{third}");
        assert_eq!(ids(&folder, 3), [5, 6, 7]);
        assert!(folder.lines("out/03.csv").contains(&"5,west,2.5".to_owned()), "{:?}", folder.lines("out/03.csv"));
        // The version moves over commits without rows, so that the log may go.
        lake(&folder, "DeltaTable(T).optimize.compact()");
        assert_eq!(folder.call(&["plan", "--detailed-exitcode", "--run-date", "2025-01-04"]).code, 0);
        assert_eq!(run(&folder, 4)["metrics"]["rows_exported"], 0);
        assert_eq!(folder.watermark("t/orders"), "5");
    }
}

#[test]
fn columns_filters_and_columns_that_came_later() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(&CONFIG.replace(
        "t/orders: {}",
        "t/orders: {source_columns: [note, id], source_filter: \"orders.ID > 5\", on_empty: skip}",
    ));
    lake(
        &folder,
        "append(1, 2)\nwrite_deltalake(T, rows(6).append_column('note', pa.array(['x'])), mode='append', schema_mode='merge')",
    );
    folder.ok(&["watermark", "set", "t/orders", "0"]);
    run(&folder, 1);
    assert_eq!(folder.lines("out/01.csv"), ["note,id", "x,6"]);
    // A file from before the column has NULL in it.
    folder.ok(&["watermark", "reset", "t/orders"]);
    folder.edit("orders.ID > 5", "orders.ID < 2");
    run(&folder, 2);
    assert_eq!(folder.lines("out/02.csv"), ["note,id", ",1"]);
    // No row passes the filter: the version moves, and no file is written.
    lake(&folder, "append(9, schema_mode='merge')");
    run(&folder, 3);
    assert_eq!(folder.names("out"), ["01.csv", "02.csv"]);
    assert_eq!(folder.watermark("t/orders"), "2");
}

#[test]
fn a_limit_leaves_the_version() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(CONFIG);
    lake(&folder, "append(1, 2); append(3, 4)");
    folder.ok(&["watermark", "set", "t/orders", "0"]);
    folder.ok(&["run", "--run-date", "2025-01-01", "--limit", "1"]);
    assert_eq!(ids(&folder, 1).len(), 1);
    assert_eq!(folder.watermark("t/orders"), "0");
    run(&folder, 2);
    assert_eq!(ids(&folder, 2), [3, 4]);
}

#[test]
fn the_watermark_is_set_shown_and_reset() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(CONFIG);
    lake(&folder, "append(1); append(2); append(3)");
    let said = folder.ok(&["watermark", "set", "t/orders", "1"]);
    assert!(said.contains("table_version: 1"), "{said}");
    let shown = folder.json(&["watermark", "get"]);
    assert_eq!((&shown[0]["column"], &shown[0]["watermark"]), (&"table_version".into(), &"1".into()), "{shown}");
    run(&folder, 1);
    assert_eq!(ids(&folder, 1), [3]);
    let said = folder.fails(2, &["watermark", "set", "t/orders", "yesterday"]);
    assert!(said.contains("expected a version of the table") && said.contains("yesterday"), "{said}");
    let said = folder.fails(4, &["watermark", "set", "t/orders", "9"]);
    assert!(said.contains("is at version 2, expected at least that of the watermark, 9"), "{said}");
    folder.ok(&["watermark", "reset", "t/orders"]);
    assert_eq!(folder.watermark("t/orders"), "");
    run(&folder, 2);
    assert_eq!(ids(&folder, 2), [1, 2, 3]);
    // The version to begin behind may stand in the definition.
    let folder = Folder::new(&CONFIG.replace("t/orders: {}", "t/orders: {incremental_initial_watermark: 1}"));
    lake(&folder, "append(1); append(2); append(3)");
    run(&folder, 1);
    assert_eq!(ids(&folder, 1), [3]);
}

#[test]
fn a_run_that_fails_does_not_move_the_version() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(CONFIG);
    lake(&folder, "append(1)");
    run(&folder, 1);
    lake(
        &folder,
        "append(2)\nfor f in DeltaTable(T).file_uris():\n    os.rename(f.removeprefix('file://'), f.removeprefix('file://') + '.away')",
    );
    let said = folder.fails(1, &["run", "--run-date", "2025-01-02"]);
    assert!(said.contains("does not exist") && said.contains("lake/orders/part-"), "{said}");
    assert_eq!(folder.watermark("t/orders"), "0");
    assert_eq!(folder.names("out"), ["01.csv"]);
    lake(&folder, "for f in os.listdir(T):\n    os.rename(f'{T}/{f}', f'{T}/{f}'.removesuffix('.away'))");
    run(&folder, 2);
    assert_eq!(ids(&folder, 2), [2]);
    assert_eq!(folder.watermark("t/orders"), "1");
}

#[test]
fn with_a_feed_an_increment_holds_what_rows_became() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(CONFIG);
    lake(&folder, "append(1, 2, 3, 4, configuration=FEED)");
    run(&folder, 1);
    lake(&folder, "append(5); DeltaTable(T).delete('id = 1'); merge(2, 6)");
    run(&folder, 2);
    let mut lines = folder.lines("out/02.csv");
    lines[1..].sort();
    assert_eq!(lines, ["id,region,amount", "2,west,-2.0", "5,west,2.5", "6,north,-6.0"]);
    // The feed of a table counts from where it was turned on.
    let folder = Folder::new(CONFIG);
    lake(&folder, "append(1, 2)");
    run(&folder, 1);
    lake(&folder, "DeltaTable(T).delete('id = 1'); DeltaTable(T).alter.set_table_properties(FEED); merge(2, 3)");
    assert!(refused(&folder, 2).contains("commit 1 (DELETE)"));
    folder.ok(&["watermark", "set", "t/orders", "1"]);
    run(&folder, 3);
    assert_eq!(ids(&folder, 3), [2, 3]);
}

/// Everything that writers do to a table with a feed: what we export is what delta-rs reads of the feed, and played on what was
/// exported before it is the table as it is now.
#[test]
fn tombstones_are_the_change_data_feed() {
    if python().is_none() {
        return;
    }
    for partitioned in ["", ", partition_by=['region']"] {
        let folder = Folder::new(&CONFIG.replace("t/orders: {}", "t/orders: {deletes: tombstones}"));
        lake(&folder, &format!("append(1, 2, 3, 4, configuration=FEED{partitioned}); append(5)"));
        run(&folder, 1);
        let first = changes(&folder, 1);
        assert_eq!(first.len(), 5);
        assert!(first.iter().all(|change| change.kind == "insert" && change.version == 1), "{first:?}");

        lake(
            &folder,
            "append(6, 7); DeltaTable(T).delete('id = 1'); merge(2, 8); DeltaTable(T).optimize.compact()\n\
             DeltaTable(T).update(predicate='id = 3', updates={'amount': '7.0'}); DeltaTable(T).delete(\"region = 'north'\")\n\
             DeltaTable(T).restore(6); write_deltalake(T, rows(2, 30), mode='overwrite'); append(31)",
        );
        run(&folder, 2);
        let ours = changes(&folder, 2);
        let versions: Vec<i64> = ours.iter().map(|change| change.version).collect();
        assert!(versions.is_sorted(), "{versions:?}");
        let theirs = lake(
            &folder,
            "feed = pa.table(DeltaTable(T).load_cdf(starting_version=2)).to_pylist()\n\
             say([[r['id'], r['region'], r['amount'], r['_change_type'], r['_commit_version'], r['_commit_timestamp'].isoformat(timespec='milliseconds')]\n\
             for r in feed if r['_change_type'] != 'update_preimage'])",
        );
        let theirs: Vec<(i64, String, f64, String, i64, String)> = serde_json::from_str(&theirs).unwrap();
        assert!(theirs.len() >= 20, "{} changes", theirs.len());
        let mut sorted: Vec<String> = ours.iter().map(|change| format!("{change:?}")).collect();
        let mut expected: Vec<String> = theirs
            .into_iter()
            .map(|(id, region, amount, kind, version, at)| {
                format!("{:?}", Change { id, rest: format!("{region},{amount:?}"), kind, version, at: trimmed(&at) })
            })
            .collect();
        sorted.sort();
        expected.sort();
        assert_eq!(sorted, expected);

        let mut state: BTreeMap<i64, String> = first.into_iter().map(|change| (change.id, change.rest)).collect();
        for change in ours {
            match change.kind.as_str() {
                "delete" => drop(state.remove(&change.id)),
                _ => drop(state.insert(change.id, change.rest)),
            }
        }
        let now = lake(
            &folder,
            "say([[r['id'], f\"{r['region']},{r['amount']}\"] for r in DeltaTable(T).to_pyarrow_table().to_pylist()])",
        );
        let now: BTreeMap<i64, String> = serde_json::from_str::<Vec<_>>(&now).unwrap().into_iter().collect();
        assert_eq!(state, now);

        // Nothing new, and a limit.
        assert_eq!(run(&folder, 3)["metrics"]["rows_exported"], 0);
        lake(&folder, "append(50, 51, 52)");
        folder.ok(&["run", "--run-date", "2025-01-04", "--limit", "2"]);
        assert_eq!(changes(&folder, 4).len(), 2);
    }
}

#[derive(Debug)]
#[allow(dead_code, reason = "compared as text")]
struct Change {
    id: i64,
    rest: String,
    kind: String,
    version: i64,
    at: String,
}

fn changes(folder: &Folder, day: u32) -> Vec<Change> {
    let lines = folder.lines(&format!("out/{day:02}.csv"));
    assert_eq!(lines[0], "id,region,amount,_change_type,_commit_version,_commit_timestamp");
    let parsed = lines[1..].iter().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        Change {
            id: fields[0].parse().unwrap(),
            rest: fields[1..3].join(","),
            kind: fields[3].to_owned(),
            version: fields[4].parse().unwrap(),
            at: trimmed(fields[5].trim_end_matches('Z')),
        }
    });
    parsed.collect()
}

/// A time without the zeros at its end.
fn trimmed(at: &str) -> String {
    if at.contains('.') { at.trim_end_matches('0').trim_end_matches('.').to_owned() } else { at.to_owned() }
}

#[test]
fn tombstones_keep_their_columns_and_need_a_feed() {
    if python().is_none() {
        return;
    }
    let config = CONFIG.replace(
        "t/orders: {}",
        "t/orders: {deletes: tombstones, source_columns: [id], source_filter: \"amount < 100\", partition_by: [_change_type]}",
    );
    let folder = Folder::new(&config);
    lake(&folder, "append(1, 2, 300)");
    let said = folder.fails(1, &["run", "--run-date", "2025-01-01"]);
    assert!(said.contains("delta table \"orders\" has no change data feed, which deletes: tombstones needs"), "{said}");
    assert!(said.contains("delta.enableChangeDataFeed"), "{said}");
    lake(&folder, "DeltaTable(T).alter.set_table_properties(FEED)");
    run(&folder, 1);
    lake(&folder, "DeltaTable(T).delete('id = 1 or id = 300'); append(4)");
    run(&folder, 2);
    let files: BTreeSet<String> = folder.names("out").into_iter().collect();
    assert_eq!(
        files,
        ["_change_type=delete/02.csv", "_change_type=insert/01.csv", "_change_type=insert/02.csv"]
            .map(str::to_owned)
            .into()
    );
    let deleted = folder.lines("out/_change_type=delete/02.csv");
    assert_eq!(deleted.len(), 2, "{deleted:?}");
    assert!(deleted[1].starts_with("1,2,"), "{deleted:?}");
    // What is exported changes with the setting.
    folder.edit("deletes: tombstones, ", "");
    folder.edit(", partition_by: [_change_type]", "");
    assert!(folder.fails(4, &["run", "--run-date", "2025-01-03"]).contains("changed since its watermark was set"));
}

#[test]
fn snapshots_of_iceberg() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(CONFIG);
    iceberg(&folder, "t = catalog.create_table('lake.orders', rows(1).schema, location=f'{here}/lake/orders')");
    assert_eq!(run(&folder, 1)["new_watermark_value"], "-1");
    assert_eq!(ids(&folder, 1), [0_i64; 0]);
    iceberg(&folder, "t.append(rows(1, 2)); t.append(rows(3))");
    run(&folder, 2);
    assert_eq!(ids(&folder, 2), [1, 2, 3]);
    // A column that comes later is NULL in the files before it.
    iceberg(
        &folder,
        "from pyiceberg.types import StringType\nt.append(rows(4))\nwith t.update_schema() as u:\n    u.add_column('note', StringType())\n\
         t.append(rows(5).append_column('note', pa.array(['x'])))\nprint(t.current_snapshot().snapshot_id)",
    );
    let newest = run(&folder, 3);
    let mut lines = folder.lines("out/03.csv");
    lines[1..].sort();
    assert_eq!(lines, ["id,region,amount,note", "4,south,2.0,", "5,west,2.5,x"]);
    assert_eq!(run(&folder, 4)["metrics"]["rows_exported"], 0);
    // A snapshot that is not in the history of this table.
    let said = folder.fails(4, &["watermark", "set", "t/orders", "77"]);
    assert!(said.contains("snapshot 77 of the watermark is not in its history"), "{said}");
    iceberg(&folder, "t.append(rows(6).append_column('note', pa.array(['x']))); t.delete('id = 1')");
    let said = refused(&folder, 5);
    assert!(said.contains("removed or rewrote rows") && said.contains("iceberg table \"orders\": snapshot"), "{said}");
    assert_eq!(folder.watermark("t/orders"), newest["new_watermark_value"].as_str().unwrap());
    folder.ok(&["run", "--run-date", "2025-01-06", "--accept-change"]);
    assert_eq!(ids(&folder, 6), [2, 3, 4, 5, 6]);
    folder.edit("t/orders: {}", "t/orders: {deletes: tombstones}");
    assert!(folder.fails(1, &["plan"]).contains("iceberg table \"orders\" has no change data feed"));
}

/// Runs a script on the Iceberg table `t`, whose catalog is a file in the folder.
fn iceberg(folder: &Folder, script: &str) {
    lake(
        folder,
        &format!(
            "from pyiceberg.catalog.sql import SqlCatalog\nhere = os.getcwd()\n\
             catalog = SqlCatalog('lake', uri=f'sqlite:///{{here}}/catalog.db', warehouse=f'file://{{here}}/lake')\n\
             catalog.create_namespace_if_not_exists('lake')\n\
             t = catalog.load_table('lake.orders') if catalog.table_exists('lake.orders') else None\n{script}"
        ),
    );
}
