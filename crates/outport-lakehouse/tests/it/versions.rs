//! Spans of versions, over tables that other writers made.

use std::collections::BTreeMap;
use std::fs;

use outport_core::ErrorKind;
use outport_core::extract::{Extract, Relation};
use outport_core::source::Source;
use outport_core::version::{Changes, TableVersion};
use outport_lakehouse::{Lakehouse, LakehouseConfig};

use crate::support::{context, data, lakehouse, read, table};

fn version(number: i64) -> TableVersion {
    TableVersion { number, table: None }
}

fn extract(name: &str, after: Option<i64>, to: i64, tombstones: bool) -> Extract {
    let changes = Changes { after: after.map(version), to: version(to), tombstones };
    Extract { changes: Some(changes), ..Extract::table(name) }
}

/// The rows as text, without the order that they came in.
async fn rows(lake: &Lakehouse, extract: &Extract) -> Vec<String> {
    let (_, batches) = read(lake, extract).await.unwrap_or_else(|error| panic!("{extract:?}: {error}"));
    let text = table(&batches);
    let mut rows: Vec<String> = text.lines().filter(|line| line.starts_with('|')).skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

/// A table whose commits only appended is the same read by its commits as read whole: with partitions of every type, mapped
/// columns, nested ones and those that came later.
#[tokio::test(flavor = "multi_thread")]
async fn all_commits_together_are_the_table() {
    let Some(folder) = data("delta") else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let mut compared = Vec::new();
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in names.iter().filter(|name| *name != "COVID-19_NYT" && folder.join(name).join("_delta_log").exists()) {
        let Ok((_, whole)) = read(&lake, &Extract::table(name.as_str())).await else { continue };
        let span = lake.span(&Relation::table(name.as_str()), Some(&version(-1)), false, &context()).await;
        let span = match span {
            Ok(span) => span,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Contract, "{name}: {error}");
                continue;
            }
        };
        if has_feed(&folder.join(name).join("_delta_log")) {
            continue;
        }
        let expected = {
            let text = table(&whole);
            let mut rows: Vec<String> =
                text.lines().filter(|line| line.starts_with('|')).skip(1).map(str::to_owned).collect();
            rows.sort();
            rows
        };
        assert_eq!(rows(&lake, &extract(name, Some(-1), span.to.number, false)).await, expected, "{name}");
        assert_eq!(span.empty, expected.is_empty(), "{name}");
        compared.push(name.as_str());
    }
    for name in ["table_with_column_mapping", "delta-0.8.0-special-partition", "table_with_partitioning_mapping"] {
        assert!(compared.contains(&name), "{name} is not in {compared:?}");
    }
    assert!(compared.len() > 15, "{compared:?}");
}

fn has_feed(log: &std::path::Path) -> bool {
    fs::read_dir(log).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|extension| extension == "json")
            && fs::read_to_string(&path).is_ok_and(|text| text.contains("enableChangeDataFeed"))
    })
}

/// A feed of inserts, updates and deletes, some of which are nothing but new deletion vectors: played on any version of the
/// table, it gives every later one.
#[tokio::test(flavor = "multi_thread")]
async fn deletion_vectors_are_part_of_the_feed() {
    let Some(folder) = data("delta") else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let name = "cdf-table-with-cdc-and-dvs";
    let last = lake.span(&Relation::table(name), None, true, &context()).await.unwrap().to.number;
    let mut deletes = 0;
    for from in 0..=last {
        let mut state = by_id(rows(&lake, &extract(name, None, from, false)).await);
        for to in from + 1..=last {
            // One commit at a time from the first version, whole spans from the others.
            let after = if from == 0 { to - 1 } else { from };
            if from != 0 && to != last {
                continue;
            }
            let (_, changes) = read(&lake, &extract(name, Some(after), to, true)).await.unwrap();
            for line in table(&changes).lines().filter(|line| line.starts_with('|')).skip(1) {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                let id: i64 = cells[0].parse().unwrap();
                match cells[2] {
                    "delete" => {
                        deletes += 1;
                        assert!(state.remove(&id).is_some(), "{id} was deleted twice by {to}: {line}");
                    }
                    "insert" => assert!(state.insert(id, cells[1].to_owned()).is_none(), "{to}: {line}"),
                    "update_postimage" => assert!(state.insert(id, cells[1].to_owned()).is_some(), "{to}: {line}"),
                    other => panic!("{other}: {line}"),
                }
            }
            let expected = by_id(rows(&lake, &extract(name, None, to, false)).await);
            assert_eq!(state, expected, "from {from} to {to}");
        }
    }
    assert!(deletes > 20, "{deletes} deletes");
}

fn by_id(rows: Vec<String>) -> BTreeMap<i64, String> {
    let cells = |row: &String| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        (cells[0].parse().unwrap(), cells[1].clone())
    };
    rows.iter().map(cells).collect()
}
