use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use outport_core::ErrorKind;
use outport_core::format::{
    DecodeSettings, EncodeSettings, Format, FormatOptions, MemoryInput, decode_all, encode_all,
};
use outport_core::layout::{Codec, Compression};

use super::ArrowIpc;

const BOTH: [fn() -> ArrowIpc; 2] = [ArrowIpc::file, ArrowIpc::stream];

fn encode(format: &ArrowIpc, schema: &SchemaRef, batches: &[RecordBatch], codec: Codec) -> Vec<u8> {
    let settings = EncodeSettings { compression: Compression::new(codec), ..EncodeSettings::default() };
    encode_all(format, schema, batches, &settings).unwrap()
}

fn decode(bytes: Vec<u8>) -> outport_core::Result<(SchemaRef, Vec<RecordBatch>)> {
    decode_all(&ArrowIpc::file(), Arc::new(MemoryInput::new("t.arrow", bytes)), &DecodeSettings::default())
}

fn numbers(rows: i32) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int32Array::from_iter_values(0..rows)) as ArrayRef),
        ("s", Arc::new((0..rows).map(|i| (i % 5 > 0).then(|| format!("row {i}"))).collect::<StringViewArray>())),
    ])
    .unwrap()
}

#[test]
fn files_and_streams_are_read_back_with_every_codec() {
    let batch = numbers(70_000);
    for format in BOTH {
        for codec in [Codec::Default, Codec::None, Codec::Lz4, Codec::Zstd, Codec::Zip] {
            let (schema, batches) =
                decode(encode(&format(), &batch.schema(), &[batch.clone(), batch.slice(5, 9)], codec)).unwrap();
            assert_eq!(batches.len(), 3, "65536 rows a batch");
            let expected = arrow::compute::concat_batches(&schema, &[batch.clone(), batch.slice(5, 9)]).unwrap();
            assert_eq!(arrow::compute::concat_batches(&schema, &batches).unwrap(), expected);
        }
    }
}

#[test]
fn no_rows_and_no_columns_are_read_back() {
    for format in BOTH {
        let schema = numbers(0).schema();
        assert_eq!(decode(encode(&format(), &schema, &[], Codec::Default)).unwrap(), (schema, vec![]));
        let none = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            vec![],
            &RecordBatchOptions::new().with_row_count(Some(3)),
        )
        .unwrap();
        let (_, batches) =
            decode(encode(&format(), &none.schema(), std::slice::from_ref(&none), Codec::Default)).unwrap();
        assert_eq!(batches, [none]);
    }
}

#[test]
fn dictionaries_change_in_a_stream_and_are_dissolved_in_a_file() {
    let dictionary = |values: &[&str]| {
        let array: DictionaryArray<Int32Type> = values.iter().copied().collect();
        RecordBatch::try_from_iter([("d", Arc::new(array) as ArrayRef)]).unwrap()
    };
    let batches = [dictionary(&["a", "b", "a"]), dictionary(&["c", "a"])];
    let schema = batches[0].schema();
    for format in BOTH {
        let (_, read) = decode(encode(&format(), &schema, &batches, Codec::Default)).unwrap();
        let text: String = read
            .iter()
            .flat_map(|batch| {
                let text = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
                text.as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(text, "abaca");
    }
}

#[test]
fn columns_are_read_by_name_and_pieces_in_any_order() {
    let batch = numbers(10);
    let settings =
        EncodeSettings { options: FormatOptions::from_pairs([("batch_size", "4")]), ..EncodeSettings::default() };
    let bytes = encode_all(&ArrowIpc::file(), &batch.schema(), std::slice::from_ref(&batch), &settings).unwrap();
    let only = DecodeSettings { columns: Some(vec!["s".to_owned()]), ..DecodeSettings::default() };
    let mut decoder = ArrowIpc::file().decoder(Arc::new(MemoryInput::new("t.arrow", bytes)), &only).unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = decoder.next_piece().unwrap() {
        pieces.push(piece);
    }
    let mut rows = Vec::new();
    for piece in pieces.into_iter().rev() {
        piece
            .decode(&mut |batch| {
                assert_eq!(batch.num_columns(), 1);
                rows.push(batch.num_rows());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
    }
    assert_eq!(rows, [2, 4, 4]);
}

#[test]
fn what_ends_early_or_is_damaged_is_an_error_and_never_a_panic() {
    let batch = numbers(5_000);
    for format in BOTH {
        let bytes = encode(&format(), &batch.schema(), std::slice::from_ref(&batch), Codec::Zstd);
        for cut in [3, 9, 40, bytes.len() / 2, bytes.len() - 1] {
            let error = decode(bytes[..cut].to_vec()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains("t.arrow"), "{error}");
        }
        // Lengths before compression are checked in files alone: in a stream the library allocates what is claimed.
        let plain = format().layout == super::Layout::Stream;
        let bytes =
            if plain { encode(&format(), &batch.schema(), std::slice::from_ref(&batch), Codec::None) } else { bytes };
        for at in (0..bytes.len()).step_by(13) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x5a;
            let _ = decode(bytes);
        }
    }
    assert!(decode(b"id,name\n1,a\n".to_vec()).unwrap_err().message().starts_with("t.arrow is neither an arrow file"));
}

#[test]
fn levels_and_foreign_codecs_are_refused() {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
    let error = |codec, level| {
        let settings = EncodeSettings { compression: Compression { codec, level }, ..EncodeSettings::default() };
        ArrowIpc::file().encoder(&schema, &settings).err().unwrap()
    };
    assert!(
        error(Codec::Zstd, Some(3)).message().starts_with("compression_level not supported for compression type zstd")
    );
    assert_eq!(error(Codec::Gzip, None).message(), "arrow has no compression gzip");
}
