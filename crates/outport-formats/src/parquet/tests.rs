use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, IntervalUnit, Schema, TimeUnit};
use outport_core::ErrorKind;
use outport_core::format::{
    DecodeSettings, EncodeSettings, Fidelity, Format, FormatOptions, MemoryInput, decode_all, encode_all,
};
use outport_core::layout::{Codec, Compression};
use parquet::basic::Encoding;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::Parquet;

fn settings(options: &[(&str, &str)]) -> EncodeSettings {
    EncodeSettings { options: FormatOptions::from_pairs(options.iter().copied()), ..EncodeSettings::default() }
}

fn encode(batch: &RecordBatch, settings: &EncodeSettings) -> Vec<u8> {
    encode_all(&Parquet, &batch.schema(), std::slice::from_ref(batch), settings).unwrap()
}

fn decode(bytes: Vec<u8>, settings: &DecodeSettings) -> RecordBatch {
    let (schema, batches) = decode_all(&Parquet, Arc::new(MemoryInput::new("t.parquet", bytes)), settings).unwrap();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn metadata(bytes: &[u8]) -> ParquetMetaData {
    ParquetMetaDataReader::new().parse_and_finish(&bytes::Bytes::copy_from_slice(bytes)).unwrap()
}

fn column(name: &str, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap()
}

fn encodings_of(bytes: &[u8], column: usize) -> Vec<Encoding> {
    metadata(bytes).row_group(0).column(column).encodings().collect()
}

#[test]
fn repeated_values_get_a_dictionary_and_unique_ones_do_not() {
    let rows = 20_000;
    let states: StringArray = (0..rows).map(|i| Some(["live", "gone", "new"][i % 3])).collect();
    let keys: StringArray = (0..rows).map(|i| Some(format!("key {i}"))).collect();
    let numbers: Int64Array = (0..rows as i64).map(|i| i * 7919 % 1_000_003).collect();
    let hashes: Int64Array = (0..rows as i64).map(|i| i.wrapping_mul(-7_046_029_254_386_353_131)).collect();
    let batch = RecordBatch::try_from_iter([
        ("states", Arc::new(states) as ArrayRef),
        ("keys", Arc::new(keys)),
        ("numbers", Arc::new(numbers)),
        ("hashes", Arc::new(hashes)),
    ])
    .unwrap();
    let bytes = encode(&batch, &settings(&[]));
    assert!(encodings_of(&bytes, 0).contains(&Encoding::RLE_DICTIONARY));
    assert_eq!(encodings_of(&bytes, 1), [Encoding::RLE, Encoding::DELTA_LENGTH_BYTE_ARRAY]);
    assert_eq!(encodings_of(&bytes, 2), [Encoding::RLE, Encoding::DELTA_BINARY_PACKED]);
    assert_eq!(encodings_of(&bytes, 3), [Encoding::PLAIN, Encoding::RLE]);
    assert_eq!(decode(bytes, &DecodeSettings::default()), batch);

    let old = encode(&batch, &settings(&[("version", "1.0")]));
    assert_eq!(encodings_of(&old, 1), [Encoding::PLAIN, Encoding::RLE]);
    let none = encode(&batch, &settings(&[("use_dictionary", "false"), ("parquet.enable.dictionary", "true")]));
    assert!(!encodings_of(&none, 0).contains(&Encoding::RLE_DICTIONARY));
}

#[test]
fn row_groups_have_the_size_asked_for() {
    let batch = column("n", Arc::new(Int32Array::from_iter_values(0..1000)));
    let bytes = encode(&batch, &settings(&[("ROW_GROUP_SIZE", "300")]));
    let groups: Vec<i64> = metadata(&bytes).row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [300, 300, 300, 100]);
    assert_eq!(decode(bytes, &DecodeSettings::default()), batch);
}

#[test]
fn a_large_row_group_is_read_in_pieces() {
    let rows = 1_500_000;
    let batch = column("n", Arc::new(Int32Array::from_iter_values(0..rows)));
    let bytes = encode(&batch, &settings(&[("row_group_size", "2000000")]));
    let mut decoder =
        Parquet.decoder(Arc::new(MemoryInput::new("t.parquet", bytes.clone())), &DecodeSettings::default()).unwrap();
    let mut pieces = 0;
    while decoder.next_piece().unwrap().is_some() {
        pieces += 1;
    }
    assert_eq!(pieces, 6);
    assert_eq!(decode(bytes, &DecodeSettings::default()), batch);
}

