//! S3, spoken by moto's server.

use outport_connectors::files::destination::recover;
use outport_core::destination::{Destination, Intent, Recovery};
use outport_core::layout::Layout;
use outport_core::testkit::destination::{self, layout};
use outport_core::{Context, ErrorKind};

use crate::server::{Server, open};
use crate::support::Fixture;

fn moto() -> Option<Server> {
    Server::start("moto_server", arguments)
}

fn arguments(port: u16) -> Vec<String> {
    vec!["-H".into(), "127.0.0.1".into(), "-p".into(), port.to_string()]
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
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (ErrorKind::Connection, false),
            "{error} {:?}",
            error.causes()
        );
        assert!(error.message().contains("the bucket of s3://nowhere"), "{error}");
    }
    drop(server);
    let error = write(&nowhere, layout("x")).await;
    assert_eq!(error.kind(), ErrorKind::Connection, "{error} {:?}", error.causes());
    assert!(error.hint_text().is_some());
    let all = format!("{error} {:?} {:?}", error.causes(), error.hint_text());
    assert!(!all.contains("planted-secret"), "{all}");
}

/// A process that dies between the store's opening an upload and its id being written down leaves one that nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_id_never_came_back_is_found() {
    // This one checks signatures, once it has been told of a user.
    let server = Server::start_with("moto_server", &[("INITIAL_NO_AUTH_ACTION_COUNT", "inf")], arguments);
    let Some(server) = server else { return };
    let (key, secret) = user(&server);
    server.request("PUT", "/bucket", "");
    let name = "some/a b+c/region=s\u{fc}d & west.csv";
    let mine = "prefix/some/a%20b%2Bc/region%3Ds%C3%BCd%20%26%20west.csv";
    let open_upload = |key: &str| {
        let answer = server.request("POST", &format!("/bucket/{key}?uploads"), "");
        answer.split("<UploadId>").nth(1).unwrap().split("</UploadId>").next().unwrap().to_owned()
    };
    for key in [mine, mine, "prefix/some/a%20b%2Bc/other.csv", &format!("{mine}.gz")] {
        open_upload(key);
    }
    // What holds a part is somebody else's: the dead run sent none before it knew the id.
    let theirs = open_upload(mine);
    server.request("PUT", &format!("/bucket/{mine}?partNumber=1&uploadId={theirs}"), "part");
    server.request("POST", "/moto-api/reset-auth", "0");

    let endpoint = server.url();
    let recover = async |secret: &str| {
        let options =
            [("endpoint", &*endpoint), ("allow_http", "true"), ("access_key_id", &*key), ("secret_access_key", secret)];
        let store = open("s3://bucket/prefix", options);
        let intent = Intent { opening: Some(name.to_owned()), ..Intent::default() };
        match recover(&store, &intent, &Context::new(uuid::Uuid::new_v4())).await.unwrap() {
            Recovery::RolledBack(removed) => removed,
            Recovery::Published(receipt) => panic!("{receipt:?}"),
        }
    };
    // Where the list is refused, recovery goes on without it.
    assert_eq!(recover("wrong").await, Vec::<String>::new());
    let removed = recover(&secret).await;
    assert_eq!(removed.len(), 2, "{removed:?}");
    server.request("POST", "/moto-api/reset-auth", "inf");
    let mut left = uploads(server.port);
    left.sort();
    let expected = ["prefix/some/a b+c/other.csv".to_owned(), format!("prefix/{name}"), format!("prefix/{name}.gz")];
    assert_eq!(left, expected.map(|key| key.replace('&', "&amp;")));
}

/// A user of a server that checks logins, as key and secret.
fn user(server: &Server) -> (String, String) {
    let script = "import boto3, json, sys\n\
        iam = boto3.client('iam', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='x', aws_secret_access_key='x')\n\
        iam.create_user(UserName='u')\n\
        allow = {'Effect': 'Allow', 'Action': 's3:*', 'Resource': '*'}\n\
        policy = json.dumps({'Version': '2012-10-17', 'Statement': [allow]})\n\
        iam.put_user_policy(UserName='u', PolicyName='p', PolicyDocument=policy)\n\
        key = iam.create_access_key(UserName='u')['AccessKey']\n\
        print(key['AccessKeyId'], key['SecretAccessKey'])\n";
    let python = crate::server::find("python").unwrap();
    let output = std::process::Command::new(python).args(["-c", script, &server.url()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (key, secret) = said.trim().split_once(' ').unwrap();
    (key.to_owned(), secret.to_owned())
}
