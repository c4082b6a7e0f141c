//! A DuckDB database as [`Source`] and [`Engine`].

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, SchemaRef};
use async_trait::async_trait;
use duckdb::Connection;
use outport_core::engine::{Dialect, Engine};
use outport_core::error::suggestion;
use outport_core::extract::{Extract, Relation, trim_query};
use outport_core::source::{Source, SourceCaps};
use outport_core::{Batches, Context, Error, ErrorKind, Result};

use crate::config::{AccessMode, DuckDbConfig};
use crate::database::Database;
use crate::stream;

/// The least memory that DuckDB gets, however small the run's budget is.
const LEAST_MEMORY: usize = 128 << 20;

/// What stands before a query whose columns are asked for, on the same line, so that its lines keep their numbers.
const AROUND: &str = "SELECT * FROM (";

/// A DuckDB database: a file or in memory.
///
/// The database is opened at the first call and stays open, and its file locked against writers, until this value and every
/// stream from it are dropped; so all reads see one state of it. An attempt to open it that failed is made again at the next call.
pub struct DuckDb {
    config: DuckDbConfig,
    access: AccessMode,
    database: Arc<Mutex<Option<Database>>>,
}

impl DuckDb {
    /// The database that `config` names, to be opened for `access` when it is first used.
    pub fn new(config: DuckDbConfig, access: AccessMode) -> Self {
        Self { config, access, database: Arc::default() }
    }

    /// A new connection, and what the file was when it was opened.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no file, [`ErrorKind::Data`] if it is not a database or one of a newer version,
    /// [`ErrorKind::Busy`] if another process has locked it, [`ErrorKind::Config`] if a setting is wrong.
    async fn connect(&self, context: &Context) -> Result<(Connection, String)> {
        context.cancel.check()?;
        let (config, access, database) = (self.config.clone(), self.access, self.database.clone());
        let memory_limit = (context.budget.limit() * 3 / 8).max(LEAST_MEMORY);
        let opening = tokio::task::spawn_blocking(move || {
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            let open = match database.take() {
                Some(open) => open,
                None => Database::open(&config, access, memory_limit)?,
            };
            let open = database.insert(open);
            Ok((open.connection()?, open.snapshot.clone()))
        });
        opening.await.map_err(|e| Error::new(ErrorKind::Internal, format!("opening a DuckDB file: {e}")))?
    }

    async fn stream(&self, sql: String, context: &Context) -> Result<Batches> {
        let (connection, snapshot) = self.connect(context).await?;
        let batches = stream::query(connection, sql, context.cancel.clone()).await?;
        Ok(batches.with_snapshot(snapshot))
    }

    /// The first column of a small result, as text.
    async fn texts(&self, sql: &str, context: &Context) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for batch in self.stream(sql.to_owned(), context).await?.collect().await? {
            texts.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        Ok(texts)
    }

    /// Adds what is being read, and what exists where something does not.
    async fn explain(&self, error: Error, relation: &Relation, context: &Context) -> Error {
        let Relation::Table { schema, name } = relation else {
            return error.context("reading a query");
        };
        let full = schema.as_ref().map_or_else(|| name.clone(), |s| format!("{s}.{name}"));
        if error.kind() != ErrorKind::NotFound || !error.message().starts_with("table with name") {
            return error.context(format!("reading table {full}"));
        }
        // The listing is a courtesy: if it fails too, the error is what counts.
        let Ok(relations) = self.relations(context).await else {
            return error;
        };
        let names =
            relations.iter().map(|r| if schema.is_some() { r.as_str() } else { r.strip_prefix("main.").unwrap_or(r) });
        let file = Path::new(&self.config.path)
            .file_name()
            .map_or_else(|| self.config.path.clone().into(), |f| f.to_string_lossy());
        Error::new(ErrorKind::NotFound, format!("table \"{full}\" does not exist in {file}"))
            .hint(suggestion(&full, names))
    }
}

/// Moves a position on the first line to where it is in the query itself.
fn without_wrapping(error: Error) -> Error {
    let Some(mut location) = error.location().cloned().filter(|l| l.line == 1) else {
        return error;
    };
    location.column = location.column.saturating_sub(AROUND.len() as u64);
    location.text = location.text.map(|text| text.strip_prefix(AROUND).map_or(text.clone(), str::to_owned));
    error.at(location)
}

#[async_trait]
impl Source for DuckDb {
    fn caps(&self) -> SourceCaps {
        SourceCaps { system: "duckdb", sql: true, snapshot: self.access == AccessMode::ReadOnly, ordered: true }
    }

    async fn schema(&self, extract: &Extract, context: &Context) -> Result<SchemaRef> {
        // The columns of LIMIT 0 are known without running anything.
        let sql = format!("{AROUND}{}\n) LIMIT 0", trim_query(&extract.to_sql(Dialect::DuckDb)));
        match self.stream(sql, context).await {
            Ok(batches) => Ok(batches.schema),
            Err(error) => Err(self.explain(without_wrapping(error), &extract.relation, context).await),
        }
    }

    async fn read(&self, extract: &Extract, context: &Context) -> Result<Batches> {
        match self.stream(extract.to_sql(Dialect::DuckDb), context).await {
            Ok(batches) => Ok(batches),
            Err(error) => Err(self.explain(error, &extract.relation, context).await),
        }
    }

    async fn relations(&self, context: &Context) -> Result<Vec<String>> {
        let sql = "SELECT schema_name || '.' || table_name AS name FROM duckdb_tables() \
                   WHERE NOT internal AND database_name = current_database() \
                   UNION ALL SELECT schema_name || '.' || view_name FROM duckdb_views() \
                   WHERE NOT internal AND database_name = current_database() ORDER BY name";
        self.texts(sql, context).await
    }

    fn engine(&self) -> Option<&dyn Engine> {
        Some(self)
    }

    async fn estimate(&self, extract: &Extract, context: &Context) -> Result<Option<u64>> {
        let Relation::Table { schema, name } = &extract.relation else {
            return Ok(None);
        };
        // A predicate may leave anything from nothing to all of it.
        if extract.filter.is_some() || extract.range.is_some() {
            return Ok(None);
        }
        let text = |t: &str| Dialect::DuckDb.text(t);
        let sql = format!(
            "SELECT estimated_size::BIGINT FROM duckdb_tables() WHERE database_name = current_database() \
             AND schema_name = {} AND lower(table_name) = lower({})",
            schema.as_ref().map_or_else(|| "current_schema()".to_owned(), |s| text(s)),
            text(name)
        );
        let batches = self.stream(sql, context).await?.collect().await?;
        let rows = batches.iter().find(|b| b.num_rows() == 1).map(|b| b.column(0).as_primitive::<Int64Type>().value(0));
        let rows = rows.and_then(|r| u64::try_from(r).ok());
        Ok(rows.map(|r| extract.limit.map_or(r, |limit| r.min(limit))))
    }
}

#[async_trait]
impl Engine for DuckDb {
    fn dialect(&self) -> Dialect {
        Dialect::DuckDb
    }

    async fn query(&self, sql: &str, context: &Context) -> Result<Batches> {
        self.stream(sql.to_owned(), context).await
    }

    async fn execute(&self, sql: &str, context: &Context) -> Result<u64> {
        let (connection, _) = self.connect(context).await?;
        stream::execute(connection, sql.to_owned(), context.cancel.clone()).await
    }
}
