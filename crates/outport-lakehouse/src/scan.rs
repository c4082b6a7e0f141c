//! How Delta scans are spread over partitions.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// Spreads the files of each Delta scan over the session's partitions. delta-rs plans them as one, because deletion vectors
/// count the rows of whole files; whole files it is here too, so that this stays true.
///
/// It has to be the first rule: those that follow build on how many partitions a scan has.
#[derive(Debug)]
pub(crate) struct SpreadDelta;

impl PhysicalOptimizerRule for SpreadDelta {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = config.execution.target_partitions;
        plan.transform_down(|node| match spread(&node, partitions)? {
            Some(scan) => Ok(Transformed::new(scan, true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(node)),
        })
        .map(|spread| spread.data)
    }

    fn name(&self) -> &str {
        "spread_delta"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The Delta scan over several partitions; `None` where `node` is none or has too few files.
fn spread(node: &Arc<dyn ExecutionPlan>, partitions: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let children = node.children();
    let ("DeltaScanExec", [child]) = (node.name(), children.as_slice()) else { return Ok(None) };
    let source = child.as_any().downcast_ref::<DataSourceExec>();
    let Some(scan) = source.and_then(|source| source.data_source().as_any().downcast_ref::<FileScanConfig>()) else {
        return Ok(None);
    };
    let [files] = scan.file_groups.as_slice() else { return Ok(None) };
    let groups = stretches(files.files(), partitions);
    if groups.len() < 2 {
        return Ok(None);
    }
    let scan = FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build();
    let child: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
    Arc::clone(node).with_new_children(vec![child]).map(Some)
}

/// Files in their order, cut into at most `wanted` stretches of about equal size.
fn stretches(files: &[PartitionedFile], wanted: usize) -> Vec<FileGroup> {
    let total: u64 = files.iter().map(|file| file.object_meta.size).sum();
    let share = total.div_ceil(wanted.max(1) as u64).max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = Vec::new();
    let mut filled = u64::MAX;
    for file in files {
        if filled >= share && groups.len() < wanted.max(1) {
            groups.push(Vec::new());
            filled = 0;
        }
        filled += file.object_meta.size;
        if let Some(group) = groups.last_mut() {
            group.push(file.clone());
        }
    }
    groups.into_iter().map(FileGroup::new).collect()
}
