//! The multipart uploads that are open in a bucket. S3 and GCS list them alike, and the client library has no call for it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::HeaderValue;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{ClientOptions, HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::gcp::GcpCredentialProvider;
use object_store::path::Path;
use object_store::signer::Signer;
use outport_core::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::from_object_store;

/// What a signature expects to be left as it is in a key.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The same in a query.
const QUERY: &AsciiSet = &KEY.add(b'/');

/// The list of a bucket's open uploads.
#[derive(Debug)]
pub(crate) struct OpenUploads {
    http: HttpClient,
    service: Service,
}

/// Where the bucket is, and how requests are signed.
#[derive(Debug)]
pub(super) enum Service {
    S3 { client: Arc<AmazonS3>, region: String },
    Gcs { bucket: String, credentials: GcpCredentialProvider },
}

impl OpenUploads {
    /// The list, asked for with the HTTP client that `kept` holds; `None` before a store was built with it.
    pub(super) fn new(kept: &KeptClient, service: Service) -> Option<Self> {
        let http = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Self { http, service })
    }

    /// The open uploads of some keys that hold no part yet, as key and id.
    pub(crate) async fn without_parts(&self, keys: &BTreeSet<Path>) -> Result<Vec<(Path, String)>> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
        // Keys are sorted: what the first and the last begin with, all of them do.
        let both = first.as_ref().char_indices().zip(last.as_ref().chars());
        let common = both.take_while(|((_, a), b)| a == b).last().map_or(0, |((at, a), _)| at + a.len_utf8());
        let prefix = &first.as_ref()[..common];

        let mut found = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let mut query = vec![("prefix", prefix), ("uploads", "")];
            if let Some((key, id)) = &after {
                query.extend([("key-marker", key.as_str()), ("upload-id-marker", id.as_str())]);
            }
            let list = self.get("", query).await?;
            for upload in elements(&list, "Upload") {
                let (Some(key), Some(id)) = (element(upload, "Key"), element(upload, "UploadId")) else { continue };
                if let Some(key) = keys.iter().find(|own| own.as_ref() == key)
                    && element(&self.get(key.as_ref(), vec![("uploadId", &id)]).await?, "Part").is_none()
                {
                    found.push((key.clone(), id));
                }
            }
            let more = element(&list, "IsTruncated").is_some_and(|text| text == "true");
            let next = (element(&list, "NextKeyMarker"), element(&list, "NextUploadIdMarker"));
            match next {
                (Some(key), Some(id)) if more && after.as_ref() != Some(&(key.clone(), id.clone())) => {
                    after = Some((key, id));
                }
                _ => return Ok(found),
            }
        }
    }

    /// The answer to a request for a key, or for the bucket itself.
    async fn get(&self, key: &str, mut query: Vec<(&str, &str)>) -> Result<String> {
        // A signature is made of the query in this order.
        query.sort_unstable();
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY))).collect();
        let bucket = self.bucket().await?;
        let place = format!("{}/{}", bucket.trim_end_matches('/'), utf8_percent_encode(key, KEY));
        let failed =
            |text: String| Error::new(ErrorKind::Connection, format!("listing the uploads of {place}: {text}"));

        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = format!("{place}?{}", query.join("&")).parse().map_err(|_| failed("no url".to_owned()))?;
        self.authorize(&mut request).await?;
        let response = self.http.execute(request).await.map_err(|e| failed(e.to_string()))?;
        let status = response.status();
        let body = response.into_body().bytes().await.map_err(|e| failed(e.to_string()))?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if !status.is_success() {
            let code = element(&body, "Code").map(|code| format!(" ({code})")).unwrap_or_default();
            return Err(failed(format!("the server answered {status}{code}")));
        }
        Ok(body)
    }

    /// The URL of the bucket.
    async fn bucket(&self) -> Result<String> {
        match &self.service {
            Service::Gcs { bucket, .. } => Ok(bucket.clone()),
            // The client alone knows whether the bucket stands in the host or in the path; what it signs tells.
            Service::S3 { client, .. } => {
                let url: Url = client
                    .signed_url("GET".parse().map_err(|_| internal())?, &Path::default(), Duration::from_secs(60))
                    .await
                    .map_err(|e| from_object_store(e, "the bucket"))?;
                Ok(url[..url::Position::AfterPath].to_owned())
            }
        }
    }

    async fn authorize(&self, request: &mut HttpRequest) -> Result<()> {
        match &self.service {
            Service::S3 { client, region } => {
                let credential =
                    client.credentials().get_credential().await.map_err(|e| from_object_store(e, "the bucket"))?;
                AwsAuthorizer::new(&credential, "s3", region).authorize(request, None);
            }
            Service::Gcs { credentials, .. } => {
                let credential = credentials.get_credential().await.map_err(|e| from_object_store(e, "the bucket"))?;
                let mut value =
                    HeaderValue::try_from(format!("Bearer {}", credential.bearer)).map_err(|_| internal())?;
                value.set_sensitive(true);
                request.headers_mut().insert("authorization", value);
            }
        }
        Ok(())
    }
}

fn internal() -> Error {
    Error::new(ErrorKind::Internal, "a request for the list of uploads could not be made")
}

/// Makes HTTP clients as the library does, and keeps the latest: it has the store's proxy, certificates and times.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptClient(Arc<Mutex<Option<HttpClient>>>);

impl HttpConnector for KeptClient {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok(client)
    }
}

/// What stands in the elements of a name, as it is written.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(move |rest| rest.find(&close).map(|end| &rest[..end]))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> Option<String> {
    let text = elements(xml, name).next()?;
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(plain.replace("&#39;", "'").replace("&amp;", "&"))
}
