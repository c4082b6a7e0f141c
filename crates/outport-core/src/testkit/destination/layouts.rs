//! Names, splits, partitions, empties, what exists, what comes last.

use sha2::{Digest, Sha256};

use super::faults::Steps;
use super::{FileFixture, assert_clean, batches, content, context, layout, write};
use crate::ErrorKind;
use crate::layout::{IfExists, Layout, OnEmpty};
use crate::manifest::Manifest;

/// Rows come back in their order; receipt and manifest say what is there.
pub async fn rows_come_back(fixture: &dyn FileFixture) {
    let receipt = write(fixture, layout("whole"), 0..100).await;
    let files = fixture.files("whole").await;
    assert_eq!(files.keys().collect::<Vec<_>>(), ["whole/_manifest.json", "whole/orders.csv"]);
    let bytes = &files["whole/orders.csv"];
    assert_eq!(super::ids(bytes), (0..100).collect::<Vec<_>>());
    assert_eq!((receipt.rows, receipt.files.len()), (100, 1));
    assert_eq!(receipt.bytes, bytes.len() as u64);
    assert_eq!(receipt.files[0].sha256, hex::encode(Sha256::digest(bytes)));

    let manifest = Manifest::parse("manifest", &files["whole/_manifest.json"]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((manifest.rows, manifest.files[0].path.as_str()), (100, "orders.csv"));
    assert_eq!((manifest.columns[0].min.as_deref(), manifest.columns[0].max.as_deref()), (Some("0"), Some("99")));
    assert_eq!(manifest.columns[1].nulls, 33);
    assert_clean(fixture, "whole", "a run").await;
}

/// A file has as many rows as the layout says, not one more; as many rows as fit are one file without a number.
pub async fn splits_are_exact(fixture: &dyn FileFixture) {
    for (rows, expected) in
        [(9, vec![9]), (10, vec![10]), (11, vec![10, 1]), (30, vec![10, 10, 10]), (31, vec![10, 10, 10, 1])]
    {
        let folder = format!("split{rows}");
        let receipt = write(fixture, Layout { max_rows_per_file: Some(10), ..layout(&folder) }, 0..rows).await;
        let found = content(fixture, &folder).await;
        let names: Vec<String> = match expected.len() {
            1 => vec![format!("{folder}/orders.csv")],
            parts => (1..=parts).map(|n| format!("{folder}/orders_part{n:04}.csv")).collect(),
        };
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), names, "{rows} rows by ten");
        assert_eq!(found.values().map(Vec::len).collect::<Vec<_>>(), expected, "{rows} rows by ten");
        assert_eq!(found.into_values().flatten().collect::<Vec<_>>(), (0..rows).collect::<Vec<_>>());
        assert_eq!(receipt.files.iter().map(|f| f.path.clone()).collect::<Vec<_>>(), names);
        assert_clean(fixture, &folder, "a split run").await;
    }
}

/// Partition columns become folders and leave the files; NULL has the folder that Hive gives it.
pub async fn partitions_become_folders(fixture: &dyn FileFixture) {
    write(fixture, Layout { partition_by: vec!["city".to_owned()], ..layout("cities") }, 0..30).await;
    let found = content(fixture, "cities").await;
    let ids = |rest: i64| (0..30).filter(|id| id % 3 == rest).collect::<Vec<_>>();
    let expected = [
        ("cities/city=Oslo/orders.csv", ids(0)),
        ("cities/city=São Paulo/orders.csv", ids(1)),
        ("cities/city=__HIVE_DEFAULT_PARTITION__/orders.csv", ids(2)),
    ];
    assert_eq!(found, expected.map(|(path, ids)| (path.to_owned(), ids)).into());
    assert_clean(fixture, "cities", "a partitioned run").await;

    let wrong = Layout { partition_by: vec!["citty".to_owned()], ..layout("cities2") };
    let error = fixture.destination(wrong).write(batches(0..3), &context()).await.err();
    let error = error.unwrap_or_else(|| panic!("a partition column that does not exist was accepted"));
    assert_eq!(error.hint_text(), Some("did you mean \"city\"?"));
}

