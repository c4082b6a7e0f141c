//! What every command of a deployment begins with: the exports read back, and the places they go to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use outport::wiring;
use outport_connectors::files::Store;
use outport_core::{Context, Error, ErrorKind, Result};
use outport_duckdb::DuckDb;
use outport_warehouse::catalog::{self, Base, Catalog, Gathered, Naming, Sample};
use outport_warehouse::config::Config;
use outport_warehouse::site::{self, Links, Page};
use outport_warehouse::state::State;
use outport_warehouse::{Deployment, Project, remote};

use crate::args::deploy as args;
use crate::commands::{App, warehouse};

/// The exports of a warehouse, read back and described.
pub(in crate::commands) struct Prepared {
    pub(super) deployment: Deployment,
    pub(super) export_dir: PathBuf,
    pub(super) gathered: Gathered,
    pub(super) context: Context,
    /// Where everything goes; none where nothing is published.
    store: Option<Store>,
    naming: Naming,
    project: Project,
    lineage: BTreeMap<String, Vec<String>>,
    engine: DuckDb,
}

impl Prepared {
    /// For publication.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is no deployment; those of reading the exports back.
    pub(super) async fn for_deployment(target: &args::Target, app: &App) -> Result<Self> {
        let config = warehouse::config(app, &target.place)?;
        let mut deployment = match (&config.deployment, &target.bucket) {
            (None, Some(_)) => Deployment::default(),
            _ => config.deployment()?.clone(),
        };
        if let Some(bucket) = &target.bucket {
            deployment.bucket_name = Some(bucket.clone());
            deployment.url = None;
        }
        deployment.public_url = public_url(target, &deployment);
        // Who sends nothing needs no more than to know where readers will look.
        let is_placed = deployment.bucket_name.is_some() || deployment.url.is_some();
        let (store, base) = match &deployment.public_url {
            Some(url) if !is_placed => (None, Base::Public(url.clone())),
            public_url => {
                let store = wiring::open_deployment(&config, &deployment, &app.environment)?;
                let base = match (public_url, store.local_root()) {
                    (Some(url), _) => Base::Public(url.clone()),
                    (None, Some(root)) => Base::Store(absolute(root)?.display().to_string()),
                    (None, None) => Base::Store(store.url("")),
                };
                (Some(store), base)
            }
        };
        if let Base::Store(root) = &base {
            app.printer.note(&format!(
                "warning: deployment has no public_url: catalogue and views point at {root}, where not everyone can read"
            ));
        }
        let naming = Naming::published(base, &deployment.data_prefix);
        Self::gather(config, deployment, store, naming, target, app).await
    }

    /// For documentation, with or without a deployment.
    ///
    /// # Errors
    /// Those of reading the exports back.
    pub(in crate::commands) async fn for_docs(target: &args::Target, app: &App) -> Result<Self> {
        let config = warehouse::config(app, &target.place)?;
        let deployment = config.deployment.clone().unwrap_or_default();
        if target.bucket.is_some() || public_url(target, &deployment).is_some() {
            return Self::for_deployment(target, app).await;
        }
        let folder = absolute(&config.path(&config.settings.export_dir))?;
        let naming = Naming::local(folder.display().to_string());
        Self::gather(config, deployment, None, naming, target, app).await
    }

