//! Rows by the values of their partition columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use outport_core::error::suggestion;
use outport_core::{Error, ErrorKind, Result};

/// What Hive and all that followed it name the folder of NULL.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// One partition: column and value, NULL as `None`.
pub(super) type Values = Vec<(String, Option<String>)>;

/// The schema of the files, and the places of the partition columns in that of the batches.
///
/// # Errors
/// [`ErrorKind::NotFound`] with the nearest name for a column that is not there; [`ErrorKind::Config`] for one named twice, for a
/// nested one, and where no column is left.
pub(super) fn columns(schema: &SchemaRef, partition_by: &[String]) -> Result<(SchemaRef, Vec<usize>)> {
    let mut places = Vec::new();
    for name in partition_by {
        let Some((place, field)) = schema.column_with_name(name) else {
            let names = schema.fields().iter().map(|f| f.name().as_str());
            return Err(Error::new(ErrorKind::NotFound, format!("there is no column \"{name}\" to partition by"))
                .hint(suggestion(name, names)));
        };
        if places.contains(&place) {
            return Err(Error::new(ErrorKind::Config, format!("partition_by names column \"{name}\" twice")));
        }
        let text = field.data_type();
        if text.is_nested()
            || matches!(
                text,
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
            )
        {
            return Err(Error::new(ErrorKind::Config, format!("column \"{name}\" of type {text} cannot name folders"))
                .hint("partition by numbers, text, booleans, dates or timestamps"));
        }
        places.push(place);
    }
    if !places.is_empty() && places.len() == schema.fields().len() {
        return Err(Error::new(
            ErrorKind::Config,
            "partition_by names every column, so that none is left for the files",
        ));
    }
    let fields: Vec<_> =
        schema.fields().iter().enumerate().filter(|(i, _)| !places.contains(i)).map(|(_, f)| f.clone()).collect();
    Ok((Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), places))
}

/// The folder of a partition: `year=2025/name=a%2Fb`.
pub(super) fn folder(values: &Values) -> String {
    let segment = |(column, value): &(String, Option<String>)| {
        let value = value.as_deref().map_or_else(|| NULL_FOLDER.to_owned(), escape);
        format!("{}={value}", escape(column))
    };
    values.iter().map(segment).collect::<Vec<_>>().join("/")
}

/// Splits batches into partitions and knows the number of each.
pub(super) struct Partitioner {
    places: Vec<usize>,
    rest: Vec<usize>,
    schema: SchemaRef,
    converter: RowConverter,
    numbers: HashMap<OwnedRow, usize>,
    /// The partitions by number.
    known: Vec<Values>,
}

impl Partitioner {
    /// For batches with `schema`, split by the columns at `places`.
    pub(super) fn new(schema: &SchemaRef, places: &[usize]) -> Result<Self> {
        let fields = places.iter().map(|p| SortField::new(schema.field(*p).data_type().clone())).collect();
        Ok(Self {
            places: places.to_vec(),
            rest: (0..schema.fields().len()).filter(|i| !places.contains(i)).collect(),
            schema: schema.clone(),
            converter: RowConverter::new(fields)?,
            numbers: HashMap::new(),
            known: Vec::new(),
        })
    }

    /// The values of a partition.
    pub(super) fn values(&self, number: usize) -> &Values {
        &self.known[number]
    }

    /// The rows of each partition in a batch, without the partition columns, in the order in which the partitions appear.
    pub(super) fn split(&mut self, batch: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
        let keys: Vec<ArrayRef> = self.places.iter().map(|p| batch.column(*p).clone()).collect();
        let rows = self.converter.convert_columns(&keys)?;
        let mut order: Vec<usize> = Vec::new();
        let mut members: HashMap<usize, Vec<u32>> = HashMap::new();
        let mut last: Option<(usize, usize)> = None;
        for (at, row) in rows.iter().enumerate() {
            // Data often comes in runs: a row like the one before needs no look-up.
            let number = match last {
                Some((before, number)) if rows.row(before) == row => number,
                _ => self.number(row.owned(), &keys, at)?,
            };
            last = Some((at, number));
            members
                .entry(number)
                .or_insert_with(|| {
                    order.push(number);
                    Vec::new()
                })
                .push(u32::try_from(at).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?);
        }
        let rest = batch.project(&self.rest)?;
        if let [only] = order[..] {
            return Ok(vec![(only, rest)]);
        }
        order
            .into_iter()
            .map(|number| {
                let rows = UInt32Array::from(members.remove(&number).unwrap_or_default());
                Ok((number, take_record_batch(&rest, &rows)?))
            })
            .collect()
    }

    fn number(&mut self, row: OwnedRow, keys: &[ArrayRef], at: usize) -> Result<usize> {
        if let Some(number) = self.numbers.get(&row) {
            return Ok(*number);
        }
        let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
        let mut values = Values::new();
        for (place, key) in self.places.iter().zip(keys) {
            let value = if key.is_null(at) {
                None
            } else {
                Some(ArrayFormatter::try_new(key, &options)?.value(at).try_to_string()?)
            };
            values.push((self.schema.field(*place).name().clone(), value));
        }
        let number = self.known.len();
        self.known.push(values);
        self.numbers.insert(row, number);
        Ok(number)
    }
}

/// Percent-encodes what Hive does (control characters and those with a meaning in paths), and what Windows refuses.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let special = c.is_ascii_control() || "\"#%'*/:=?\\{[]^<>|".contains(c);
        if special {
            out.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    // An empty value and a dot or two would not be folders of their own.
    match out.as_str() {
        "" => NULL_FOLDER.to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => out,
    }
}

#[cfg(test)]
mod tests;
