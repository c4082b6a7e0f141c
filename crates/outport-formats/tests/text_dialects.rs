//! What the text formats write under their options, and what they make of files that others wrote badly.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use outport_core::format::{
    DecodeSettings, EncodeSettings, Format, FormatOptions, MemoryInput, decode_all, encode_all,
};
use outport_core::{Error, ErrorKind, Result};
use outport_formats::csv::Csv;
use outport_formats::json::Json;

fn write(format: &dyn Format, columns: Vec<(&str, ArrayRef)>, options: &[(&str, &str)]) -> Result<Vec<u8>> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?;
    let settings =
        EncodeSettings { options: FormatOptions::from_pairs(options.iter().copied()), ..EncodeSettings::default() };
    encode_all(format, &batch.schema(), &[batch], &settings)
}

fn text(format: &dyn Format, columns: Vec<(&str, ArrayRef)>, options: &[(&str, &str)]) -> String {
    String::from_utf8(write(format, columns, options).expect("written")).expect("UTF-8")
}

fn read(format: &dyn Format, bytes: &[u8], options: &[(&str, &str)]) -> Result<RecordBatch> {
    let settings =
        DecodeSettings { options: FormatOptions::from_pairs(options.iter().copied()), ..DecodeSettings::default() };
    let (schema, batches) = decode_all(format, Arc::new(MemoryInput::new("people.csv", bytes)), &settings)?;
    Ok(arrow::compute::concat_batches(&schema, &batches)?)
}

fn types(batch: &RecordBatch) -> Vec<(String, DataType)> {
    batch.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn null_and_empty_stay_apart() {
    let columns = || vec![("a", strings(&[None, Some(""), Some("x"), Some("NULL")])), ("b", strings(&[Some("1"); 4]))];
    assert_eq!(text(&Csv::CSV, columns(), &[]), "a,b\n,1\n\"\",1\nx,1\nNULL,1\n");
    assert_eq!(
        text(&Csv::CSV, columns(), &[("NULL AS", "NULL"), ("HEADER", "false")]),
        "NULL,1\n\"\",1\nx,1\n\"NULL\",1\n"
    );
    assert_eq!(
        text(&Csv::CSV, columns(), &[("quoteAll", "true"), ("sep", "|")]),
        "\"a\"|\"b\"\n|\"1\"\n\"\"|\"1\"\n\"x\"|\"1\"\n\"NULL\"|\"1\"\n"
    );
}

#[test]
fn patterns_and_escapes_are_sparks() {
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_709_210_096_120_000]));
    let shown = |pattern: &str| {
        text(&Csv::CSV, vec![("t", time.clone())], &[("timestampFormat", pattern), ("header", "false")])
    };
    assert_eq!(text(&Csv::CSV, vec![("t", time.clone())], &[("header", "false")]), "2024-02-29T12:34:56.12\n");
    assert_eq!(shown("yyyy-MM-dd HH:mm:ss[.SSS]"), "2024-02-29 12:34:56.120\n");
    assert_eq!(shown("dd/MMM/yyyy, hh:mm a"), "\"29/Feb/2024, 12:34 PM\"\n");
    assert_eq!(shown("%d.%m.%Y %H:%M:%S"), "29.02.2024 12:34:56\n");
    let quoted =
        text(&Csv::CSV, vec![("a", strings(&[Some("say \"hi\", \\")]))], &[("escape", "\\"), ("header", "false")]);
    assert_eq!(quoted, "\"say \\\"hi\\\", \\\\\"\n");
}

#[test]
fn formulas_are_disarmed_and_numbers_left_alone() {
    let cells = strings(&[Some("=1+2"), Some("-5"), Some("-cmd"), Some("@x"), Some("plain")]);
    let shown = text(&Csv::CSV, vec![("a", cells)], &[("spreadsheet_safe", "true"), ("header", "false")]);
    assert_eq!(shown, "'=1+2\n-5\n'-cmd\n'@x\nplain\n");
}

#[test]
fn a_character_that_the_encoding_lacks_names_its_column() {
    let columns = || vec![("name", strings(&[Some("Grüße"), Some("表")]))];
    assert_eq!(
        write(&Csv::CSV, vec![("a", strings(&[Some("ü€")]))], &[("encoding", "windows-1252")]).expect("written"),
        b"a\n\xFC\x80\n"
    );
    let error = write(&Csv::CSV, columns(), &[("encoding", "ISO-8859-1")]).expect_err("no such character");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("\"name\"") && error.message().contains('表'), "{error}");
    let utf16 = write(&Csv::CSV, columns(), &[("encoding", "UTF-16LE")]).expect("written");
    let back = read(&Csv::CSV, &utf16, &[("encoding", "UTF-16LE")]).expect("read");
    assert_eq!(back.column(0).as_ref(), strings(&[Some("Grüße"), Some("表")]).as_ref());
}

