use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema};
use outport_core::format::FormatOptions;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::ZstdLevel;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::writer::SerializedFileWriter;
use proptest::prelude::*;

use super::*;

fn options(pairs: &[(&str, &str)]) -> Options {
    Options::parse(&FormatOptions::from_pairs(pairs.iter().copied())).unwrap()
}

/// One row group of one column as a file, written here or by the stock writer.
fn file(arrays: &[ArrayRef], choice: Choice, options: &Options, codec: PageCodec, ours: bool) -> Vec<u8> {
    let nullable = arrays.iter().any(|array| array.null_count() > 0);
    let schema = Arc::new(Schema::new(vec![Field::new("c", arrays[0].data_type().clone(), nullable)]));
    let parquet = ArrowSchemaConverter::new().convert(&schema).unwrap();
    let builder = WriterProperties::builder()
        .set_writer_version(options.version)
        .set_compression(codec)
        .set_data_page_size_limit(options.page_bytes)
        .set_data_page_row_count_limit(options.page_rows)
        .set_statistics_truncate_length(Some(8))
        .set_column_index_truncate_length(Some(8));
    let properties = Arc::new(
        match choice {
            Choice::Dictionary => builder.set_dictionary_enabled(true),
            Choice::Direct(encoding) => builder.set_dictionary_enabled(false).set_encoding(encoding),
        }
        .build(),
    );
    let mut writer = SerializedFileWriter::new(Vec::new(), parquet.root_schema_ptr(), properties.clone()).unwrap();
    if ours {
        assert!(writes(&parquet.column(0), arrays[0].data_type(), &properties));
        let chunk = encode(&parquet.column(0), arrays, choice, &properties, options).unwrap();
        let mut group = writer.next_row_group().unwrap();
        group.append_column(&chunk.bytes, chunk.close).unwrap();
        group.close().unwrap();
    } else {
        let factory = ArrowRowGroupWriterFactory::new(&writer, schema.clone());
        let mut columns = factory.create_column_writers(0).unwrap();
        for array in arrays {
            for leaf in compute_leaves(&schema.fields()[0], array).unwrap() {
                columns[0].write(&leaf).unwrap();
            }
        }
        let chunk = columns.remove(0).close().unwrap();
        let mut group = writer.next_row_group().unwrap();
        chunk.append_to_row_group(&mut group).unwrap();
        group.close().unwrap();
    }
    writer.finish().unwrap();
    writer.inner().clone()
}

fn metadata(file: &[u8]) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&Bytes::copy_from_slice(file))
        .unwrap()
}

fn read(file: &[u8], data_type: &DataType) -> ArrayRef {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(file)).unwrap();
    let batches: Vec<RecordBatch> = reader.with_batch_size(1000).build().unwrap().map(|b| b.unwrap()).collect();
    let columns: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(0).as_ref()).collect();
    arrow::compute::cast(&arrow::compute::concat(&columns).unwrap(), data_type).unwrap()
}

/// What is read back is what was written, and the footer says of it what the stock writer says.
fn check(arrays: &[ArrayRef], choice: Choice, pairs: &[(&str, &str)], codec: PageCodec) {
    let options = options(pairs);
    let ours = file(arrays, choice, &options, codec, true);
    let data_type = arrays[0].data_type();
    let whole = arrow::compute::concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap();
    assert_eq!(&read(&ours, data_type), &whole);

    let stock = file(arrays, choice, &options, codec, false);
    let (ours, stock) = (metadata(&ours), metadata(&stock));
    let (column, expected) = (ours.row_group(0).column(0), stock.row_group(0).column(0));
    assert_eq!(column.statistics(), expected.statistics());
    assert_eq!(column.num_values(), expected.num_values());
    assert_eq!(column.unencoded_byte_array_data_bytes(), expected.unencoded_byte_array_data_bytes());
    assert_eq!(column.definition_level_histogram(), expected.definition_level_histogram());
}

fn texts(rows: usize, text: impl Fn(usize) -> Option<String>) -> ArrayRef {
    Arc::new((0..rows).map(text).collect::<StringArray>())
}

const ZSTD: fn() -> PageCodec = || PageCodec::ZSTD(ZstdLevel::try_new(1).unwrap());

