//! From an export to its plan: what the source and the state are asked before anything is decided.

use std::sync::Arc;

use outport_core::engine::{Dialect, Engine};
use outport_core::export::{Export, Rows};
use outport_core::extract::{Extract, Relation};
use outport_core::plan::{self, Last, Moment, Observed, Plan, PlanOptions, VersionsObserved};
use outport_core::source::Source;
use outport_core::value::Value;
use outport_core::version::Changes;
use outport_core::{Context, Error, ErrorKind, Result};

use crate::systems::Systems;

/// A plan with the source it was made on; a run reads from that very source.
pub struct Prepared {
    /// What will be done.
    pub plan: Plan,
    /// The source to read from.
    pub source: Arc<dyn Source>,
}

/// Asks the source what there is and decides what a run will do. Nothing is written.
///
/// # Errors
/// Those of the source and of [`plan::plan`], with the export's name as context.
pub async fn prepare(
    export: &Export,
    last: &Last,
    moment: &Moment,
    options: PlanOptions,
    systems: &dyn Systems,
    context: &Context,
) -> Result<Prepared> {
    let source = systems.source(&export.source, context).await?;
    let format = systems.format(&export.format)?;
    let dialect = source.engine().map_or(Dialect::DataFusion, Engine::dialect);

    let mut placeholders = plan::placeholders(export, moment, last, format.as_ref());
    if let Some(query) = export.rows.period_query() {
        let sql = placeholders.resolve_query(query)?;
        let rows = engine(source.as_ref(), "period_date_query")?.query(&sql, context).await;
        let rows = match rows {
            Ok(batches) => batches.collect().await,
            Err(error) => Err(error),
        };
        let rows =
            rows.map_err(|error| export.locate(error.context("Failed to resolve period dates"), "period_date_query"))?;
        placeholders.period = Some(plan::period_from_rows(&rows)?);
    }
    let relation = plan::relation(export, &placeholders)?;
    let versions = match &export.rows {
        Rows::Versions { tombstones, .. } => {
            let found = versions(export, last, &relation, *tombstones, options, source.as_ref(), context).await;
            Some(found.map_err(|e| read_error(e, export, &relation))?)
        }
        _ => None,
    };
    let mut all = Extract::of(relation.clone());
    all.changes = versions.as_ref().map(|found| Changes {
        after: found.after.clone(),
        to: found.span.to.clone(),
        tombstones: matches!(export.rows, Rows::Versions { tombstones: true, .. }),
    });
    let schema = source.schema(&all, context).await.map_err(|e| read_error(e, export, &relation))?;

    let mut observed = Observed {
        schema,
        period: placeholders.period.clone(),
        upper: None,
        cap: None,
        null_cursors: 0,
        estimate: None,
        versions,
    };
    if matches!(export.rows, Rows::Incremental { .. }) {
        let engine = engine(source.as_ref(), "an incremental export")?;
        // What is open is asked before the largest value: what commits in between is below the bound, or comes next time.
        if plan::is_capped(export) {
            let horizon = source.horizon(context).await?;
            observed.cap = Some(plan::cap(export, &observed.schema, &horizon, moment)?);
        }
        let below = observed.cap.as_ref().map(|cap| cap.below.as_ref());
        if below != Some(None)
            && let Some(sql) = plan::cursor_query(export, &relation, &observed.schema, dialect, below.flatten())?
        {
            observed.upper = scalar(engine, &sql, context).await?;
        }
        if let Some(sql) = plan::null_cursor_query(export, &relation, &observed.schema, dialect)?
            && let Some(Value::Int(count)) = scalar(engine, &sql, context).await?
        {
            observed.null_cursors = u64::try_from(count).unwrap_or_default();
        }
    }
    let mut plan = plan::plan(export, &observed, last, moment, format.as_ref(), dialect, options)?;
    // An estimate is a courtesy: a source that cannot give one does not stop the export.
    plan.estimated_rows = source.estimate(&plan.extract, context).await.ok().flatten();
    Ok(Prepared { plan, source })
}

/// What went wrong with the relation, at the field that names it where the fault may lie there.
fn read_error(error: Error, export: &Export, relation: &Relation) -> Error {
    let error = error.context(reading(relation));
    let field = if matches!(relation, Relation::Query(_)) { "source_query" } else { "source_table" };
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Config | ErrorKind::Unsupported | ErrorKind::SourceRead => {
            export.locate(error, field)
        }
        _ => error,
    }
}

/// The versions behind the watermark; the whole table where they cannot be told apart and the user accepts that.
async fn versions(
    export: &Export,
    last: &Last,
    table: &Relation,
    tombstones: bool,
    options: PlanOptions,
    source: &dyn Source,
    context: &Context,
) -> Result<VersionsObserved> {
    let observed = async {
        let after = plan::last_version(export, last)?;
        let span = source.span(table, after.as_ref(), tombstones, context).await?;
        Ok::<_, Error>(VersionsObserved { after, span, anew: None })
    };
    match observed.await {
        Err(error) if error.kind() == ErrorKind::Contract && options.accept_change => {
            let span = source.span(table, None, tombstones, context).await?;
            Ok(VersionsObserved { after: None, span, anew: Some(error.message().to_owned()) })
        }
        observed => observed,
    }
}

fn engine<'a>(source: &'a dyn Source, what: &str) -> Result<&'a dyn Engine> {
    source.engine().ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("{what} needs a source that runs SQL, {} does not", source.caps().system),
        )
    })
}

fn reading(relation: &Relation) -> String {
    match relation {
        Relation::Table { schema: Some(schema), name } => format!("reading table {schema}.{name}"),
        Relation::Table { schema: None, name } => format!("reading table {name}"),
        Relation::Query(_) => "reading source_query".to_owned(),
    }
}

/// The first value of the first row.
async fn scalar(engine: &dyn Engine, sql: &str, context: &Context) -> Result<Option<Value>> {
    let rows = engine.query(sql, context).await?.collect().await?;
    match rows.iter().find(|batch| batch.num_rows() > 0) {
        Some(batch) => Value::from_array(batch.column(0), 0),
        None => Ok(None),
    }
}
