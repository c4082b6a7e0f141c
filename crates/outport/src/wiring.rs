//! The one place where concrete things are named: formats, sources, stores.

mod warehouse;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use outport_connectors::files::destination::recover;
use outport_connectors::files::{FileDestination, Store, TextReader};
use outport_connectors::postgres::{Postgres, PostgresConfig};
use outport_core::config::{Connection, de};
use outport_core::destination::{Destination, Intent, Recovery};
use outport_core::environment::Environment;
use outport_core::error::suggestion;
use outport_core::export::{ConnectionKind, SourceType, Vocabulary};
use outport_core::format::{Format, check_options};
use outport_core::manifest::Provenance;
use outport_core::plan::Plan;
use outport_core::secret::Secret;
use outport_core::source::Source;
use outport_core::vars::Vars;
use outport_core::{Context, Error, ErrorKind, Result};
use outport_duckdb::{AccessMode, DuckDb, DuckDbConfig};
use outport_lakehouse::{Lakehouse, LakehouseConfig};
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::project::Project;

pub use warehouse::{Exports, load_warehouse, open_deployment, open_scratch, open_warehouse};

/// The folder of a lakehouse that files are written to, beside its tables.
const LAKEHOUSE_FILES: &str = "Files";

/// A folder or bucket that files are written to and read from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// A local path, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `abfss://…`.
    pub url: String,
    /// Options of the store, such as `region`, `endpoint` or `access_key_id`; what is absent comes from the environment and the
    /// profiles.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub options: BTreeMap<String, Secret>,
}

/// The settings of a connection, by its type.
enum Settings {
    Lakehouse(LakehouseConfig),
    DuckDb(DuckDbConfig),
    Postgres(Box<PostgresConfig>),
    Store(StoreConfig),
}

/// The types that a connection can have, with their schemas.
pub fn connection_types() -> Vec<(&'static str, Schema)> {
    vec![
        ("lakehouse", schema_for!(LakehouseConfig)),
        ("duckdb", schema_for!(DuckDbConfig)),
        ("postgres", schema_for!(PostgresConfig)),
        ("store", schema_for!(StoreConfig)),
    ]
}

/// Types that the export contract names and that are not there yet.
const LATER: &[&str] = &["sqlserver", "bigquery", "spark"];

impl Settings {
    fn of(connection: &Connection) -> Result<Self> {
        let named = |error: Error| error.context(format!("connection {}", connection.name));
        match connection.kind.as_str() {
            "lakehouse" => de::from_node(&connection.settings).map(Self::Lakehouse).map_err(named),
            "duckdb" => de::from_node(&connection.settings).map(Self::DuckDb).map_err(named),
            "postgres" => {
                de::from_node(&connection.settings).map(|config| Self::Postgres(Box::new(config))).map_err(named)
            }
            "store" => de::from_node(&connection.settings).map(Self::Store).map_err(named),
            later if LATER.contains(&later) => Err(Error::new(
                ErrorKind::Config,
                format!("connection {}: type \"{later}\" is not supported yet", connection.name),
            )
            .hint("supported are lakehouse, duckdb, postgres and store")
            .at(connection.kind_position.location())),
            other => {
                Err(Error::new(ErrorKind::Config, format!("connection {}: unknown type \"{other}\"", connection.name))
                    .hint(suggestion(other, connection_types().iter().map(|(name, _)| *name)))
                    .at(connection.kind_position.location()))
            }
        }
    }

    fn kind(&self) -> ConnectionKind {
        let (source, target) = match self {
            Self::Lakehouse(_) => (Some(SourceType::Lakehouse), true),
            Self::DuckDb(_) | Self::Postgres(_) => (Some(SourceType::Warehouse), false),
            Self::Store(_) => (None, true),
        };
        ConnectionKind { source, target }
    }
}

/// All formats.
pub fn formats() -> Vec<Arc<dyn Format>> {
    let mut formats = outport_formats::text_formats();
    formats.extend(outport_formats::columnar_formats());
    formats
}

/// The format of that name.
///
/// # Errors
/// [`ErrorKind::Config`] with the nearest name.
pub fn format(name: &str) -> Result<Arc<dyn Format>> {
    let formats = formats();
    let found = formats.iter().find(|format| format.name() == name).cloned();
    found.ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("Unsupported file_format: '{name}'"))
            .hint(suggestion(name, formats.iter().map(|format| format.name())))
    })
}

/// The systems of a project, opened when they are first needed.
pub struct Systems {
    folder: PathBuf,
    temporary: PathBuf,
    environment: Environment,
    settings: BTreeMap<String, Settings>,
    sources: Mutex<BTreeMap<String, Arc<dyn Source>>>,
    read_only: bool,
}

