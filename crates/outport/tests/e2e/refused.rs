//! A store that refuses, that is not there, or that has no such bucket: exit code 3, with what was refused and where to look.

use crate::support::azure::{self, Container};
use crate::support::object_store::{self, Bucket};
use crate::support::{Called, Folder};

/// Is part of every wrong secret, and must show up nowhere.
const CANARY: &str = "canary0of0the0bucket";

#[test]
fn s3_with_a_wrong_login() {
    let Some((bucket, key, secret)) = Bucket::guarded() else { return };
    let works = project("s3://bucket/x", &bucket.options(&key, &secret));
    works.write("data/birds.csv", "id\n1\n");
    works.ok(&["conns", "test", "drop", "lake"]);
    works.ok(&["run", "t/out", "--run-date", "2025-01-01"]);

    let wrong_secret = project("s3://bucket/x", &bucket.options(&key, CANARY));
    each(&wrong_secret, &["access to s3://bucket", "was refused (SignatureDoesNotMatch)", "check the credentials"]);
    let wrong_key = project("s3://bucket/x", &bucket.options("AKIANOBODY", CANARY));
    each(&wrong_key, &["access to s3://bucket", "was refused (InvalidAccessKeyId)", "check the credentials"]);
    let nowhere = project("s3://nowhere/x", &bucket.options(&key, &secret));
    each(&nowhere, &["the bucket of s3://nowhere", "does not exist", "check the name, the region and the endpoint"]);
}

#[test]
fn azure_with_a_wrong_login() {
    let Some(container) = Container::start() else { return };
    let endpoint = container.endpoint();
    let works = project("az://container/x", &azure::options(&endpoint, azure::KEY));
    works.ok(&["conns", "test", "drop", "lake"]);

    // A key of the right form.
    let other = format!("{CANARY}{}", &azure::KEY[CANARY.len()..]);
    let wrong_key = project("az://container/x", &azure::options(&endpoint, &other));
    each(&wrong_key, &["access to az://container", "was refused", "check the credentials"]);
    let sas = format!(
        "{{endpoint: \"{endpoint}\", allow_http: true, account_name: {}, sas_token: \"sv=2021-12-02&ss=b&srt=sco&sp=rwl&se=2099-01-01T00:00:00Z&sig={CANARY}%3D\"}}",
        azure::ACCOUNT
    );
    each(&project("az://container/x", &sas), &["access to az://container", "was refused", "check the credentials"]);
    let nowhere = project("az://nowhere/x", &azure::options(&endpoint, azure::KEY));
    each(&nowhere, &["the bucket of az://nowhere", "does not exist", "check the name"]);
}

#[test]
fn google_with_a_login_that_is_none() {
    for (file, text, says) in [
        ("missing.json", None, "No such file"),
        ("garbage.json", Some("garbage"), "decode"),
        (
            "pem.json",
            Some(r#"{"type": "service_account", "client_email": "a@b", "private_key": "x", "private_key_id": "1"}"#),
            "pem",
        ),
    ] {
        let folder = project("gs://bucket/x", &format!("{{service_account_path: {file}}}"));
        if let Some(text) = text {
            folder.write(file, text);
        }
        each(&folder, &["the login for gs://bucket", "cannot be used", says, "service_account_path"]);
    }
}

#[test]
fn a_server_that_is_not_there() {
    // Nobody listens on the first port.
    let s3 = project("s3://bucket/x", &object_store::options("http://127.0.0.1:1", "key", CANARY));
    let azure = project("az://container/x", &azure::options("http://127.0.0.1:1/devstoreaccount1", azure::KEY));
    std::thread::scope(|scope| {
        scope.spawn(|| each(&s3, &["cannot reach the server of s3://bucket", "check endpoint, network and proxy"]));
        scope.spawn(|| {
            each(&azure, &["cannot reach the server of az://container", "check endpoint, network and proxy"])
        });
    });
}

/// A project that reads a table of the store, and writes to it.
fn project(url: &str, options: &str) -> Folder {
    let folder = Folder::new(&format!(
        "connections:\n  drop: {{type: store, url: \"{url}\", options: {options}}}\n  \
         lake: {{type: lakehouse, url: \"{url}\", options: {options}}}\n  \
         data: {{type: lakehouse, url: data}}\n  local: {{type: store, url: out}}\n\
         defaults: {{target_path: \".\", file_format: csv, target_filename_pattern: \"{{export_name}}.csv\"}}\n\
         exports:\n  t/out: {{source: data, source_table: birds, target: drop}}\n  \
         t/in: {{source: lake, source_table: birds, target: local}}\n"
    ));
    folder.write("data/birds.csv", "id\n1\n");
    folder
}

/// Every way to the store ends with exit code 3 and says all of this.
fn each(folder: &Folder, says: &[&str]) {
    let call = |arguments: &[&str]| {
        let Called { code, stdout, stderr } = folder.call(arguments);
        assert_eq!(code, 3, "{arguments:?}: {stdout}{stderr}");
        for text in says {
            assert!(stderr.contains(text), "{arguments:?} does not say \"{text}\": {stderr}");
        }
        assert!(!stderr.contains(CANARY) && !stdout.contains(CANARY), "{arguments:?}: {stdout}{stderr}");
    };
    let tests: [&[&str]; 3] =
        [&["conns", "test", "drop"], &["conns", "test", "lake"], &["conns", "discover", "lake", "-v"]];
    std::thread::scope(|scope| {
        for arguments in tests {
            scope.spawn(move || call(arguments));
        }
        // What runs writes its state, and on a busy machine one would wait too long for the other.
        scope.spawn(move || {
            call(&["run", "t/out", "--run-date", "2025-01-01", "-v"]);
            call(&["run", "t/in", "--run-date", "2025-01-01"]);
        });
    });
    assert!(folder.names("out").is_empty());
}
