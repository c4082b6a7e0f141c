//! Times the text formats on one thread: `encode_bench FILE.parquet [ROUNDS]`.
//!
//! Reads the Parquet file into memory first, so that nothing but encoding and decoding is measured. Prints CPU-bound seconds,
//! MB/s of text, and seconds per ten million rows.

#![allow(clippy::print_stdout)]

use std::fs::File;
use std::io::sink;
use std::time::Instant;

use arrow::array::RecordBatch;
use outport_core::format::{DecodeSettings, EncodeSettings, Format, MemoryInput, encode_all};
use outport_core::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        return Err(Error::new(ErrorKind::Usage, "expected the path of a Parquet file"));
    };
    let rounds: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let failed = |error: parquet::errors::ParquetError| Error::new(ErrorKind::SourceRead, error.to_string());
    let file = File::open(&path).map_err(|error| outport_core::error::from_io(ErrorKind::SourceRead, error))?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.with_batch_size(8192).build()).map_err(failed)?;
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>()?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    println!("{rows} rows");
    for format in outport_formats::text_formats() {
        for _ in 0..rounds {
            measure(format.as_ref(), &batches, rows)?;
        }
    }
    Ok(())
}

fn measure(format: &dyn Format, batches: &[RecordBatch], rows: usize) -> Result<()> {
    let schema = batches[0].schema();
    let settings = EncodeSettings::default();
    let started = Instant::now();
    let mut encoder = format.encoder(&schema, &settings)?;
    let chunks = encoder.chunk_encoder();
    encoder.start(&mut sink())?;
    let mut bytes = 0;
    for four in batches.chunks(4) {
        let chunk = chunks.encode(four)?;
        bytes += chunk.payload.len();
        encoder.append(chunk, &mut sink())?;
    }
    encoder.finish(&mut sink())?;
    report(format, "encode", started, bytes, rows);

    let text = encode_all(format, &schema, batches, &settings)?;
    let bytes = text.len();
    let input = std::sync::Arc::new(MemoryInput::new("bench", text));
    let started = Instant::now();
    let mut decoder = format.decoder(input, &DecodeSettings::default())?;
    let detected = started.elapsed().as_secs_f64();
    let mut read = 0;
    while let Some(piece) = decoder.next_piece()? {
        piece.decode(&mut |batch| {
            read += batch.num_rows();
            std::ops::ControlFlow::Continue(())
        })?;
    }
    report(format, "decode", started, bytes, read);
    println!("{:>8} detect {detected:.3} s", format.name());
    Ok(())
}

fn report(format: &dyn Format, what: &str, started: Instant, bytes: usize, rows: usize) {
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{:>8} {what} {seconds:.3} s, {:.0} MB/s, {:.2} s per 10 M rows ({rows} rows, {bytes} bytes)",
        format.name(),
        bytes as f64 / seconds / 1e6,
        seconds * 1e7 / rows as f64,
    );
}
