//! How Delta scans are spread over partitions.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;

/// Spreads the files of each Delta scan over up to `partitions` partitions. delta-rs plans them as one, because deletion
/// vectors count the rows of whole files; whole files it is here too, so that this stays true.
pub(crate) fn spread(plan: Arc<dyn ExecutionPlan>, partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let spread = plan.transform_down(|node| {
        let children = node.children();
        let scan = match (node.name(), children.as_slice()) {
            ("DeltaScanExec", [child]) => child
                .as_any()
                .downcast_ref::<DataSourceExec>()
                .and_then(|source| source.data_source().as_any().downcast_ref::<FileScanConfig>()),
            _ => None,
        };
        let Some(scan) = scan.filter(|scan| scan.file_groups.len() == 1 && scan.limit.is_none()) else {
            return Ok(Transformed::no(node));
        };
        let groups = stretches(scan.file_groups[0].files(), partitions);
        if groups.len() < 2 {
            return Ok(Transformed::no(node));
        }
        let scan = FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build();
        let child: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        Ok(Transformed::yes(Arc::clone(&node).with_new_children(vec![child])?))
    })?;
    Ok(spread.data)
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