#[test]
fn every_codec_and_level_is_read_back() {
    let batch = column("s", Arc::new((0..5000).map(|i| Some(format!("row {i}"))).collect::<StringArray>()));
    for codec in
        [Codec::Default, Codec::None, Codec::Zip, Codec::Gzip, Codec::Zstd, Codec::Snappy, Codec::Lz4, Codec::Brotli]
    {
        for level in codec.levels().map_or(vec![None], |levels| vec![None, Some(*levels.start()), Some(*levels.end())])
        {
            let settings = EncodeSettings { compression: Compression { codec, level }, ..EncodeSettings::default() };
            assert_eq!(decode(encode(&batch, &settings), &DecodeSettings::default()), batch, "{codec:?} {level:?}");
        }
    }
    let wrong = EncodeSettings {
        compression: Compression { codec: Codec::Snappy, level: Some(3) },
        ..EncodeSettings::default()
    };
    let error = Parquet.encoder(&batch.schema(), &wrong).err().unwrap();
    assert_eq!(error.message(), "compression_level not supported for compression type snappy");
}

#[test]
fn columns_are_read_by_name_in_the_order_asked_for() {
    let batch = RecordBatch::try_from_iter([
        ("a", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ("b", Arc::new(StringArray::from(vec!["x", "y"]))),
        ("c", Arc::new(Float64Array::from(vec![0.5, 1.5]))),
    ])
    .unwrap();
    let bytes = encode(&batch, &settings(&[]));
    let columns = |names: &[&str]| DecodeSettings {
        columns: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        ..DecodeSettings::default()
    };
    assert_eq!(decode(bytes.clone(), &columns(&["c", "a"])), batch.project(&[2, 0]).unwrap());
    assert_eq!(decode(bytes.clone(), &columns(&[])).num_rows(), 2);
    let error = Parquet.decoder(Arc::new(MemoryInput::new("t.parquet", bytes)), &columns(&["bb"])).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "t.parquet has no column \"bb\"");
}

