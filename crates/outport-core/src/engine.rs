//! Sources that run SQL of ours.

use async_trait::async_trait;

use crate::{Batches, Context, Result};

/// A system that runs SQL: DuckDB (warehouse), DataFusion (lakehouse and files), PostgreSQL.
#[async_trait]
pub trait Engine: Send + Sync {
    /// How this engine spells identifiers and literals.
    fn dialect(&self) -> Dialect;

    /// Runs a query and streams its result.
    async fn query(&self, sql: &str, context: &Context) -> Result<Batches>;

    /// Runs a statement for its effect; returns the number of rows it touched, 0 where that has no meaning.
    async fn execute(&self, sql: &str, context: &Context) -> Result<u64>;
}

/// How an engine spells identifiers and literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// DuckDB.
    DuckDb,
    /// PostgreSQL.
    Postgres,
    /// Apache DataFusion.
    DataFusion,
}

impl Dialect {
    /// An identifier in quotes, whatever is in it.
    pub fn ident(self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// A text literal in quotes, whatever is in it.
    pub fn text(self, text: &str) -> String {
        let quoted = format!("'{}'", text.replace('\'', "''"));
        // PostgreSQL reads a backslash as itself only while standard_conforming_strings is on; E'' does not depend on it.
        match self {
            Self::Postgres if text.contains('\\') => format!("E{}", quoted.replace('\\', "\\\\")),
            _ => quoted,
        }
    }
}
