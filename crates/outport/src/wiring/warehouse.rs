//! The warehouse: its configuration, its file, and the store that it is published to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_connectors::files::store::{exchange_folder, rename_in};
use outport_connectors::files::{FileDestination, Store};
use outport_core::destination::Destination;
use outport_core::environment::Environment;
use outport_core::error::from_io;
use outport_core::format::FormatOptions;
use outport_core::layout::Layout;
use outport_core::manifest::Provenance;
use outport_core::secret::Secret;
use outport_core::{Error, ErrorKind, Result};
use outport_duckdb::{AccessMode, DuckDb, DuckDbConfig, Setting};
use outport_warehouse::Deployment;
use outport_warehouse::build::Exporter;
use outport_warehouse::config::{Config, FILE_NAMES};

/// Reads the `warehouse.yml` that is named, or the one in the working directory or the nearest folder above it.
///
/// Without a file the variables of the environment are all there is.
///
/// # Errors
/// [`ErrorKind::Config`] where the named file does not exist, and for everything that is wrong with the file.
pub fn load_warehouse(named: Option<&Path>, environment: &Environment) -> Result<Config> {
    if let Some(file) = named {
        if !file.is_file() {
            let message = format!("there is no configuration file {}", file.display());
            return Err(Error::new(ErrorKind::Config, message).hint("expected a warehouse.yml"));
        }
        return Config::load(Some(file), environment);
    }
    let here = std::env::current_dir().map_err(|e| from_io(ErrorKind::Config, e))?;
    let found = here.ancestors().flat_map(|f| FILE_NAMES.iter().map(move |name| f.join(name))).find(|p| p.is_file());
    // Messages name the file as the user would.
    let found = found.map(|file| file.strip_prefix(&here).map(PathBuf::from).unwrap_or(file));
    Config::load(found.as_deref(), environment)
}

/// The warehouse's file, with the limits that its configuration sets.
pub fn open_warehouse(config: &Config, access: AccessMode) -> DuckDb {
    let path = config.path(&config.settings.db_path).display().to_string();
    DuckDb::new(limited(config, path), access)
}

/// A database in memory with the limits of the warehouse, for what must not touch its file.
pub fn open_scratch(config: &Config) -> DuckDb {
    DuckDb::new(limited(config, ":memory:".to_owned()), AccessMode::ReadWrite)
}

fn limited(config: &Config, path: String) -> DuckDbConfig {
    let given = &config.settings;
    let mut settings = BTreeMap::new();
    if !config.folder.as_os_str().is_empty() {
        // Models name files as the configuration does.
        let folder = config.folder.display().to_string();
        settings.insert("file_search_path".to_owned(), Setting::Text(folder));
    }
    DuckDbConfig {
        path,
        // A source shares the machine with encoders; the warehouse's own work is all there is to do.
        memory_limit: Some(given.memory_limit.clone().unwrap_or_else(|| "auto".to_owned())),
        settings,
        threads: given.threads,
        temp_directory: given.temp_directory.as_ref().map(|folder| config.path(folder)),
        ..DuckDbConfig::default()
    }
}

/// The store that a deployment names; a local folder is relative to the configuration's.
///
/// # Errors
/// [`ErrorKind::Config`] where it names none, or one that makes no sense.
pub fn open_deployment(config: &Config, deployment: &Deployment, environment: &Environment) -> Result<Store> {
    let url = deployment.store_url()?;
    if !url.contains("://") {
        return Store::open(&config.path(Path::new(&url)).display().to_string(), &BTreeMap::new(), environment);
    }
    let mut options = BTreeMap::new();
    if url.starts_with("s3") || url.starts_with("r2") {
        let mut set = |name: &str, value: Option<Secret>| {
            if let Some(value) = value {
                options.insert(name.to_owned(), value);
            }
        };
        set("access_key_id", deployment.access_key_id.clone());
        set("secret_access_key", deployment.secret_access_key.clone());
        set("region", Some(Secret::new(deployment.region.clone())));
        set("endpoint", deployment.endpoint_url.clone().map(Secret::new));
        // A server on this machine has no certificate; for every other one AWS_ALLOW_HTTP has to say that this is meant.
        let local = deployment.endpoint_url.as_deref().is_some_and(is_loopback);
        set("allow_http", local.then(|| Secret::new("true".to_owned())));
    }
    Store::open(&url, &options, environment).map_err(|e| e.context("deployment"))
}

/// Writes the exports of a warehouse, in every format there is.
pub struct Exports {
    temporary: PathBuf,
}

impl Exports {
    /// For the warehouse of that configuration.
    pub fn new(config: &Config) -> Self {
        let temporary = config.settings.temp_directory.as_deref().map(|folder| config.path(folder));
        Self { temporary: temporary.unwrap_or_else(std::env::temp_dir) }
    }
}

impl Exporter for Exports {
    fn destination(
        &self,
        folder: &Path,
        format: &str,
        options: FormatOptions,
        layout: Layout,
        provenance: Provenance,
    ) -> Result<Arc<dyn Destination>> {
        let destination = FileDestination::new(Store::local(folder), super::format(format)?, layout, &self.temporary)?;
        Ok(Arc::new(destination.with_options(options).with_provenance(provenance)))
    }

    fn rename(&self, folder: &Path, from: &str, to: &str) -> Result<()> {
        rename_in(folder, from, to)
    }

    fn exchange(&self, new: &Path, place: &Path) -> Result<()> {
        exchange_folder(new, place)
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|name| host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])))
}