#[test]
fn what_parquet_cannot_hold_is_refused_with_a_way_out() {
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    assert!(
        matches!(Parquet.fidelity(&Field::new("i", interval.clone(), true), &FormatOptions::default()), Fidelity::Refused(why) if why.contains("text"))
    );
    let schema = Arc::new(Schema::new(vec![
        Field::new("ok", DataType::Int32, true),
        Field::new("bad", interval, true),
        Field::new("empty", DataType::Struct(Default::default()), true),
    ]));
    let error = Parquet.encoder(&schema, &EncodeSettings::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.others().len(), 2);
    assert!(error.others()[0].to_string().starts_with("column \"bad\" of type Interval(MonthDayNano)"));
    let error = Parquet.encoder(&Arc::new(Schema::empty()), &EncodeSettings::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn profiles_store_what_their_readers_want() {
    let spark = FormatOptions::from_pairs([("profile", "spark")]);
    let stored = |data_type| Parquet.fidelity(&Field::new("c", data_type, true), &spark);
    assert_eq!(
        stored(DataType::Timestamp(TimeUnit::Nanosecond, None)),
        Fidelity::Lossy("it is stored as Timestamp(µs)".to_owned())
    );
    assert_eq!(stored(DataType::UInt64), Fidelity::Lossy("it is stored as Decimal128(20, 0)".to_owned()));
    let batch = RecordBatch::try_from_iter([
        ("at", Arc::new(TimestampNanosecondArray::from(vec![1_234_567_000])) as ArrayRef),
        ("big", Arc::new(UInt64Array::from(vec![u64::MAX]))),
    ])
    .unwrap();
    let read = decode(encode(&batch, &settings(&[("profile", "spark")])), &DecodeSettings::default());
    assert_eq!(read.column(0).as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(0), 1_234_567);
    assert_eq!(
        read.column(1).as_primitive::<arrow::datatypes::Decimal128Type>().value_as_string(0),
        u64::MAX.to_string()
    );
}

#[test]
fn wrong_options_are_named_with_what_is_right() {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
    let error = |options: &[(&str, &str)]| Parquet.encoder(&schema, &settings(options)).err().unwrap();
    assert_eq!(error(&[("row_group_sise", "1")]).hint_text(), Some("did you mean \"row_group_size\"?"));
    assert_eq!(
        error(&[("profile", "hive")]).message(),
        "option profile of parquet: expected one of default, spark, bigquery, fabric, found \"hive\""
    );
    assert_eq!(error(&[("row_group_size", "0")]).kind(), ErrorKind::Config);
    assert!(error(&[("bloom_filter_columns", "b")]).message().contains("names the column \"b\""));
    assert!(error(&[("sorting_columns", "a sideways")]).message().contains("a sideways"));
}

#[test]
fn metadata_sorting_and_bloom_filters_are_written() {
    let batch = column("a", Arc::new(Int32Array::from_iter_values(0..100)));
    let mut settings =
        settings(&[("bloom_filter_columns", "a"), ("sorting_columns", "a desc nulls first"), ("statistics", "page")]);
    settings.metadata.push(("owner".to_owned(), "sales".to_owned()));
    let metadata = metadata(&encode(&batch, &settings));
    let keys = metadata.file_metadata().key_value_metadata().unwrap();
    assert!(keys.iter().any(|kv| kv.key == "owner" && kv.value.as_deref() == Some("sales")));
    let group = metadata.row_group(0);
    assert!(group.column(0).bloom_filter_offset().is_some());
    assert!(group.column(0).column_index_offset().is_some());
    let sorted = &group.sorting_columns().unwrap()[0];
    assert!(sorted.descending && sorted.nulls_first && sorted.column_idx == 0);
}

#[test]
fn no_rows_and_all_nulls_are_read_back() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Null, true),
        Field::new("s", DataType::Utf8View, true),
        Field::new("d", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), true),
        Field::new("l", DataType::new_list(DataType::Int32, true), true),
    ]));
    let empty = RecordBatch::new_empty(schema.clone());
    assert_eq!(decode(encode(&empty, &settings(&[])), &DecodeSettings::default()), empty);
    let nulls = schema.fields().iter().map(|field| new_null_array(field.data_type(), 7)).collect();
    let nulls = RecordBatch::try_new(schema, nulls).unwrap();
    assert_eq!(decode(encode(&nulls, &settings(&[])), &DecodeSettings::default()), nulls);
}

#[test]
fn dictionaries_that_differ_from_batch_to_batch_are_read_back() {
    let one: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let two: DictionaryArray<Int32Type> = ["c", "a", "c"].into_iter().collect();
    let (one, two) = (column("d", Arc::new(one)), column("d", Arc::new(two)));
    let mut encoder = Parquet.encoder(&one.schema(), &settings(&[])).unwrap();
    let mut out = Vec::new();
    encoder.start(&mut out).unwrap();
    let chunk = encoder.chunk_encoder().encode(&[one, two]).unwrap();
    encoder.append(chunk, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    let read = decode(out, &DecodeSettings::default());
    let text = arrow::compute::cast(read.column(0), &DataType::Utf8).unwrap();
    assert_eq!(text.as_string::<i32>().iter().flatten().collect::<String>(), "abacac");
}

#[test]
fn a_file_that_ends_early_is_told_from_what_is_no_parquet_at_all() {
    let batch = column("a", Arc::new(Int32Array::from_iter_values(0..10_000)));
    let bytes = encode(&batch, &settings(&[]));
    let message = |bytes: &[u8]| {
        let input = Arc::new(MemoryInput::new("t.parquet", bytes.to_vec()));
        let error = decode_all(&Parquet, input, &DecodeSettings::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        error.to_string()
    };
    assert_eq!(
        message(&bytes[..bytes.len() - 1]),
        "t.parquet is a parquet file that ends early: its footer is missing"
    );
    assert_eq!(message(&bytes[..5]), "t.parquet is not a parquet file: expected at least 12 bytes, found 5");
    assert_eq!(message(&[b'x'; 40]), "t.parquet is not a parquet file: expected it to start and end with PAR1");
    // The ends are right, and what is between them is not.
    for damage in (4..bytes.len() - 4).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[damage] ^= 0x5a;
        // Most damage is found out; some changes a value or a statistic, as pages carry no checksum. None may panic.
        let _ = decode_all(&Parquet, Arc::new(MemoryInput::new("t.parquet", bytes)), &DecodeSettings::default());
    }
}
