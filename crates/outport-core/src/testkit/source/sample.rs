//! The rows that the checks write and expect back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use futures::StreamExt;

use super::context;
use crate::extract::Extract;
use crate::source::Source;
use crate::{Batches, Result};

/// Eight rows, a column of each type a fixture must be able to create; `id` runs from 1 to 8, `changed` is NULL in rows 3 and 6.
pub fn people() -> RecordBatch {
    let day = 86_400_000_000_i64;
    let changed: Vec<Option<i64>> = (1..=8).map(|i| (i % 3 != 0).then_some(1_700_000_000_123_456 + i * day)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(1..=8))),
        (
            "name",
            Arc::new(StringArray::from(vec![
                Some("plain"),
                Some("it's \"quoted\""),
                None,
                Some(""),
                Some("Grüße, 表, 🦀, e\u{301}"),
                Some("back\\slash, comma; semicolon"),
                Some("two\nlines\tand a tab"),
                Some("NULL"),
            ])),
        ),
        ("changed", Arc::new(TimestampMicrosecondArray::from(changed))),
        (
            "score",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(-1.5e300),
                None,
                Some(0.0),
                Some(1.0 / 3.0),
                Some(5e-324),
                Some(1e15),
                Some(-2.5),
            ])),
        ),
        (
            "active",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
                Some(true),
                Some(false),
                Some(false),
                Some(true),
            ])),
        ),
        (
            "born",
            Arc::new(Date32Array::from(vec![
                Some(0),
                Some(-719_162),
                None,
                Some(19_000),
                Some(-1),
                Some(2_932_896),
                Some(365),
                Some(11_016),
            ])),
        ),
    ];
    batch(columns)
}

/// A batch of nullable columns.
pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

/// Reads an extract whole and checks that every batch has the schema that was announced.
pub(super) async fn read(source: &dyn Source, extract: &Extract) -> RecordBatch {
    try_read(source, extract).await.unwrap_or_else(|e| panic!("{extract:?}: {e} {:?} {:?}", e.causes(), e.hint_text()))
}

pub(super) async fn try_read(source: &dyn Source, extract: &Extract) -> Result<RecordBatch> {
    collect(source.read(extract, &context()).await?).await
}

pub(super) async fn collect(mut batches: Batches) -> Result<RecordBatch> {
    let mut all = Vec::new();
    while let Some(batch) = batches.stream.next().await {
        let batch = batch?;
        assert_eq!(batch.schema(), batches.schema, "a batch has another schema than was announced");
        all.push(batch);
    }
    Ok(compute::concat_batches(&batches.schema, &all)?)
}

/// Brings a result to the types and names of `like`, sorted by its first column, so that systems with other text or timestamp types compare.
pub(super) fn normal(found: &RecordBatch, like: &SchemaRef) -> RecordBatch {
    let names = |s: &Schema| s.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(&found.schema()), names(like), "column names");
    let order = compute::sort_to_indices(found.column(0), None, None).expect("a sortable first column");
    let columns = found
        .columns()
        .iter()
        .zip(like.fields())
        .map(|(column, field)| {
            let sorted = compute::take(column, &order, None).expect("indices of the array itself");
            compute::cast(&sorted, field.data_type()).unwrap_or_else(|e| {
                panic!("{} is {}, expected {}: {e}", field.name(), column.data_type(), field.data_type())
            })
        })
        .collect();
    RecordBatch::try_new(like.clone(), columns).expect("columns of one length")
}

/// The ids of a result, sorted.
pub(super) fn ids(found: &RecordBatch) -> Vec<i64> {
    let column = found.column_by_name("id").expect("a column id");
    let column = compute::cast(column, &DataType::Int64).expect("integers");
    let mut ids: Vec<i64> = column.as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    ids
}
