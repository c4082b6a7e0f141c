use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use outport_core::ErrorKind;

use super::{Partitioner, columns, folder};

fn batch() -> RecordBatch {
    let schema = Schema::new(vec![Field::new("id", DataType::Int32, false), Field::new("city", DataType::Utf8, true)]);
    let city = StringArray::from(vec![Some("a/b"), Some("a/b"), None, Some("x"), Some("a/b")]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5])), Arc::new(city)])
        .unwrap()
}

#[test]
fn rows_keep_their_order_inside_each_partition() {
    let batch = batch();
    let (schema, places) = columns(&batch.schema(), &["city".to_owned()]).unwrap();
    assert_eq!(schema.fields().len(), 1);
    let mut partitioner = Partitioner::new(&batch.schema(), &places).unwrap();
    let split = partitioner.split(&batch).unwrap();
    let rows: Vec<(String, Vec<i32>)> = split
        .iter()
        .map(|(number, rows)| {
            let ids = rows.column(0).as_any().downcast_ref::<Int32Array>().unwrap();
            (folder(partitioner.values(*number)), ids.values().to_vec())
        })
        .collect();
    let expected = [("city=a%2Fb", vec![1, 2, 5]), ("city=__HIVE_DEFAULT_PARTITION__", vec![3]), ("city=x", vec![4])];
    assert_eq!(rows, expected.map(|(f, r)| (f.to_owned(), r)));
}

#[test]
fn wrong_columns_are_refused() {
    let schema = batch().schema();
    let error = columns(&schema, &["citty".to_owned()]).unwrap_err();
    assert_eq!((error.kind(), error.hint_text()), (ErrorKind::NotFound, Some("did you mean \"city\"?")));
    assert!(columns(&schema, &["id".to_owned(), "id".to_owned()]).is_err());
    assert!(columns(&schema, &["id".to_owned(), "city".to_owned()]).is_err());
}
