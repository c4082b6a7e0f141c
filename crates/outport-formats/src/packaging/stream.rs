//! Codecs that take raw bytes and keep their own state: zstd, LZ4, Snappy, Brotli.

use std::io::{self, Write};

use brotli::CompressorWriter;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use outport_core::{Error, ErrorKind, Result};

use super::wrapping::Wrapping;
use super::{misuse, write};

/// The level of Zstandard where none is given; its own default.
const USUAL_ZSTD: u32 = 3;
/// The level of Brotli where none is given. Its own default, 11, is meant for what is compressed once and served often, and
/// takes a second per megabyte; 5 is smaller than gzip and as fast.
const USUAL_BROTLI: u32 = 5;
/// The window of Brotli, 4 MiB; the largest that every decoder has to accept is four times that.
const BROTLI_WINDOW: u32 = 22;
const BROTLI_BUFFER: usize = 64 * 1024;
/// What the Snappy framing format starts with; its encoder leaves it out where there is no content.
const SNAPPY_IDENTIFIER: [u8; 10] = [0xff, 0x06, 0x00, 0x00, b's', b'N', b'a', b'P', b'p', b'Y'];

/// One encoder over a buffer that is emptied after every call.
pub(super) struct Stream {
    codec: &'static str,
    // Taken at the end: finishing consumes an encoder.
    encoder: Option<Encoder>,
}

enum Encoder {
    Zstd(Box<zstd::Encoder<'static, Vec<u8>>>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Snappy(Box<snap::write::FrameEncoder<Vec<u8>>>, bool),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
}

impl Stream {
    pub(super) fn new(wrapping: Wrapping, level: Option<u32>, threads: usize) -> Result<Self> {
        let codec = wrapping.name();
        let encoder = match wrapping {
            Wrapping::Zstd => {
                zstd_encoder(level, threads).map(|zstd| Encoder::Zstd(Box::new(zstd))).map_err(|e| failed(codec, e))?
            }
            Wrapping::Lz4 => Encoder::Lz4(Box::new(lz4_encoder())),
            Wrapping::Snappy => Encoder::Snappy(Box::new(snap::write::FrameEncoder::new(Vec::new())), true),
            Wrapping::Brotli => Encoder::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                level.unwrap_or(USUAL_BROTLI),
                BROTLI_WINDOW,
            ))),
            Wrapping::Plain | Wrapping::Gzip | Wrapping::Zip | Wrapping::TarGz => {
                return Err(misuse("a stream codec was expected"));
            }
        };
        Ok(Self { codec, encoder: Some(encoder) })
    }

    pub(super) fn append(&mut self, bytes: &[u8], out: &mut dyn Write) -> Result<()> {
        let Some(encoder) = &mut self.encoder else {
            return Err(misuse("the stream has ended"));
        };
        let (done, buffer) = match encoder {
            Encoder::Zstd(zstd) => (zstd.write_all(bytes), zstd.get_mut()),
            Encoder::Lz4(lz4) => (lz4.write_all(bytes), lz4.get_mut()),
            Encoder::Snappy(snappy, empty) => {
                *empty &= bytes.is_empty();
                (snappy.write_all(bytes), snappy.get_mut())
            }
            Encoder::Brotli(brotli) => (brotli.write_all(bytes), brotli.get_mut()),
        };
        done.map_err(|e| failed(self.codec, e))?;
        write(out, buffer)?;
        buffer.clear();
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut dyn Write) -> Result<()> {
        let rest = match self.encoder.take() {
            None => return Err(misuse("the stream has ended")),
            Some(Encoder::Zstd(zstd)) => zstd.finish().map_err(|e| failed(self.codec, e))?,
            Some(Encoder::Lz4(lz4)) => lz4.finish().map_err(|e| failed(self.codec, e.into()))?,
            Some(Encoder::Snappy(_, true)) => SNAPPY_IDENTIFIER.to_vec(),
            Some(Encoder::Snappy(snappy, false)) => {
                snappy.into_inner().map_err(|e| failed(self.codec, e.into_error()))?
            }
            Some(Encoder::Brotli(brotli)) => brotli.into_inner(),
        };
        write(out, &rest)
    }
}

fn zstd_encoder(level: Option<u32>, threads: usize) -> io::Result<zstd::Encoder<'static, Vec<u8>>> {
    let level = i32::try_from(level.unwrap_or(USUAL_ZSTD)).map_err(io::Error::other)?;
    let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
    encoder.include_checksum(true)?;
    if threads > 1 {
        encoder.multithread(u32::try_from(threads).map_err(io::Error::other)?)?;
    }
    Ok(encoder)
}

fn lz4_encoder() -> FrameEncoder<Vec<u8>> {
    let info = FrameInfo::new().block_size(BlockSize::Max1MB).block_mode(BlockMode::Linked).content_checksum(true);
    FrameEncoder::with_frame_info(info, Vec::new())
}

fn failed(codec: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Compression, format!("{codec} compression failed: {error}")).with_source(error)
}
