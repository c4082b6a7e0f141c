//! Any table is read back as it was written, by us and by readers that are not ours.

mod readers;

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, TimeUnit};
use outport_core::format::{
    DecodeSettings, EncodeSettings, Format, FormatOptions, MemoryInput, decode_all, encode_all,
};
use outport_formats::columnar_formats;
use proptest::prelude::*;

/// A table of every shape: numbers, text, times, decimals, bytes, lists, structs, maps, nested into each other.
fn table(rows: &[(Option<i64>, String, Option<f64>)]) -> RecordBatch {
    let count = rows.len();
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.0.is_some()));
    let ints: Int64Array = rows.iter().map(|row| row.0).collect();
    let text: StringArray = rows.iter().map(|row| row.0.map(|_| row.1.clone())).collect();
    let views: StringViewArray = rows.iter().map(|row| Some(row.1.clone())).collect();
    let floats: Float64Array = rows.iter().map(|row| row.2).collect();
    let bits: BooleanArray = rows.iter().map(|row| row.0.map(|i| i % 2 == 0)).collect();
    let bytes: BinaryArray = rows.iter().map(|row| row.2.map(|f| f.to_le_bytes().to_vec())).collect();
    let micros = TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.0)).with_timezone("UTC");
    let nanos = TimestampNanosecondArray::from_iter(rows.iter().map(|row| row.0));
    let days: Date32Array = rows.iter().map(|row| row.0.map(|i| (i % 100_000) as i32)).collect();
    let decimals: Decimal128Array = rows.iter().map(|row| row.0.map(i128::from)).collect();
    let wide: Decimal256Array =
        rows.iter().map(|row| row.0.map(|i| arrow::datatypes::i256::from_i128(i.into()))).collect();
    let codes: DictionaryArray<Int32Type> =
        rows.iter().map(|row| row.0.map(|i| ["a", "b", ""][(i & 1) as usize])).collect();
    let uuids =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows.iter().map(|row| row.0.map(|i| [i as u8; 16])), 16)
            .unwrap();

    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| if row.0.is_some() { row.1.len() % 4 } else { 0 }));
    let items = *offsets.last().unwrap() as usize;
    let item_texts: StringArray = (0..items).map(|i| (i % 3 > 0).then(|| format!("item {i}"))).collect();
    let inner = Fields::from(vec![Field::new("t", DataType::Utf8, true), Field::new("n", DataType::Int32, true)]);
    let item_numbers = Int32Array::from_iter((0..items as i32).map(|i| (i % 2 == 0).then_some(i)));
    let item_structs = StructArray::new(inner.clone(), vec![Arc::new(item_texts), Arc::new(item_numbers)], None);
    let item = Arc::new(Field::new("item", DataType::Struct(inner), true));
    let lists = ListArray::new(item, offsets, Arc::new(item_structs), Some(nulls.clone()));

    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in rows {
        for key in 0..row.1.len() % 3 {
            maps.keys().append_value(format!("k{key}"));
            maps.values().append_option((key > 0).then_some(key as i32));
        }
        maps.append(true).unwrap();
    }
    let outer = Fields::from(vec![
        Field::new("lists", lists.data_type().clone(), true),
        Field::new("i", DataType::Int64, true),
    ]);
    let structs = StructArray::new(outer, vec![Arc::new(lists.clone()), Arc::new(ints.clone())], Some(nulls));

    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("ints", Arc::new(ints)),
        ("text", Arc::new(text)),
        ("views", Arc::new(views)),
        ("floats", Arc::new(floats)),
        ("bits", Arc::new(bits)),
        ("bytes", Arc::new(bytes)),
        ("micros", Arc::new(micros)),
        ("nanos", Arc::new(nanos)),
        ("days", Arc::new(days)),
        ("decimals", Arc::new(decimals.with_precision_and_scale(20, 4).unwrap())),
        ("wide", Arc::new(wide.with_precision_and_scale(60, 4).unwrap())),
        ("uuids", Arc::new(uuids)),
        ("lists", Arc::new(lists)),
        ("maps", Arc::new(maps.finish())),
        ("structs", Arc::new(structs)),
        ("nothing", new_null_array(&DataType::Null, count)),
    ];
    columns.push(("codes", Arc::new(codes)));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// `batch` with the types that `format` has said it will come back with.
fn stored(batch: &RecordBatch, read: &Schema) -> RecordBatch {
    let columns =
        batch.columns().iter().zip(read.fields()).map(|(a, f)| arrow::compute::cast(a, f.data_type()).unwrap());
    RecordBatch::try_new(Arc::new(read.clone()), columns.collect()).unwrap()
}

