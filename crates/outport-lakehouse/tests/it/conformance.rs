//! The suite that every source passes, over a folder of Parquet files.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use outport_core::extract::{Extract, Relation};
use outport_core::source::Source;
use outport_core::testkit::source::{SourceFixture, all};
use outport_lakehouse::{Lakehouse, LakehouseConfig};
use tempfile::TempDir;

use crate::support::{lakehouse, write_parquet};

struct Folder {
    lake: Lakehouse,
    folder: TempDir,
}

#[async_trait]
impl SourceFixture for Folder {
    fn source(&self) -> &dyn Source {
        &self.lake
    }

    async fn create(&self, name: &str, rows: &RecordBatch) -> Relation {
        write_parquet(&self.folder.path().join(name).join("part-0.parquet"), rows, 1000);
        Relation::table(name)
    }

    fn endless(&self) -> Option<Extract> {
        Some(Extract::query("SELECT value FROM generate_series(1, 100000000000)"))
    }

    fn silent(&self) -> Option<Extract> {
        Some(Extract::query(
            "SELECT max(a.value + b.value) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b",
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let folder = TempDir::new().unwrap();
    all(&Folder { lake: lakehouse(folder.path(), LakehouseConfig::default()), folder }).await;
}
