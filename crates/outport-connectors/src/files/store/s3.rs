//! S3, and what speaks its protocol: R2, MinIO, Ceph, Swift.

mod profile;

use std::sync::Arc;

use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use outport_core::secret::redact_url;
use outport_core::{Environment, Error, ErrorKind, Result};

use super::remote::{Remote, retries};
use super::uploads::{KeptClient, OpenUploads, Service};
use super::{Credentials, bucket_and_prefix, from_object_store, unknown_option};

const OPTIONS: &[&str] = &[
    "access_key_id",
    "secret_access_key",
    "session_token",
    "region",
    "endpoint",
    "profile",
    "allow_http",
    "virtual_hosted_style_request",
    "skip_signature",
    "role_arn",
    "role_session_name",
    "web_identity_token_file",
    "conditional_put",
    "checksum_algorithm",
    "server_side_encryption",
    "sse_kms_key_id",
    "unsigned_payload",
    "request_payer",
    "timeout",
    "connect_timeout",
    "proxy_url",
];

/// A client for `s3://bucket/prefix`: options first, then `AWS_*` variables, then the profile of the AWS files.
///
/// Static keys of a profile give way to those of options and variables as a set: half of one and half of the other would
/// never fit together.
pub(super) fn open(url: &str, options: &Credentials, environment: &Environment) -> Result<Remote> {
    let (bucket, prefix) = bucket_and_prefix(url)?;
    let mut builder = AmazonS3Builder::new().with_retry(retries()).with_bucket_name(bucket);
    let mut given = Vec::new();

    for (name, value) in environment.with_prefix("AWS_") {
        // Variables that are none of the client's (AWS_PAGER, AWS_PROFILE) are left to whom they are for.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
            given.push(key);
        }
    }
    for (name, value) in options.iter().filter(|(name, _)| name.as_str() != "profile") {
        let key: AmazonS3ConfigKey =
            name.to_ascii_lowercase().parse().map_err(|_| unknown_option("s3", name, OPTIONS))?;
        builder = builder.with_config(key, value.expose());
        given.push(key);
    }

    let chosen = options.get("profile").map(|p| p.expose().as_str()).or_else(|| environment.get("AWS_PROFILE"));
    let profile = profile::load(chosen, environment)?;
    let own_keys = given.iter().any(|key| {
        use AmazonS3ConfigKey as K;
        matches!(key, K::AccessKeyId | K::SecretAccessKey | K::SkipSignature | K::WebIdentityTokenFile)
    });
    if !own_keys {
        profile.check_supported()?;
    }
    for (key, value) in profile.settings(!own_keys) {
        if !given.contains(&key) {
            builder = builder.with_config(key, value);
            given.push(key);
        }
    }

    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    let allow_http = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
    if let Some(endpoint) = &endpoint {
        check_endpoint(endpoint, builder.get_config_value(&allow_http).as_deref() == Some("true"))?;
        // R2 and most servers of one's own have no regions and want a name for one all the same.
        if !given.iter().any(|k| matches!(k, AmazonS3ConfigKey::Region | AmazonS3ConfigKey::DefaultRegion)) {
            let region = if endpoint.contains("r2.cloudflarestorage.com") { "auto" } else { "us-east-1" };
            builder = builder.with_region(region);
        }
    }
    let conditional = builder.get_config_value(&AmazonS3ConfigKey::ConditionalPut);
    let conditional_put = conditional.as_deref() != Some("disabled");
    if conditional.is_none() {
        builder = builder.with_conditional_put(S3ConditionalPut::ETagMatch);
    }
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
    let public = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).as_deref() == Some("true");
    let kept = KeptClient::default();
    let client = builder.with_http_connector(kept.clone()).build();
    let client = Arc::new(client.map_err(|e| from_object_store(e, &redact_url(url)))?);
    // Requests without a signature list no uploads.
    let service = (!public).then(|| Service::S3 { client: client.clone(), region });
    let open_uploads = service.and_then(|service| OpenUploads::new(&kept, service));
    Ok(Remote::new(client, prefix, conditional_put).with_open_uploads(open_uploads))
}

fn check_endpoint(endpoint: &str, allow_http: bool) -> Result<()> {
    let shown = redact_url(endpoint);
    match url::Url::parse(endpoint).ok().map(|url| url.scheme().to_owned()).as_deref() {
        Some("https") => Ok(()),
        Some("http") if allow_http => Ok(()),
        Some("http") => Err(Error::new(ErrorKind::Config, format!("endpoint {shown} is without TLS"))
            .hint("set `allow_http: true` in the connection's options, or AWS_ALLOW_HTTP=true, if that is meant")),
        _ => Err(Error::new(ErrorKind::Config, format!("endpoint {shown} is not a url, expected https://host[:port]"))),
    }
}
