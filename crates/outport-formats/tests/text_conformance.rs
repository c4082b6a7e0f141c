//! The conformance suite over the text formats, and round trips of generated rows.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use outport_core::format::{
    DecodeSettings, EncodeSettings, Format, FormatOptions, MemoryInput, decode_all, encode_all,
};
use outport_core::testkit::format::conformance;
use outport_formats::csv::Csv;
use outport_formats::json::Json;
use proptest::prelude::*;

#[test]
fn csv_conforms() -> outport_core::Result<()> {
    conformance(&Csv::CSV)
}

#[test]
fn tsv_conforms() -> outport_core::Result<()> {
    conformance(&Csv::TSV)
}

#[test]
fn json_conforms() -> outport_core::Result<()> {
    conformance(&Json::JSON)
}

#[test]
fn ndjson_conforms() -> outport_core::Result<()> {
    conformance(&Json::NDJSON)
}

fn round_trip(format: &dyn Format, options: &[(&str, &str)], rows: &[(Option<i64>, Option<String>, Option<String>)]) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Utf8, true),
    ]));
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>()),
        ],
    )
    .expect("three columns");
    let options = FormatOptions::from_pairs(options.iter().copied());
    let settings = EncodeSettings { options: options.clone(), ..EncodeSettings::default() };
    let bytes = encode_all(format, &schema, std::slice::from_ref(&batch), &settings).expect("rows are encoded");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let settings = DecodeSettings { options, schema: Some(schema.clone()), ..DecodeSettings::default() };
    let (_, batches) = decode_all(format, Arc::new(MemoryInput::new("rows", bytes)), &settings)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let back = arrow::compute::concat_batches(&schema, &batches).expect("one schema");
    assert_eq!(back, batch, "{text}");
}

fn awkward() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        Just(Some(String::new())),
        "[ab\"'\\\\,;|\t\r\n\u{feff}表 ]{0,12}".prop_map(Some),
        any::<String>().prop_map(Some),
    ]
}

fn table() -> impl Strategy<Value = Vec<(Option<i64>, Option<String>, Option<String>)>> {
    prop::collection::vec((any::<Option<i64>>(), awkward(), awkward()), 1..20)
}

proptest! {
    #[test]
    fn csv_keeps_any_rows(rows in table()) {
        // What the dialect is guessed to be is another matter than what is written.
        let given = [("sep", ","), ("quote", "\""), ("header", "true"), ("lineSep", "\\n")];
        round_trip(&Csv::CSV, &given, &rows);
        round_trip(&Csv::CSV, &[("sep", "||"), ("quote", "'"), ("nullValue", "NULL"), ("header", "true"), ("lineSep", "\\n")], &rows);
        round_trip(&Csv::CSV, &[("sep", ","), ("quote", "\""), ("escape", "\\"), ("header", "true"), ("lineSep", "\\n")], &rows);
        round_trip(&Csv::TSV, &[("quoteAll", "true"), ("quote", "\""), ("header", "false"), ("lineSep", "\\r\\n")], &rows);
    }

    #[test]
    fn json_keeps_any_rows(rows in table()) {
        round_trip(&Json::NDJSON, &[], &rows);
        round_trip(&Json::JSON, &[("array", "true")], &rows);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in outport_formats::text_formats() {
            let _ = decode_all(format.as_ref(), Arc::new(MemoryInput::new("noise", bytes.clone())), &DecodeSettings::default());
        }
    }
}
