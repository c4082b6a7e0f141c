//! One run's view of the lakehouse: the engine with the run's threads and memory, and the tables as they were when the run
//! first named them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::config::Dialect as SqlDialect;
use datafusion::error::Result as EngineResult;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use futures::future::BoxFuture;
use outport_core::context::Cancel;
use outport_core::engine::Dialect;
use outport_core::extract::{Extract, Relation};
use outport_core::version::{Changes, Span, TableVersion};
use outport_core::{Error, ErrorKind, Result};

use crate::config::LakehouseConfig;
use crate::error::from_datafusion;
use crate::scan::SpreadDelta;
use crate::table::{Opened, Surroundings};
use crate::{cancel, changes, discover, named, names, table};

/// Rows in a batch: what the engine's own operators are tuned for.
const BATCH_ROWS: usize = 8192;
/// What joins, sorts and aggregates may take of the run's budget before they spill; the rest is for batches in flight.
const OPERATOR_SHARE: usize = 2;
/// How large a stretch of files one partition of a plain scan is: about a row group, which is the smallest that can be read
/// on its own.
const STRETCH_BYTES: u64 = 16 << 20;
/// More partitions than this cost more than they bring.
const MAX_STRETCHES: usize = 1024;

/// The engine of one run.
pub(crate) struct Session {
    state: SessionState,
    registry: Registry,
    opened: tokio::sync::Mutex<HashMap<String, Opened>>,
    spans: tokio::sync::Mutex<changes::Spans>,
    settings: Mutex<Vec<(String, String)>>,
    around: Surroundings,
}

/// A query that is ready to run.
pub(crate) struct Planned {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) state: SessionState,
    /// The versions that are read, `delta:orders@12, delta:customers@3`; `None` where no table has any.
    pub(crate) snapshot: Option<String>,
}

