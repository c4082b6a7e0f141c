//! An S3 server of the tests' own, moto's, seen through plain requests rather than through our store.

use std::collections::BTreeMap;

use super::server::Server;

/// The server with one bucket, `bucket`; stopped when dropped.
pub(crate) struct Bucket {
    server: Server,
}

/// What moto takes for a login where it does not look at them.
const LOGIN: &str = "content-type: application/json\r\nauthorization: AWS4-HMAC-SHA256 \
                     Credential=key/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";

impl Bucket {
    /// Starts the server; `None`, said loudly, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let bucket = Self { server: moto(&[])? };
        bucket.request("PUT", "/bucket");
        Some(bucket)
    }

    /// Starts a server that knows one user and checks every signature; returns it with the user's key and secret.
    ///
    /// The bucket cannot be looked into by this type's other functions.
    pub(crate) fn guarded() -> Option<(Self, String, String)> {
        // That many calls are let through before logins are looked at: those of the script.
        let server = moto(&[("INITIAL_NO_AUTH_ACTION_COUNT", "4")])?;
        let script = "import boto3, json, sys\n\
            login = dict(endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='x', aws_secret_access_key='x')\n\
            iam = boto3.client('iam', **login)\n\
            iam.create_user(UserName='u')\n\
            allow = {'Effect': 'Allow', 'Action': 's3:*', 'Resource': '*'}\n\
            policy = json.dumps({'Version': '2012-10-17', 'Statement': [allow]})\n\
            iam.put_user_policy(UserName='u', PolicyName='p', PolicyDocument=policy)\n\
            key = iam.create_access_key(UserName='u')['AccessKey']\n\
            boto3.client('s3', **login).create_bucket(Bucket='bucket')\n\
            print(key['AccessKeyId'], key['SecretAccessKey'])\n";
        let said = super::run_python(&["-c", script, &server.url()]);
        let (key, secret) = said.trim().split_once(' ').unwrap();
        Some((Self { server }, key.to_owned(), secret.to_owned()))
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// A connection of type store for a prefix of the bucket, as YAML.
    pub(crate) fn connection(&self, prefix: &str) -> String {
        format!("{{type: store, url: \"s3://bucket/{prefix}\", options: {}}}", self.options("key", "secret"))
    }

    /// The options of a connection, as YAML.
    pub(crate) fn options(&self, key: &str, secret: &str) -> String {
        options(&self.server.url(), key, secret)
    }

    /// The objects below a prefix, by their key behind it.
    pub(crate) fn objects(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let list = String::from_utf8(self.request("GET", &format!("/bucket?list-type=2&prefix={prefix}/"))).unwrap();
        assert!(list.contains("<IsTruncated>false"), "{list}");
        let keys = texts(&list, "Key");
        let inside = |key: &str| key[prefix.len() + 1..].to_owned();
        keys.iter().map(|key| (inside(key), self.request("GET", &format!("/bucket/{}", encoded(key))))).collect()
    }

    /// The keys of the uploads below a prefix that are open.
    pub(crate) fn uploads(&self, prefix: &str) -> Vec<String> {
        let list = String::from_utf8(self.request("GET", "/bucket?uploads")).unwrap();
        assert!(list.contains("ListMultipartUploadsResult"), "{list}");
        texts(&list, "Key").into_iter().filter(|key| key.starts_with(&format!("{prefix}/"))).collect()
    }

    fn request(&self, method: &str, path: &str) -> Vec<u8> {
        self.server.request(method, path, LOGIN, "")
    }
}

/// A key as it stands in a URL.
fn encoded(key: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./~".contains(&b);
    key.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The options of a connection to a server at `endpoint`, as YAML.
pub(crate) fn options(endpoint: &str, key: &str, secret: &str) -> String {
    format!(
        "{{endpoint: \"{endpoint}\", allow_http: true, region: us-east-1, access_key_id: {key}, secret_access_key: {secret}}}"
    )
}

fn moto(variables: &[(&str, &str)]) -> Option<Server> {
    let program = super::python()?.with_file_name("moto_server");
    if !program.exists() {
        super::missing("moto_server");
        return None;
    }
    Some(Server::start(&program, variables, |port| {
        vec!["-H".into(), "127.0.0.1".into(), "-p".into(), port.to_string()]
    }))
}

/// The texts of all XML elements of a name.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).map(str::to_owned).collect()
}
