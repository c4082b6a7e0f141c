//! Delta Lake tables, through delta-rs on our own store.

pub(crate) mod changes;
mod log;
mod vectors;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use deltalake_core::DeltaTable;
use deltalake_core::delta_datafusion::DeltaScanNext;
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::table::builder::DeltaTableConfig;
use object_store::prefix::PrefixStore;
use outport_core::{Error, ErrorKind, Result};

use crate::discover::Found;
use crate::error::{from_datafusion, from_delta};
use crate::named;
use crate::root::Root;
use crate::scan::SpreadDelta;
use crate::table::Opened;

/// Opens the version that is configured, or the latest.
///
/// # Errors
/// [`ErrorKind::Unsupported`] naming the reader feature that is missing, [`ErrorKind::NotFound`] for versions and log files
/// that are gone.
pub(crate) async fn open(found: &Found, state: &SessionState, root: &Root) -> Result<Opened> {
    let table = load(found, root).await?;
    let version = table.version().unwrap_or_default();
    let provider = provider(&found.name, &table, state, root).await?;
    Ok(Opened { provider, snapshot: Some(format!("delta:{}@{version}", found.name)), bytes: 0 })
}

/// The version that is configured, or the latest, without its files.
async fn load(found: &Found, root: &Root) -> Result<DeltaTable> {
    let name = &found.name;
    let log = default_logstore(
        Arc::new(PrefixStore::new(Arc::clone(&root.store), found.path.clone())),
        Arc::clone(&root.store),
        &root.folder_url(&found.path),
        &StorageConfig::default(),
    );
    // The list of files is read by the scan, which skips those that a filter rules out.
    let config = DeltaTableConfig { require_files: false, ..DeltaTableConfig::default() };
    let mut table = DeltaTable::new(log, config);
    let loaded = match (found.config.version, &found.config.timestamp) {
        (Some(_), Some(_)) => {
            return Err(Error::new(
                ErrorKind::Config,
                format!("table \"{name}\" has both a `version` and a `timestamp`"),
            )
            .hint("keep one of them"));
        }
        (Some(version), None) => table.load_version(version).await,
        (None, Some(text)) => table.load_with_datetime(instant(name, text)?).await,
        (None, None) => table.load().await,
    };
    loaded.map_err(|error| match (from_delta(name, error), found.config.version) {
        (error, Some(version)) if error.kind() == ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, format!("delta table \"{name}\" has no version {version}"))
                .hint("older versions go when the log is cleaned up; leave `version` out to read the latest")
                .with_source(error)
        }
        (error, _) => error,
    })?;
    Ok(table)
}

/// How the engine sees a version.
async fn provider(name: &str, table: &DeltaTable, state: &SessionState, root: &Root) -> Result<Arc<dyn TableProvider>> {
    let provider = table
        .table_provider()
        .with_session(Arc::new(state.clone()))
        .build()
        .await
        .map_err(|error| of_table(name, from_datafusion(error)))?;
    let snapshot = table.snapshot().map_err(|error| from_delta(name, error))?;
    let features = snapshot.protocol().reader_features().unwrap_or_default();
    let vectors = features.iter().any(|feature| feature.to_string() == "deletionVectors").then(|| {
        let property = snapshot.metadata().configuration().get("delta.enableDeletionVectors");
        Vectors { skips_files: property.is_some_and(|value| value.eq_ignore_ascii_case("true")) }
    });
    Ok(Arc::new(Delta { inner: provider, vectors, root: root.clone() }))
}

/// The instant of a `timestamp` in the configuration.
pub(crate) fn instant(table: &str, text: &str) -> Result<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text).map(DateTime::<Utc>::from);
    parsed.map_err(|error| {
        Error::new(ErrorKind::Config, format!("table \"{table}\": timestamp \"{text}\" is not of RFC 3339: {error}"))
            .hint("write it as 2025-01-31T12:00:00Z")
    })
}

fn of_table(name: &str, error: Error) -> Error {
    error.context(format!("delta table \"{name}\""))
}

/// A Delta table as delta-rs scans it, where that is right.
#[derive(Debug)]
struct Delta {
    inner: DeltaScanNext,
    /// Present where the table may have deletion vectors.
    vectors: Option<Vectors>,
    root: Root,
}

/// What has to be minded about deletion vectors.
///
/// delta-rs applies them to the rows of a file as these come out of the Parquet reader, from the first on. Whatever makes the
/// reader skip rows shifts the vector onto wrong ones: a limit, a filter that prunes row groups, a file cut into byte ranges.
/// So none of them is passed on, and the scan is closed to the optimiser.
#[derive(Clone, Copy, Debug)]
struct Vectors {
    /// Whether delta-rs knows that it must not hand filters to the Parquet reader: it looks at the table's property only, and
    /// vectors outlive the property. Filters then still leave out whole files.
    skips_files: bool,
}

#[async_trait]
impl TableProvider for Delta {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        match self.vectors {
            None => self.inner.supports_filters_pushdown(filters),
            Some(Vectors { skips_files: true }) => Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()]),
            Some(_) => Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()]),
        }
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        // delta-rs cannot scan no column at all, as for count(*), where the log has no row counts: the first stands in.
        let first = vec![0];
        let no_columns = projection.is_some_and(Vec::is_empty) && !self.schema().fields().is_empty();
        let projection = if no_columns { Some(&first) } else { projection };
        let plan = match self.vectors {
            None => self.inner.scan(state, projection, filters, limit).await?,
            Some(vectors) => {
                let filters = if vectors.skips_files { filters } else { &[] };
                let plan = self.inner.scan(state, projection, filters, None).await?;
                let plan = SpreadDelta.optimize(plan, state.config_options())?;
                Arc::new(SealedDeltaScan::new(named::wrap(plan, &self.root)?))
            }
        };
        if no_columns {
            let none: Vec<ProjectionExpr> = Vec::new();
            return Ok(Arc::new(ProjectionExec::try_new(none, plan)?));
        }
        Ok(plan)
    }
}

/// A finished scan that optimisers see as a leaf.
#[derive(Debug)]
struct SealedDeltaScan {
    inner: Arc<dyn ExecutionPlan>,
    /// The partitions that were executed. The vectors are used up by it, so that none can be executed again.
    executed: Vec<AtomicBool>,
}

impl SealedDeltaScan {
    fn new(inner: Arc<dyn ExecutionPlan>) -> Self {
        let partitions = inner.output_partitioning().partition_count();
        Self { inner, executed: (0..partitions).map(|_| AtomicBool::new(false)).collect() }
    }
}

impl DisplayAs for SealedDeltaScan {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SealedDeltaScan: ")?;
        self.inner.fmt_as(kind, f)
    }
}

impl ExecutionPlan for SealedDeltaScan {
    fn name(&self) -> &str {
        "SealedDeltaScan"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        if self.executed[partition].swap(true, Ordering::SeqCst) {
            let error =
                Error::new(ErrorKind::Unsupported, "a table with deletion vectors cannot be read twice by one scan")
                    .hint("name the table outside of the recursive part of the query");
            return Err(DataFusionError::External(Box::new(error)));
        }
        self.inner.execute(partition, context)
    }

    /// Numbers of rows are those before deletion.
    fn partition_statistics(&self, partition: Option<usize>) -> EngineResult<Statistics> {
        Ok(self.inner.partition_statistics(partition)?.to_inexact())
    }
}