#[test]
fn the_footer_is_that_of_the_stock_writer() {
    let sorted = texts(50_000, |i| Some(format!("key {i:08}")));
    let repeated = texts(50_000, |i| (i % 7 != 0).then(|| format!("state {}", i % 300)));
    for (arrays, choice) in [
        ([sorted.slice(0, 20_480), sorted.slice(20_480, 29_520)], Choice::Direct(Encoding::DELTA_LENGTH_BYTE_ARRAY)),
        ([sorted.slice(10, 2_048), sorted.slice(2_058, 47_000)], Choice::Direct(Encoding::PLAIN)),
        ([repeated.slice(0, 40_960), repeated.slice(40_960, 9_040)], Choice::Dictionary),
        ([repeated.slice(3, 2_048), repeated.slice(2_051, 40_000)], Choice::Direct(Encoding::DELTA_LENGTH_BYTE_ARRAY)),
    ] {
        for version in ["1.0", "2.0"] {
            // The stock writer looks at the limit every 1024 rows only, so a multiple of that is where both end a page.
            let pairs = [("version", version), ("data_page_rows", "2048")];
            check(&arrays, choice, &pairs, ZSTD());
            let options = options(&pairs);
            let (ours, stock) =
                (file(&arrays, choice, &options, ZSTD(), true), file(&arrays, choice, &options, ZSTD(), false));
            let (ours, stock) = (metadata(&ours), metadata(&stock));
            assert_eq!(ours.column_index(), stock.column_index());
            let rows = |metadata: &ParquetMetaData| -> Vec<i64> {
                let index = &metadata.offset_index().unwrap()[0][0];
                index.page_locations().iter().map(|page| page.first_row_index).collect()
            };
            assert_eq!(rows(&ours), rows(&stock));
        }
    }
}

#[test]
fn every_codec_and_type_is_read_back() {
    let text = texts(3_000, |i| (i % 5 != 0).then(|| "é".repeat(i % 40) + &i.to_string()));
    for data_type in [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
    ] {
        let array = arrow::compute::cast(&text, &data_type).unwrap();
        for codec in [PageCodec::UNCOMPRESSED, PageCodec::SNAPPY, PageCodec::LZ4_RAW, ZSTD()] {
            for choice in [Choice::Dictionary, Choice::Direct(Encoding::DELTA_LENGTH_BYTE_ARRAY)] {
                check(&[array.slice(7, 2_000), array.slice(2_007, 900)], choice, &[], codec);
            }
        }
    }
}

#[test]
fn a_dictionary_that_grows_too_large_ends_where_it_is() {
    let options = options(&[("dictionary_page_size", "5000")]);
    let array = texts(20_000, |i| Some(format!("value {}", if i < 9_000 { i % 50 } else { i })));
    let ours = file(std::slice::from_ref(&array), Choice::Dictionary, &options, ZSTD(), true);
    assert_eq!(&read(&ours, &DataType::Utf8), &array);
    let encodings: Vec<Encoding> = metadata(&ours).row_group(0).column(0).encodings().collect();
    assert!(encodings.contains(&Encoding::RLE_DICTIONARY) && encodings.contains(&Encoding::DELTA_LENGTH_BYTE_ARRAY));
    // Not even the first value has room.
    let long = texts(10, |i| Some("x".repeat(6_000 + i)));
    let ours = file(std::slice::from_ref(&long), Choice::Dictionary, &options, ZSTD(), true);
    assert_eq!(&read(&ours, &DataType::Utf8), &long);
}

#[test]
fn pages_end_at_the_size_asked_for() {
    let array = texts(10_000, |i| Some(format!("{i:0100}")));
    let options = options(&[("data_page_size", "20000"), ("data_page_rows", "700")]);
    for choice in [Choice::Dictionary, Choice::Direct(Encoding::PLAIN)] {
        let ours = file(std::slice::from_ref(&array), choice, &options, PageCodec::UNCOMPRESSED, true);
        assert_eq!(&read(&ours, &DataType::Utf8), &array);
        let metadata = metadata(&ours);
        let rows: Vec<i64> = metadata.offset_index().unwrap()[0][0]
            .page_locations()
            .windows(2)
            .map(|pair| pair[1].first_row_index - pair[0].first_row_index)
            .collect();
        assert!(rows.iter().all(|rows| *rows <= 700), "{rows:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_text_is_read_back(
        values in prop::collection::vec(prop::option::weighted(0.8, "[a-c]{0,12}|\\PC{0,30}"), 1..400),
        dictionary: bool,
        cut in 0usize..400,
    ) {
        let array: ArrayRef = Arc::new(StringArray::from(values));
        let cut = cut.min(array.len());
        let arrays = [array.slice(0, cut), array.slice(cut, array.len() - cut)];
        let choice = if dictionary { Choice::Dictionary } else { Choice::Direct(Encoding::DELTA_LENGTH_BYTE_ARRAY) };
        check(&arrays, choice, &[("data_page_rows", "64")], PageCodec::UNCOMPRESSED);
    }
}
