//! `warehouse.yml`: where the warehouse, its models and its exports are, and where they are published.
//!
//! What the file says goes before the defaults, and the `OMICIDX_*` variables of the environment go before the file.

use std::path::{Path, PathBuf};

use outport_core::config::node::Node;
use outport_core::config::{self, Text, de, interpolate};
use outport_core::environment::Environment;
use outport_core::error::{from_io, suggestion};
use outport_core::secret::Secret;
use outport_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// The names under which the file is looked for.
pub const FILE_NAMES: &[&str] = &["warehouse.yml", "warehouse.yaml", "warehouse.toml"];

/// The section `warehouse`: where things are on this machine. Relative paths start at the folder of the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The DuckDB file.
    pub db_path: PathBuf,
    /// The folder with one folder of models for each layer.
    pub models_dir: PathBuf,
    /// The folder that exports are written to.
    pub export_dir: PathBuf,
    /// Threads of DuckDB; all cores where there is no number.
    pub threads: Option<u32>,
    /// Memory of DuckDB, such as `8GB`.
    pub memory_limit: Option<String>,
    /// The folder for what does not fit into memory.
    pub temp_directory: Option<PathBuf>,
    /// Values that models use as `{{ var('name') }}`.
    pub vars: serde_json::Map<String, serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            db_path: "omicidx_warehouse.duckdb".into(),
            models_dir: "models".into(),
            export_dir: "exports".into(),
            threads: None,
            memory_limit: None,
            temp_directory: None,
            vars: serde_json::Map::new(),
        }
    }
}

/// The section `deployment`: where the warehouse is published.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// The store: `s3://bucket/prefix`, `gs://…`, `az://…` or a folder. Where absent it is `s3://` with `bucket_name`.
    pub url: Option<String>,
    /// The endpoint of an S3-compatible store, such as that of R2.
    pub endpoint_url: Option<String>,
    /// The key.
    #[schemars(with = "Option<String>")]
    pub access_key_id: Option<Secret>,
    /// Its secret.
    #[schemars(with = "Option<String>")]
    pub secret_access_key: Option<Secret>,
    /// The bucket.
    pub bucket_name: Option<String>,
    /// The region; `auto` for R2.
    pub region: String,
    /// The folder of the data in the store.
    pub data_prefix: String,
    /// Where the catalogue stands in the store.
    pub catalog_path: String,
    /// Where the database of remote views stands in the store.
    pub database_path: String,
    /// The URL under which readers find the store.
    pub public_url: Option<String>,
    /// The name of the catalogue.
    pub name: Option<String>,
    /// The DuckDB storage version of the database of remote views; the older, the more clients can open it.
    pub storage_version: String,
    /// How many published versions of a file stay, so that who still has the catalogue before can go on reading.
    pub keep_versions: usize,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            url: None,
            endpoint_url: None,
            access_key_id: None,
            secret_access_key: None,
            bucket_name: None,
            region: "auto".to_owned(),
            data_prefix: "data".to_owned(),
            catalog_path: "catalog.json".to_owned(),
            database_path: "omicidx.duckdb".to_owned(),
            public_url: None,
            name: None,
            storage_version: "v1.0.0".to_owned(),
            keep_versions: 2,
        }
    }
}

impl Deployment {
    /// The URL of the store.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where neither `url` nor `bucket_name` is set.
    pub fn store_url(&self) -> Result<String> {
        match (&self.url, &self.bucket_name) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(bucket)) => Ok(format!("s3://{bucket}")),
            (None, None) => Err(Error::new(ErrorKind::Config, "deployment: bucket_name is missing")
                .hint("set bucket_name or url in the section deployment of warehouse.yml, or OMICIDX_R2_BUCKET_NAME")),
        }
    }
}

/// What `warehouse.yml` says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The folder that relative paths start at.
    pub folder: PathBuf,
    /// The section `warehouse`.
    pub settings: Settings,
    /// The section `deployment`, where there is one, or a variable that sets something of it.
    pub deployment: Option<Deployment>,
}

