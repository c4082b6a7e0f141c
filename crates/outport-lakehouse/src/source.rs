//! The lakehouse as a [`Source`] and an [`Engine`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::stats::Precision;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use outport_core::engine::{Dialect, Engine};
use outport_core::extract::{Extract, Relation};
use outport_core::source::{Source, SourceCaps};
use outport_core::text::TextTables;
use outport_core::version::{Span, TableVersion};
use outport_core::{Batches, Context, Error, Result};
use url::Url;
use uuid::Uuid;

use crate::config::LakehouseConfig;
use crate::error::from_datafusion;
use crate::root::Root;
use crate::session::Session;
use crate::stream::unless_cancelled;
use crate::table::Surroundings;
use crate::{discover, stream};

/// How many runs keep the state of the tables they read.
const SESSIONS: usize = 16;

/// A lakehouse: tables by name, in SQL across them.
pub struct Lakehouse {
    config: LakehouseConfig,
    root: Root,
    text: Option<Arc<dyn TextTables>>,
    /// The latest runs, newest last. All reads of one run share a session and with it the versions of the tables.
    sessions: Mutex<VecDeque<(Uuid, Arc<Session>)>>,
}

impl Lakehouse {
    /// A lakehouse in an opened store.
    ///
    /// `store` addresses all of the bucket, container or file system that `url` names; `prefix` is the folder (or the one
    /// file) in it that the configuration's `url` means. Nothing is read before a table is named.
    pub fn new(config: LakehouseConfig, store: Arc<dyn ObjectStore>, url: &Url, prefix: Path) -> Self {
        Self { config, root: Root::new(store, url, prefix), text: None, sessions: Mutex::default() }
    }

    /// Has CSV and JSON read by `text`, which detects dialect and types better than the engine does.
    pub fn with_text(mut self, text: Arc<dyn TextTables>) -> Self {
        self.text = Some(text);
        self
    }

    fn session(&self, context: &Context) -> Result<Arc<Session>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, session)) = sessions.iter().find(|(run, _)| *run == context.run_id) {
            return Ok(Arc::clone(session));
        }
        let around = Surroundings { root: self.root.clone(), text: self.text.clone(), context: context.clone() };
        let session = Arc::new(Session::new(around)?);
        if sessions.len() >= SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back((context.run_id, Arc::clone(&session)));
        Ok(session)
    }

    /// Plans and runs a query.
    async fn run(&self, sql: &str, context: &Context) -> Result<Batches> {
        let session = self.session(context)?;
        let planned = unless_cancelled(&context.cancel, session.plan(&self.config, sql, &context.cancel)).await?;
        let schema = plain(&planned.plan.schema());
        let batches = stream::run(planned.plan, planned.state.task_ctx(), context);
        let expected = Arc::clone(&schema);
        // The session stays alive with the stream: its memory pool and its spill files are the query's.
        let batches = batches.map(move |batch| {
            let _session = &session;
            batch.and_then(|batch| with_schema(batch, &expected))
        });
        let result = Batches::new(schema, batches);
        Ok(match planned.snapshot {
            Some(snapshot) => result.with_snapshot(snapshot),
            None => result,
        })
    }
}

/// The schema without dictionaries: Delta scans have one a batch for partition columns, which not every format can hold.
fn plain(schema: &SchemaRef) -> SchemaRef {
    if !schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..))) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Dictionary(_, value) => field.as_ref().clone().with_data_type(value.as_ref().clone()),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The batch under the schema that was announced, of which operators drop metadata at times.
fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| match column.data_type() {
        DataType::Dictionary(..) => arrow::compute::cast(column, field.data_type()),
        _ => Ok(Arc::clone(column)),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_, _>>()?, &options)?)
}

/// Says which table was being read, where an error does not.
fn of_extract(extract: &Extract, error: Error) -> Error {
    match &extract.relation {
        Relation::Table { name, .. } if !error.to_string().contains(name.as_str()) => {
            error.context(format!("table \"{name}\""))
        }
        _ => error,
    }
}

#[async_trait]
impl Source for Lakehouse {
    fn caps(&self) -> SourceCaps {
        SourceCaps { system: "lakehouse", sql: true, snapshot: true, ordered: true }
    }

    async fn schema(&self, extract: &Extract, context: &Context) -> Result<SchemaRef> {
        let session = self.session(context)?;
        let planned = unless_cancelled(&context.cancel, async {
            let sql = session.sql(&self.config, extract).await?;
            session.plan(&self.config, &sql, &context.cancel).await
        })
        .await;
        Ok(plain(&planned.map_err(|error| of_extract(extract, error))?.plan.schema()))
    }

    async fn read(&self, extract: &Extract, context: &Context) -> Result<Batches> {
        let session = self.session(context)?;
        let sql = unless_cancelled(&context.cancel, session.sql(&self.config, extract)).await;
        let batches = match sql {
            Ok(sql) => self.run(&sql, context).await,
            Err(error) => Err(error),
        };
        batches.map_err(|error| of_extract(extract, error))
    }

    async fn span(
        &self,
        table: &Relation,
        after: Option<&TableVersion>,
        tombstones: bool,
        context: &Context,
    ) -> Result<Span> {
        let session = self.session(context)?;
        unless_cancelled(&context.cancel, session.span(&self.config, table, after, tombstones)).await
    }

    async fn relations(&self, context: &Context) -> Result<Vec<String>> {
        unless_cancelled(&context.cancel, discover::relations(&self.root, &self.config)).await
    }

    fn engine(&self) -> Option<&dyn Engine> {
        Some(self)
    }

    /// From the statistics of logs and footers; exact for whole tables, a guess behind filters.
    async fn estimate(&self, extract: &Extract, context: &Context) -> Result<Option<u64>> {
        let session = self.session(context)?;
        let planned = unless_cancelled(&context.cancel, async {
            let sql = session.sql(&self.config, extract).await?;
            session.plan(&self.config, &sql, &context.cancel).await
        })
        .await;
        let plan = planned.map_err(|error| of_extract(extract, error))?.plan;
        let statistics = plan.partition_statistics(None).map_err(from_datafusion)?;
        // What the engine supposes of filters and joins is a fifth of the rows, whatever they hold: worse than nothing.
        let guessed = matches!(extract.relation, Relation::Query(_))
            || extract.filter.is_some()
            || extract.range.is_some()
            || extract.changes.is_some();
        Ok(match statistics.num_rows {
            Precision::Exact(rows) => Some(rows as u64),
            Precision::Inexact(rows) if !guessed => Some(rows as u64),
            Precision::Inexact(_) | Precision::Absent => None,
        })
    }
}

#[async_trait]
impl Engine for Lakehouse {
    fn dialect(&self) -> Dialect {
        Dialect::DataFusion
    }

    async fn query(&self, sql: &str, context: &Context) -> Result<Batches> {
        self.run(sql, context).await
    }

    /// Runs `SET option = value`, which lasts for the run.
    async fn execute(&self, sql: &str, context: &Context) -> Result<u64> {
        self.session(context)?.set(sql).map(|()| 0)
    }
}
