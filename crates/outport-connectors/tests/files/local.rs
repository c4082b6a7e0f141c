//! A local folder.

use std::process::Command;

use outport_connectors::files::{FileSource, Store, gc, verify};
use outport_core::destination::Destination;
use outport_core::extract::Extract;
use outport_core::layout::{Codec, Compression, Layout};
use outport_core::source::Source;
use outport_core::testkit::destination::{self, layout};
use outport_core::{Context, ErrorKind};
use uuid::Uuid;

use crate::support::Fixture;

fn context() -> Context {
    Context::new(Uuid::new_v4())
}

fn fixture() -> (tempfile::TempDir, Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::new(Store::local(folder.path()));
    (folder, fixture)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_folder_conforms() {
    let (_folder, fixture) = fixture();
    destination::all(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_bundled_under_zip_and_gzip() {
    let (folder, fixture) = fixture();
    let of =
        |codec, limit| Layout { compression: Compression::new(codec), max_rows_per_file: Some(limit), ..layout("out") };
    let receipt = fixture.csv(of(Codec::Zip, 10)).write(destination::batches(0..25), &context()).await.unwrap();
    assert_eq!(receipt.files[0].path, "out/orders.zip");
    assert_eq!(receipt.files[0].entries, ["orders_part0001.csv", "orders_part0002.csv", "orders_part0003.csv"]);
    fixture.csv(of(Codec::Gzip, 10)).write(destination::batches(0..25), &context()).await.unwrap();
    let list = Command::new("tar").args(["tzf"]).arg(folder.path().join("out/orders.tar.gz")).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&list.stdout),
        "orders_part0001.csv\norders_part0002.csv\norders_part0003.csv\n"
    );
    let part = Command::new("tar")
        .args(["xzOf"])
        .arg(folder.path().join("out/orders.tar.gz"))
        .arg("orders_part0003.csv")
        .output()
        .unwrap();
    assert_eq!(destination::ids(&part.stdout), [20, 21, 22, 23, 24]);

    // As many rows as fit: one plain gzip file, no archive.
    let receipt = fixture.csv(of(Codec::Gzip, 25)).write(destination::batches(0..25), &context()).await.unwrap();
    assert_eq!(receipt.files[0].path, "out/orders.csv.gz");
    let plain = Command::new("gzip").args(["-dc"]).arg(folder.path().join("out/orders.csv.gz")).output().unwrap();
    assert_eq!(destination::ids(&plain.stdout), (0..25).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_limit_files_too() {
    let (_folder, fixture) = fixture();
    let layout = Layout { max_bytes_per_file: Some(100), max_rows_per_file: Some(20), ..layout("out") };
    let receipt = fixture.csv(layout).write(destination::batches(0..100), &context()).await.unwrap();
    assert!(receipt.files.len() > 4 && receipt.files.iter().all(|f| f.rows <= 20), "{:?}", receipt.files);
    assert_eq!(receipt.rows, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_open_files_go_on_as_further_parts() {
    let (_folder, fixture) = fixture();
    let layout = Layout { partition_by: vec!["city".to_owned()], ..layout("out") };
    let receipt = fixture.csv(layout).with_open_files(2).write(destination::batches(0..30), &context()).await.unwrap();
    assert!(receipt.files.iter().any(|f| f.path.ends_with("_part0002.csv")), "{:?}", receipt.files);
    assert_eq!(receipt.rows, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_budget_slows_down_and_does_not_stop() {
    let (_folder, fixture) = fixture();
    let context = Context { budget: outport_core::context::Budget::new(64), ..context() };
    let layout = Layout { partition_by: vec!["city".to_owned()], ..layout("out") };
    let receipt = fixture.csv(layout).write(destination::batches(0..300), &context).await.unwrap();
    assert_eq!(receipt.rows, 300);
    assert_eq!(context.budget.used(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_read_and_verified() {
    let (folder, fixture) = fixture();
    let layout = Layout { max_rows_per_file: Some(10), ..layout("out") };
    fixture.csv(layout).write(destination::batches(0..25), &context()).await.unwrap();
    let formats = outport_formats::text_formats();
    let temporary = fixture.temporary.path();
    let source = FileSource::new(fixture.store.clone(), formats.clone(), temporary);
    let mut extract = Extract::table("out");
    extract.columns = Some(vec!["id".to_owned()]);
    extract.limit = Some(12);
    let rows: usize =
        source.read(&extract, &context()).await.unwrap().collect().await.unwrap().iter().map(|b| b.num_rows()).sum();
    assert_eq!(rows, 12);
    let error = source.read(&Extract::table("out/ordrs_part0001.csv"), &context()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.hint_text()),
        (ErrorKind::NotFound, Some("did you mean \"out/orders_part0001.csv\"?"))
    );
    let error = source.read(&Extract::query("select 1"), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    let check = || async {
        verify::verify(&fixture.store, "out/_manifest.json", &formats, temporary, &context()).await.unwrap()
    };
    let report = check().await;
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.files.iter().map(|f| f.rows).collect::<Vec<_>>(), [Some(10), Some(10), Some(5)]);
    let path = folder.path().join("out/orders_part0002.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("15", "51", 1)).unwrap();
    std::fs::remove_file(folder.path().join("out/orders_part0003.csv")).unwrap();
    let report = check().await;
    assert!(report.files[1].problems[0].starts_with("has sha256"), "{report:?}");
    assert_eq!(report.files[2].problems, ["is missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_told_by_run_and_age() {
    let (folder, fixture) = fixture();
    let (dead, alive) = (Uuid::new_v4(), Uuid::new_v4());
    for run in [dead, alive] {
        std::fs::write(folder.path().join(format!(".outport-{}-0001.tmp", run.simple())), "x").unwrap();
    }
    std::fs::write(folder.path().join("orders.csv"), "x").unwrap();
    let day = jiff::SignedDuration::from_hours(24);
    let now = jiff::Timestamp::now();
    let find = |now| gc::leftovers(&fixture.store, "", day, now, |run| run == alive);
    assert!(find(now).await.unwrap().is_empty());
    let found = find(now + day + day).await.unwrap();
    assert_eq!(found.iter().map(|l| l.run_id).collect::<Vec<_>>(), [dead]);
    assert_eq!(gc::remove(&fixture.store, &found).await.unwrap(), (1, 1));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// A file system that is full, or that may not be written: needs the right to mount.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |options: &str| {
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(folder.path())
            .status()
            .is_ok_and(|s| s.success())
    };
    if !mount("size=64k") {
        assert!(std::env::var_os("OUTPORT_REQUIRE_SERVICES").is_none(), "mounting a small file system is required");
        eprintln!("SKIPPED: a small file system could not be mounted");
        return;
    }
    let fixture = Fixture::new(Store::local(folder.path()));
    let full = fixture.csv(layout("out")).write(destination::batches(0..20_000), &context()).await;
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    let read_only = Command::new("mount").args(["-o", "remount,ro"]).arg(folder.path()).status().unwrap();
    let refused = fixture.csv(layout("out")).write(destination::batches(0..5), &context()).await;
    let unmounted = Command::new("umount").arg(folder.path()).status().unwrap();
    assert!(read_only.success() && unmounted.success());
    let error = full.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error} {:?}", error.causes());
    assert!(error.hint_text().is_some() && error.to_string().contains(".outport-"), "{error}");
    assert_eq!(left, 0, "something was left on the full disk");
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Write, "the file system is read-only"));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (_folder, fixture) = fixture();
    for name in ["../x.csv", "a/b.csv", "", "..", "a\0.csv"] {
        let layout = Layout { file_name: name.to_owned(), ..layout("out") };
        let format = crate::support::csv();
        let made = outport_connectors::files::FileDestination::new(fixture.store.clone(), format, layout, "/tmp");
        assert_eq!(made.err().map(|e| e.kind()), Some(ErrorKind::Config), "{name:?}");
    }
}
