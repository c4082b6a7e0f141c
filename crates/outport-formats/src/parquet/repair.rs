//! What old writers got wrong, put right before reading.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::basic::Type;
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::schema::types::SchemaDescriptor;

/// The metadata with the number of rows in the file that its row groups have; some writers left it at 0, and the library
/// reads no more rows than that.
pub(super) fn repaired(metadata: ParquetMetaData) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let rows = metadata.row_groups().iter().map(|group| group.num_rows()).fold(0i64, i64::saturating_add);
    if rows == file.num_rows() {
        return metadata;
    }
    let repaired = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let groups = metadata.row_groups().to_vec();
    ParquetMetaData::new(repaired, groups).into_builder().set_offset_index(metadata.offset_index().cloned()).build()
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