#[test]
fn nan_has_an_answer_in_json() {
    let column = || vec![("x", Arc::new(Float64Array::from(vec![1.0, f64::NAN, f64::NEG_INFINITY])) as ArrayRef)];
    assert_eq!(text(&Json::NDJSON, column(), &[]), "{\"x\":1.0}\n{\"x\":null}\n{\"x\":null}\n");
    assert_eq!(
        text(&Json::JSON, column(), &[("nan", "string"), ("array", "true")]),
        "[\n{\"x\":1.0},\n{\"x\":\"NaN\"},\n{\"x\":\"-Infinity\"}\n]\n"
    );
    assert_eq!(write(&Json::JSON, column(), &[("nan", "error")]).expect_err("not finite").kind(), ErrorKind::Data);
}

#[test]
fn dialect_header_and_types_are_detected() -> Result<()> {
    let file =
        b"\xEF\xBB\xBFid;name;price;seen;zip\r\n1;\"a;b\";10.50;2024-02-29 12:00:00;01234\r\n2;NA;3.00;NA;99999\r\n";
    let batch = read(&Csv::CSV, file, &[])?;
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let expected = [
        ("id", DataType::Int64),
        ("name", DataType::Utf8),
        ("price", DataType::Decimal128(18, 2)),
        ("seen", micros),
        ("zip", DataType::Utf8),
    ];
    assert_eq!(types(&batch), expected.map(|(name, data_type)| (name.to_owned(), data_type)));
    assert_eq!(batch.column(1).as_ref(), strings(&[Some("a;b"), Some("NA")]).as_ref());
    assert!(batch.column(3).is_null(1));
    let bare = read(&Csv::CSV, b"1,2.5\n3,4.5\n", &[])?;
    assert_eq!(types(&bare), [("column0".to_owned(), DataType::Int64), ("column1".to_owned(), DataType::Float64)]);
    assert_eq!(bare.num_rows(), 2);
    let twice = read(&Csv::CSV, b"a,a,\n1,2,3\n", &[])?;
    assert_eq!(types(&twice).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "a_1", "column2"]);
    assert_eq!(read(&Csv::CSV, b"a,b\n", &[])?.num_rows(), 0);
    Ok(())
}

#[test]
fn doubles_of_any_length_are_doubles_and_longer_numbers_decimals() -> Result<()> {
    let batch = read(&Csv::CSV, b"x,y\n0.000054836905742946846,1234567890123456789.5\n0.1,2.25\n", &[])?;
    assert_eq!(batch.schema().field(0).data_type(), &DataType::Float64);
    assert_eq!(batch.schema().field(1).data_type(), &DataType::Decimal128(38, 2));
    Ok(())
}

#[track_caller]
fn place(error: &Error) -> (u64, u64) {
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    let location = error.location().unwrap_or_else(|| panic!("no location: {error}"));
    assert_eq!(location.file, "people.csv");
    (location.line, location.column)
}

#[test]
fn what_does_not_fit_is_named_with_its_place() {
    let mut file = "id,name\n".to_owned();
    // Far more than the sample looks at, so that detection cannot know of the last line.
    for row in 0..700_000 {
        file.push_str(&format!("{row},\"two\nlines\"\n"));
    }
    let lines = file.lines().count() as u64;
    let middle = file.len() / 2 + 40_000;
    let at = middle
        + file[middle..].find("\n\"\n").map_or_else(|| file[middle..].find("\"\n").expect("a record") + 2, |at| at + 3);
    file.insert_str(at, "ü,x1\n");
    let error = read(&Csv::CSV, file.as_bytes(), &[]).expect_err("no integer");
    let (line, column) = place(&error);
    assert_eq!(line, file[..at].matches('\n').count() as u64 + 1);
    assert_eq!(column, 1);
    assert!(lines > line);
    assert!(error.message().contains("\"id\"") && error.message().contains("\"ü\""), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("id=text")), "{error}");
    let read_as_text = read(&Csv::CSV, file.as_bytes(), &[("types", "id=text")]).expect("read as text");
    assert_eq!(read_as_text.num_rows(), 700_001);
}

