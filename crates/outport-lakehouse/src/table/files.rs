//! Folders of files of one format, and single files, through DataFusion's readers.
//!
//! The files are listed once, when the table is opened, so that a query and the one after it in the same run see the same
//! files.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStoreExt};
use outport_core::{Error, ErrorKind, Result};

use crate::config::TableFormat;
use crate::discover::Found;
use crate::error::{from_datafusion, from_store};
use crate::named::of_file;
use crate::root::Root;
use crate::stream::no_panic;
use crate::table::Opened;
use crate::table::partitions::Partitions;

/// How many files are looked into at once for their schema.
const OPEN_FILES: usize = 16;
/// The records that types are inferred from where nothing better detects them.
const INFER_RECORDS: usize = 100_000;

/// Opens files as one table with the columns of all of them.
///
/// # Errors
/// [`ErrorKind::Data`] naming the file that cannot be read, [`ErrorKind::Contract`] naming two files whose types for one column
/// cannot be reconciled.
pub(crate) async fn open(
    found: &Found,
    format: TableFormat,
    files: &[ObjectMeta],
    state: &SessionState,
    root: &Root,
) -> Result<Opened> {
    let reader = reader(found, format, files, state, root).await?;
    let mut lookups: Vec<BoxFuture<'_, Result<(String, SchemaRef)>>> = Vec::with_capacity(files.len());
    for file in files {
        let reader = Arc::clone(&reader);
        lookups.push(Box::pin(async move {
            let name = root.show(&file.location);
            let inferred = no_panic(async {
                reader.infer_schema(state, &root.store, std::slice::from_ref(file)).await.map_err(from_datafusion)
            });
            let schema = inferred.await.map_err(|error| of_file(&name, error))?;
            Ok((name, schema))
        }));
    }
    let schemas: Vec<_> = futures::stream::iter(lookups).buffered(OPEN_FILES).try_collect().await?;
    let partitions = Partitions::of(&found.path, &files.iter().map(|f| &f.location).collect::<Vec<_>>())?;
    let file_schema = without(union(&schemas)?, &partitions);
    let mut parts = Vec::with_capacity(files.len());
    for (file, values) in files.iter().zip(&partitions.values) {
        let mut part = PartitionedFile::new_from_meta(file.clone()).with_partition_values(values.clone());
        // Parquet footers were just read and are cached: they tell rows, bounds and NULLs at no cost.
        if format == TableFormat::Parquet {
            let statistics = reader.infer_stats(state, &root.store, Arc::clone(&file_schema), file).await;
            part.statistics = statistics.ok().map(|statistics| Arc::new(with_values(statistics, values)));
        }
        parts.push(part);
    }
    let provider = Files {
        schema: TableSchema::new(file_schema, partitions.fields.clone()),
        reader,
        files: parts,
        partitions,
        store: root.store_url()?,
    };
    let bytes = files.iter().map(|file| file.size).sum();
    Ok(Opened { provider: Arc::new(provider), snapshot: None, bytes })
}

/// DataFusion's reader of a format.
async fn reader(
    found: &Found,
    format: TableFormat,
    files: &[ObjectMeta],
    state: &SessionState,
    root: &Root,
) -> Result<Arc<dyn FileFormat>> {
    if let Some(option) = found.config.options.keys().next() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("table \"{}\": format {} has no option \"{option}\"", found.name, format.name()),
        )
        .hint("remove it from the table's `options`"));
    }
    let options = state.default_table_options();
    Ok(match format {
        TableFormat::Parquet => Arc::new(ParquetFormat::new().with_options(options.parquet)),
        TableFormat::Arrow => Arc::new(ArrowFormat),
        TableFormat::Avro => Arc::new(AvroFormat),
        TableFormat::Csv | TableFormat::Tsv => Arc::new(
            CsvFormat::default()
                .with_has_header(true)
                .with_delimiter(if format == TableFormat::Tsv { b'\t' } else { b',' })
                .with_newlines_in_values(true)
                .with_schema_infer_max_rec(INFER_RECORDS)
                .with_file_compression_type(compression(files)?),
        ),
        TableFormat::Json | TableFormat::Ndjson => Arc::new(
            JsonFormat::default()
                .with_newline_delimited(format == TableFormat::Ndjson || !begins_array(files, root).await?)
                .with_schema_infer_max_rec(INFER_RECORDS)
                .with_file_compression_type(compression(files)?),
        ),
        TableFormat::Delta | TableFormat::Iceberg => {
            return Err(Error::new(ErrorKind::Internal, format!("{} is no format of files", format.name())));
        }
    })
}

/// The compression of text files, which all have to share.
fn compression(files: &[ObjectMeta]) -> Result<FileCompressionType> {
    let of = |file: &ObjectMeta| match file.location.extension() {
        Some("gz") => FileCompressionType::GZIP,
        Some("zst") => FileCompressionType::ZSTD,
        Some("bz2") => FileCompressionType::BZIP2,
        Some("xz") => FileCompressionType::XZ,
        _ => FileCompressionType::UNCOMPRESSED,
    };
    let Some(first) = files.first() else { return Ok(FileCompressionType::UNCOMPRESSED) };
    match files.iter().find(|file| of(file) != of(first)) {
        Some(other) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} and {} are compressed differently", first.location, other.location),
        )
        .hint("name the files by path, one at a time")),
        None => Ok(of(first)),
    }
}

