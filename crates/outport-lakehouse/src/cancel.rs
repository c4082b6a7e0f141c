//! A run that is cancelled must stop although an operator computes on what it has buffered: the engine itself looks up only
//! when it waits. Nodes put before and behind joins, and behind scans, end the streams that pass through them.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use outport_core::context::Cancel;

/// Makes a finished plan stop soon after `cancel` is set.
pub(crate) fn wrap(plan: Arc<dyn ExecutionPlan>, cancel: &Cancel) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        if node.children().len() == 1 {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(Arc::new(Stoppable { inner: node, cancel: cancel.clone() }) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(wrapped.data)
}

#[derive(Debug)]
struct Stoppable {
    inner: Arc<dyn ExecutionPlan>,
    cancel: Cancel,
}

impl DisplayAs for Stoppable {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Stoppable")
    }
}

impl ExecutionPlan for Stoppable {
    fn name(&self) -> &str {
        "Stoppable"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(inner) => Ok(Arc::new(Self { inner, cancel: self.cancel.clone() })),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stream = self.inner.execute(partition, context)?;
        let cancel = self.cancel.clone();
        let checked = stream.map(move |batch| match cancel.check() {
            Ok(()) => batch,
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        });
        // What never waits has to yield, or it starves the very timers and signals that would cancel it.
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(self.inner.schema(), checked))))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        self.inner.partition_statistics(partition)
    }
}
