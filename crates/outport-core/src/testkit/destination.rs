//! What every destination of files must do, whatever the store.
//!
//! An implementation provides a [`FileFixture`] over a real store and calls [`all`]. Checks panic with what was expected and
//! found, as assertions do. Files are CSV with a header, so that the suite reads them without help.

mod faults;
mod layouts;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use uuid::Uuid;

use crate::destination::Destination;
use crate::layout::Layout;
use crate::{Batches, Context};

pub use faults::{
    cancel_leaves_nothing, errors_in_the_stream_keep_the_old_version, failing_journals_stop_the_run,
    runs_that_die_are_finished_or_undone,
};
pub use layouts::{
    empty_streams_obey_the_layout, existing_files_obey_the_layout, partitions_become_folders,
    reruns_with_fewer_parts_leave_no_old_ones, rows_come_back, splits_are_exact, triggers_come_last,
};

/// A real store that destinations under test write into.
#[async_trait]
pub trait FileFixture: Send + Sync {
    /// A destination that writes CSV with a header.
    fn destination(&self, layout: Layout) -> Box<dyn Destination>;

    /// Every file that a reader of the store can see under a folder, with its bytes.
    async fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>>;

    /// Temporary files and open uploads under a folder, as far as the store can list them.
    async fn hidden(&self, folder: &str) -> Vec<String>;
}

/// Every check, one after the other.
pub async fn all(fixture: &dyn FileFixture) {
    rows_come_back(fixture).await;
    splits_are_exact(fixture).await;
    partitions_become_folders(fixture).await;
    empty_streams_obey_the_layout(fixture).await;
    existing_files_obey_the_layout(fixture).await;
    reruns_with_fewer_parts_leave_no_old_ones(fixture).await;
    triggers_come_last(fixture).await;
    errors_in_the_stream_keep_the_old_version(fixture).await;
    cancel_leaves_nothing(fixture).await;
    failing_journals_stop_the_run(fixture).await;
    runs_that_die_are_finished_or_undone(fixture).await;
}

/// A layout of one CSV file with manifest in a folder.
pub fn layout(folder: &str) -> Layout {
    Layout {
        directory: folder.to_owned(),
        file_name: "orders.csv".to_owned(),
        compressed_name: None,
        bundle_stem: "orders".to_owned(),
        compression: Default::default(),
        max_rows_per_file: None,
        max_bytes_per_file: None,
        partition_by: Vec::new(),
        trigger_name: None,
        manifest_name: Some("_manifest.json".to_owned()),
        if_exists: Default::default(),
        on_empty: Default::default(),
        header: Default::default(),
    }
}

/// The schema of [`rows`]: `id` Int64, `city` Utf8, three cities in turn.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("city", DataType::Utf8, true)]))
}

/// Rows with these ids, in batches of seven.
pub fn rows(ids: std::ops::Range<i64>) -> Vec<RecordBatch> {
    let ids: Vec<i64> = ids.collect();
    let batch = |ids: &[i64]| {
        let city = StringArray::from_iter(ids.iter().map(|id| match id % 3 {
            0 => Some("Oslo"),
            1 => Some("São Paulo"),
            _ => None,
        }));
        RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(city)])
            .unwrap_or_else(|e| panic!("the sample is not a batch: {e}"))
    };
    ids.chunks(7).map(batch).collect()
}

/// A stream of rows with these ids.
pub fn batches(ids: std::ops::Range<i64>) -> Batches {
    Batches::from_vec(schema(), rows(ids))
}

/// The ids of a CSV file with a header, in its order.
pub fn ids(bytes: &[u8]) -> Vec<i64> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let place = header.split(',').position(|name| name == "id").unwrap_or_else(|| panic!("no id in header {header:?}"));
    let id = |line: &str| line.split(',').nth(place).and_then(|id| id.parse().ok());
    lines.map(|line| id(line).unwrap_or_else(|| panic!("no id in line {line:?}"))).collect()
}

fn context() -> Context {
    Context::new(Uuid::new_v4())
}

async fn write(fixture: &dyn FileFixture, layout: Layout, ids: std::ops::Range<i64>) -> crate::destination::Receipt {
    let directory = layout.directory.clone();
    fixture
        .destination(layout)
        .write(batches(ids), &context())
        .await
        .unwrap_or_else(|e| panic!("writing to {directory} failed: {e} {:?}", e.causes()))
}

/// The ids of all CSV files, by path.
async fn content(fixture: &dyn FileFixture, folder: &str) -> BTreeMap<String, Vec<i64>> {
    let files = fixture.files(folder).await;
    files.into_iter().filter(|(path, _)| path.ends_with(".csv")).map(|(path, bytes)| (path, ids(&bytes))).collect()
}

async fn assert_clean(fixture: &dyn FileFixture, folder: &str, when: &str) {
    let hidden = fixture.hidden(folder).await;
    assert!(hidden.is_empty(), "{when} left {hidden:?} behind in {folder}");
}