impl Systems {
    /// The systems of `project`; nothing is opened yet.
    ///
    /// # Errors
    /// Everything that is wrong with the settings of its connections, at once.
    pub fn new(project: &Project) -> Result<Self> {
        let mut settings = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, connection) in &project.config.connections {
            match Settings::of(connection) {
                Ok(found) => drop(settings.insert(name.clone(), found)),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            let summary = format!("found {} errors in the connections", errors.len());
            return Err(Error::many(errors, summary));
        }
        Ok(Self {
            folder: project.folder.clone(),
            temporary: project.temp_directory(),
            environment: project.environment.clone(),
            settings,
            sources: Mutex::default(),
            read_only: false,
        })
    }

    /// The same systems, in which no query can change anything.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// What definitions can refer to among systems.
    pub fn vocabulary(&self) -> Vocabulary {
        Vocabulary {
            formats: formats().iter().map(|format| (format.name(), format.caps())).collect(),
            connections: self.settings.iter().map(|(name, settings)| (name.clone(), settings.kind())).collect(),
            check_options: Some(|name, options| check_options(&*format(name)?, options)),
            vars: Vars::default(),
        }
    }

    /// The names of all connections with what they can be used as.
    pub fn connections(&self) -> impl Iterator<Item = (&str, ConnectionKind)> {
        self.settings.iter().map(|(name, settings)| (name.as_str(), settings.kind()))
    }

    fn settings(&self, name: &str) -> Result<&Settings> {
        self.settings.get(name).ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("there is no connection \"{name}\""))
                .hint(suggestion(name, self.settings.keys().map(String::as_str)))
        })
    }

    /// The store behind a connection that takes files.
    pub fn store(&self, name: &str) -> Result<Store> {
        let opened = match self.settings(name)? {
            Settings::Store(config) => self.open_store(&config.url, &config.options),
            Settings::Lakehouse(config) => {
                let files = format!("{}/{LAKEHOUSE_FILES}", config.url.trim_end_matches('/'));
                self.open_store(&files, &config.options)
            }
            _ => Err(Error::new(ErrorKind::Config, "it is no store of files")),
        };
        opened.map_err(|error| error.context(format!("connection {name}")))
    }

    /// A store by its URL; a local path is relative to the project's folder.
    pub fn open_store(&self, url: &str, options: &BTreeMap<String, Secret>) -> Result<Store> {
        Store::open(&self.absolute(url), options, &self.environment)
    }

    /// The folder for spilled data.
    pub fn temporary(&self) -> &std::path::Path {
        &self.temporary
    }

    fn absolute(&self, url: &str) -> String {
        if url.contains("://") { url.to_owned() } else { self.folder.join(url).display().to_string() }
    }

    async fn open_source(&self, name: &str) -> Result<Arc<dyn Source>> {
        Ok(match self.settings(name)? {
            Settings::Lakehouse(config) => {
                let store = self.open_store(&config.url, &config.options)?;
                let (objects, url, prefix) = store.object_store()?;
                let text = Arc::new(TextReader::new(store.whole(), formats(), &self.temporary));
                Arc::new(Lakehouse::new(config.clone(), objects, &url, prefix).with_text(text))
            }
            Settings::DuckDb(config) => {
                let mut config = config.clone();
                if !config.is_memory() {
                    config.path = self.absolute(&config.path);
                }
                Arc::new(DuckDb::new(config, AccessMode::ReadOnly))
            }
            Settings::Postgres(config) => {
                let variable = |name: &str| self.environment.get(name).map(str::to_owned);
                let mut config = config.as_ref().clone();
                if self.read_only {
                    let own = config.options.unwrap_or_default();
                    config.options = Some(format!("{own} -c default_transaction_read_only=on").trim_start().to_owned());
                }
                Arc::new(Postgres::new(config, &variable)?)
            }
            Settings::Store(_) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("connection \"{name}\" is a store of files and cannot be queried"),
                )
                .hint("use a connection of type lakehouse with the same url"));
            }
        })
    }
}

#[async_trait]
impl outport_runtime::systems::Systems for Systems {
    async fn source(&self, connection: &str, _context: &Context) -> Result<Arc<dyn Source>> {
        let mut sources = self.sources.lock().await;
        if let Some(source) = sources.get(connection) {
            return Ok(source.clone());
        }
        let source = self.open_source(connection).await.map_err(|e| e.context(format!("connection {connection}")))?;
        sources.insert(connection.to_owned(), source.clone());
        Ok(source)
    }

    fn format(&self, name: &str) -> Result<Arc<dyn Format>> {
        format(name)
    }

    async fn destination(&self, plan: &Plan, provenance: Provenance) -> Result<Arc<dyn Destination>> {
        let destination = FileDestination::new(
            self.store(&plan.target)?,
            format(&plan.file_format)?,
            plan.layout.clone(),
            &self.temporary,
        )?
        .with_options(plan.file_format_options.clone())
        .with_provenance(provenance);
        Ok(Arc::new(destination))
    }

    async fn recover(&self, connection: &str, intent: &Intent, context: &Context) -> Result<Recovery> {
        recover(&self.store(connection)?, intent, context).await
    }
}
