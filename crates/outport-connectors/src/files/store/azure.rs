//! Azure Blob Storage, ADLS Gen2 and OneLake.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use outport_core::secret::redact_url;
use outport_core::{Environment, Error, ErrorKind, Result};

use super::remote::{Remote, retries};
use super::{Credentials, bucket_and_prefix, from_object_store, unknown_option};

const OPTIONS: &[&str] = &[
    "account_name",
    "access_key",
    "sas_token",
    "bearer_token",
    "client_id",
    "client_secret",
    "tenant_id",
    "federated_token_file",
    "endpoint",
    "use_emulator",
    "use_fabric_endpoint",
    "use_azure_cli",
    "skip_signature",
    "allow_http",
    "timeout",
    "connect_timeout",
    "proxy_url",
];

/// A client for `az://container/prefix`, `abfss://filesystem@account.dfs.core.windows.net/prefix` or the `https` URL of either,
/// OneLake's included: options first, then `AZURE_*` variables.
pub(super) fn open(url: &str, options: &Credentials, environment: &Environment) -> Result<Remote> {
    let (client_url, prefix) = split(url)?;
    let mut builder = MicrosoftAzureBuilder::new().with_retry(retries());
    for (name, value) in environment.with_prefix("AZURE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(connection) = environment.get("AZURE_STORAGE_CONNECTION_STRING") {
        builder = connection_string(builder, connection)?;
    }
    if let Some(endpoint) = environment.get("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    for (name, value) in options {
        if name == "connection_string" {
            builder = connection_string(builder, value.expose())?;
            continue;
        }
        let key: AzureConfigKey = name.to_ascii_lowercase().parse().map_err(|_| unknown_option("az", name, OPTIONS))?;
        builder = builder.with_config(key, value.expose());
    }
    let client = builder.with_url(client_url).build().map_err(|e| {
        let text = e.to_string();
        let error = from_object_store(e, &redact_url(url));
        if text.to_lowercase().contains("account") && text.to_lowercase().contains("specified") {
            return Error::new(ErrorKind::Config, format!("{} names no storage account", redact_url(url)))
                .hint("set `account_name`, AZURE_STORAGE_ACCOUNT_NAME, or use abfss://container@account.dfs.core.windows.net/");
        }
        if text.contains("Invalid Access Key") {
            return Error::new(ErrorKind::Config, format!("the access key of {} is not valid base64", redact_url(url)))
                .hint("set `access_key` to one of the account's two keys, copied whole");
        }
        error
    })?;
    Ok(Remote::new(Arc::new(client), prefix, true))
}

/// The part of the URL that names account and container, and the prefix inside it.
///
/// In an `https` URL the container is the first segment of the path; for OneLake it is the workspace, and the item
/// (`sales.Lakehouse`) starts the prefix.
fn split(url: &str) -> Result<(String, String)> {
    let (bucket, path) = bucket_and_prefix(url)?;
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if scheme != "https" {
        return Ok((format!("{scheme}://{bucket}"), path));
    }
    let (container, prefix) = path.split_once('/').unwrap_or((path.as_str(), ""));
    if container.is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("{} names no container", redact_url(url)))
            .hint("expected https://account.blob.core.windows.net/container/prefix"));
    }
    Ok((format!("https://{bucket}/{container}"), prefix.to_owned()))
}

/// The parts of a connection string that a client needs.
fn connection_string(mut builder: MicrosoftAzureBuilder, text: &str) -> Result<MicrosoftAzureBuilder> {
    if text.trim() == "UseDevelopmentStorage=true" {
        return Ok(builder.with_use_emulator(true));
    }
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(Error::new(
                ErrorKind::Config,
                "the azure connection string is malformed, expected key=value pairs",
            ));
        };
        let key = match key.trim() {
            "AccountName" => AzureConfigKey::AccountName,
            "AccountKey" => AzureConfigKey::AccessKey,
            "SharedAccessSignature" => AzureConfigKey::SasKey,
            "BlobEndpoint" => AzureConfigKey::Endpoint,
            // Protocol and suffix follow from the endpoint, and the other services are not used.
            _ => continue,
        };
        builder = builder.with_config(key, value.trim());
    }
    Ok(builder)
}
