//! Times the text formats on one thread: `encode_bench FILE.parquet [ROUNDS]`.
//!
//! Reads the Parquet file into memory first, so that nothing but encoding and decoding is measured. Prints CPU seconds,
//! MB/s of text, and seconds per ten million rows.

#![allow(clippy::print_stdout)]

use std::fs::File;
use std::io::sink;

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
    let started = cpu_seconds();
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
    let started = cpu_seconds();
    let mut decoder = format.decoder(input, &DecodeSettings::default())?;
    let detected = cpu_seconds() - started;
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

/// The CPU seconds of this process, to a hundredth, from Linux' process table; other work on the machine does not count.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time are the 14th and 15th field of the line, in ticks of ten milliseconds.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn report(format: &dyn Format, what: &str, started: f64, bytes: usize, rows: usize) {
    let seconds = cpu_seconds() - started;
    println!(
        "{:>8} {what} {seconds:.3} s, {:.0} MB/s, {:.2} s per 10 M rows ({rows} rows, {bytes} bytes)",
        format.name(),
        bytes as f64 / seconds / 1e6,
        seconds * 1e7 / rows as f64,
    );
}
