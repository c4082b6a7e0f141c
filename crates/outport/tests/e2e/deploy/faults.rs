//! Connections that drop, processes that die, keys that are refused, and readers that look on meanwhile.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{build, configure, generation, table, warehouse};
use crate::support::object_store::Bucket;
use crate::support::{Folder, finish};

/// Looks again and again at what is published: whatever it finds must be whole and of one generation.
const LOOK: &str = r#"
import duckdb, json, os, shutil, sys, hashlib
seen, last = set(), False
while not last:
    last = os.path.exists('stop')
    if not os.path.exists('bucket/catalog.json'):
        continue
    catalog = json.load(open('bucket/catalog.json'))
    for t in catalog['tables']:
        for f in t['files']:
            data = open(f['url'], 'rb').read()
            assert hashlib.sha256(data).hexdigest() == f['sha256'], f
    if os.path.exists('bucket/omicidx.duckdb'):
        shutil.copy('bucket/omicidx.duckdb', 'copy.duckdb')
        c = duckdb.connect('copy.duckdb', read_only=True)
        (count, low, high), = c.execute('select count(*), min(generation), max(generation) from facts').fetchall()
        parted, = c.execute('select count(*), min(generation), max(generation) from by_kind').fetchall()
        assert (count, low) == (3000, high) and parted == (count, low, high), (count, low, high, parted)
        seen.add(low)
        c.close()
print(json.dumps(sorted(seen)))
"#;

#[test]
fn a_reader_never_finds_missing_or_mixed_data() {
    let Some(folder) = warehouse("{url: bucket, keep_versions: 2}") else { return };
    build(&folder);
    let folder = Arc::new(folder);
    let reader = {
        let folder = folder.clone();
        std::thread::spawn(move || folder.python(LOOK))
    };
    folder.ok(&["deploy", "publish"]);
    for number in 2..6 {
        generation(&folder, number);
        build(&folder);
        // One in two is killed on its way, and what it left is what the reader sees until the next one.
        if number % 2 == 0 {
            let mut child = folder.start(&["deploy", "publish"]);
            std::thread::sleep(Duration::from_millis(60 * number));
            let _ = child.kill();
            finish(child);
        } else {
            folder.ok(&["deploy", "publish"]);
        }
    }
    folder.write("stop", "");
    let seen: Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
    assert!(seen.as_array().unwrap().contains(&5.into()), "{seen}");
    assert!(
        folder.hidden("bucket").iter().all(|name| name.ends_with(".tmp") || name.ends_with("stable.json")),
        "{:?}",
        folder.hidden("bucket")
    );
}

/// A warehouse with one export of some 30 MB, which is several parts.
fn large(port: u16) -> Option<Folder> {
    let folder = warehouse("{}")?;
    std::fs::remove_dir_all(folder.path().join("models")).unwrap();
    folder.write(
        "models/mart/noise.sql",
        "SELECT i, md5(i::VARCHAR) || md5((i + 7)::VARCHAR) AS noise FROM range(700000) t(i)",
    );
    folder.write(
        "models/mart/schema.yml",
        "version: 2\nmodels:\n  - {name: noise, materialized: export_view, export: {path: noise.parquet, compression: none}}\n",
    );
    store(&folder, port, "key", "secret");
    build(&folder);
    assert!(std::fs::metadata(folder.path().join("exports/noise.parquet")).unwrap().len() > 30 << 20);
    Some(folder)
}

fn store(folder: &Folder, port: u16, key: &str, secret: &str) {
    configure(
        folder,
        &format!(
            "{{bucket_name: bucket, url: \"s3://bucket/pub\", endpoint_url: \"http://127.0.0.1:{port}\", region: us-east-1, access_key_id: {key}, secret_access_key: {secret}}}"
        ),
    );
}

