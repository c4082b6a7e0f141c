//! S3, spoken by moto's server.

use outport_core::destination::Destination;
use outport_core::layout::Layout;
use outport_core::testkit::destination::{self, layout};
use outport_core::{Context, ErrorKind};

use crate::server::{Server, open};
use crate::support::Fixture;

fn moto() -> Option<Server> {
    Server::start("moto_server", |port| vec!["-H".into(), "127.0.0.1".into(), "-p".into(), port.to_string()])
}

fn bucket(server: &Server, url: &str) -> Fixture {
    server.request("PUT", "/bucket", "");
    let endpoint = server.url();
    let store = open(
        url,
        [("endpoint", &*endpoint), ("allow_http", "true"), ("access_key_id", "key"), ("secret_access_key", "secret")],
    );
    let mut fixture = Fixture::new(store);
    let port = server.port;
    fixture.uploads = Some(Box::new(move || uploads(port)));
    fixture
}

/// The keys of the open uploads, as the server lists them.
fn uploads(port: u16) -> Vec<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /bucket?uploads HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
                   authorization: AWS4-HMAC-SHA256 Credential=key/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("ListMultipartUploadsResult"), "{answer}");
    answer.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_conforms() {
    let Some(server) = moto() else { return };
    destination::all(&bucket(&server, "s3://bucket/some/prefix")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_and_a_missing_server_are_named() {
    let Some(server) = moto() else { return };
    let endpoint = server.url();
    let options = [
        ("endpoint", &*endpoint),
        ("allow_http", "true"),
        ("access_key_id", "key"),
        ("secret_access_key", "planted-secret"),
    ];
    let nowhere = Fixture::new(open("s3://nowhere", options));
    let write = |fixture: &Fixture, layout: Layout| {
        let destination = fixture.csv(layout);
        async move { destination.write(destination::batches(0..30), &Context::new(uuid::Uuid::new_v4())).await.unwrap_err() }
    };
    for layout in [layout("x"), Layout { max_rows_per_file: Some(10), ..layout("x") }] {
        let error = write(&nowhere, layout).await;
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error} {:?}", error.causes());
        assert!(error.message().contains("the bucket of s3://nowhere"), "{error}");
    }
    drop(server);
    let error = write(&nowhere, layout("x")).await;
    assert_eq!(error.kind(), ErrorKind::Connection, "{error} {:?}", error.causes());
    assert!(error.hint_text().is_some());
    let all = format!("{error} {:?} {:?}", error.causes(), error.hint_text());
    assert!(!all.contains("planted-secret"), "{all}");
}
