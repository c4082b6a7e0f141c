//! Batches to test with: every Arrow type that Outport meets, with NULLs and the values that break things.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    DurationMicrosecondArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeListArray, LargeStringArray, ListArray,
    MapArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, Schema, i256};

use crate::Result;

/// The text of the four rows of [`types`]: awkward, NULL, empty, and everything that CSV and JSON have a meaning for.
const TEXTS: [Option<&str>; 4] = [
    Some("plain, \"quoted\"; 'single'\nnew line\r\n\ttab | pipe \\ back"),
    None,
    Some(""),
    Some("Grüße, 表, 🦀, e\u{301}, NULL"),
];

/// One batch of four rows for each type, named after it; the column is `value` and its second row is NULL.
///
/// # Errors
/// None in practice; arrays that Arrow refuses to build.
pub fn types() -> Result<Vec<(&'static str, RecordBatch)>> {
    let mut all = Vec::new();
    for (name, array) in scalars()?.into_iter().chain(times()?).chain(nested()?) {
        all.push((name, batch(Field::new("value", array.data_type().clone(), true), array)?));
    }
    let ids: [Option<&[u8]>; 4] = [Some(&[0; 16]), None, Some(&[255; 16]), Some(b"0123456789abcdef")];
    let uuid = FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids.into_iter(), 16)?;
    let field = Field::new("value", DataType::FixedSizeBinary(16), true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into());
    all.push(("uuid", batch(field, Arc::new(uuid))?));
    Ok(all)
}

fn batch(field: Field, array: ArrayRef) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array])?)
}

fn scalars() -> Result<Vec<(&'static str, ArrayRef)>> {
    let most = 10i128.pow(38) - 1;
    let words: DictionaryArray<Int32Type> = TEXTS.into_iter().collect();
    let bytes: [Option<&[u8]>; 4] = [Some(b"\x00\xff\n\","), None, Some(b""), Some(b"text")];
    Ok(vec![
        ("null", Arc::new(NullArray::new(4))),
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(0), Some(i8::MAX)]))),
        ("int16", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(0), Some(i16::MAX)]))),
        ("int32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(0), Some(i32::MAX)]))),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0), Some(i64::MAX)]))),
        ("uint8", Arc::new(UInt8Array::from(vec![Some(0), None, Some(1), Some(u8::MAX)]))),
        ("uint16", Arc::new(UInt16Array::from(vec![Some(0), None, Some(1), Some(u16::MAX)]))),
        ("uint32", Arc::new(UInt32Array::from(vec![Some(0), None, Some(1), Some(u32::MAX)]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(0), None, Some(1), Some(u64::MAX)]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::MIN_POSITIVE), Some(16_777_217.5)]))),
        ("float64", Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), None, Some(-1.797e308), Some(5e-324)]))),
        (
            "decimal128",
            Arc::new(
                Decimal128Array::from(vec![Some(most), None, Some(-1), Some(-most)])
                    .with_precision_and_scale(38, 10)?,
            ),
        ),
        (
            "decimal_small",
            Arc::new(Decimal128Array::from(vec![Some(1050), None, Some(0), Some(-5)]).with_precision_and_scale(9, 2)?),
        ),
        (
            "decimal256",
            Arc::new(
                Decimal256Array::from(vec![
                    Some(i256::from_i128(most) * i256::from_i128(1000)),
                    None,
                    Some(i256::ZERO),
                    Some(i256::MINUS_ONE),
                ])
                .with_precision_and_scale(76, 20)?,
            ),
        ),
        ("utf8", Arc::new(StringArray::from(TEXTS.to_vec()))),
        ("large_utf8", Arc::new(LargeStringArray::from(TEXTS.to_vec()))),
        ("utf8_view", Arc::new(StringViewArray::from(TEXTS.to_vec()))),
        ("dictionary", Arc::new(words)),
        ("binary", Arc::new(BinaryArray::from(bytes.to_vec()))),
        (
            "interval",
            Arc::new(IntervalMonthDayNanoArray::from(vec![
                Some(IntervalMonthDayNano::new(14, -3, 4_500_000_000)),
                None,
                Some(IntervalMonthDayNano::new(0, 0, 0)),
                Some(IntervalMonthDayNano::new(-1, 400, -1)),
            ])),
        ),
        ("duration", Arc::new(DurationMicrosecondArray::from(vec![Some(1_500_000), None, Some(0), Some(-1)]))),
    ])
}