/// Without rows there is a file with a header, nothing, or an error, as the layout says.
pub async fn empty_streams_obey_the_layout(fixture: &dyn FileFixture) {
    let receipt = write(fixture, layout("empty"), 0..0).await;
    assert_eq!((receipt.rows, receipt.files.len()), (0, 1));
    assert_eq!(content(fixture, "empty").await, [("empty/orders.csv".to_owned(), vec![])].into());

    let receipt = write(fixture, Layout { on_empty: OnEmpty::Skip, ..layout("skipped") }, 0..0).await;
    assert_eq!((receipt.files.len(), fixture.files("skipped").await.len()), (0, 0));

    let fail = fixture.destination(Layout { on_empty: OnEmpty::Fail, ..layout("failed") });
    let error =
        fail.write(batches(0..0), &context()).await.err().unwrap_or_else(|| panic!("on_empty: fail did not fail"));
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(fixture.files("failed").await.is_empty());
    for folder in ["empty", "skipped", "failed"] {
        assert_clean(fixture, folder, "an empty run").await;
    }
}

/// What exists is replaced, protected, or joined by a version, as the layout says.
pub async fn existing_files_obey_the_layout(fixture: &dyn FileFixture) {
    let of = |if_exists| Layout { if_exists, ..layout("exists") };
    write(fixture, of(IfExists::Error), 0..5).await;
    let refused = fixture.destination(of(IfExists::Error)).write(batches(5..9), &context()).await.err();
    assert_eq!(refused.map(|e| e.kind()), Some(ErrorKind::Contract), "if_exists: error");
    assert_eq!(content(fixture, "exists").await["exists/orders.csv"], [0, 1, 2, 3, 4]);

    write(fixture, of(IfExists::Version), 5..7).await;
    write(fixture, of(IfExists::Version), 7..9).await;
    let found = content(fixture, "exists").await;
    assert_eq!(found["exists/orders_v2.csv"], [5, 6]);
    assert_eq!(found["exists/orders_v3.csv"], [7, 8]);

    write(fixture, of(IfExists::Overwrite), 9..10).await;
    let found = content(fixture, "exists").await;
    assert_eq!((found.len(), &found["exists/orders.csv"][..]), (3, &[9][..]));
    assert_clean(fixture, "exists", "a run over what exists").await;
}

/// A rerun with fewer parts removes those of the run before, and nothing else.
pub async fn reruns_with_fewer_parts_leave_no_old_ones(fixture: &dyn FileFixture) {
    let layout = Layout { max_rows_per_file: Some(10), ..layout("fewer") };
    write(fixture, layout.clone(), 0..35).await;
    let other = Layout { file_name: "other.csv".to_owned(), manifest_name: None, ..layout.clone() };
    write(fixture, other, 0..5).await;
    write(fixture, layout.clone(), 0..15).await;
    let found = content(fixture, "fewer").await;
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["fewer/orders_part0001.csv", "fewer/orders_part0002.csv", "fewer/other.csv"]
    );
    write(fixture, layout, 0..5).await;
    let found = content(fixture, "fewer").await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["fewer/orders.csv", "fewer/other.csv"]);
}

/// The manifest comes after all data, and the trigger after the manifest.
pub async fn triggers_come_last(fixture: &dyn FileFixture) {
    let steps = Steps::new(None);
    let layout =
        Layout { max_rows_per_file: Some(10), trigger_name: Some("orders.done".to_owned()), ..layout("trigger") };
    let receipt = fixture.destination(layout).write(batches(0..15), &steps.context()).await;
    let receipt = receipt.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(receipt.trigger.as_deref(), Some("trigger/orders.done"));
    let reached = steps.reached();
    let place = |step: &str| {
        reached.iter().position(|s| s == step).unwrap_or_else(|| panic!("step {step:?} is missing in {reached:?}"))
    };
    let order = [
        place("complete"),
        place("visible trigger/orders_part0001.csv"),
        place("visible trigger/orders_part0002.csv"),
        place("visible trigger/_manifest.json"),
        place("published"),
        place("triggered"),
    ];
    assert!(order.is_sorted(), "steps came as {reached:?}");
    assert!(fixture.files("trigger").await["trigger/orders.done"].is_empty());
}
