//! Iceberg tables without a catalog: the newest metadata file in the table's folder is its state.

pub(crate) mod changes;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use iceberg::TableIdent;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::scan::FileScanTask;
use iceberg::spec::{DataFileFormat, SnapshotRef, TableMetadata};
use iceberg::table::{StaticTable, Table};
use iceberg_datafusion::physical_plan::convert_filters_to_predicate;
use object_store::ObjectMeta;
use object_store::path::Path;
use outport_core::{Error, ErrorKind, Result};

use crate::discover::Found;
use crate::error::from_iceberg;
use crate::root::Root;
use crate::table::delta::instant;
use crate::table::{Opened, storage};

/// The newest format version whose every feature that concerns reading is understood.
const FORMAT_VERSION: u8 = 2;

/// Opens the snapshot that is configured, or the current one.
///
/// # Errors
/// [`ErrorKind::Unsupported`] naming what cannot be read (format version 3, files that are not Parquet),
/// [`ErrorKind::NotFound`] for snapshots that expired.
pub(crate) async fn open(found: &Found, root: &Root) -> Result<Opened> {
    let name = &found.name;
    let table = load(found, root).await?;
    let snapshot = snapshot(found, table.metadata())?;
    let schema = match snapshot.and_then(|id| table.metadata().snapshot_by_id(id)) {
        // The latest snapshot is read with the table's schema, which may have changed after it; an older one with its own.
        Some(old) if found.config.snapshot_id.is_some() || found.config.timestamp.is_some() => {
            old.schema(table.metadata()).map_err(|error| from_iceberg(name, error))?
        }
        _ => Arc::clone(table.metadata().current_schema()),
    };
    let schema = Arc::new(schema_to_arrow_schema(&schema).map_err(|error| from_iceberg(name, error))?);
    let bytes = snapshot
        .and_then(|id| table.metadata().snapshot_by_id(id))
        .and_then(|snapshot| snapshot.summary().additional_properties.get("total-files-size")?.parse().ok());
    let label = snapshot.map_or_else(|| "empty".to_owned(), |id| id.to_string());
    let provider = Iceberg { name: name.clone(), table, snapshot, appends: None, schema };
    Ok(Opened {
        provider: Arc::new(provider),
        snapshot: Some(format!("iceberg:{name}@{label}")),
        bytes: bytes.unwrap_or(0),
    })
}

/// The newest state of the table.
async fn load(found: &Found, root: &Root) -> Result<Table> {
    let name = &found.name;
    let file = metadata_file(found, root).await?;
    // The format version is read first: the library takes version 3 for granted, whose deletion vectors it does not apply.
    let bytes = root.read(&file).await?;
    let head: Head = match serde_json::from_slice(&unpacked(&file, &bytes)?) {
        Ok(head) => head,
        Err(error) => {
            return Err(Error::new(
                ErrorKind::Data,
                format!("iceberg table \"{name}\": {} is no table metadata: {error}", root.show(&file)),
            ));
        }
    };
    if head.format_version > FORMAT_VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "iceberg table \"{name}\" has format version {}, up to {FORMAT_VERSION} can be read",
                head.format_version
            ),
        )
        .hint("deletion vectors and row lineage came with version 3; write the table with format-version 2"));
    }
    let io = storage::file_io(root, &found.path, Some(&head.location));
    let location = format!("{}/metadata/{}", head.location.trim_end_matches('/'), file.filename().unwrap_or_default());
    let ident = TableIdent::from_strs(["lake", name.as_str()]).map_err(|error| from_iceberg(name, error))?;
    let table =
        StaticTable::from_metadata_file(&location, ident, io).await.map_err(|error| from_iceberg(name, error))?;
    Ok(table.into_table())
}

/// What has to be known of the metadata before the library reads it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Head {
    format_version: u8,
    location: String,
}