/// Whether a JSON file is one array rather than one object a line; compressed files are taken for the latter.
async fn begins_array(files: &[ObjectMeta], root: &Root) -> Result<bool> {
    let Some(file) = files.first() else { return Ok(false) };
    let head = root.store.get_range(&file.location, 0..file.size.min(1024)).await.map_err(from_store)?;
    Ok(head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'['))
}

/// The columns of all files, in the order in which they first occur. A whole number or float column may be wider in one file
/// than in another.
fn union(schemas: &[(String, SchemaRef)]) -> Result<SchemaRef> {
    let mut fields: Vec<(Field, &str)> = Vec::new();
    for (file, schema) in schemas {
        for field in schema.fields() {
            let Some((known, first)) = fields.iter_mut().find(|(known, _)| known.name() == field.name()) else {
                // What another file lacks is NULL there.
                fields.push((field.as_ref().clone().with_nullable(true), file));
                continue;
            };
            let Some(data_type) = wider(known.data_type(), field.data_type()) else {
                return Err(Error::new(
                    ErrorKind::Contract,
                    format!(
                        "column \"{}\" is {} in {file}, but {} in {first}",
                        field.name(),
                        field.data_type(),
                        known.data_type()
                    ),
                )
                .hint("read the files apart, by path, and cast one side in a query"));
            };
            known.set_data_type(data_type);
        }
    }
    Ok(Arc::new(Schema::new(fields.into_iter().map(|(field, _)| field).collect::<Vec<_>>())))
}

/// The type that holds the values of both without loss.
fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    const WHOLE: [DataType; 4] = [T::Int8, T::Int16, T::Int32, T::Int64];
    const NATURAL: [DataType; 4] = [T::UInt8, T::UInt16, T::UInt32, T::UInt64];
    const FLOAT: [DataType; 3] = [T::Float16, T::Float32, T::Float64];
    if a == b || b == &T::Null {
        return Some(a.clone());
    }
    if a == &T::Null {
        return Some(b.clone());
    }
    for family in [&WHOLE[..], &NATURAL[..], &FLOAT[..]] {
        let place = |wanted| family.iter().position(|member| member == wanted);
        if let (Some(a), Some(b)) = (place(a), place(b)) {
            return Some(family[a.max(b)].clone());
        }
    }
    match (a, b) {
        (T::Int64, T::Float64) | (T::Float64, T::Int64) => Some(T::Float64),
        (T::Timestamp(_, x), T::Timestamp(_, y)) if x == y => {
            Some(T::Timestamp(arrow::datatypes::TimeUnit::Microsecond, x.clone()))
        }
        _ => None,
    }
}

/// A column that is both in the files and in the folders' names is taken from the folders.
fn without(schema: SchemaRef, partitions: &Partitions) -> SchemaRef {
    let in_folders = |name: &str| partitions.fields.iter().any(|field| field.name() == name);
    if schema.fields().iter().any(|field| in_folders(field.name())) {
        let fields: Vec<_> = schema.fields().iter().filter(|field| !in_folders(field.name())).cloned().collect();
        Arc::new(Schema::new(fields))
    } else {
        schema
    }
}

/// Statistics of a file with those of its partition columns, which have one value in all its rows.
fn with_values(mut statistics: Statistics, values: &[ScalarValue]) -> Statistics {
    let rows = statistics.num_rows;
    statistics.column_statistics.extend(values.iter().map(|value| {
        let mut column = ColumnStatistics::new_unknown();
        if value.is_null() {
            column.null_count = rows;
        } else {
            column.null_count = Precision::Exact(0);
            column.min_value = Precision::Exact(value.clone());
            column.max_value = Precision::Exact(value.clone());
        }
        column
    }));
    statistics
}

/// Files of one format as a table.
#[derive(Debug)]
struct Files {
    schema: TableSchema,
    reader: Arc<dyn FileFormat>,
    files: Vec<PartitionedFile>,
    partitions: Partitions,
    store: ObjectStoreUrl,
}

#[async_trait]
impl TableProvider for Files {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
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
        let files: Vec<PartitionedFile> =
            self.files.iter().zip(kept).filter(|(_, keep)| *keep).map(|(f, _)| f.clone()).collect();
        if files.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema().project(columns)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let known: Option<Vec<&Statistics>> = files.iter().map(|file| file.statistics.as_deref()).collect();
        let statistics = match known {
            Some(known) => Statistics::try_merge_iter(known, &self.schema())?,
            None => Statistics::new_unknown(&self.schema()),
        };
        let config = FileScanConfigBuilder::new(self.store.clone(), self.reader.file_source(self.schema.clone()))
            .with_file_groups(vec![FileGroup::new(files)])
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_file_compression_type(self.reader.compression_type().unwrap_or(FileCompressionType::UNCOMPRESSED))
            .build();
        self.reader.create_physical_plan(state, config).await
    }
}
