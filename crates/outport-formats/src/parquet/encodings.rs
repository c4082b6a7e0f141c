//! How each column of a row group is encoded, decided from a sample of its values.
//!
//! The stock rule, a dictionary until it is too large, costs the most where it gains nothing: every value of a unique column is
//! hashed, and then written again. A sample of some thousand values tells beforehand. Columns that do not repeat their
//! values get a delta encoding, which is as cheap as plain, smaller, and leaves the codec less to do: of hex digests
//! two times less, as lengths no longer interrupt the text.

use std::hash::BuildHasher;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{self as dt, ArrowPrimitiveType, DataType};
use arrow::downcast_primitive_array;
use hashbrown::{DefaultHashBuilder, HashSet};
use parquet::basic::{Encoding, Type};
use parquet::schema::types::SchemaDescriptor;

use super::options::{Options, Use};

/// How many values of a column are looked at.
const SAMPLE: usize = 4096;
/// Up to this share of distinct values in the sample text gets a dictionary; it is that of some 6000 values in all.
const DISTINCT_TEXT: f64 = 0.7;
/// The same for numbers, which are small without one; it is that of some 1000 values.
const DISTINCT_NUMBERS: f64 = 0.25;
/// Numbers whose neighbours are further apart than this many bits are as good as random: a delta would not be smaller.
const RANDOM_BITS: u32 = 56;

/// How one leaf column is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// With a dictionary, as long as it stays small.
    Dictionary,
    /// Value by value.
    Direct(Encoding),
}

/// One choice for each leaf column of `parquet`, from the first batches of a row group; `columns` are whole columns, each
/// cut into the arrays of those batches.
pub(super) fn choose(parquet: &SchemaDescriptor, columns: &[Vec<ArrayRef>], options: &Options) -> Vec<Choice> {
    let mut leaves: Vec<Vec<ArrayRef>> = Vec::with_capacity(parquet.num_columns());
    for arrays in columns {
        let first = leaves.len();
        for array in arrays {
            let mut found = Vec::new();
            collect_leaves(array, &mut found);
            for (at, leaf) in found.into_iter().enumerate() {
                match leaves.get_mut(first + at) {
                    Some(leaf_arrays) => leaf_arrays.push(leaf),
                    None => leaves.push(vec![leaf]),
                }
            }
        }
    }
    (0..parquet.num_columns())
        .map(|at| choose_one(parquet.column(at).physical_type(), leaves.get(at).map_or(&[], Vec::as_slice), options))
        .collect()
}

fn choose_one(physical: Type, arrays: &[ArrayRef], options: &Options) -> Choice {
    let direct = match physical {
        Type::INT32 | Type::INT64 if options.delta && !spread(arrays) => Encoding::DELTA_BINARY_PACKED,
        Type::BYTE_ARRAY if options.delta => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        _ => Encoding::PLAIN,
    };
    let text = matches!(physical, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
    let limit = if text { DISTINCT_TEXT } else { DISTINCT_NUMBERS };
    match options.dictionary {
        Use::Never => Choice::Direct(direct),
        Use::Always if physical != Type::BOOLEAN => Choice::Dictionary,
        Use::Auto if physical != Type::BOOLEAN && distinct(arrays) <= limit => Choice::Dictionary,
        _ => Choice::Direct(direct),
    }
}

/// The leaves of an array in the order of Parquet.
fn collect_leaves(array: &ArrayRef, leaves: &mut Vec<ArrayRef>) {
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| collect_leaves(column, leaves)),
        DataType::List(_) => collect_leaves(array.as_list::<i32>().values(), leaves),
        DataType::LargeList(_) => collect_leaves(array.as_list::<i64>().values(), leaves),
        DataType::FixedSizeList(..) => collect_leaves(array.as_fixed_size_list().values(), leaves),
        DataType::Map(..) => {
            let map = array.as_map();
            collect_leaves(map.keys(), leaves);
            collect_leaves(map.values(), leaves);
        }
        _ => leaves.push(array.clone()),
    }
}

/// The share of distinct values among the sampled ones that are not NULL; 0 where there are none.
fn distinct(arrays: &[ArrayRef]) -> f64 {
    let mut seen = HashSet::with_capacity(SAMPLE);
    let hasher = DefaultHashBuilder::default();
    let mut values = 0;
    each_sampled(arrays, |array, row| {
        if array.is_valid(row) {
            values += 1;
            seen.insert(hash_value(array, row, &hasher));
        }
    });
    if values == 0 { 0.0 } else { seen.len() as f64 / f64::from(values) }
}

fn each_sampled(arrays: &[ArrayRef], mut visit: impl FnMut(&dyn Array, usize)) {
    let rows: usize = arrays.iter().map(Array::len).sum();
    let step = rows.div_ceil(SAMPLE).max(1);
    // Rows are counted through all arrays, so that the sample is even.
    let mut next = 0;
    for array in arrays {
        while next < array.len() {
            visit(array, next);
            next += step;
        }
        next -= array.len();
    }
}

fn hash_value(array: &dyn Array, row: usize, hasher: &DefaultHashBuilder) -> u64 {
    fn hash_of<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize, hasher: &DefaultHashBuilder) -> u64
    where
        T::Native: arrow::datatypes::ToByteSlice,
    {
        use arrow::datatypes::ToByteSlice;
        hasher.hash_one(array.value(row).to_byte_slice())
    }
    downcast_primitive_array!(
        array => hash_of(array, row, hasher),
        DataType::Utf8 => hasher.hash_one(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => hasher.hash_one(array.as_string::<i64>().value(row)),
        DataType::Utf8View => hasher.hash_one(array.as_string_view().value(row)),
        DataType::Binary => hasher.hash_one(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hasher.hash_one(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hasher.hash_one(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => hasher.hash_one(array.as_fixed_size_binary().value(row)),
        // What comes as a dictionary repeats its values: all of them count as one.
        _ => 0,
    )
}

/// Whether 64-bit numbers lie so far apart that their differences need about all bits.
fn spread(arrays: &[ArrayRef]) -> bool {
    let mut bits = 0;
    for array in arrays {
        let sample = SAMPLE / arrays.len().max(1);
        let mut widen = |a: i64, b: i64| bits = bits.max(u64::BITS - a.wrapping_sub(b).unsigned_abs().leading_zeros());
        if let Some(numbers) = array.as_primitive_opt::<dt::Int64Type>() {
            numbers.values().windows(2).take(sample).for_each(|pair| widen(pair[0], pair[1]));
        } else if let Some(numbers) = array.as_primitive_opt::<dt::UInt64Type>() {
            numbers
                .values()
                .windows(2)
                .take(sample)
                .for_each(|pair| widen(pair[0].cast_signed(), pair[1].cast_signed()));
        }
    }
    bits > RANDOM_BITS
}