/// The metadata file that `version-hint.text` names, else the one with the highest version.
async fn metadata_file(found: &Found, root: &Root) -> Result<Path> {
    let folder = found.path.clone().join("metadata");
    let files = root.children(&folder).await?.files;
    let versions: Vec<(u64, &ObjectMeta)> =
        files.iter().filter_map(|file| Some((version(file.location.filename()?)?, file))).collect();
    let hint = folder.clone().join("version-hint.text");
    let hinted = match files.iter().any(|file| file.location == hint) {
        true => String::from_utf8_lossy(&root.read(&hint).await?).trim().parse::<u64>().ok(),
        false => None,
    };
    let newest = versions
        .iter()
        .filter(|(version, _)| hinted.is_none_or(|hinted| *version >= hinted))
        .max_by_key(|(version, file)| (*version, file.last_modified));
    match newest.or_else(|| versions.iter().max_by_key(|(version, file)| (*version, file.last_modified))) {
        Some((_, file)) => Ok(file.location.clone()),
        None => Err(Error::new(
            ErrorKind::NotFound,
            format!("iceberg table \"{}\" has no *.metadata.json in {}", found.name, root.show(&folder)),
        )),
    }
}

/// The version in `v3.metadata.json`, `v3.gz.metadata.json` or `00003-<uuid>.metadata.json`.
fn version(file: &str) -> Option<u64> {
    let stem = file.strip_suffix(".metadata.json").or_else(|| file.strip_suffix(".metadata.json.gz"))?;
    let stem = stem.strip_suffix(".gz").unwrap_or(stem);
    let digits = stem.strip_prefix('v').unwrap_or_else(|| stem.split('-').next().unwrap_or_default());
    digits.parse().ok()
}

/// The bytes of a metadata file, which may be compressed whatever it is called.
fn unpacked(file: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes.to_vec());
    }
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(bytes), &mut plain)
        .map_err(|error| Error::new(ErrorKind::Data, format!("{file}: {error}")))?;
    Ok(plain)
}

/// The snapshot to read; `None` for a table that never had one.
fn snapshot(found: &Found, metadata: &TableMetadata) -> Result<Option<i64>> {
    let gone = |what: String| {
        Err(Error::new(ErrorKind::NotFound, format!("iceberg table \"{}\" has no snapshot {what}", found.name))
            .hint("snapshots expire; leave `snapshot_id` and `timestamp` out to read the current one"))
    };
    if found.config.version.is_some() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("table \"{}\" is Iceberg, which has no `version`", found.name),
        )
        .hint("use `snapshot_id` or `timestamp`"));
    }
    match (found.config.snapshot_id, &found.config.timestamp) {
        (Some(id), _) if metadata.snapshot_by_id(id).is_none() => gone(id.to_string()),
        (Some(id), _) => Ok(Some(id)),
        (None, Some(text)) => {
            let wanted = instant(&found.name, text)?.timestamp_millis();
            match metadata.history().iter().rev().find(|entry| entry.timestamp_ms <= wanted) {
                Some(entry) => Ok(Some(entry.snapshot_id)),
                None => gone(format!("as old as {text}")),
            }
        }
        (None, None) => Ok(metadata.current_snapshot_id()),
    }
}

#[derive(Debug)]
struct Iceberg {
    name: String,
    table: Table,
    snapshot: Option<i64>,
    /// The snapshots whose new files are read, where it is not the whole table.
    appends: Option<Vec<SnapshotRef>>,
    schema: SchemaRef,
}

impl Iceberg {
    /// The files to read, in the order of their paths.
    async fn tasks(&self, columns: &[String], filters: &[Expr]) -> Result<Vec<FileScanTask>> {
        let Some(snapshot) = self.snapshot else { return Ok(Vec::new()) };
        let named = |error| from_iceberg(&self.name, error);
        if let Some(appends) = &self.appends {
            return self.checked(self.appends(appends, columns).await?);
        }
        let mut scan = self.table.scan().snapshot_id(snapshot).select(columns);
        if let Some(predicate) = convert_filters_to_predicate(filters) {
            scan = scan.with_filter(predicate);
        }
        let tasks = scan.build().map_err(named)?.plan_files().await.map_err(named)?;
        self.checked(tasks.try_collect().await.map_err(named)?)
    }

