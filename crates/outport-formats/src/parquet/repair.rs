//! What old writers got wrong, put right before reading.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::schema::types::SchemaDescriptor;

/// The header of a dictionary page is no larger than this; parquet-mr before 1.2.9 left it out of the size of a column
/// chunk (PARQUET-816).
const DICTIONARY_HEADER: i64 = 100;

/// The metadata with the rows of the file that its row groups have, which some writers left at 0, and with column chunks that are
/// long enough; `file_len` bounds them.
pub(super) fn repaired(metadata: ParquetMetaData, file_len: u64) -> Result<ParquetMetaData, ParquetError> {
    let file = metadata.file_metadata();
    let rows = metadata.row_groups().iter().map(|group| group.num_rows()).fold(0i64, i64::saturating_add);
    let short_chunks = file.created_by().is_some_and(leaves_out_dictionary_header);
    if rows == file.num_rows() && !short_chunks {
        return Ok(metadata);
    }
    let repaired_file = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let mut columns = Vec::with_capacity(group.num_columns());
        for column in group.columns() {
            let (start, length) = column.byte_range();
            let left = i64::try_from(file_len.saturating_sub(start.saturating_add(length))).unwrap_or(i64::MAX);
            let more = if short_chunks { DICTIONARY_HEADER.min(left) } else { 0 };
            let size = column.compressed_size().saturating_add(more);
            columns.push(column.clone().into_builder().set_total_compressed_size(size).build()?);
        }
        groups.push(group.clone().into_builder().set_column_metadata(columns).build()?);
    }
    let mut builder = ParquetMetaData::new(repaired_file, groups).into_builder();
    builder = builder.set_offset_index(metadata.offset_index().cloned());
    Ok(builder.build())
}

/// Whether the writer is parquet-mr before 1.2.9, or one so old that it does not say its version.
fn leaves_out_dictionary_header(created_by: &str) -> bool {
    let Some(rest) = created_by.strip_prefix("parquet-mr") else { return false };
    let Some(version) = rest.trim_start().strip_prefix("version ") else { return true };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next()) < (1, 2, 9)
}

/// The schema with INT96 timestamps in microseconds; `None` where there are none.
///
/// As nanoseconds, which is what the library reads them as, a date like 9999-12-31 wraps around into another century without a word. Spark, which
/// writes the most of them, has microseconds anyway.
pub(super) fn microseconds(schema: &SchemaRef, parquet: &SchemaDescriptor) -> Option<SchemaRef> {
    let int96 = |root: usize| {
        let mut leaves = (0..parquet.num_columns()).filter(|leaf| parquet.get_column_root_idx(*leaf) == root);
        leaves.any(|leaf| parquet.column(leaf).physical_type() == Type::INT96)
    };
    let roots: Vec<bool> = (0..schema.fields().len()).map(int96).collect();
    if !roots.contains(&true) {
        return None;
    }
    let fields = schema.fields().iter().zip(roots).map(|(field, old)| if old { coarser(field) } else { field.clone() });
    Some(Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())))
}

fn coarser(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::List(item) => DataType::List(coarser(item)),
        DataType::LargeList(item) => DataType::LargeList(coarser(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(coarser).collect()),
        DataType::Map(entries, sorted) => DataType::Map(coarser(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
