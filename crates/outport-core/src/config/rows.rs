//! Rows of a definition table as exports.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::Unchecked;
use super::node::{Key, Node, Origin, Position, Value};
use crate::Result;

/// Every row as a definition; column names are the fields, in any case. NULL is an absent field.
///
/// `table` names the table in messages, beside the number of the row and the column.
pub fn definitions_from_rows(table: &str, batches: &[RecordBatch], defaults: Option<&Node>) -> Result<Vec<Unchecked>> {
    let mut exports = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let place = format!("table {table}, row {}", exports.len() + 1);
            let mut entries = Vec::new();
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let position = named(format!("{place}, column {}", field.name()));
                if let Some(node) = cell(column, row, &position)? {
                    entries.push((Key { name: field.name().to_lowercase(), position }, node));
                }
            }
            let mut node = Node { value: Value::Mapping(entries), position: named(place) };
            if let Some(defaults) = defaults {
                node.merge_defaults(defaults);
            }
            exports.push(Unchecked { key: None, node });
        }
    }
    Ok(exports)
}

/// A place that has a name but no text.
fn named(name: String) -> Position {
    Position { origin: Arc::new(Origin { name, text: String::new() }), line: 0, column: 0 }
}

fn cell(array: &ArrayRef, row: usize, position: &Position) -> Result<Option<Node>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let items = |values: ArrayRef| -> Result<Value> {
        let nodes: Result<Vec<_>> = (0..values.len()).map(|i| cell(&values, i, position)).collect();
        Ok(Value::Sequence(nodes?.into_iter().flatten().collect()))
    };
    let value = match array.data_type() {
        DataType::List(_) => items(array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => items(array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(..) => items(array.as_fixed_size_list().value(row))?,
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut mapping = Vec::new();
            for i in 0..entries.len() {
                let name = text(keys, i)?;
                let node =
                    cell(values, i, position)?.unwrap_or(Node { value: Value::Null, position: position.clone() });
                mapping.push((Key { name, position: position.clone() }, node));
            }
            Value::Mapping(mapping)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut mapping = Vec::new();
            for (field, column) in fields.iter().zip(columns.columns()) {
                if let Some(node) = cell(column, row, position)? {
                    mapping.push((Key { name: field.name().clone(), position: position.clone() }, node));
                }
            }
            Value::Mapping(mapping)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Value::Text(text(array, row)?),
        _ => Value::Plain(text(array, row)?),
    };
    Ok(Some(Node { value, position: position.clone() }))
}

fn text(array: &ArrayRef, row: usize) -> Result<String> {
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::default())?;
    Ok(formatter.value(row).try_to_string()?)
}
