//! Connections to a bucket that break while an export is written.

use std::collections::BTreeMap;

use crate::support::object_store::{Bucket, options};
use crate::support::proxy::{Network, Proxy};
use crate::support::{Called, Folder, finish};

/// The rows that are exported, in files of [`PART`].
const ROWS: usize = 60_000;
const PART: usize = 10_000;

/// A project that exports to the prefix `x`, through whatever ENDPOINT says.
pub(crate) fn project() -> Folder {
    let folder = Folder::new(&format!(
        "connections:\n  data: {{type: lakehouse, url: data}}\n  \
         drop: {{type: store, url: \"s3://bucket/x\", options: {}}}\n\
         exports:\n  t/rows: {{source: data, source_table: rows, target: drop, target_path: \".\", file_format: csv, \
         max_rows_per_file: {PART}, target_filename_pattern: \"rows.csv\", trigger_file_pattern: \"rows.done\"}}\n",
        options("${env:ENDPOINT}", "key", "canary0of0the0bucket")
    ));
    let mut csv = "id,text\n".to_owned();
    for id in 0..ROWS {
        csv += &format!("{id},{}\n", "a text that makes the row some eighty bytes long so that a part has a size");
    }
    folder.write("data/rows.csv", &csv);
    folder
}

/// Calls the program with the bucket behind `endpoint`.
pub(crate) fn call(folder: &Folder, endpoint: &str, arguments: &[&str]) -> Called {
    finish(start(folder, endpoint, arguments))
}

pub(crate) fn start(folder: &Folder, endpoint: &str, arguments: &[&str]) -> std::process::Child {
    let mut command = folder.command(arguments);
    command.env("ENDPOINT", endpoint).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.spawn().unwrap()
}

pub(crate) const RUN: &[&str] = &["run", "t/rows", "--run-date", "2025-01-01"];

/// Everything is there, once.
pub(crate) fn check_whole(bucket: &Bucket) {
    let objects = bucket.objects("x");
    let names: Vec<&str> = objects.keys().map(String::as_str).collect();
    let parts: Vec<String> = (1..=ROWS / PART).map(|part| format!("rows_part{part:04}.csv")).collect();
    let mut expected: Vec<&str> = parts.iter().map(String::as_str).chain(["rows.done", "rows_manifest.json"]).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let ids = parts.iter().flat_map(|part| ids(&objects, part));
    assert!(ids.eq(0..ROWS), "rows are missing, or in another order");
    assert_eq!(bucket.uploads("x"), Vec::<String>::new());
}

fn ids(objects: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<usize> {
    let text = std::str::from_utf8(&objects[name]).unwrap();
    text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
}

/// Nothing is visible, and what was said names the store and no secret.
fn check_nothing(bucket: &Bucket, called: &Called) {
    assert_eq!(called.code, 3, "{called:?}");
    assert!(called.stderr.contains("s3://bucket/x/"), "{}", called.stderr);
    assert!(
        called.stderr.contains("nothing half-written is visible") || called.stderr.contains("check endpoint"),
        "{}",
        called.stderr
    );
    assert!(!called.stderr.contains("canary0of0the0bucket"), "{}", called.stderr);
    assert!(bucket.objects("x").is_empty());
}

#[test]
fn one_cut_is_mended_without_a_word() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = project();
    // Some way into the second and the third megabyte, which parts are made of.
    for at in [1_500_000, 2_700_000] {
        let proxy = Proxy::start(bucket.port(), Network::CutOnce(at));
        let called = call(&folder, &proxy.url(), RUN);
        assert_eq!(called.code, 0, "{called:?}");
        assert_eq!(proxy.cuts(), 1);
        check_whole(&bucket);
    }
}

#[test]
fn a_network_that_always_breaks_leaves_nothing() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = project();
    // Small requests pass, parts do not: what was begun can be taken back.
    let proxy = Proxy::start(bucket.port(), Network::CutAlways(300_000));
    let called = call(&folder, &proxy.url(), RUN);
    assert!(proxy.cuts() > 3, "a part was not sent again");
    check_nothing(&bucket, &called);
    assert_eq!(bucket.uploads("x"), Vec::<String>::new());
    assert_eq!(call(&folder, &format!("http://127.0.0.1:{}", bucket.port()), RUN).code, 0);
    check_whole(&bucket);
}

#[test]
fn a_network_that_goes_away_leaves_what_the_next_call_removes() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = project();
    let proxy = Proxy::start(bucket.port(), Network::Gone(2_700_000));
    check_nothing(&bucket, &call(&folder, &proxy.url(), RUN));
    assert!(!bucket.uploads("x").is_empty(), "nobody could abort them");
    let direct = format!("http://127.0.0.1:{}", bucket.port());
    let cleaned = call(&folder, &direct, &["gc"]);
    assert_eq!(cleaned.code, 0, "{cleaned:?}");
    assert_eq!(bucket.uploads("x"), Vec::<String>::new(), "{cleaned:?}");
    assert_eq!(call(&folder, &direct, RUN).code, 0);
    check_whole(&bucket);
}
