//! Azure by azurite; GCS by a stand-in, for no emulator of it has the multipart uploads of its XML API.

use outport_core::testkit::destination;

use crate::server::{NO_LOGIN, Server, open};
use crate::support::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn azure_conforms() {
    let server = Server::start("azurite-blob", |port| {
        let port = port.to_string();
        [
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &port,
            "--inMemoryPersistence",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]
        .map(str::to_owned)
        .to_vec()
    });
    let Some(server) = server else { return };
    let endpoint = format!("{}/devstoreaccount1", server.url());
    let key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let options =
        [("endpoint", &*endpoint), ("allow_http", "true"), ("account_name", "devstoreaccount1"), ("access_key", key)];
    create_container(&endpoint, key).await;
    destination::all(&Fixture::new(open("az://container/prefix", options))).await;
}

/// Creates the container through a shared access signature that permits it; the client under test does not create any.
async fn create_container(endpoint: &str, key: &str) {
    use std::process::Command;
    let python = std::env::var("OUTPORT_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = r#"
import sys, hmac, hashlib, base64, urllib.request, datetime
endpoint, key = sys.argv[1:3]
now = datetime.datetime.now(datetime.timezone.utc).strftime('%a, %d %b %Y %H:%M:%S GMT')
version = '2021-12-02'
canonical = f'PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{now}\nx-ms-version:{version}\n/devstoreaccount1/devstoreaccount1/container\nrestype:container'
signature = base64.b64encode(hmac.new(base64.b64decode(key), canonical.encode(), hashlib.sha256).digest()).decode()
request = urllib.request.Request(endpoint + '/container?restype=container', method='PUT', headers={
    'x-ms-date': now, 'x-ms-version': version, 'authorization': f'SharedKey devstoreaccount1:{signature}'})
urllib.request.urlopen(request)
"#;
    let output = Command::new(python).args(["-c", script, endpoint, key]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_conforms_on_a_stand_in() {
    let script = format!("{}/tests/files/gcs_stand_in.py", env!("CARGO_MANIFEST_DIR"));
    let Some(server) = Server::start("python", |port| vec![script.clone(), port.to_string()]) else { return };
    let url = server.url();
    let store =
        open("gs://bucket/prefix", [("base_url", &*url), ("allow_http", "true"), ("service_account_key", NO_LOGIN)]);
    let mut fixture = Fixture::new(store);
    fixture.uploads = Some(Box::new(move || {
        let answer = server.request("GET", "/uploads", "");
        answer.rsplit("\r\n").next().unwrap_or_default().lines().map(str::to_owned).collect()
    }));
    destination::all(&fixture).await;
}