    /// The tasks in the order of their files, where all can be read.
    fn checked(&self, mut tasks: Vec<FileScanTask>) -> Result<Vec<FileScanTask>> {
        for task in &tasks {
            let refused = |what: &str| {
                Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("iceberg table \"{}\" has {what}, which cannot be read", self.name),
                ))
            };
            if task.data_file_format != DataFileFormat::Parquet {
                return refused(&format!("data files in {}", task.data_file_format));
            }
            if let Some(deletes) = task.deletes.iter().find(|deletes| !deletes.file_path.ends_with(".parquet")) {
                return refused(&format!("deletes in {}", deletes.file_path));
            }
        }
        tasks.sort_by(|a, b| (&a.data_file_path, a.start).cmp(&(&b.data_file_path, b.start)));
        Ok(tasks)
    }
}

#[async_trait]
impl TableProvider for Iceberg {
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
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        // A scan of no column at all, as for count(*), still has to count rows: the first column stands in.
        let mut columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        if let (true, Some(first)) = (columns.is_empty(), self.schema.fields().first()) {
            columns.push(first.name().clone());
        }
        let tasks = self.tasks(&columns, filters).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let partitions = cut(tasks, state.config().target_partitions());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(IcebergScan {
            name: self.name.clone(),
            table: self.table.clone(),
            schema,
            filters: filters.iter().map(ToString::to_string).collect(),
            partitions,
            properties: Arc::new(properties),
        }))
    }
}

/// Cuts the files, in their order, into about `wanted` stretches of equal size; there is at least one.
fn cut(tasks: Vec<FileScanTask>, wanted: usize) -> Vec<Vec<FileScanTask>> {
    let total: u64 = tasks.iter().map(|task| task.length).sum();
    let share = (total / wanted.max(1) as u64).max(1);
    let mut partitions = vec![Vec::new()];
    let mut filled = 0;
    for task in tasks {
        if filled >= share {
            partitions.push(Vec::new());
            filled = 0;
        }
        filled += task.length;
        if let Some(last) = partitions.last_mut() {
            last.push(task);
        }
    }
    partitions
}

/// Reads the files of an Iceberg table; deletes are applied file by file.
#[derive(Debug)]
struct IcebergScan {
    name: String,
    table: Table,
    schema: SchemaRef,
    filters: Vec<String>,
    partitions: Vec<Vec<FileScanTask>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for IcebergScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let files: usize = self.partitions.iter().map(Vec::len).sum();
        write!(
            f,
            "IcebergScan: table={}, files={files}, columns=[{}], filters=[{}]",
            self.name,
            columns.join(", "),
            self.filters.join(", ")
        )
    }
}

impl ExecutionPlan for IcebergScan {
    fn name(&self) -> &str {
        "IcebergScan"
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

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let tasks = self.partitions[partition].clone();
        let name: Arc<str> = self.name.as_str().into();
        let outer = {
            let name = Arc::clone(&name);
            move |error: iceberg::Error| DataFusionError::External(Box::new(from_iceberg(&name, error)))
        };
        let batches = self
            .table
            .reader_builder()
            .with_data_file_concurrency_limit(1)
            .with_batch_size(context.session_config().batch_size())
            .build()
            .read(futures::stream::iter(tasks.into_iter().map(Ok)).boxed())
            .map_err(&outer)?
            .stream();
        let schema = Arc::clone(&self.schema);
        let stream = batches.map(move |batch| conform(&batch.map_err(&outer)?, &schema));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> EngineResult<Statistics> {
        let tasks = self.partitions.iter().enumerate().filter(|(at, _)| partition.is_none_or(|wanted| wanted == *at));
        let rows: Option<u64> = tasks.flat_map(|(_, tasks)| tasks).map(|task| task.record_count).sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        // Deletes and filters take rows away.
        statistics.num_rows =
            rows.map_or(Precision::Absent, |rows| Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX)));
        Ok(statistics)
    }
}

/// The batch with exactly the columns and types of the scan.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> EngineResult<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => arrow::compute::cast(column, field.data_type()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