    async fn gather(
        config: Config,
        deployment: Deployment,
        store: Option<Store>,
        naming: Naming,
        target: &args::Target,
        app: &App,
    ) -> Result<Self> {
        let context = warehouse::context(app);
        let models = warehouse::warehouse(app, &config, &target.place, &context).await?;
        let lineage: BTreeMap<String, Vec<String>> =
            models.references.iter().map(|(name, needs)| (name.clone(), needs.iter().cloned().collect())).collect();
        let records = {
            let books = warehouse::needed_reader(&config)?;
            let state = State::new(&books, &context);
            if state.exists().await? { state.exports().await? } else { Vec::new() }
        };
        // The books remember models that are no more: their exports are of no warehouse.
        let is_exported =
            |name: &str| models.project.models.iter().any(|m| m.full_name() == name && m.export.is_some());
        let records: Vec<_> = records.into_iter().filter(|record| is_exported(&record.model)).collect();
        let export_dir = config.path(&config.settings.export_dir);
        let folder = absolute(&export_dir)?;
        let engine = wiring::open_scratch(&config);
        let inputs = catalog::Inputs {
            records: &records,
            project: &models.project,
            lineage: &lineage,
            engine: &engine,
            exports: &Store::local(&export_dir),
            folder: &folder,
            naming: &naming,
            name: deployment.name.clone().unwrap_or_else(|| stem(&deployment.database_path)),
            now: jiff::Timestamp::now(),
        };
        let gathered = catalog::gather(&inputs, &context).await?;
        Ok(Self { deployment, export_dir, gathered, context, store, naming, project: models.project, lineage, engine })
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.gathered.catalog
    }

    /// The store that everything goes to.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where nothing is published.
    pub(super) fn store(&self) -> Result<&Store> {
        self.store.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Config, "deployment names no store to publish to")
                .hint("give it bucket_name, or url (s3://…, gs://…, az://…, a folder)")
        })
    }

    /// Where the documentation goes that was given no other place.
    pub(in crate::commands) fn default_docs(&self) -> PathBuf {
        self.export_dir.join("docs")
    }

    /// Whether names and places are those of the store.
    pub(in crate::commands) fn is_published(&self) -> bool {
        self.store.is_some() || self.naming.public_url().is_some()
    }

    /// The database of remote views on this machine.
    pub(super) fn database_file(&self) -> PathBuf {
        let path = &self.deployment.database_path;
        self.export_dir.join(path.rsplit('/').next().unwrap_or(path))
    }

    /// Writes the database of remote views.
    pub(super) async fn write_database(&self, path: &Path, app: &App) -> Result<()> {
        for table in self.catalog().tables.iter().filter(|table| !catalog::is_readable(table)) {
            app.printer.note(&format!(
                "warning: {} has no view, for plain DuckDB does not read its files ({})",
                table.full_name(),
                [&table.format, &table.compression]
                    .into_iter()
                    .chain(table.format_options.get("encoding"))
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
        remote::write(&self.engine, self.catalog(), &self.deployment.storage_version, path, &self.context).await
    }

    /// The pages of the documentation; `beside` says that they will stand in a folder beside what they link to.
    pub(in crate::commands) async fn pages(&self, beside: bool) -> Result<Vec<Page>> {
        let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
        let folder = absolute(&self.export_dir)?;
        let locals: BTreeMap<&str, String> = self
            .gathered
            .originals
            .iter()
            .map(|original| (original.path.as_str(), folder.join(&original.local).display().to_string()))
            .collect();
        for table in &self.catalog().tables {
            let place = |file: &catalog::DataFile| locals.get(file.path.as_str()).cloned().unwrap_or_default();
            let sample = catalog::sample(table, &place, &self.engine, &self.context).await?;
            samples.insert(table.full_name(), sample);
        }
        let place = |path: &String| self.is_published().then(|| (path.clone(), self.naming.url(path)));
        let links = Links {
            beside,
            catalog: place(&self.deployment.catalog_path),
            database: place(&self.deployment.database_path),
        };
        site::pages(&site::Inputs {
            catalog: self.catalog(),
            project: &self.project,
            lineage: &self.lineage,
            samples: &samples,
            links,
        })
    }
}

/// The URL of the store; the URL of its data will do, too, as the old command line had it.
fn public_url(target: &args::Target, deployment: &Deployment) -> Option<String> {
    let url = target.public_url.as_deref().or(deployment.public_url.as_deref())?.trim_end_matches('/');
    let prefix = deployment.data_prefix.trim_matches('/');
    let given = target.public_url.is_some() && !prefix.is_empty();
    let store = url.strip_suffix(prefix).and_then(|url| url.strip_suffix('/')).filter(|_| given);
    Some(store.unwrap_or(url).to_owned())
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|e| outport_core::error::from_io(ErrorKind::Config, e).context(path.display().to_string()))
}
