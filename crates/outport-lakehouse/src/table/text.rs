//! CSV and JSON tables, whose dialect and types a [`TextTables`] detects and decodes.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use outport_core::text::{TextFile, TextTable, TextTables};
use outport_core::{Context, Result};

use crate::config::TableFormat;
use crate::discover::Found;
use crate::named::of_file;
use crate::table::partitions::Partitions;
use crate::table::{Opened, Surroundings};

/// Detects the schema of text files and opens them as one table.
pub(crate) async fn open(
    found: &Found,
    format: TableFormat,
    files: &[ObjectMeta],
    decoder: &Arc<dyn TextTables>,
    around: &Surroundings,
) -> Result<Opened> {
    let table = TextTable {
        format: format.name().to_owned(),
        files: files.iter().map(|file| TextFile { path: file.location.to_string(), bytes: file.size }).collect(),
        options: found.config.format_options(),
    };
    let partitions = Partitions::of(&found.path, &files.iter().map(|f| &f.location).collect::<Vec<_>>())?;
    let in_files = decoder.schema(&table, &around.context).await?;
    let mut fields: Vec<_> = in_files
        .fields()
        .iter()
        .filter(|field| !partitions.fields.iter().any(|partition| partition.name() == field.name()))
        .cloned()
        .collect();
    let in_files = Arc::new(Schema::new(fields.clone()));
    fields.extend(partitions.fields.iter().cloned());
    let provider = Text {
        schema: Arc::new(Schema::new(fields)),
        in_files,
        table: Arc::new(table),
        partitions,
        decoder: Arc::clone(decoder),
        context: around.context.clone(),
    };
    Ok(Opened { provider: Arc::new(provider), snapshot: None, bytes: 0 })
}

/// Text files as a table.
struct Text {
    schema: SchemaRef,
    in_files: SchemaRef,
    table: Arc<TextTable>,
    partitions: Partitions,
    decoder: Arc<dyn TextTables>,
    context: Context,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("table", &self.table).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Text {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(self.partitions.pushdown(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let kept =
            self.partitions.select(state, filters).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let files: Vec<usize> = (0..self.table.files.len()).filter(|file| kept[*file]).collect();
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let mut read: Vec<_> =
            schema.fields().iter().filter(|f| self.in_files.field_with_name(f.name()).is_ok()).cloned().collect();
        // A scan of no column at all, as for count(*), still has to count rows: the first column stands in.
        if let (true, Some(first)) = (read.is_empty(), self.in_files.fields().first()) {
            read.push(Arc::clone(first));
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(files.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(TextScan {
            schema,
            read: Arc::new(Schema::new(read)),
            files,
            limit: limit.map(|limit| limit as u64),
            table: Arc::clone(&self.table),
            partitions: self.partitions.clone(),
            decoder: Arc::clone(&self.decoder),
            context: self.context.clone(),
            properties: Arc::new(properties),
        }))
    }
}

/// Reads text files, a file a partition.
struct TextScan {
    schema: SchemaRef,
    /// The columns that are decoded; the others of `schema` are partition columns.
    read: SchemaRef,
    files: Vec<usize>,
    limit: Option<u64>,
    table: Arc<TextTable>,
    partitions: Partitions,
    decoder: Arc<dyn TextTables>,
    context: Context,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for TextScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextScan").field("schema", &self.schema).field("files", &self.files).finish_non_exhaustive()
    }
}

impl DisplayAs for TextScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let columns: Vec<&str> = self.read.fields().iter().map(|field| field.name().as_str()).collect();
        write!(
            f,
            "TextScan: format={}, files={}, columns=[{}]",
            self.table.format,
            self.files.len(),
            columns.join(", ")
        )?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for TextScan {
    fn name(&self) -> &str {
        "TextScan"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let file = self.files[partition];
        let name = self.table.files[file].path.clone();
        let (decoder, table, read, limit, context) = (
            Arc::clone(&self.decoder),
            Arc::clone(&self.table),
            Arc::clone(&self.read),
            self.limit,
            self.context.clone(),
        );
        let layout = Layout { schema: Arc::clone(&self.schema), partitions: self.partitions.clone(), file };
        let stream = futures::stream::once(async move { decoder.read(&table, file, read, limit, &context).await })
            .map_ok(|batches| batches.stream)
            .try_flatten()
            .map(move |batch| {
                let batch = batch.and_then(|batch| layout.complete(&batch));
                batch.map_err(|error| DataFusionError::External(Box::new(of_file(&name, error))))
            });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }
}

/// Puts decoded columns and the values of partitions into the order of the scan.
struct Layout {
    schema: SchemaRef,
    partitions: Partitions,
    file: usize,
}

impl Layout {
    fn complete(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| match batch.column_by_name(field.name()) {
                Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
                Some(column) => Ok(arrow::compute::cast(column, field.data_type())?),
                None => self.partition(field.name(), field.data_type(), batch.num_rows()),
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn partition(&self, name: &str, data_type: &DataType, rows: usize) -> Result<ArrayRef> {
        match self.partitions.fields.iter().position(|field| field.name() == name) {
            Some(at) => {
                self.partitions.values[self.file][at].to_array_of_size(rows).map_err(crate::error::from_datafusion)
            }
            None => Ok(arrow::array::new_null_array(data_type, rows)),
        }
    }
}
