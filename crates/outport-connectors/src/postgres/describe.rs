//! From an extract to the columns it gives and the statement that copies them out.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use outport_core::Result;
use outport_core::engine::Dialect;
use outport_core::extract::{Extract, Relation};

use super::catalog;
use super::config::PostgresConfig;
use super::numeric;
use super::session::{Failure, Session};
use super::types::{Kind, Resolver};

/// A column of an extract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What an extract gives.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) columns: Vec<Column>,
    pub(super) schema: SchemaRef,
}

/// Finds the columns of an extract and their types.
pub(super) fn describe(session: &mut Session, extract: &Extract, config: &PostgresConfig) -> Result<Description> {
    let sql = extract.to_sql(Dialect::Postgres);
    let described = match session.describe(&sql) {
        Ok(described) => described,
        Err(Failure::Server(error)) => return Err(catalog::suggest(session, error, &extract.relation, &sql)),
        Err(Failure::Ours(error)) => return Err(error),
    };
    let types = catalog::types(session, described.iter().map(|d| d.type_oid))?;
    let resolver = Resolver { types: &types, config };
    let mut columns = described
        .into_iter()
        .map(|d| Ok(Column { kind: resolver.kind(&d.name, d.type_oid, d.type_modifier)?, name: d.name }))
        .collect::<Result<Vec<_>>>()?;
    let subquery = subquery(&sql, columns.len());
    numeric::settle(session, &mut columns, &subquery)?;
    let schema = Arc::new(Schema::new(columns.iter().map(|c| c.kind.field(&c.name)).collect::<Vec<_>>()));
    Ok(Description { columns, schema })
}

impl Description {
    /// The statement that copies an extract of these columns out.
    pub(super) fn copy(&self, extract: &Extract) -> String {
        let sql = extract.to_sql(Dialect::Postgres);
        if self.columns.iter().all(|c| c.kind.cast().is_none()) {
            return format!("COPY ({sql}\n) TO STDOUT (FORMAT binary)");
        }
        let list: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| match column.kind.cast() {
                Some(cast) => format!("{}::{cast}", alias(at)),
                None => alias(at),
            })
            .collect();
        format!(
            "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)",
            list.join(", "),
            subquery(&sql, self.columns.len())
        )
    }

    /// The statement that copies a whole table out without the executor's part in it; `None` where a column needs a cast.
    pub(super) fn copy_table(&self, relation: &Relation) -> Option<String> {
        if self.columns.is_empty() || self.columns.iter().any(|c| c.kind.cast().is_some()) {
            return None;
        }
        let list: Vec<String> = self.columns.iter().map(|c| Dialect::Postgres.ident(&c.name)).collect();
        Some(format!("COPY {} ({}) TO STDOUT (FORMAT binary)", relation.to_sql(Dialect::Postgres), list.join(", ")))
    }
}

/// The query with its columns renamed by position, since a query may give two of one name.
fn subquery(sql: &str, columns: usize) -> String {
    let aliases: Vec<String> = (0..columns).map(alias).collect();
    let list = if aliases.is_empty() { String::new() } else { format!("({})", aliases.join(", ")) };
    format!("({sql}\n) AS q{list}")
}

/// The name of the column at a position of [`subquery`].
pub(super) fn alias(at: usize) -> String {
    format!("c{at}")
}