/// Variables with the key of `warehouse` they set.
const SETTINGS_VARIABLES: &[(&str, &str)] = &[
    ("OMICIDX_DB_PATH", "db_path"),
    ("OMICIDX_MODELS_DIR", "models_dir"),
    ("OMICIDX_EXPORT_DIR", "export_dir"),
    ("OMICIDX_THREADS", "threads"),
    ("OMICIDX_MEMORY_LIMIT", "memory_limit"),
    ("OMICIDX_TEMP_DIR", "temp_directory"),
];

/// Variables with the key of `deployment` they set.
const DEPLOYMENT_VARIABLES: &[(&str, &str)] = &[
    ("OMICIDX_R2_ENDPOINT_URL", "endpoint_url"),
    ("OMICIDX_R2_ACCESS_KEY_ID", "access_key_id"),
    ("OMICIDX_R2_SECRET_ACCESS_KEY", "secret_access_key"),
    ("OMICIDX_R2_BUCKET_NAME", "bucket_name"),
    ("OMICIDX_R2_REGION", "region"),
    ("OMICIDX_R2_DATA_PREFIX", "data_prefix"),
    ("OMICIDX_R2_CATALOG_PATH", "catalog_path"),
    ("OMICIDX_R2_DATABASE_PATH", "database_path"),
    ("OMICIDX_PUBLIC_URL", "public_url"),
];

impl Config {
    /// Reads the file, which may be absent, and the environment.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with file, line and column: an unknown key with the nearest one, a value of the wrong kind.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self> {
        let folder = file.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let mut root = match file {
            None => parse("the environment", String::new())?,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| from_io(ErrorKind::Config, e).context(format!("reading {}", path.display())))?;
                parse(&path.display().to_string(), text)?
            }
        };
        let read = |path: &str| std::fs::read_to_string(folder.join(path));
        interpolate::resolve(&mut root, environment, &read)?;
        for (key, node) in root.entries() {
            if !matches!(key.name.as_str(), "warehouse" | "deployment") {
                return Err(Error::new(ErrorKind::Config, format!("unknown section \"{}\"", key.name))
                    .hint(suggestion(&key.name, ["warehouse", "deployment"]))
                    .at(node.position.location()));
            }
        }
        let settings = section(&root, "warehouse", SETTINGS_VARIABLES, environment)?;
        let deployment = section(&root, "deployment", DEPLOYMENT_VARIABLES, environment)?;
        Ok(Self {
            settings: settings.map(|node| de::from_node(&node)).transpose()?.unwrap_or_default(),
            deployment: deployment.map(|node| de::from_node(&node)).transpose()?,
            folder,
        })
    }

    /// The section `deployment`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is none.
    pub fn deployment(&self) -> Result<&Deployment> {
        self.deployment.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Config, "Deployment not configured. Add 'deployment:' section to warehouse.yml")
                .hint("bucket_name and public_url are the least it needs")
        })
    }

    /// A path of the configuration, from where the program runs.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

fn parse(name: &str, text: String) -> Result<Node> {
    // An empty document is an empty mapping.
    let text = if text.trim().is_empty() { "{}".to_owned() } else { text };
    config::parse(&Text { name: name.to_owned(), text })
}

/// A section with what the environment sets of it; none where neither says anything.
fn section(root: &Node, name: &str, variables: &[(&str, &str)], environment: &Environment) -> Result<Option<Node>> {
    let set: Vec<(&str, &str, &str)> =
        variables.iter().filter_map(|(variable, key)| Some((*variable, *key, environment.get(variable)?))).collect();
    let from_file = root.get(name).filter(|node| !node.entries().is_empty() || node.as_str().is_some());
    if set.is_empty() {
        return Ok(from_file.cloned());
    }
    let mut node = from_file.cloned().unwrap_or_else(|| Node::empty_mapping(root.position.clone()));
    for (variable, key, value) in set {
        node.remove(key);
        node.insert(key, value, variable);
    }
    Ok(Some(node))
}

#[cfg(test)]
mod tests;