fn times() -> Result<Vec<(&'static str, ArrayRef)>> {
    // 1970, a leap day with a fraction, and the years 1 and 9999.
    const SECONDS: [Option<i64>; 4] = [Some(1_709_210_096), None, Some(-62_135_596_800), Some(253_402_300_799)];
    let scaled = |per: i64, more: i64| SECONDS.map(|at| at.map(|at| at * per + more)).to_vec();
    let micros = || TimestampMicrosecondArray::from(scaled(1_000_000, 123_456));
    Ok(vec![
        ("date32", Arc::new(Date32Array::from(vec![Some(0), None, Some(-719_162), Some(2_932_896)]))),
        (
            "time64",
            Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(86_399_999_999), Some(45_296_000_000)])),
        ),
        ("timestamp_s", Arc::new(TimestampSecondArray::from(scaled(1, 0)))),
        ("timestamp_ms", Arc::new(TimestampMillisecondArray::from(scaled(1_000, 500)))),
        ("timestamp_us", Arc::new(micros())),
        ("timestamp_ns", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(i64::MAX), Some(-1)]))),
        ("timestamptz_utc", Arc::new(micros().with_timezone("UTC"))),
        ("timestamptz_offset", Arc::new(micros().with_timezone("+05:30"))),
        (
            "timestamptz_named",
            Arc::new(
                TimestampMicrosecondArray::from(vec![
                    Some(1_709_210_096_000_000),
                    None,
                    Some(0),
                    Some(1_751_328_000_000_001),
                ])
                .with_timezone("Australia/Sydney"),
            ),
        ),
    ])
}

fn nested() -> Result<Vec<(&'static str, ArrayRef)>> {
    let valid = || Some(NullBuffer::from(vec![true, false, true, true]));
    let item = |data_type: DataType| Arc::new(Field::new_list_field(data_type, true));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let lengths = [2, 0, 0, 1];
    let list =
        ListArray::try_new(item(DataType::Int64), OffsetBuffer::from_lengths(lengths), numbers.clone(), valid())?;
    let large = LargeListArray::try_new(item(DataType::Int64), OffsetBuffer::from_lengths(lengths), numbers, valid())?;
    let pairs: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.5, 0.0, 0.0, 3.5, 4.5, 5.5, 6.5]));
    let fixed = FixedSizeListArray::try_new(item(DataType::Float64), 2, pairs, valid())?;
    let members = vec![Field::new("id", DataType::Int64, true), Field::new("odd \"name\", \\ ü", DataType::Utf8, true)];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), None, None, Some(4)])),
        Arc::new(StringArray::from(TEXTS.to_vec())),
    ];
    let record = StructArray::try_new(members.into(), columns, valid())?;
    let three = record.slice(0, 3);
    let records = ListArray::try_new(
        item(three.data_type().clone()),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(three),
        valid(),
    )?;
    let entries = StructArray::try_new(
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)].into(),
        vec![
            Arc::new(StringArray::from(vec!["a", "b \"", "c"])) as ArrayRef,
            Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
        ],
        None,
    )?;
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let map = MapArray::try_new(field, OffsetBuffer::from_lengths(lengths), entries, valid(), false)?;
    Ok(vec![
        ("list", Arc::new(list)),
        ("large_list", Arc::new(large)),
        ("fixed_size_list", Arc::new(fixed)),
        ("struct", Arc::new(record)),
        ("list_of_structs", Arc::new(records)),
        ("map", Arc::new(map)),
    ])
}

/// `n` rows of mixed columns, always the same: number, text, NULLs, double, decimal, truth value, date, timestamp.
///
/// # Errors
/// None in practice; arrays that Arrow refuses to build.
pub fn rows(n: usize) -> Result<RecordBatch> {
    // A step of SplitMix64: even bits from a counter.
    let bits = |row: usize, salt: u64| {
        let mut z = (row as u64).wrapping_add(salt << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^ (z >> 27)
    };
    let all = 0..n;
    let text = |row: usize| match bits(row, 2) % 8 {
        0 => None,
        1 => Some(String::new()),
        2 => Some(format!("a \"{row}\", with\nlines")),
        _ => Some(format!("name {:x} ü", bits(row, 3))),
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(all.clone().map(|row| row as i64)))),
        ("name", Arc::new(all.clone().map(text).collect::<StringArray>())),
        (
            "spots",
            Arc::new(
                all.clone().map(|row| (bits(row, 4) % 3 != 0).then_some(bits(row, 5) as i64)).collect::<Int64Array>(),
            ),
        ),
        ("score", Arc::new(Float64Array::from_iter_values(all.clone().map(|row| bits(row, 6) as f64 / 1e19)))),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values(all.clone().map(|row| i128::from(bits(row, 7) % 1_000_000_000)))
                    .with_precision_and_scale(12, 2)?,
            ),
        ),
        ("live", Arc::new(all.clone().map(|row| Some(bits(row, 8) % 2 == 0)).collect::<BooleanArray>())),
        ("day", Arc::new(Date32Array::from_iter_values(all.clone().map(|row| (bits(row, 9) % 40_000) as i32)))),
        (
            "updated",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                all.map(|row| (bits(row, 10) % 2_000_000_000_000_000) as i64),
            )),
        ),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), array.null_count() > 0 || n == 0))
        .collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect())?)
}

/// A thousand plain rows.
///
/// # Errors
/// As [`rows`].
pub fn flat() -> Result<RecordBatch> {
    rows(1000)
}
