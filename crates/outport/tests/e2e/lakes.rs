//! A lakehouse in a bucket is read as one in a folder: tables by name, queries across them, increments.

use serde_json::{Value, json};

use crate::support::azure::{self, Container};
use crate::support::google::GoogleBucket;
use crate::support::object_store::Bucket;
use crate::support::{Folder, python, run_python};

/// The tables that `lake.py` writes.
const TABLES: [&str; 4] = ["orders", "visits", "readings", "birds"];

#[test]
fn a_lake_in_a_folder() {
    if python().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let found = write(
        json!({"folder": url, "delta": {}, "iceberg_folder": url, "iceberg": {"warehouse": url}, "upload": null}),
    );
    check(&url, "{}", &found, true);
}

#[test]
fn a_lake_on_s3() {
    let Some(bucket) = Bucket::start() else { return };
    let url = "s3://bucket/lake";
    let endpoint = format!("http://127.0.0.1:{}", bucket.port());
    let found = write(json!({
        "folder": url,
        "delta": {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret", "aws_conditional_put": "etag",
        },
        "iceberg_folder": url,
        "iceberg": {
            "warehouse": url, "s3.endpoint": endpoint, "s3.region": "us-east-1", "s3.access-key-id": "key",
            "s3.secret-access-key": "secret",
        },
    }));
    check(url, &bucket.options("key", "secret"), &found, true);
    assert!(bucket.objects("lake/Files").contains_key("orders.csv"));
}

#[test]
fn a_lake_on_azure() {
    let Some(container) = Container::start() else { return };
    let found = write(json!({
        "folder": "az://container/lake",
        "delta": {
            "account_name": azure::ACCOUNT, "access_key": azure::KEY, "endpoint": container.endpoint(), "allow_http": "true",
        },
        // Iceberg's metadata names its files by a URL of another scheme than the connection's.
        "iceberg_folder": "abfss://container/lake",
        "iceberg": {
            "warehouse": "abfss://container/lake", "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
            "adls.account-name": azure::ACCOUNT, "adls.account-key": azure::KEY,
            "adls.blob-storage-authority": container.authority(), "adls.blob-storage-scheme": "http",
            "adls.dfs-storage-authority": container.authority(), "adls.dfs-storage-scheme": "http",
        },
    }));
    check("az://container/lake", &azure::options(&container.endpoint(), azure::KEY), &found, true);
}

/// The server takes no uploads of the kind that our client and those of Delta and Iceberg make: the lake is copied into it.
#[test]
fn a_lake_on_google() {
    let Some(bucket) = GoogleBucket::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let local = format!("file://{}", folder.path().display());
    let found = write(json!({
        "folder": local, "delta": {}, "iceberg_folder": local, "iceberg": {"warehouse": local}, "upload": bucket.upload_url(),
    }));
    check("gs://bucket/lake", &bucket.options(), &found, false);
}

/// Writes the lake, and returns what readers that are not ours find in it.
fn write(options: Value) -> Value {
    let script = format!("{}/tests/e2e/lake.py", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&run_python(&[&script, &options.to_string()])).unwrap()
}

/// Exports everything that the lake at `url` holds; with `writable`, into the lake as well.
fn check(url: &str, options: &str, found: &Value, writable: bool) {
    let tables: String = TABLES.map(|name| format!("  t/{name}: {{source_table: {name}}}\n")).concat();
    let folder = Folder::new(&format!(
        "connections:\n  lake: {{type: lakehouse, url: \"{url}\", options: {options}}}\n  drop: {{type: store, url: out}}\n\
         defaults: {{source: lake, target: drop, target_path: \".\", file_format: csv, manifest: false, \
         target_filename_pattern: \"{{export_name}}.csv\", source_columns: [id, region, amount, day]}}\n\
         exports:\n{tables}  \
         t/since: {{source_table: orders, extract_type: incremental, incremental_column: id, incremental_initial_watermark: 200}}\n  \
         t/version: {{source_table: orders, extract_type: incremental, incremental_by: table_version, \
         incremental_initial_watermark: 3}}\n  \
         t/joined: {{source_columns: null, source_query: \"SELECT o.region, count(*) AS n FROM orders o JOIN visits v ON v.id = o.id \
         JOIN readings r ON r.id = o.id WHERE o.day < DATE '2025-01-10' GROUP BY o.region\"}}\n  \
         back/orders: {{source_table: orders, target: lake, is_active: {writable}}}\n"
    ));
    let relations = folder.json(&["conns", "discover", "lake"]);
    let names: Vec<&str> = relations.as_array().unwrap().iter().map(|r| r["relation"].as_str().unwrap()).collect();
    assert_eq!(names, ["birds", "orders", "readings", "visits"], "{relations}");

    folder.ok(&["run", "--run-date", "2025-02-01"]);
    for name in TABLES {
        assert_eq!(rows(&folder, name), expected(&found[name], |_| true), "{name} of {url}");
    }
    let since = expected(&found["orders"], |id| id > 200);
    assert!(since.len() > 20);
    assert_eq!(rows(&folder, "since"), since, "the increment of {url}");
    assert_eq!(folder.watermark("since"), "309");
    assert_eq!(rows(&folder, "version"), expected(&found["orders"], |id| id >= 300), "the last commit of {url}");
    assert_eq!(folder.watermark("version"), "4");
    let mut joined = folder.lines("out/joined.csv");
    joined[1..].sort();
    assert_eq!(joined, ["region,n", "far west,18", "north,18", "süd,18"], "{url}");
    // Nothing is new the second time: the tables are read again, and their filter finds nothing.
    let again = folder.json(&["run", "since", "--run-date", "2025-02-02"]);
    assert_eq!(again["results"][0]["metrics"]["rows_exported"], 0, "{again}");
}

/// The rows of an exported file by their first column.
fn rows(folder: &Folder, name: &str) -> Vec<Vec<String>> {
    let lines = folder.lines(&format!("out/{name}.csv"));
    assert_eq!(lines[0], "id,region,amount,day");
    let mut rows: Vec<Vec<String>> =
        lines[1..].iter().map(|line| line.split(',').map(str::to_owned).collect()).collect();
    rows.sort_by_key(|row| row[0].parse::<i64>().unwrap());
    rows
}

fn expected(found: &Value, wanted: impl Fn(i64) -> bool) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = serde_json::from_value(found.clone()).unwrap();
    assert!(rows.len() >= 40, "{} rows", rows.len());
    rows.into_iter().filter(|row| wanted(row[0].parse().unwrap())).collect()
}
