//! What every format must do.
//!
//! Each function panics where the format does not; a test calls [`conformance`] or the single ones.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};

use super::sample;
use crate::format::{
    DecodeSettings, EncodeSettings, Fidelity, Format, FormatOptions, Input, MemoryInput, decode_all, encode_all,
    logical,
};
use crate::{ErrorKind, Result};

/// Everything that follows, with the format's own options.
///
/// # Errors
/// Where encoding or decoding fails that must not.
pub fn conformance(format: &dyn Format) -> Result<()> {
    keeps_values(format)?;
    keeps_rows(format)?;
    writes_empty(format)?;
    appends_chunks(format)?;
    keeps_odd_names(format)?;
    refuses_unknown_options(format);
    refuses_types(format)?;
    survives_damage(format)
}

fn decode(format: &dyn Format, bytes: Vec<u8>, settings: &DecodeSettings) -> Result<RecordBatch> {
    let input: Arc<dyn Input> = Arc::new(MemoryInput::new("conformance", bytes));
    let (schema, batches) = decode_all(format, input, settings)?;
    Ok(concat_batches(&schema, &batches)?)
}

fn given(batch: &RecordBatch) -> DecodeSettings {
    DecodeSettings { schema: Some(batch.schema()), ..DecodeSettings::default() }
}

/// Every type that is not refused comes back with its values: from a text format when it is read with its schema, from the
/// others by itself where it is said to be exact.
pub fn keeps_values(format: &dyn Format) -> Result<()> {
    for (name, batch) in sample::types()? {
        let fidelity = format.fidelity(batch.schema().field(0), &FormatOptions::default());
        if matches!(fidelity, Fidelity::Refused(_)) {
            continue;
        }
        let what = format!("{} and the type {name}", format.name());
        // A column beside it tells NULL from a line that is not there.
        let batch = beside_ids(&batch)?;
        let bytes = encode_all(format, &batch.schema(), std::slice::from_ref(&batch), &EncodeSettings::default())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let text = if format.caps().text { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() };
        if format.caps().text {
            let back =
                decode(format, bytes.clone(), &given(&batch)).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
            assert_eq!(back, batch, "{what}, read with its schema:\n{text}");
        } else if fidelity == Fidelity::Exact {
            let back =
                decode(format, bytes, &DecodeSettings::default()).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(plain(&back)?, plain(&batch)?, "{what}, read without a schema");
        }
    }
    Ok(())
}

/// The columns in their logical types.
fn plain(batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    batch.columns().iter().map(|column| Ok(cast(column, &logical(column.data_type()))?)).collect()
}

fn beside_ids(batch: &RecordBatch) -> Result<RecordBatch> {
    let ids = sample::rows(batch.num_rows())?;
    let fields = vec![ids.schema().field(0).clone(), batch.schema().field(0).clone()];
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ids.column(0).clone(), batch.column(0).clone()])?)
}

/// Mixed rows come back whole and in order, in batches of the size asked for.
pub fn keeps_rows(format: &dyn Format) -> Result<()> {
    let batch = sample::rows(5_000)?;
    let bytes = encode_all(format, &batch.schema(), std::slice::from_ref(&batch), &EncodeSettings::default())?;
    let settings = if format.caps().text { given(&batch) } else { DecodeSettings::default() };
    let back = decode(format, bytes.clone(), &settings)?;
    assert_eq!(back.columns(), batch.columns(), "{} loses rows", format.name());
    let chosen = DecodeSettings { columns: Some(vec!["score".to_owned(), "id".to_owned()]), ..settings };
    let back = decode(format, bytes, &chosen)?;
    assert_eq!(back, batch.project(&[3, 0])?, "{} reads the wrong columns", format.name());
    Ok(())
}

/// No rows make a file that can be read, with the columns where the format can hold them.
pub fn writes_empty(format: &dyn Format) -> Result<()> {
    let empty = sample::rows(0)?;
    let bytes = encode_all(format, &empty.schema(), &[], &EncodeSettings::default())?;
    let settings = if format.caps().text { given(&empty) } else { DecodeSettings::default() };
    let back = decode(format, bytes, &settings)?;
    assert_eq!(back.num_rows(), 0, "{} makes rows of nothing", format.name());
    assert_eq!(back.schema().fields(), empty.schema().fields(), "{} loses the columns of no rows", format.name());
    Ok(())
}

