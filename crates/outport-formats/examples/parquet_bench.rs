//! CPU seconds and bytes of Parquet to Parquet on one thread: `parquet_bench IN.parquet [OUT.parquet] [option=value …]`.
//!
//! Decoding and encoding are timed apart, by the time that this thread was on a core, so that a busy machine does not
//! matter. `codec=`, `level=` and `batch=` set the compression and the rows of a batch; everything else is an option of the format.
#![allow(clippy::print_stdout)]

use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use outport_core::Result;
use outport_core::error::from_io;
use outport_core::format::{DecodeSettings, EncodeSettings, Format, FormatOptions, Input};
use outport_core::layout::{Codec, Compression};
use outport_core::{Error, ErrorKind};
use outport_formats::parquet::Parquet;

struct File {
    name: String,
    file: std::fs::File,
    len: u64,
}

impl Input for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(|e| from_io(ErrorKind::SourceRead, e))
    }

    fn reader(self: Arc<Self>) -> Box<dyn std::io::Read + Send> {
        Box::new(std::io::empty())
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or_else(|| Error::new(ErrorKind::Usage, "expected a parquet file"))?;
    let (options, paths): (Vec<String>, Vec<String>) = arguments.partition(|argument| argument.contains('='));
    let mut settings = EncodeSettings { compression: Compression::new(Codec::Zstd), ..EncodeSettings::default() };
    let mut batch_rows = 0;
    for (key, value) in options.iter().filter_map(|option| option.split_once('=')) {
        match key {
            "codec" => settings.compression.codec = if value == "none" { Codec::None } else { Codec::Snappy },
            "level" => settings.compression.level = value.parse().ok(),
            "batch" => batch_rows = value.parse().unwrap_or_default(),
            _ => settings.options = FormatOptions::from_pairs([(key, value)]),
        }
    }

    let file = std::fs::File::open(&name).map_err(|e| from_io(ErrorKind::NotFound, e))?;
    let len = file.metadata().map_err(|e| from_io(ErrorKind::SourceRead, e))?.len();
    let input = Arc::new(File { name, file, len });
    let mut decoder = Parquet.decoder(input, &DecodeSettings { batch_rows, ..DecodeSettings::default() })?;
    let mut encoder = Parquet.encoder(&decoder.schema(), &settings)?;
    let chunks = encoder.chunk_encoder();
    let mut out: Box<dyn Write> = match paths.first() {
        Some(path) => Box::new(std::fs::File::create(path).map_err(|e| from_io(ErrorKind::Write, e))?),
        None => Box::new(std::io::sink()),
    };

    let (mut decoding, mut encoding, mut writing) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut rows, mut bytes) = (0, 0);
    encoder.start(&mut out)?;
    while let Some(piece) = decoder.next_piece()? {
        let start = on_core();
        let mut batches = Vec::new();
        piece.decode(&mut |batch| {
            batches.push(batch);
            ControlFlow::Continue(())
        })?;
        decoding += on_core() - start;
        let start = on_core();
        let chunk = chunks.encode(&batches)?;
        encoding += on_core() - start;
        rows += chunk.rows;
        bytes += chunk.payload.len();
        let start = on_core();
        encoder.append(chunk, &mut out)?;
        writing += on_core() - start;
    }
    encoder.finish(&mut out)?;
    println!(
        "{rows} rows, {bytes} bytes: decode {:.3} s, encode {:.3} s, append {:.3} s",
        decoding.as_secs_f64(),
        encoding.as_secs_f64(),
        writing.as_secs_f64()
    );
    Ok(())
}

/// The time that this thread has spent on a core, as Linux tells it.
fn on_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}
