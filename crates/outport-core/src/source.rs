//! Where batches come from.

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::extract::{Extract, Relation};
use crate::version::{Span, TableVersion};
use crate::{Batches, Context, Error, ErrorKind, Result};

/// Reads extracts from one connection.
///
/// Sources do not retry, do not move watermarks and do not decide concurrency: the runtime does.
#[async_trait]
pub trait Source: Send + Sync {
    /// What this source can do.
    fn caps(&self) -> SourceCaps;

    /// The schema that [`Source::read`] will yield, without reading rows.
    async fn schema(&self, extract: &Extract, context: &Context) -> Result<SchemaRef>;

    /// Reads an extract. The stream is lazy; dropping it releases what the source holds.
    async fn read(&self, extract: &Extract, context: &Context) -> Result<Batches>;

    /// The relations that an extract can name, `schema.name` where the system has schemas, sorted.
    async fn relations(&self, context: &Context) -> Result<Vec<String>>;

    /// The SQL engine of this source, where it has one.
    fn engine(&self) -> Option<&dyn Engine> {
        None
    }

    /// The version that a table has now, and whether those behind `after` brought rows; with `tombstones`, or took rows.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the table has no versions, or cannot tell what was deleted. [`ErrorKind::Contract`] where
    /// what lies behind `after` cannot be told apart any more, naming the version: the whole table has to be read then.
    async fn span(
        &self,
        _table: &Relation,
        _after: Option<&TableVersion>,
        _tombstones: bool,
        _context: &Context,
    ) -> Result<Span> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "incremental_by: table_version needs a Delta Lake or Iceberg table, {} has none",
                self.caps().system
            ),
        )
        .hint("use an incremental_column"))
    }

    /// The transactions that are open in the database and may still write, in which those of the call itself do not count.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the system cannot tell.
    async fn horizon(&self, _context: &Context) -> Result<Horizon> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("incremental_cap: open_transactions needs a PostgreSQL source, {} has none", self.caps().system),
        )
        .hint("use incremental_lookback for rows that come late"))
    }

    /// The number of rows the system expects an extract to have; `None` when it cannot tell cheaply.
    async fn estimate(&self, _extract: &Extract, _context: &Context) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// The transactions that are open at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The moment by the system's clock. No transaction that is open and missing here began before it.
    pub now: Timestamp,
    /// The transactions.
    pub open: Vec<OpenTransaction>,
    /// The zone in which the system writes times into columns without one, where it names one.
    pub timezone: Option<String>,
}

/// A transaction that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// When it began; `None` where the system does not keep that.
    pub since: Option<Timestamp>,
    /// What it is, for messages: `the transaction of process 4711 (psql)`.
    pub name: String,
}

/// What a [`Source`] can do; feeds plan validation, the documentation's matrix and the choice of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceCaps {
    /// The name of the system, as in a connection's `type`.
    pub system: &'static str,
    /// Whether it takes `source_query`.
    pub sql: bool,
    /// Whether all reads of one run can see one state of the data.
    pub snapshot: bool,
    /// Whether rows come in the same order at every read of unchanged data.
    pub ordered: bool,
}
