//! PostgreSQL behind the contracts of the core.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use outport_core::engine::{Dialect, Engine};
use outport_core::extract::{Extract, Relation};
use outport_core::source::{Horizon, Source, SourceCaps};
use outport_core::{Batches, Context, Error, ErrorKind, Result};

use super::catalog::{self, TableFacts};
use super::config::{Consistency, PostgresConfig};
use super::copy::{self, Copies, Statement};
use super::describe::describe;
use super::horizon;
use super::session::Session;
use super::settings::Settings;
use super::slices;
use super::socket::{Interrupt, cancelled};

/// The most connections that one read opens where the configuration names no number.
const MOST_CONNECTIONS: usize = 8;
/// A server process that waits for its turn in the order of the pages leaves its core to one that need not.
const CONNECTIONS_PER_THREAD: usize = 2;

/// A PostgreSQL database.
///
/// It keeps no connection: every call opens what it needs and closes it. All reads of one call see one snapshot.
#[derive(Clone, Debug)]
pub struct Postgres {
    settings: Arc<Settings>,
    config: Arc<PostgresConfig>,
}

impl Postgres {
    /// A source for a configuration; `environment` gives the value of a variable such as `PGPASSWORD`. Does not connect.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a URL, number or mode that cannot be understood.
    pub fn new(config: PostgresConfig, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let settings = Arc::new(Settings::resolve(&config, environment)?);
        Ok(Self { settings, config: Arc::new(config) })
    }

    /// Logs in and says what answers: `PostgreSQL 15.4 at localhost:5432, database shop`.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] where the server cannot be reached, [`ErrorKind::Auth`] where it refuses the user.
    pub async fn check(&self, context: &Context) -> Result<String> {
        let settings = self.settings.clone();
        let version = self.with_session(context, |session| session.rows("SHOW server_version")).await?;
        let version = version.into_iter().flatten().next().flatten().unwrap_or_default();
        Ok(format!("PostgreSQL {version} at {}, database {}", settings.server(), settings.dbname))
    }

    async fn with_session<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&mut Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let settings = self.settings.clone();
        off_thread(context, Interrupt::default(), move |interrupt| work(&mut Session::connect(&settings, interrupt)?))
            .await
    }
}

#[async_trait]
impl Source for Postgres {
    fn caps(&self) -> SourceCaps {
        // Neither one snapshot over several calls, nor an order: a plan may change, and parallel workers keep none.
        SourceCaps { system: "postgres", sql: true, snapshot: false, ordered: false }
    }

    async fn schema(&self, extract: &Extract, context: &Context) -> Result<SchemaRef> {
        let (extract, config) = (extract.clone(), self.config.clone());
        self.with_session(context, move |session| Ok(describe(session, &extract, &config)?.schema)).await
    }

    async fn read(&self, extract: &Extract, context: &Context) -> Result<Batches> {
        let (settings, config, extract) = (self.settings.clone(), self.config.clone(), extract.clone());
        let parallel = self
            .config
            .parallel
            .unwrap_or_else(|| (CONNECTIONS_PER_THREAD * context.threads).min(MOST_CONNECTIONS))
            .max(1);
        let open = move |interrupt: &Interrupt| open(&settings, &config, &extract, parallel, interrupt);
        let (copies, snapshot) = off_thread(context, Interrupt::default(), open).await?;
        Ok(Batches {
            schema: copies.description.schema.clone(),
            stream: copy::stream(copies, context),
            snapshot: Some(snapshot),
        })
    }