#[test]
fn an_upload_that_was_killed_goes_on_where_it_stopped() {
    let Some(bucket) = Bucket::start() else { return };
    // Slow enough that the process dies in the middle.
    let slow = Proxy::start(bucket.port(), usize::MAX, Duration::from_millis(15));
    let Some(folder) = large(slow.port) else { return };
    let mut child = folder.start(&["deploy", "publish"]);
    let log = folder.path().join("exports/.outport-uploads.json");
    let began = Instant::now();
    let first = loop {
        assert!(began.elapsed() < Duration::from_secs(60), "no part arrived");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let log: Value = serde_json::from_str(&text).unwrap_or_default();
        let upload = log.as_object().and_then(|log| log.values().next().cloned());
        if let Some(upload) = upload.filter(|upload| upload["parts"].as_array().is_some_and(|parts| !parts.is_empty()))
        {
            break upload;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    child.kill().unwrap();
    assert_ne!(finish(child).code, 0);
    assert!(bucket.objects("pub").is_empty(), "something was visible before it was whole");
    assert_eq!(bucket.uploads("pub").len(), 1);
    let sent_before = slow.bytes();
    let published = folder.json(&["deploy", "publish"]);
    assert_eq!(published["sent"][0]["stage"], "data");
    // What had arrived was not sent again: the rest, and what came before it was in flight, is less than all of it.
    let size = published["sent"][0]["bytes"].as_u64().unwrap() as usize;
    assert!(
        slow.bytes() - sent_before < size,
        "{} bytes were sent of {size}, after {first}",
        slow.bytes() - sent_before
    );
    assert!(bucket.uploads("pub").is_empty() && !log.exists());
    let objects = bucket.objects("pub");
    let catalog: Value = serde_json::from_slice(&objects["catalog.json"]).unwrap();
    let path = table(&catalog, "noise")["path"].as_str().unwrap().to_owned();
    assert_eq!(objects[&path], std::fs::read(folder.path().join("exports/noise.parquet")).unwrap());
}

#[test]
fn an_upload_survives_connections_that_drop() {
    let Some(bucket) = Bucket::start() else { return };
    // Three connections die after half a part.
    let proxy = Proxy::start(bucket.port(), 3, Duration::ZERO);
    let Some(folder) = large(proxy.port) else { return };
    folder.ok(&["deploy", "publish"]);
    assert_eq!(proxy.dropped.load(Ordering::SeqCst), 0, "no connection was dropped");
    let objects = bucket.objects("pub");
    let catalog: Value = serde_json::from_slice(&objects["catalog.json"]).unwrap();
    let path = table(&catalog, "noise")["path"].as_str().unwrap().to_owned();
    assert_eq!(objects[&path], std::fs::read(folder.path().join("exports/noise.parquet")).unwrap());
}

#[test]
fn refused_keys_lose_nothing() {
    let Some((bucket, key, secret)) = Bucket::guarded() else { return };
    let Some(folder) = warehouse("{}") else { return };
    store(&folder, bucket.port(), &key, &secret);
    build(&folder);
    folder.ok(&["deploy", "publish"]);
    let look = format!(
        "import boto3\ns3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{}', region_name='us-east-1', aws_access_key_id={key:?}, aws_secret_access_key={secret:?})\n\
         print([(o['Key'], o['ETag']) for o in s3.list_objects_v2(Bucket='bucket')['Contents']])",
        bucket.port()
    );
    let before = folder.python(&look);
    assert!(before.contains("pub/catalog.json"), "{before}");
    generation(&folder, 2);
    build(&folder);
    store(&folder, bucket.port(), &key, "hunter2");
    let refused = folder.fails(3, &["deploy", "publish"]);
    assert!(refused.contains("was refused") && !refused.contains("hunter2"), "{refused}");
    assert_eq!(folder.python(&look), before);
}

/// Between the program and a server: slows what is sent down, or cuts it off.
struct Proxy {
    port: u16,
    /// How many connections are still to be dropped.
    dropped: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
}

/// Bytes after which a connection is dropped.
const CUT: usize = 4 << 20;

impl Proxy {
    /// Drops so many connections, or, with `usize::MAX`, none; waits `pause` before each piece of what is sent.
    fn start(server: u16, drops: usize, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dropped = Arc::new(AtomicUsize::new(if drops == usize::MAX { 0 } else { drops }));
        let sent = Arc::new(AtomicUsize::new(0));
        let (left, count) = (dropped.clone(), sent.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(mut client), Ok(mut server)) = (client, TcpStream::connect(("127.0.0.1", server))) else {
                    continue;
                };
                let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut answers, &mut back);
                    let _ = back.shutdown(std::net::Shutdown::Both);
                });
                let (left, count) = (left.clone(), count.clone());
                std::thread::spawn(move || {
                    let mut piece = vec![0; 128 << 10];
                    let mut through = 0;
                    while let Ok(read @ 1..) = client.read(&mut piece) {
                        std::thread::sleep(pause);
                        through += read;
                        count.fetch_add(read, Ordering::SeqCst);
                        let cut = through > CUT
                            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
                        if cut || server.write_all(&piece[..read]).is_err() {
                            let _ = client.shutdown(std::net::Shutdown::Both);
                            break;
                        }
                    }
                    let _ = server.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Self { port, dropped, sent }
    }

    fn bytes(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}