#[test]
fn broken_lines_are_named_with_their_place() {
    let fails = |bytes: &[u8]| read(&Csv::CSV, bytes, &[("header", "true"), ("sep", ",")]).expect_err("broken");
    assert_eq!(place(&fails(b"a,b\n1,2\n1,2,3\n")), (3, 1));
    assert_eq!(place(&fails(b"a,b\n1,2\n1\n")), (3, 1));
    assert_eq!(place(&fails(b"a,b\n1,\"open\n1,2\n")), (2, 3));
    assert_eq!(place(&fails(b"a,b\n1,\"x\"y\n")), (2, 6));
    assert_eq!(place(&fails(b"a,b\nx,\xFFz\n")), (2, 3));
    assert_eq!(fails(b"").kind(), ErrorKind::Data);
    let filled = read(&Csv::CSV, b"a,b\n1,2\n1\n", &[("ragged", "null")]).expect("filled up");
    assert!(filled.column(1).is_null(1));
}

#[test]
fn broken_json_is_named_with_its_place() {
    let fails = |bytes: &[u8]| read(&Json::NDJSON, bytes, &[]).expect_err("broken");
    assert_eq!(place(&fails(b"{\"a\":1}\n{\"a\":2,}\n")), (2, 8));
    assert_eq!(place(&fails(b"{\"a\":1}\n{\"a\":tru}\n")), (2, 6));
    assert_eq!(place(&fails(b"{\"a\":1}\n[1]\n")), (2, 1));
    let error = read(&Json::JSON, b"[{\"a\":1},{\"a\":2}", &[]).expect_err("cut off");
    assert!(error.message().contains("end of the file"), "{error}");
}

#[test]
fn json_schemas_are_found() -> Result<()> {
    let file = b"{\"id\":1,\"tags\":[\"x\"],\"at\":\"2024-02-29T12:00:00Z\",\"in\":{\"k\":1.5},\"any\":1}\n\
        {\"id\":2,\"tags\":[],\"at\":null,\"in\":null,\"any\":\"text\"}\n";
    let batch = read(&Json::NDJSON, file, &[])?;
    let names: Vec<String> = types(&batch).iter().map(|(name, data_type)| format!("{name} {data_type}")).collect();
    assert_eq!(names[0], "id Int64");
    assert_eq!(names[4], "any Utf8");
    assert!(matches!(types(&batch)[2].1, DataType::Timestamp(TimeUnit::Microsecond, Some(_))), "{names:?}");
    assert!(matches!(types(&batch)[3].1, DataType::Struct(_)), "{names:?}");
    assert_eq!(batch.column(4).as_ref(), strings(&[Some("1"), Some("text")]).as_ref());
    // The same records in one array over several lines.
    let array = format!("[\n  {}\n]\n", String::from_utf8_lossy(file).trim().replace('\n', ",\n"));
    assert_eq!(read(&Json::JSON, array.as_bytes(), &[])?, batch);
    Ok(())
}

#[test]
fn formats_are_told_by_what_is_in_them() {
    use outport_formats::detect::detect;
    assert_eq!(detect("x.csv", b"PAR1\x15\x04", b"PAR1"), Some("parquet"));
    assert_eq!(detect("x", b"\x1F\x8B\x08", b""), Some("gzip"));
    assert_eq!(detect("x", b"[ {\"a\":1}]", b""), Some("json"));
    assert_eq!(detect("x", b"{\"a\":1}\n{\"a\":2}\n", b""), Some("ndjson"));
    assert_eq!(detect("x.txt", b"a\tb\n1\t2\n", b""), Some("tsv"));
    assert_eq!(detect("x.dat", b"a;b\n1;2\n", b""), Some("csv"));
    assert_eq!(detect("nothing", b"", b""), None);
}

#[test]
fn a_header_that_does_not_fit_its_rows_is_told() {
    for (text, line) in [
        ("id,region\n1,a,b\n2,a,b\n3,a,b\n".to_owned(), 2),
        (format!("id,region\n{}", "1,a,b\n".repeat(60_000)), 2),
        (format!("id,region\n{}7,a,b\n", "1,a\n".repeat(50)), 52),
    ] {
        let error = read(&Csv::CSV, text.as_bytes(), &[]).unwrap_err();
        assert_eq!(error.message(), "expected 2 fields, found 3");
        assert_eq!(error.location().unwrap().line, line);
    }
    // Prose with commas in it is one column still.
    let prose = "comment\nyes, indeed\nno\nwell, perhaps, or not\nyes\nno\n";
    assert_eq!(read(&Csv::CSV, prose.as_bytes(), &[]).unwrap().num_columns(), 1);
}
