//! A project on disk: its configuration file, the files that one includes, and its state.

use std::path::{Path, PathBuf};

use outport_core::config::{self, Document, Text};
use outport_core::environment::Environment;
use outport_core::export::{Export, Vocabulary};
use outport_core::extract::{Extract, Relation};
use outport_core::{Context, Error, ErrorKind, Result};
use outport_runtime::state::State;
use uuid::Uuid;

use crate::wiring::Systems;

/// The names under which a configuration is looked for.
pub const FILE_NAMES: &[&str] = &["outport.yml", "outport.yaml", "outport.toml"];

/// A configuration with the folder and the environment that it stands in.
#[derive(Debug)]
pub struct Project {
    /// The folder of the main file; relative paths start here.
    pub folder: PathBuf,
    /// What the files say.
    pub config: config::Project,
    /// The environment that credentials come from.
    pub environment: Environment,
}

impl Project {
    /// The configuration file in `folder` or the nearest folder above it.
    pub fn find(folder: &Path) -> Result<PathBuf> {
        let found =
            folder.ancestors().flat_map(|f| FILE_NAMES.iter().map(move |name| f.join(name))).find(|p| p.is_file());
        found.ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("there is no outport.yml in {} or above", folder.display()))
                .hint("`outport init` writes one, --config names one elsewhere")
        })
    }

    /// Reads a configuration file and what it includes.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for everything that is wrong with the shape of the files; exports are checked by
    /// [`Project::exports`].
    pub fn load(file: &Path, environment: Environment) -> Result<Self> {
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let read = |path: &str| std::fs::read_to_string(folder.join(path));
        let document = |path: &Path| -> Result<Document> {
            let text = std::fs::read_to_string(path).map_err(|error| {
                outport_core::error::from_io(ErrorKind::Config, error).context(format!("reading {}", path.display()))
            })?;
            Document::parse(&Text { name: path.display().to_string(), text }, &environment, &read)
        };
        let main = document(file)?.with_overrides(&environment);
        let mut included = Vec::new();
        for pattern in main.include() {
            let full = folder.join(&pattern);
            let paths = glob::glob(&full.to_string_lossy())
                .map_err(|e| Error::new(ErrorKind::Config, format!("include: \"{pattern}\" is no glob: {}", e.msg)))?;
            let mut paths: Vec<PathBuf> = paths.filter_map(std::result::Result::ok).filter(|p| p.is_file()).collect();
            paths.sort();
            for path in paths {
                included.push(document(&path)?);
            }
        }
        Ok(Self { folder, config: config::Project::assemble(main, included)?, environment })
    }

    /// A project without a file, for commands that need none.
    pub fn empty(environment: Environment) -> Self {
        Self { folder: PathBuf::new(), config: config::Project::default(), environment }
    }

    /// All exports of files and definition tables, checked.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, at once; errors of the connections that hold definition tables.
    pub async fn exports(&self, systems: &Systems) -> Result<Vec<Export>> {
        let mut unchecked = self.config.exports.clone();
        for table in &self.config.tables {
            let name = format!("{}.{}", table.from.connection, table.from.table);
            let rows = async {
                let context = Context::new(Uuid::new_v4());
                let source =
                    outport_runtime::systems::Systems::source(systems, &table.from.connection, &context).await?;
                let relation = Relation::Table { schema: table.from.schema.clone(), name: table.from.table.clone() };
                source.read(&Extract::of(relation), &context).await?.collect().await
            };
            let rows =
                rows.await.map_err(|e| e.context(format!("exports_from {name}")).at(table.position.location()))?;
            unchecked.extend(config::definitions_from_rows(&name, &rows, table.defaults.as_ref())?);
        }
        config::check_exports(unchecked, &self.vocabulary(systems))
    }

    /// What definitions can refer to: connections, formats, variables.
    pub fn vocabulary(&self, systems: &Systems) -> Vocabulary {
        Vocabulary { vars: self.config.vars.clone(), ..systems.vocabulary() }
    }

    /// Where the state is: a path for SQLite or a URL.
    pub fn state_url(&self) -> String {
        match &self.config.settings.state {
            Some(url) if url.contains("://") => url.clone(),
            Some(path) => self.folder.join(path).display().to_string(),
            None => self.folder.join(".outport").join("state.db").display().to_string(),
        }
    }

    /// Opens the state, with its migrations.
    pub async fn open_state(&self) -> Result<State> {
        State::open(&self.state_url()).await
    }

    /// The byte budget of a run.
    pub fn memory_limit(&self) -> usize {
        self.config.settings.memory_limit.unwrap_or(outport_core::context::DEFAULT_BUDGET)
    }

    /// The folder for spilled data.
    pub fn temp_directory(&self) -> PathBuf {
        match &self.config.settings.temp_directory {
            Some(path) => self.folder.join(path),
            None => std::env::temp_dir(),
        }
    }
}
