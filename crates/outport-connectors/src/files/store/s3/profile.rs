//! The profile files of AWS: `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use object_store::aws::AmazonS3ConfigKey;
use outport_core::error::{from_io, suggestion};
use outport_core::{Environment, Error, ErrorKind, Result};

/// What a profile sets; empty where there is none.
pub(super) struct Profile {
    name: String,
    values: BTreeMap<String, String>,
}

/// Reads a profile; without a name the one called `default`, which need not exist.
///
/// # Errors
/// [`ErrorKind::Config`] if the profile that was named does not exist.
pub(super) fn load(chosen: Option<&str>, environment: &Environment) -> Result<Profile> {
    let name = chosen.unwrap_or("default").to_owned();
    let mut config = sections(file("AWS_CONFIG_FILE", "config", environment))?;
    let mut credentials = sections(file("AWS_SHARED_CREDENTIALS_FILE", "credentials", environment))?;

    // The config file says `[profile x]`, the credentials file `[x]`.
    let in_config = config.remove(&format!("profile {name}")).or_else(|| config.remove(&name));
    let in_credentials = credentials.remove(&name);
    if chosen.is_some() && in_config.is_none() && in_credentials.is_none() {
        let known: Vec<&str> =
            config.keys().chain(credentials.keys()).map(|n| n.strip_prefix("profile ").unwrap_or(n)).collect();
        return Err(
            Error::new(ErrorKind::Config, format!("there is no AWS profile \"{name}\"")).hint(suggestion(&name, known))
        );
    }
    let mut values = in_config.unwrap_or_default();
    // What S3 alone uses stands in a section of its own.
    if let Some(services) = values.get("services").and_then(|s| config.remove(&format!("services {s}")))
        && let Some(endpoint) = services.get("s3.endpoint_url")
    {
        values.insert("endpoint_url".to_owned(), endpoint.clone());
    }
    values.extend(in_credentials.unwrap_or_default());
    Ok(Profile { name, values })
}

impl Profile {
    /// Refuses what only Amazon's own tools can log in with.
    pub(super) fn check_supported(&self) -> Result<()> {
        if self.values.contains_key("aws_access_key_id") || self.values.contains_key("web_identity_token_file") {
            return Ok(());
        }
        match ["credential_process", "sso_session", "sso_start_url", "source_profile", "credential_source"]
            .iter()
            .find(|key| self.values.contains_key(**key))
        {
            None => Ok(()),
            Some(key) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("AWS profile \"{}\" logs in through {key}, which outport cannot", self.name),
            )
            .hint(format!(
                "run `eval \"$(aws configure export-credentials --profile {} --format env)\"` first",
                self.name
            ))),
        }
    }

    /// What the profile sets of the client; `keys` tells whether its credentials count.
    pub(super) fn settings(&self, keys: bool) -> impl Iterator<Item = (AmazonS3ConfigKey, &str)> {
        use AmazonS3ConfigKey as K;
        let names = [
            ("region", K::Region, false),
            ("endpoint_url", K::Endpoint, false),
            ("aws_access_key_id", K::AccessKeyId, true),
            ("aws_secret_access_key", K::SecretAccessKey, true),
            ("aws_session_token", K::Token, true),
            ("role_arn", K::RoleArn, true),
            ("role_session_name", K::RoleSessionName, true),
            ("web_identity_token_file", K::WebIdentityTokenFile, true),
        ];
        names
            .into_iter()
            .filter(move |(_, _, secret)| keys || !secret)
            .filter_map(|(name, key, _)| self.values.get(name).map(|value| (key, value.as_str())))
    }
}

fn file(variable: &str, name: &str, environment: &Environment) -> Option<PathBuf> {
    match environment.get(variable) {
        Some(path) => Some(PathBuf::from(path)),
        None => environment.home().map(|home| home.join(".aws").join(name)),
    }
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// The sections of an INI file; indented lines below `s3 =` become `s3.key`. A file that does not exist has none.
fn sections(path: Option<PathBuf>) -> Result<Sections> {
    let Some(path) = path else { return Ok(Sections::new()) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Sections::new()),
        Err(e) => return Err(from_io(ErrorKind::Config, e).context(path.display().to_string())),
    };
    Ok(parse(&text))
}

fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut section = String::new();
    let mut parent = String::new();
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(section.clone()).or_default();
            continue;
        }
        let Some((key, value)) = content.split_once('=') else { continue };
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        let nested = line.starts_with([' ', '\t']) && !parent.is_empty();
        let key = if nested { format!("{parent}.{key}") } else { key };
        if !nested {
            parent = if value.is_empty() { key.clone() } else { String::new() };
        }
        sections.entry(section.clone()).or_default().insert(key, value.to_owned());
    }
    sections
}

#[cfg(test)]
mod tests;