    async fn relations(&self, context: &Context) -> Result<Vec<String>> {
        let listed = self.with_session(context, catalog::relations).await?;
        let mut names: Vec<String> = listed.into_iter().map(|l| format!("{}.{}", l.schema, l.name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn engine(&self) -> Option<&dyn Engine> {
        Some(self)
    }

    async fn horizon(&self, context: &Context) -> Result<Horizon> {
        self.with_session(context, horizon::horizon).await
    }

    async fn estimate(&self, extract: &Extract, context: &Context) -> Result<Option<u64>> {
        let extract = extract.clone();
        self.with_session(context, move |session| Ok(slices::explain(session, &extract)?.rows)).await
    }
}

#[async_trait]
impl Engine for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn query(&self, sql: &str, context: &Context) -> Result<Batches> {
        self.read(&Extract::query(sql), context).await
    }

    async fn execute(&self, sql: &str, context: &Context) -> Result<u64> {
        let sql = sql.to_owned();
        self.with_session(context, move |session| session.execute(&sql)).await
    }
}

/// Connects, finds out what an extract gives, and prepares the statements that copy it out; says which state they will see.
fn open(
    settings: &Settings,
    config: &PostgresConfig,
    extract: &Extract,
    parallel: usize,
    interrupt: &Interrupt,
) -> Result<(Copies, String)> {
    let mut leader = Session::connect(settings, interrupt)?;
    let is_table = matches!(extract.relation, Relation::Table { .. });
    // A query may call functions that write, a table cannot.
    let begin = if is_table {
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    } else {
        "BEGIN ISOLATION LEVEL REPEATABLE READ"
    };
    leader.execute(begin)?;

    let description = describe(&mut leader, extract, config)?;
    let facts = if is_table { catalog::table_facts(&mut leader, &extract.relation)? } else { TableFacts::default() };
    let slices = slices::plan(&mut leader, extract, facts, parallel)?;
    let of_snapshot = || Error::new(ErrorKind::SourceRead, "the server did not name its snapshot");
    let mut snapshot =
        format!("snapshot {}", one(&mut leader, "SELECT pg_catalog.txid_current_snapshot()")?.ok_or_else(of_snapshot)?);

    let mut sessions = Vec::new();
    let statements = match slices {
        Some(slices) => {
            let follow = match config.consistency {
                Consistency::Snapshot => {
                    let id = one(&mut leader, "SELECT pg_catalog.pg_export_snapshot()")?.ok_or_else(of_snapshot)?;
                    Some(format!("{begin}; SET TRANSACTION SNAPSHOT {}", Dialect::Postgres.text(&id)))
                }
                Consistency::Chunk => {
                    leader.execute("COMMIT")?;
                    snapshot = "chunk: each slice of pages as it was when it was read".to_owned();
                    None
                }
            };
            for _ in 1..parallel.min(slices.len()) {
                match Session::connect(settings, interrupt) {
                    Ok(mut session) => {
                        if let Some(follow) = &follow {
                            session.execute(follow)?;
                        }
                        sessions.push(session);
                    }
                    // A server that has no connection to spare is read by fewer.
                    Err(error) if error.kind() == ErrorKind::Connection => {
                        tracing::warn!(error = %error, connections = sessions.len() + 1, "reading with fewer connections");
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            slices.into_iter().map(|s| Statement { sql: description.copy(&s.extract), part: Some(s.name) }).collect()
        }
        None => {
            let whole = extract.filter.is_none() && extract.range.is_none() && extract.limit.is_none();
            let copied = if whole && facts.plain && facts.copies_whole {
                description.copy_table(&extract.relation)
            } else {
                None
            };
            vec![Statement { sql: copied.unwrap_or_else(|| description.copy(extract)), part: None }]
        }
    };
    sessions.insert(0, leader);
    let copies =
        Copies { sessions, statements, description, policy: config.out_of_range, interrupt: interrupt.clone() };
    Ok((copies, snapshot))
}

fn one(session: &mut Session, sql: &str) -> Result<Option<String>> {
    Ok(session.rows(sql)?.into_iter().flatten().next().flatten())
}

/// Runs blocking work on a thread for it; cancelling or dropping the future interrupts the work.
async fn off_thread<T: Send + 'static>(
    context: &Context,
    interrupt: Interrupt,
    work: impl FnOnce(&Interrupt) -> Result<T> + Send + 'static,
) -> Result<T> {
    struct Armed(Option<Interrupt>);
    impl Drop for Armed {
        fn drop(&mut self) {
            if let Some(interrupt) = &self.0 {
                interrupt.raise();
            }
        }
    }

    context.cancel.check()?;
    let mut armed = Armed(Some(interrupt.clone()));
    let task = tokio::task::spawn_blocking(move || work(&interrupt));
    tokio::select! {
        done = task => {
            armed.0 = None;
            done.map_err(|e| Error::new(ErrorKind::Internal, "the work on PostgreSQL ended early").with_source(e))?
        }
        () = context.cancel.cancelled() => Err(cancelled()),
    }
}
