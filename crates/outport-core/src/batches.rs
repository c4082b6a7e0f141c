//! What crosses every boundary: a schema and a stream of record batches.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, StreamExt};

use crate::Result;

/// A schema and the stream of batches that have it.
///
/// The stream is lazy and pulled: nothing is read before it is polled, and dropping it stops the reading.
pub struct Batches {
    /// The schema of every batch, known before the first one.
    pub schema: SchemaRef,
    /// The batches, in the order of the source.
    pub stream: BoxStream<'static, Result<RecordBatch>>,
    /// What the source read: a table version, a database snapshot, a file's tag. Goes to the manifest.
    pub snapshot: Option<String>,
}

impl Batches {
    /// Batches from a stream that is not boxed yet.
    pub fn new(schema: SchemaRef, stream: impl futures::Stream<Item = Result<RecordBatch>> + Send + 'static) -> Self {
        Self { schema, stream: stream.boxed(), snapshot: None }
    }

    /// Batches that are in memory already.
    pub fn from_vec(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self::new(schema, stream::iter(batches.into_iter().map(Ok)))
    }

    /// Names what was read.
    pub fn with_snapshot(mut self, snapshot: impl Into<String>) -> Self {
        self.snapshot = Some(snapshot.into());
        self
    }

    /// Reads everything into memory; for small results only.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let mut all = Vec::new();
        while let Some(batch) = self.stream.next().await {
            all.push(batch?);
        }
        Ok(all)
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches")
            .field("schema", &self.schema)
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}
