//! Google Cloud Storage.

use std::sync::Arc;

use object_store::ClientConfigKey;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use outport_core::secret::redact_url;
use outport_core::{Environment, Error, ErrorKind, Result};

use super::remote::{Remote, retries};
use super::uploads::{KeptClient, OpenUploads, Service};
use super::{Credentials, bucket_and_prefix, unknown_option};

const OPTIONS: &[&str] = &[
    "service_account_path",
    "service_account_key",
    "application_credentials",
    "base_url",
    "skip_signature",
    "allow_http",
    "timeout",
    "connect_timeout",
    "proxy_url",
];

/// A client for `gs://bucket/prefix`: options first, then `GOOGLE_*` variables, then the login that gcloud keeps.
pub(super) fn open(url: &str, options: &Credentials, environment: &Environment) -> Result<Remote> {
    use GoogleConfigKey as K;
    let (bucket, prefix) = bucket_and_prefix(url)?;
    let mut builder = GoogleCloudStorageBuilder::new().with_retry(retries()).with_bucket_name(&bucket);

    let given = |key: &GoogleConfigKey| {
        matches!(key, K::ServiceAccount | K::ServiceAccountKey | K::ApplicationCredentials | K::SkipSignature)
    };
    let mut parsed = Vec::new();
    for (name, value) in options {
        let name = if name == "endpoint" { "base_url" } else { name };
        let key: GoogleConfigKey =
            name.to_ascii_lowercase().parse().map_err(|_| unknown_option("gs", name, OPTIONS))?;
        parsed.push((key, value.expose().clone()));
    }
    let own_login = parsed.iter().any(|(key, _)| given(key));
    for (name, value) in environment.with_prefix("GOOGLE_") {
        match name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
            // Two logins at once are refused by the client; the options' own goes before.
            Ok(key) if !(own_login && given(&key)) => builder = builder.with_config(key, value),
            _ => {}
        }
    }
    // A login of the builder's own choosing would be read from HOME, behind the back of `environment`.
    let has_login = own_login
        || environment
            .with_prefix("GOOGLE_")
            .any(|(name, _)| name.to_ascii_lowercase().parse::<GoogleConfigKey>().is_ok_and(|key| given(&key)));
    if !has_login && let Some(home) = environment.home() {
        let file = home.join(".config/gcloud/application_default_credentials.json");
        if file.exists() {
            builder = builder.with_application_credentials(file.display().to_string());
        }
    }
    for (key, value) in parsed {
        builder = builder.with_config(key, value);
    }
    if builder.get_config_value(&K::BaseUrl).is_some_and(|base| base.starts_with("http://"))
        && builder.get_config_value(&K::Client(ClientConfigKey::AllowHttp)).as_deref() != Some("true")
    {
        return Err(
            Error::new(ErrorKind::Config, "base_url is without TLS").hint("set `allow_http: true` if that is meant")
        );
    }
    let base = builder.get_config_value(&K::BaseUrl).unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
    let kept = KeptClient::default();
    let client = builder.with_http_connector(kept.clone()).build();
    let client = Arc::new(client.map_err(|e| unusable_login(e, &redact_url(url)))?);
    let place = format!("{}/{bucket}", base.trim_end_matches('/'));
    let service = Service::Gcs { bucket: place, credentials: client.credentials().clone() };
    let open_uploads = OpenUploads::new(&kept, service);
    Ok(Remote::new(client, prefix, true).with_open_uploads(open_uploads))
}

/// Building a client reads the login's key; nothing is asked of the server yet.
fn unusable_login(error: object_store::Error, url: &str) -> Error {
    let text = error.to_string();
    let text = ["Generic GCS error: ", "GCP credential error: "]
        .iter()
        .fold(text.as_str(), |text, front| text.strip_prefix(front).unwrap_or(text));
    Error::new(ErrorKind::Auth, format!("the login for {url} cannot be used: {text}")).hint(
        "service_account_path and GOOGLE_APPLICATION_CREDENTIALS name a key file as the Google Cloud console gives it, \
         service_account_key holds its text",
    )
}