/// Chunks that were encoded by several threads and appended in order are the file that one thread makes.
pub fn appends_chunks(format: &dyn Format) -> Result<()> {
    let batch = sample::rows(4_000)?;
    let mut encoder = format.encoder(&batch.schema(), &EncodeSettings::default())?;
    let chunks = encoder.chunk_encoder();
    let parts: Vec<RecordBatch> =
        [(0, 1), (1, 999), (1000, 1500), (2500, 1500)].map(|(at, rows)| batch.slice(at, rows)).to_vec();
    let encoded = std::thread::scope(|scope| {
        let threads: Vec<_> =
            parts.iter().map(|part| scope.spawn(|| chunks.encode(std::slice::from_ref(part)))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| panic!("{} panics", format.name())))
            .collect::<Vec<_>>()
    });
    let mut bytes = Vec::new();
    encoder.start(&mut bytes)?;
    for (chunk, part) in encoded.into_iter().zip(&parts) {
        let chunk = chunk?;
        assert_eq!(chunk.rows, part.num_rows() as u64, "{} miscounts a chunk", format.name());
        encoder.append(chunk, &mut bytes)?;
    }
    encoder.finish(&mut bytes)?;
    let settings = if format.caps().text { given(&batch) } else { DecodeSettings::default() };
    let back = decode(format, bytes, &settings)?;
    assert_eq!(back.columns(), batch.columns(), "{} loses rows between chunks", format.name());
    Ok(())
}

/// Columns may be called anything; a table without columns is written or refused, and nothing panics.
pub fn keeps_odd_names(format: &dyn Format) -> Result<()> {
    let names = ["a, b", "say \"hi\"", "line\nbreak", "ünï 表 🦀", "semi;colon", "'single'", "select"];
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let column = Arc::new(StringArray::from(vec![Some("x"), None]));
    let batch =
        RecordBatch::try_new(Arc::new(Schema::new(fields)), names.iter().map(|_| column.clone() as _).collect())?;
    let bytes = encode_all(format, &batch.schema(), std::slice::from_ref(&batch), &EncodeSettings::default())?;
    let back = decode(format, bytes, &DecodeSettings::default())?;
    let found: Vec<String> = back.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(found, names, "{} changes names", format.name());
    let nothing = Arc::new(Schema::empty());
    if let Err(error) = encode_all(format, &nothing, &[], &EncodeSettings::default()) {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{}: {error}", format.name());
    }
    Ok(())
}

/// An option that does not exist is refused, with the nearest that does.
pub fn refuses_unknown_options(format: &dyn Format) {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let wrong = format.caps().options.first().map_or("nonsense".to_owned(), |spec| format!("{}z", spec.name));
    let settings =
        EncodeSettings { options: FormatOptions::from_pairs([(wrong.as_str(), "1")]), ..EncodeSettings::default() };
    match format.encoder(&schema, &settings) {
        Ok(_) => panic!("{} takes the option {wrong}", format.name()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", format.name());
            assert!(error.message().contains(&wrong) && error.hint_text().is_some(), "{}: {error}", format.name());
        }
    }
}

/// A type that is refused is an error that names the column and the type.
pub fn refuses_types(format: &dyn Format) -> Result<()> {
    for (name, batch) in sample::types()? {
        let schema = batch.schema();
        if !matches!(format.fidelity(schema.field(0), &FormatOptions::default()), Fidelity::Refused(_)) {
            continue;
        }
        match encode_all(format, &schema, std::slice::from_ref(&batch), &EncodeSettings::default()) {
            Ok(_) => panic!("{} writes {name}, which it says it refuses", format.name()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{} and {name}: {error}", format.name());
                assert!(
                    error.message().contains("value"),
                    "{} and {name}: the column is not named: {error}",
                    format.name()
                );
            }
        }
    }
    Ok(())
}

/// Bytes that are cut off, changed or never were of this format give an error or other rows, and no panic.
pub fn survives_damage(format: &dyn Format) -> Result<()> {
    let batch = sample::rows(200)?;
    let whole = encode_all(format, &batch.schema(), std::slice::from_ref(&batch), &EncodeSettings::default())?;
    let step = (whole.len() / 97).max(1);
    for at in (0..whole.len()).step_by(step) {
        let mut changed = whole.clone();
        changed[at] ^= 0x5A;
        for bytes in [whole[..at].to_vec(), changed] {
            for settings in [DecodeSettings::default(), given(&batch)] {
                // Whichever of the two it is: it returned.
                let _ = decode(format, bytes.clone(), &settings);
            }
        }
    }
    for garbage in
        [&b""[..], b"\0", b"\n\n\n", b"\"", b"[", b"{\"", b"\xFF\xFE\0", b"PAR1", b"a,b\n\"", b"\xEF\xBB\xBF"]
    {
        let _ = decode(format, garbage.to_vec(), &DecodeSettings::default());
    }
    Ok(())
}
