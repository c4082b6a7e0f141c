//! An S3 server of the tests' own, moto's, seen through plain requests rather than through our store.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server with one bucket, `bucket`; stopped when dropped.
pub(crate) struct Bucket {
    child: Child,
    port: u16,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // It is gone already, or it goes now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bucket {
    /// Starts the server; `None`, said loudly, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let program = super::python()?.with_file_name("moto_server");
        if !program.exists() {
            super::missing("moto_server");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bucket = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "moto_server did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        bucket.request("PUT", "/bucket");
        Some(bucket)
    }

    /// A connection of type store for a prefix of the bucket, as YAML.
    pub(crate) fn connection(&self, prefix: &str) -> String {
        format!("{{type: store, url: \"s3://bucket/{prefix}\", options: {}}}", self.options("key", "secret"))
    }

    /// The options of a connection, as YAML.
    pub(crate) fn options(&self, key: &str, secret: &str) -> String {
        format!(
            "{{endpoint: \"http://127.0.0.1:{}\", allow_http: true, region: us-east-1, access_key_id: {key}, secret_access_key: {secret}}}",
            self.port
        )
    }

    /// The objects below a prefix, by their key behind it.
    pub(crate) fn objects(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let list = String::from_utf8(self.request("GET", &format!("/bucket?list-type=2&prefix={prefix}/"))).unwrap();
        assert!(list.contains("<IsTruncated>false"), "{list}");
        let keys = texts(&list, "Key");
        let inside = |key: &str| key[prefix.len() + 1..].to_owned();
        keys.iter()
            .map(|key| (inside(key), self.request("GET", &format!("/bucket/{}", key.replace('=', "%3D")))))
            .collect()
    }

    /// The keys of the uploads below a prefix that are open and hold bytes.
    ///
    /// An upload that was opened in the very moment in which the process died is known to nobody; it holds nothing.
    pub(crate) fn uploads(&self, prefix: &str) -> Vec<String> {
        let list = String::from_utf8(self.request("GET", "/bucket?uploads")).unwrap();
        assert!(list.contains("ListMultipartUploadsResult"), "{list}");
        let open = texts(&list, "Key").into_iter().zip(texts(&list, "UploadId"));
        let mut held = Vec::new();
        for (key, id) in open.filter(|(key, _)| key.starts_with(&format!("{prefix}/"))) {
            let parts = self.request("GET", &format!("/bucket/{}?uploadId={id}", key.replace('=', "%3D")));
            if String::from_utf8(parts).unwrap().contains("<ETag>") {
                held.push(key);
            }
        }
        held
    }

    /// The body of the answer to a request, which must succeed.
    fn request(&self, method: &str, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-length: 0\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=key/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let body = answer.split_off(head + 4);
        let head = String::from_utf8_lossy(&answer);
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {head}{}", String::from_utf8_lossy(&body));
        assert!(!head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
        body
    }
}

/// The texts of all XML elements of a name.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).map(str::to_owned).collect()
}