fn check(format: &dyn Format, batch: &RecordBatch, options: &[(&str, &str)]) {
    let settings =
        EncodeSettings { options: FormatOptions::from_pairs(options.iter().copied()), ..EncodeSettings::default() };
    let bytes = encode_all(format, &batch.schema(), std::slice::from_ref(batch), &settings).unwrap();
    let input = Arc::new(MemoryInput::new("t", bytes));
    let (schema, batches) = decode_all(format, input, &DecodeSettings::default()).unwrap();
    let read = arrow::compute::concat_batches(&schema, &batches).unwrap();
    assert_eq!(read, stored(batch, &schema), "{} {options:?}", format.name());
}

fn rows() -> impl Strategy<Value = Vec<(Option<i64>, String, Option<f64>)>> {
    let ints = prop_oneof![Just(None), (0i64..5).prop_map(Some), any::<i64>().prop_map(Some)];
    prop::collection::vec((ints, ".{0,12}", prop::option::of(any::<f64>())), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_table_is_read_back(rows in rows(), size in 1usize..300) {
        let batch = table(&rows);
        let size = size.to_string();
        for format in columnar_formats() {
            check(&*format, &batch, &[("row_group_size", &size)]);
        }
        let parquet = &*columnar_formats()[0];
        check(parquet, &batch, &[("version", "2.0"), ("dictionary", "true"), ("statistics", "page")]);
        check(parquet, &batch, &[("version", "1.0"), ("dictionary", "false"), ("data_page_size", "100")]);
    }
}

#[test]
fn a_huge_value_is_read_back() {
    let text = "0123456789abcdef".repeat(1 << 20);
    let batch =
        RecordBatch::try_from_iter([("s", Arc::new(StringArray::from(vec!["", &text, "x"])) as ArrayRef)]).unwrap();
    for format in columnar_formats() {
        check(&*format, &batch, &[]);
    }
}

#[test]
fn extension_types_are_kept() {
    let field = |name: &str, data_type, extension: &str| {
        Field::new(name, data_type, true)
            .with_metadata([("ARROW:extension:name".to_owned(), extension.to_owned())].into())
    };
    let schema = Arc::new(Schema::new(vec![
        field("id", DataType::FixedSizeBinary(16), "arrow.uuid"),
        field("doc", DataType::Utf8, "arrow.json"),
    ]));
    let ids = FixedSizeBinaryArray::try_from_iter([[7u8; 16]].into_iter()).unwrap();
    let docs = StringArray::from(vec![r#"{"a":1}"#]);
    let batch = RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(docs)]).unwrap();
    for format in columnar_formats() {
        let bytes =
            encode_all(&*format, &batch.schema(), std::slice::from_ref(&batch), &EncodeSettings::default()).unwrap();
        let (schema, _) =
            decode_all(&*format, Arc::new(MemoryInput::new("t", bytes)), &DecodeSettings::default()).unwrap();
        for (field, name) in schema.fields().iter().zip(["arrow.uuid", "arrow.json"]) {
            assert_eq!(field.extension_type_name(), Some(name), "{}", format.name());
        }
    }
}

#[test]
fn pyarrow_and_duckdb_read_what_is_written() {
    let Some(python) = readers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..5000i64)
        .map(|i| {
            ((i % 7 > 0).then_some(i * 1_000_003), format!("text {}", i % 90), (i % 5 > 0).then_some(i as f64 / 8.0))
        })
        .collect();
    let batch = table(&rows);
    let write = |name: &str, format: &dyn Format, options: &[(&str, &str)]| {
        let settings =
            EncodeSettings { options: FormatOptions::from_pairs(options.iter().copied()), ..EncodeSettings::default() };
        let bytes = encode_all(format, &batch.schema(), std::slice::from_ref(&batch), &settings).unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
    };
    let formats = columnar_formats();
    write("plain.arrow", &*formats[1], &[("batch_size", "700")]);
    write("stream.arrows", &*formats[2], &[("batch_size", "700")]);
    write("default.parquet", &*formats[0], &[("row_group_size", "1500")]);
    write("old.parquet", &*formats[0], &[("version", "1.0")]);
    write("new.parquet", &*formats[0], &[("version", "2.0"), ("statistics", "page"), ("bloom_filter", "*")]);
    write("bigquery.parquet", &*formats[0], &[("profile", "bigquery")]);
    readers::run(&python, "check_columnar.py", &[folder.path().to_str().unwrap()]);
}

#[test]
fn timestamps_in_seconds_become_milliseconds_in_parquet() {
    let batch =
        RecordBatch::try_from_iter([("at", Arc::new(TimestampSecondArray::from(vec![1, -1])) as ArrayRef)]).unwrap();
    let format = &columnar_formats()[0];
    let bytes = encode_all(&**format, &batch.schema(), &[batch], &EncodeSettings::default()).unwrap();
    let (schema, _) =
        decode_all(&**format, Arc::new(MemoryInput::new("t", bytes)), &DecodeSettings::default()).unwrap();
    assert_eq!(*schema.field(0).data_type(), DataType::Timestamp(TimeUnit::Millisecond, None));
}