impl Session {
    pub(crate) fn new(mut around: Surroundings) -> Result<Self> {
        around.root = around.root.with_overlay();
        let context = &around.context;
        let mut config = SessionConfig::new()
            .with_target_partitions(context.threads.max(1))
            .with_batch_size(BATCH_ROWS)
            .with_information_schema(false);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.dialect = SqlDialect::Generic;
        // Joins on the dictionary-encoded columns that Delta scans yield panic with pushed-down IN lists.
        options.optimizer.hash_join_inlist_pushdown_max_size = 0;
        options.optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
        // What a sort keeps back for merging its spilled runs has to fit several times into the pool.
        let pool = (context.budget.limit() / OPERATOR_SHARE).max(1);
        let kept = &mut options.execution.sort_spill_reservation_bytes;
        *kept = (*kept).min(pool / (4 * context.threads.max(1)));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(pool)))
            .build_arc()
            .map_err(from_datafusion)?;
        let laid = around.root.laid()?;
        for root in [&around.root, &laid] {
            runtime.register_object_store(root.authority(), Arc::clone(&root.store));
        }
        let registry = Registry::default();
        let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(SpreadDelta)];
        rules.extend(PhysicalOptimizer::new().rules);
        let state = SessionStateBuilder::new()
            .with_physical_optimizer_rules(rules)
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_catalog_list(Arc::new(registry.clone()))
            .build();
        Ok(Self {
            state,
            registry,
            opened: tokio::sync::Mutex::default(),
            spans: tokio::sync::Mutex::default(),
            settings: Mutex::default(),
            around,
        })
    }

    /// Plans a query.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for SQL that is wrong, [`ErrorKind::NotFound`] for tables and columns with the nearest names,
    /// [`ErrorKind::Unsupported`] for statements that are no query.
    pub(crate) async fn plan(&self, config: &LakehouseConfig, sql: &str, cancel: &Cancel) -> Result<Planned> {
        let mut state = self.configured()?;
        let mut statement = self.parse(&state, sql)?;
        queried(&mut statement)?;
        let references = state.resolve_table_references(&statement).map_err(from_datafusion)?;
        let opened = self.open(config, &state, &references).await?;
        let schemas: Vec<_> = opened.iter().map(|table| table.provider.schema()).collect();
        names::resolve(queried(&mut statement)?, &schemas);
        let logical = state.statement_to_plan(statement).await.map_err(from_datafusion)?;
        state.mark_start_execution();
        let bytes = opened.iter().map(|table| table.bytes).sum();
        let (partitions, plain) = partitions(&logical, bytes, self.around.context.threads.max(1));
        let options = state.config_mut().options_mut();
        options.execution.target_partitions = partitions;
        // Dealing batches out in turns gains a plain scan nothing and loses the order of its rows.
        options.optimizer.enable_round_robin_repartition &= !plain;
        let plan = state.create_physical_plan(&logical).await.map_err(from_datafusion)?;
        let plan = named::wrap(plan, &self.around.root)
            .and_then(|plan| cancel::wrap(plan, cancel))
            .map_err(from_datafusion)?;
        let mut snapshots: Vec<String> = opened.into_iter().filter_map(|table| table.snapshot).collect();
        snapshots.sort();
        snapshots.dedup();
        let snapshot = (!snapshots.is_empty()).then(|| snapshots.join(", "));
        Ok(Planned { plan, state, snapshot })
    }

    /// The version that a table has now, and what lies behind `after`.
    pub(crate) async fn span(
        &self,
        config: &LakehouseConfig,
        table: &Relation,
        after: Option<&TableVersion>,
        tombstones: bool,
    ) -> Result<Span> {
        changes::span(config, table, after, tombstones, &self.around).await
    }

    /// The query that reads an extract, once the versions that it is of have been opened.
    pub(crate) async fn sql(&self, config: &LakehouseConfig, extract: &Extract) -> Result<String> {
        match &extract.changes {
            None => Ok(extract.to_sql(Dialect::DataFusion)),
            Some(changes) => self.laid(config, &extract.relation, changes).await.map(|laid| laid.to_sql(extract)),
        }
    }

    async fn laid(&self, config: &LakehouseConfig, table: &Relation, changes: &Changes) -> Result<changes::Laid> {
        let key = format!("{table:?} {changes:?}");
        let mut spans = self.spans.lock().await;
        if let Some(laid) = spans.get(&key) {
            return Ok(laid.clone());
        }
        let state = self.configured()?;
        let (laid, tables) = changes::open(config, table, changes, &state, &self.around).await?;
        let mut opened = self.opened.lock().await;
        for (name, table) in tables {
            let reference = TableReference::bare(name);
            self.registry.insert(&reference, &state, Arc::clone(&table.provider));
            opened.insert(reference.to_string(), table);
        }
        spans.insert(key, laid.clone());
        Ok(laid)
    }

    /// Runs `SET name = value`, for the rest of the run.
    pub(crate) fn set(&self, sql: &str) -> Result<()> {
        let state = self.configured()?;
        let statement = self.parse(&state, sql)?;
        let Statement::Statement(inner) = statement else { return Err(not_a_query("this statement")) };
        let ast::Statement::Set(ast::Set::SingleAssignment { variable, values, .. }) = inner.as_ref() else {
            return Err(read_only(&inner));
        };
        let value =
            values.iter().map(|value| value.to_string().trim_matches('\'').to_owned()).collect::<Vec<_>>().join(",");
        let setting = (variable.to_string(), value);
        let mut probe = state;
        apply(&mut probe, &setting)?;
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).push(setting);
        Ok(())
    }

    fn configured(&self) -> Result<SessionState> {
        let mut state = self.state.clone();
        for setting in self.settings.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            apply(&mut state, setting)?;
        }
        Ok(state)
    }

    fn parse(&self, state: &SessionState, sql: &str) -> Result<Statement> {
        state.sql_to_statement(sql, &SqlDialect::Generic).map_err(|error| with_line(sql, from_datafusion(error)))
    }

    /// Opens the tables that are named and not open yet, all at once.
    async fn open(
        &self,
        config: &LakehouseConfig,
        state: &SessionState,
        references: &[TableReference],
    ) -> Result<Vec<Opened>> {
        let mut opened = self.opened.lock().await;
        let mut lookups: Vec<BoxFuture<'_, Result<(&TableReference, Opened)>>> = Vec::new();
        for reference in references {
            if opened.contains_key(&reference.to_string()) || state.table_functions().contains_key(reference.table()) {
                continue;
            }
            lookups.push(Box::pin(async move {
                let found = discover::find(&self.around.root, config, reference.schema(), reference.table()).await?;
                Ok((reference, table::open(&found, state, &self.around).await?))
            }));
        }
        let new = futures::future::try_join_all(lookups).await?;
        for (reference, table) in new {
            self.registry.insert(reference, state, Arc::clone(&table.provider));
            opened.insert(reference.to_string(), table);
        }
        Ok(references.iter().filter_map(|reference| opened.get(&reference.to_string()).cloned()).collect())
    }
}

