//! The file scans of a finished plan: what fails in one says in which file, and rows come from the files alone.
//!
//! Where statistics say that a column has one value, the engine would yield that value without reading the column. Statistics
//! pass over NaN, a log may cut texts short, and a page that is damaged would go unnoticed: an export is of the data.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;

use crate::error::{from_datafusion, from_panic};
use crate::root::Root;

/// Wraps the file scans of a finished plan. It must not be optimised any more: the wrapper hides what optimisers look for.
pub(crate) fn wrap(plan: Arc<dyn ExecutionPlan>, root: &Root) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        let Some(scan) = node
            .as_any()
            .downcast_ref::<DataSourceExec>()
            .and_then(|source| source.data_source().as_any().downcast_ref::<FileScanConfig>())
        else {
            return Ok(Transformed::no(node));
        };
        let source = NamedSource { inner: Arc::clone(scan.file_source()), root: root.clone() };
        let files = scan.file_groups.iter().map(unsure_of_nulls).collect();
        let scan =
            FileScanConfigBuilder::from(scan.clone()).with_source(Arc::new(source)).with_file_groups(files).build();
        Ok(Transformed::yes(DataSourceExec::from_data_source(scan) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(wrapped.data)
}

/// The files with statistics in which the number of NULLs is a guess, without which the engine takes no column for constant.
/// Files and row groups are left out by the bounds still.
fn unsure_of_nulls(group: &FileGroup) -> FileGroup {
    let files = group.files().iter().map(|file| {
        let mut file = file.clone();
        file.statistics = file.statistics.map(|statistics| {
            let mut statistics = Arc::unwrap_or_clone(statistics);
            for column in &mut statistics.column_statistics {
                column.null_count = column.null_count.to_inexact();
            }
            Arc::new(statistics)
        });
        file
    });
    FileGroup::new(files.collect())
}

struct NamedSource {
    inner: Arc<dyn FileSource>,
    root: Root,
}

impl FileSource for NamedSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let inner = self.inner.create_file_opener(store, config, partition)?;
        Ok(Arc::new(NamedOpener { inner, root: self.root.clone() }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { inner: self.inner.with_batch_size(batch_size), root: self.root.clone() })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.inner.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        self.inner.file_type()
    }

    fn fmt_extra(&self, kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.inner.fmt_extra(kind, f)
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation<Arc<dyn FileSource>>> {
        use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]))
    }
}

struct NamedOpener {
    inner: Arc<dyn FileOpener>,
    root: Root,
}

impl FileOpener for NamedOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let name: Arc<str> = self.root.show(&file.object_meta.location).into();
        let opened = self.inner.open(file).map_err(|error| named(&name, error))?;
        Ok(async move {
            let stream = match AssertUnwindSafe(opened).catch_unwind().await {
                Ok(stream) => stream.map_err(|error| named(&name, error))?,
                Err(panic) => return Err(broken(&name, panic.as_ref())),
            };
            let batches = AssertUnwindSafe(stream).catch_unwind().map(move |next| match next {
                Ok(batch) => batch.map_err(|error| named(&name, error)),
                Err(panic) => Err(broken(&name, panic.as_ref())),
            });
            Ok(batches.boxed())
        }
        .boxed())
    }
}

fn named(file: &str, error: DataFusionError) -> DataFusionError {
    DataFusionError::External(Box::new(of_file(file, from_datafusion(error))))
}

fn broken(file: &str, panic: &(dyn Any + Send)) -> DataFusionError {
    DataFusionError::External(Box::new(of_file(file, from_panic(panic))))
}

/// Names the file in an error that does not.
pub(crate) fn of_file(file: &str, error: outport_core::Error) -> outport_core::Error {
    let name = file.rsplit('/').next().unwrap_or(file);
    if error.to_string().contains(name) { error } else { error.context(format!("file {file}")) }
}
