//! A canary: secrets that are planted show up nowhere, whether all goes well or nothing does.

use crate::postgres_server::PostgresServer;
use crate::support::object_store::Bucket;
use crate::support::{Called, Folder};

const PASSWORD: &str = "canary-of-the-database";
const KEY: &str = "canary-of-the-bucket";

/// Calls that work and calls that fail, with everything that can be said switched on.
const CALLS: &[&[&str]] = &[
    &["check", "-vv"],
    &["doctor", "-vv"],
    &["conns", "list"],
    &["conns", "test"],
    &["conns", "test", "-o", "json"],
    &["conns", "discover", "shop", "--columns"],
    &["plan", "-vv"],
    &["plan", "-o", "json"],
    &["run", "-vv", "--run-date", "2025-01-01"],
    &["run", "-o", "json", "--log-format", "json", "-vv", "--run-date", "2025-01-02"],
    &["history", "-o", "json"],
    &["status", "-o", "json"],
    &["watermark", "get", "-o", "json"],
    &["verify", "orders_01_manifest.json", "--connection", "drop", "-vv"],
    &["gc", "-vv"],
];

/// Calls that fail where the database cannot be reached.
const FAILING: &[&[&str]] = &[
    &["plan", "-vv"],
    &["run", "-vv", "--run-date", "2025-01-01"],
    &["conns", "discover", "shop", "--log-format", "json", "-vv"],
];

#[test]
fn secrets_show_up_nowhere() {
    let Some(server) = PostgresServer::shared() else { return };
    let Some(bucket) = Bucket::start() else { return };
    let url = |password: &str, port: u16| format!("postgres://canary:{password}@127.0.0.1:{port}/with_password");
    server.psql(&format!("CREATE ROLE canary LOGIN PASSWORD '{PASSWORD}'"));
    server.psql("CREATE DATABASE with_password OWNER canary");
    server.psql(&format!(
        "\\c {}\nCREATE SCHEMA s; CREATE TABLE s.birds AS SELECT generate_series(1, 10) AS id",
        url(PASSWORD, server.port)
    ));

    let works = project(&url(PASSWORD, server.port), &bucket.options("key", KEY));
    let called = look_everywhere(&works, CALLS);
    for (arguments, called) in CALLS.iter().zip(called) {
        assert!(called.code == 0 || arguments[0] == "doctor", "{arguments:?}: {called:?}");
    }
    assert!(!bucket.objects("birds").is_empty());
    for (path, bytes) in bucket.objects("birds") {
        check(&path, &bytes);
    }

    let unreachable =
        project(&url(PASSWORD, server.port), &bucket.options("key", KEY).replace("127.0.0.1", "127.0.0.2"));
    look_everywhere(&unreachable, &[&["conns", "test", "drop", "-vv"]]);

    // The password is wrong, the server is not there, the port is none: the URL stands in no message.
    let broken = [
        url(&format!("{PASSWORD}-wrong"), server.port),
        url(PASSWORD, 1),
        format!("postgres://canary:{PASSWORD}@nowhere.invalid/with_password"),
        format!("postgres://canary:{PASSWORD}@127.0.0.1:port/with_password"),
        format!("postgres://canary:{PASSWORD}@[/with_password"),
    ];
    std::thread::scope(|scope| {
        for url in broken {
            let bucket = &bucket;
            scope.spawn(move || {
                let fails = project(&url, &bucket.options("key", KEY));
                for called in look_everywhere(&fails, FAILING) {
                    assert!([2, 3].contains(&called.code), "{called:?}");
                    assert!(called.stderr.contains("error:"), "{called:?}");
                }
            });
        }
    });
}

/// The state in a database with a password: neither a failure nor a success tells it.
#[test]
fn the_url_of_the_state_shows_up_nowhere() {
    for url in [
        format!("postgres://canary:{PASSWORD}@127.0.0.1:1/state"),
        format!("postgres://canary:{PASSWORD}@nowhere.invalid/state"),
        format!("postgres://canary:{PASSWORD}@127.0.0.1:port/state"),
    ] {
        let folder = Folder::new(
            "state: \"${env:STATE}\"\nconnections: {in: {type: lakehouse, url: data}, out: {type: store, url: out}}\n\
             exports: {t/a: {source: in, source_table: a, target: out, target_path: t, file_format: csv}}\n",
        )
        .with_variable("STATE", &url);
        folder.write("data/a.csv", "id\n1\n");
        for arguments in [&["run", "-vv"][..], &["status"], &["doctor"]] {
            let called = folder.call(arguments);
            check("stdout", called.stdout.as_bytes());
            check("stderr", called.stderr.as_bytes());
            assert_ne!(called.code, 0, "{called:?}");
        }
    }
}

fn project(url: &str, options: &str) -> Folder {
    Folder::new(&format!(
        "connections:\n  shop: {{type: postgres, url: \"${{env:SHOP}}\"}}\n  \
         drop: {{type: store, url: \"s3://bucket/birds\", options: {options}}}\n\
         exports:\n  t/orders: {{source: shop, source_schema: s, source_table: birds, target: drop, target_path: \".\", \
         file_format: csv, extract_type: incremental, incremental_column: id, target_filename_pattern: \"orders_{{run_date:%d}}.csv\"}}\n"
    ))
    .with_variable("SHOP", url)
}

/// Makes all calls and looks at what they say and at what they leave in the project's folder.
fn look_everywhere(folder: &Folder, calls: &[&[&str]]) -> Vec<Called> {
    let call = |arguments: &&[&str]| {
        let called = folder.call(arguments);
        check(&format!("stdout of {arguments:?}"), called.stdout.as_bytes());
        check(&format!("stderr of {arguments:?}"), called.stderr.as_bytes());
        called
    };
    let all = calls.iter().map(call).collect();
    let state = std::fs::read(folder.path().join(".outport/state.db"));
    if let Ok(state) = state {
        check("state", &state);
    }
    all
}

fn check(place: &str, bytes: &[u8]) {
    for secret in [PASSWORD, KEY] {
        let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        let around = |at: usize| {
            String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())]).into_owned()
        };
        assert_eq!(found.map(around), None, "{place}");
    }
}
