//! What cannot be exported by versions, and what is said of it.

use super::{CONFIG, ids, lake, refused, run};
use crate::support::{Folder, python};

#[test]
fn what_removed_rows_without_a_feed_is_refused_until_it_is_accepted() {
    if python().is_none() {
        return;
    }
    let cases = [
        ("DeltaTable(T).delete('id = 1')", "commit 2 (DELETE)"),
        ("DeltaTable(T).update(predicate='id = 1', updates={'amount': '7.0'})", "commit 2 (UPDATE)"),
        ("merge(1, 8)", "commit 2 (MERGE)"),
        ("write_deltalake(T, rows(8), mode='overwrite')", "commit 2 (WRITE (Overwrite))"),
    ];
    for (script, commit) in cases {
        let folder = Folder::new(CONFIG);
        lake(&folder, "append(1, 2)");
        run(&folder, 1);
        lake(&folder, &format!("append(3)\n{script}"));
        let said = refused(&folder, 2);
        assert!(said.contains(&format!("delta table \"orders\": {commit} removed or rewrote rows")), "{said}");
        assert!(said.contains("delta.enableChangeDataFeed") && said.contains("--accept-change"), "{said}");
        assert_eq!(folder.watermark("t/orders"), "0");
        assert!(folder.fails(4, &["plan", "--run-date", "2025-01-02"]).contains(commit));
        folder.ok(&["run", "--run-date", "2025-01-03", "--accept-change"]);
        let current = lake(&folder, "say(sorted(DeltaTable(T).to_pyarrow_table()['id'].to_pylist()))");
        assert_eq!(format!("{:?}", ids(&folder, 3)), current.trim());
        assert_eq!(folder.watermark("t/orders"), "2");
        lake(&folder, "append(4)");
        run(&folder, 4);
        assert_eq!(ids(&folder, 4), [4]);
    }
}

#[test]
fn a_table_that_was_made_anew_or_lost_its_log_is_refused() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(CONFIG);
    lake(&folder, "append(1); append(2); append(3)");
    run(&folder, 1);
    lake(&folder, "shutil.rmtree(T); append(7)");
    let said = refused(&folder, 2);
    assert!(said.contains("is another table than the watermark is of") && said.contains("made anew"), "{said}");
    lake(&folder, "append(8); append(9); append(10)");
    assert!(refused(&folder, 2).contains("is another table"));
    folder.ok(&["run", "--run-date", "2025-01-03", "--accept-change"]);
    assert_eq!(ids(&folder, 3), [7, 8, 9, 10]);
    // A version that was rolled back by hand.
    lake(&folder, "os.remove(f'{T}/_delta_log/00000000000000000003.json')");
    assert!(refused(&folder, 4).contains("is at version 2, expected at least that of the watermark, 3"));
    // A log that was cleaned up.
    lake(
        &folder,
        "append(11); append(12); DeltaTable(T).create_checkpoint()\nos.remove(f'{T}/_delta_log/00000000000000000003.json')",
    );
    folder.ok(&["watermark", "set", "t/orders", "3"]);
    lake(
        &folder,
        "append(13); DeltaTable(T).create_checkpoint()\nos.remove(f'{T}/_delta_log/00000000000000000004.json')",
    );
    let said = refused(&folder, 5);
    assert!(said.contains("its log does not hold commit 4 any more, expected 4 to 5"), "{said}");
}

#[test]
fn a_column_and_a_version_are_different_watermarks() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(&CONFIG.replace("incremental_by: table_version", "incremental_column: id"));
    lake(&folder, "append(1, 2)");
    run(&folder, 1);
    assert_eq!(folder.watermark("t/orders"), "2");
    folder.edit("incremental_column: id", "incremental_by: table_version");
    let said = refused(&folder, 2);
    assert!(said.contains("is 2, the value of a column, expected a version of the table"), "{said}");
    folder.ok(&["run", "--run-date", "2025-01-03", "--accept-change"]);
    assert_eq!(ids(&folder, 3), [1, 2]);
    assert_eq!(folder.watermark("t/orders"), "0");
}

#[test]
fn what_has_no_versions_is_refused_by_name() {
    if python().is_none() {
        return;
    }
    let folder = Folder::new(&CONFIG.replace("source_table: orders", "source_table: plain"));
    folder.write("lake/plain.csv", "id,name\n1,a\n");
    let said = folder.fails(1, &["run"]);
    assert!(said.contains("needs a Delta Lake or Iceberg table, \"plain\" is files of csv"), "{said}");
    let folder = Folder::new(&CONFIG.replace("{type: lakehouse, url: lake}", "{type: duckdb, path: shop.db}"));
    folder.duckdb("shop.db", "CREATE TABLE orders AS SELECT 1 AS id");
    let said = folder.fails(2, &["check"]);
    assert!(said.contains("table_version needs a lakehouse, connection \"lake\" is a warehouse"), "{said}");
}

#[test]
fn settings_that_do_not_go_together_are_found_at_once() {
    let folder = Folder::new(&CONFIG.replace(
        "t/orders: {}",
        "t/a: {incremental_column: id, incremental_lookback: 1 day, incremental_initial_watermark: soon}\n  \
         t/b: {incremental_by: column, incremental_column: id, deletes: tombstones}\n  \
         t/c: {deletes: full_keys_diff}\n  t/d: {source_table: null, source_query: \"SELECT 1\"}\n  \
         t/e: {deletes: tombstone}",
    ));
    let said = folder.fails(2, &["check"]);
    for wrong in [
        "incremental_column has no effect with incremental_by: table_version",
        "incremental_lookback has no effect with incremental_by: table_version",
        "incremental_initial_watermark: expected a version of the table, found \"soon\"",
        "deletes: tombstones needs incremental_by: table_version",
        "deletes: full_keys_diff is not supported yet",
        "incremental_by: table_version needs a source_table",
        "tombstones",
    ] {
        assert!(said.contains(wrong), "{wrong} is not in {said}");
    }
}