/// A syntax error with the line that it is in, of which the parser tells the number only.
fn with_line(sql: &str, error: Error) -> Error {
    let number =
        error.message().split_once("Line: ").and_then(|(_, rest)| rest.split(',').next()?.trim().parse::<usize>().ok());
    match number.and_then(|number| sql.lines().nth(number.checked_sub(1)?)) {
        Some(line) => Error::new(error.kind(), format!("{}, in: {}", error.message(), line.trim())),
        None => error,
    }
}

/// The query of a statement, which may stand behind EXPLAIN.
fn queried(statement: &mut Statement) -> Result<&mut ast::Statement> {
    match statement {
        Statement::Statement(inner) => {
            if matches!(**inner, ast::Statement::Query(_)) {
                Ok(inner)
            } else {
                Err(read_only(inner))
            }
        }
        Statement::Explain(explain) => queried(&mut explain.statement),
        _ => Err(not_a_query("this statement")),
    }
}

fn apply(state: &mut SessionState, (name, value): &(String, String)) -> Result<()> {
    state.config_mut().options_mut().set(name, value).map_err(from_datafusion)
}

fn read_only(statement: &ast::Statement) -> Error {
    let text = statement.to_string();
    not_a_query(text.split_whitespace().next().unwrap_or("this statement"))
}

fn not_a_query(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("a lakehouse source only runs queries, found {what}"))
        .hint("write a SELECT, or SET for an option of the engine")
}

/// Into how many partitions a plan is cut, and whether it is a plain scan. Such a scan is cut finely so that its parts can be yielded in order; with a LIMIT
/// it is not cut at all, so that the first rows are the first of the files.
fn partitions(plan: &LogicalPlan, bytes: u64, threads: usize) -> (usize, bool) {
    fn is_scan(plan: &LogicalPlan) -> Option<bool> {
        match plan {
            LogicalPlan::TableScan(_) => Some(false),
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
                is_scan(plan.inputs().first()?)
            }
            LogicalPlan::Limit(_) => is_scan(plan.inputs().first()?).map(|_| true),
            _ => None,
        }
    }
    match is_scan(plan) {
        None => (threads, false),
        Some(true) => (1, true),
        Some(false) => {
            let stretches = usize::try_from(bytes / STRETCH_BYTES).unwrap_or(usize::MAX);
            (stretches.clamp(threads, MAX_STRETCHES.max(threads)), true)
        }
    }
}

/// The tables that were opened, by the names that queries gave them.
#[derive(Clone, Debug, Default)]
struct Registry(Arc<RwLock<Providers>>);

/// By catalog, schema and table.
type Providers = HashMap<[String; 3], Arc<dyn TableProvider>>;

impl Registry {
    fn insert(&self, reference: &TableReference, state: &SessionState, provider: Arc<dyn TableProvider>) {
        let defaults = &state.config_options().catalog;
        let full = reference.clone().resolve(&defaults.default_catalog, &defaults.default_schema);
        let key = [full.catalog.to_string(), full.schema.to_string(), full.table.to_string()];
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, provider);
    }
}

impl CatalogProviderList for Registry {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        Some(Arc::new(Catalog { registry: self.clone(), name: name.to_owned() }))
    }
}

#[derive(Debug)]
struct Catalog {
    registry: Registry,
    name: String,
}

impl CatalogProvider for Catalog {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(Schema { registry: self.registry.clone(), catalog: self.name.clone(), name: name.to_owned() }))
    }
}

#[derive(Debug)]
struct Schema {
    registry: Registry,
    catalog: String,
    name: String,
}

impl Schema {
    fn get(&self, table: &str) -> Option<Arc<dyn TableProvider>> {
        let key = [self.catalog.clone(), self.name.clone(), table.to_owned()];
        self.registry.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> EngineResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.get(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}
