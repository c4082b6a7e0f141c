//! The versions of tables: what is new behind one of them, and the query that reads it.

use std::collections::HashMap;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;
use outport_core::engine::Dialect;
use outport_core::extract::{Extract, Relation};
use outport_core::version::{
    CHANGE_COLUMNS, CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, Changes, Span, TableVersion,
};
use outport_core::{Error, ErrorKind, Result};

use crate::config::LakehouseConfig;
use crate::discover::{Found, Kind, find};
use crate::table::{Opened, Surroundings, delta, iceberg};

/// The dialect of every query here.
const SQL: Dialect = Dialect::DataFusion;

/// What stands for the versions of a table in a query.
#[derive(Clone, Debug)]
pub(crate) struct Laid {
    /// What stands behind FROM.
    from: String,
    /// Whether its rows have an order of their own: that of the changes.
    ordered: bool,
}

/// The spans that a run has opened, by what they are of.
pub(crate) type Spans = HashMap<String, Laid>;

/// A table under the name that queries of ours have for it.
pub(crate) type Named = (String, Opened);

/// The version that a table has now, and what lies behind `after`.
pub(crate) async fn span(
    config: &LakehouseConfig,
    table: &Relation,
    after: Option<&TableVersion>,
    tombstones: bool,
    around: &Surroundings,
) -> Result<Span> {
    let found = table_of(config, table, around).await?;
    match &found.kind {
        Kind::Delta => delta::changes::span(&found, after, tombstones, &around.root).await,
        Kind::Iceberg => iceberg::changes::span(&found, after, tombstones, &around.root).await,
        Kind::Files(format, _) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "incremental_by: table_version needs a Delta Lake or Iceberg table, \"{}\" is files of {}",
                found.name,
                format.name()
            ),
        )
        .hint("use an incremental_column")),
    }
}

/// Opens the versions of a table: what stands for them in a query, and the tables that it names.
pub(crate) async fn open(
    config: &LakehouseConfig,
    table: &Relation,
    changes: &Changes,
    state: &SessionState,
    around: &Surroundings,
) -> Result<(Laid, Vec<Named>)> {
    let mut found = table_of(config, table, around).await?;
    let to = changes.to.number;
    let alias = SQL.ident(&found.name);
    let Some(after) = &changes.after else {
        found.config.timestamp = None;
        let opened = match &found.kind {
            Kind::Iceberg => iceberg::changes::whole(&found, to, &around.root).await?,
            _ => {
                found.config.version = u64::try_from(to).ok();
                delta::open(&found, state, &around.root).await?
            }
        };
        let name = format!("{}@{to}", found.name);
        let from = match changes.tombstones {
            false => format!("{} AS {alias}", SQL.ident(&name)),
            true => {
                let at = delta::changes::committed(&found, to, &around.root).await?;
                let at = at.map_or_else(|| "NULL".to_owned(), |at| at.to_string());
                format!(
                    "(SELECT *, {} FROM {}) AS {alias}",
                    described("'insert'", &to.to_string(), &at),
                    SQL.ident(&name)
                )
            }
        };
        return Ok((Laid { from, ordered: false }, vec![(name, opened)]));
    };
    let prefix = format!("{}@{}..{to}", found.name, after.number);
    if matches!(found.kind, Kind::Iceberg) {
        let opened = iceberg::changes::open(&found, changes, &around.root).await?;
        return Ok((
            Laid { from: format!("{} AS {alias}", SQL.ident(&prefix)), ordered: false },
            vec![(prefix, opened)],
        ));
    }
    let parts = delta::changes::open(&found, changes, state, &around.root).await?;
    let mut named = Vec::new();
    let mut selects = Vec::new();
    for part in parts {
        let name = format!("{prefix} {}", part.name);
        selects.push(select(&part.opened.provider.schema(), &name, part.tells, changes.tombstones));
        named.push((name, part.opened));
    }
    let from = match (changes.tombstones, named.as_slice()) {
        // A plain scan keeps the order of the files, and knows how many rows there are.
        (false, [(only, _)]) => format!("{} AS {alias}", SQL.ident(only)),
        _ => format!("({}) AS {alias}", selects.join(" UNION ALL ")),
    };
    Ok((Laid { from, ordered: changes.tombstones }, named))
}

impl Laid {
    /// The query that reads an extract from it. Deletes come before inserts where one commit has both, so that a key that was
    /// replaced is there at the end.
    pub(crate) fn to_sql(&self, extract: &Extract) -> String {
        if !self.ordered {
            return extract.select(SQL, &self.from);
        }
        let all = Extract { limit: None, ..extract.clone() };
        let order = format!("ORDER BY {}, {}", SQL.ident(COMMIT_VERSION), SQL.ident(CHANGE_TYPE));
        let limit = extract.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        format!("{} {order}{limit}", all.select(SQL, &self.from))
    }
}

async fn table_of(config: &LakehouseConfig, table: &Relation, around: &Surroundings) -> Result<Found> {
    match table {
        Relation::Table { schema, name } => find(&around.root, config, schema.as_deref(), name).await,
        Relation::Query(_) => Err(Error::new(ErrorKind::Config, "a query has no version, expected a table")
            .hint("use source_table with source_columns and source_filter")),
    }
}

/// The rows of one part.
fn select(schema: &SchemaRef, name: &str, tells: bool, tombstones: bool) -> String {
    let own = schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !CHANGE_COLUMNS.contains(name));
    let mut columns: Vec<String> = own.map(|name| SQL.ident(name)).collect();
    if tombstones {
        let [change_type, version, timestamp] =
            [CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP].map(|name| SQL.ident(name));
        columns.push(described(&change_type, &version, &timestamp));
    }
    let rows = match (tells, tombstones) {
        (false, _) => String::new(),
        (true, true) => format!(" WHERE {} <> 'update_preimage'", SQL.ident(CHANGE_TYPE)),
        (true, false) => format!(" WHERE {} IN ('insert', 'update_postimage')", SQL.ident(CHANGE_TYPE)),
    };
    format!("SELECT {} FROM {}{rows}", columns.join(", "), SQL.ident(name))
}

/// The columns of a change, of the same types wherever they come from; the time is in milliseconds.
fn described(change_type: &str, version: &str, timestamp: &str) -> String {
    let [type_name, version_name, timestamp_name] =
        [CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP].map(|name| SQL.ident(name));
    format!(
        "arrow_cast({change_type}, 'Utf8') AS {type_name}, arrow_cast({version}, 'Int64') AS {version_name}, \
         arrow_cast(arrow_cast(arrow_cast({timestamp}, 'Int64'), 'Timestamp(Millisecond, Some(\"UTC\"))'), \
         'Timestamp(Microsecond, Some(\"UTC\"))') AS {timestamp_name}"
    )
}
