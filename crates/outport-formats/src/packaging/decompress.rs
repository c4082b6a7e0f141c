//! Compressed input as the bytes inside.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use crc32fast::Hasher;
use outport_core::format::Input;
use outport_core::layout::Codec;
use outport_core::{Error, ErrorKind, Result};

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// The codec around a file: by its first bytes, and by its name for Brotli, which has no mark; [`Codec::None`] where there
/// is none. Six bytes of `head` are enough.
pub fn detect(name: &str, head: &[u8]) -> Codec {
    const MAGIC: [(&[u8], Codec); 6] = [
        (b"\x1f\x8b", Codec::Gzip),
        (b"\x28\xb5\x2f\xfd", Codec::Zstd),
        (b"PK\x03\x04", Codec::Zip),
        (b"PK\x05\x06", Codec::Zip),
        (b"\x04\x22\x4d\x18", Codec::Lz4),
        (b"\xff\x06\x00\x00sN", Codec::Snappy),
    ];
    if let Some((_, codec)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return *codec;
    }
    if name.to_lowercase().ends_with(".br") { Codec::Brotli } else { Codec::None }
}

/// The bytes inside `input`, from first to last, decompressed with `codec`.
///
/// gzip may have many members, zstd and LZ4 many frames; a ZIP archive must hold one data file, folders and the notes that
/// macOS adds aside. Errors while reading name the input and say whether it ends early or is damaged.
///
/// # Errors
/// [`ErrorKind::Compression`] for what is not of that codec where that shows at once; [`ErrorKind::Unsupported`] for an archive of
/// several files, an encrypted entry, or a method other than DEFLATE.
pub fn open(input: Arc<dyn Input>, codec: Codec) -> Result<Box<dyn Read + Send>> {
    if codec == Codec::Zip { open_zip(input) } else { open_reader(input.name().to_owned(), input.reader(), codec) }
}

/// Like [`open`], for bytes that can only be read from first to last; not for ZIP, whose directory stands at its end.
pub fn open_reader(name: String, reader: Box<dyn Read + Send>, codec: Codec) -> Result<Box<dyn Read + Send>> {
    let buffered = BufReader::with_capacity(BUFFER, reader);
    let inner: Box<dyn Read + Send> = match codec {
        Codec::Default | Codec::None => return Ok(buffered.into_inner()),
        Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        Codec::Zstd => Box::new(zstd::Decoder::with_buffer(buffered).map_err(|e| {
            Error::new(ErrorKind::Compression, format!("{name} could not be opened as zstd: {e}")).with_source(e)
        })?),
        Codec::Lz4 => Box::new(Lz4Frames::new(buffered)),
        Codec::Snappy => Box::new(snap::read::FrameDecoder::new(buffered)),
        Codec::Brotli => Box::new(brotli::Decompressor::new(buffered, BUFFER)),
        Codec::Zip => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{name} is a zip archive, which cannot be read from a stream"),
            )
            .hint("give its path or URL"));
        }
    };
    Ok(Box::new(Named { name, codec, inner }))
}

fn open_zip(input: Arc<dyn Input>) -> Result<Box<dyn Read + Send>> {
    let name = input.name().to_owned();
    let wrong = |e: zip::result::ZipError| {
        Error::new(ErrorKind::Compression, format!("{name} could not be read as a zip archive: {e}")).with_source(e)
    };
    let mut archive = zip::ZipArchive::new(BufReader::new(Range::all(input.clone()))).map_err(wrong)?;
    let mut data = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(wrong)?;
        let path = entry.name().map_err(wrong)?.into_owned();
        let file = path.rsplit('/').next().unwrap_or_default();
        if !entry.is_dir() && !path.starts_with("__MACOSX/") && file != ".DS_Store" {
            data.push((index, path));
        }
    }
    let (index, entry_name) = match data.as_slice() {
        [one] => one.clone(),
        [] => return Err(Error::new(ErrorKind::Data, format!("{name} is a zip archive without a file in it"))),
        several => {
            let names: Vec<&str> = several.iter().take(5).map(|(_, n)| n.as_str()).collect();
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("expected one file in the zip archive {name}, found {}: {}", several.len(), names.join(", ")),
            )
            .hint("unpack it and name the folder"));
        }
    };
    let entry = archive.by_index_raw(index).map_err(wrong)?;
    if entry.encrypted() {
        return Err(Error::new(ErrorKind::Unsupported, format!("{entry_name} in {name} is encrypted"))
            .hint("unpack it with its password"));
    }
    let start = entry.data_start().ok_or_else(|| {
        Error::new(ErrorKind::Compression, format!("{entry_name} in {name} has no place in the archive"))
    })?;
    let bytes = BufReader::with_capacity(
        BUFFER,
        Range { input, at: start, end: start.saturating_add(entry.compressed_size()) },
    );
    let inner: Box<dyn Read + Send> = match entry.compression() {
        zip::CompressionMethod::Stored => Box::new(bytes),
        zip::CompressionMethod::Deflated => Box::new(flate2::bufread::DeflateDecoder::new(bytes)),
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{entry_name} in {name} is compressed with {other}, expected deflate or none"),
            ));
        }
    };
    let checked = Checked { inner, hash: Hasher::new(), crc: entry.crc32(), size: entry.size() };
    Ok(Box::new(Named { name, codec: Codec::Zip, inner: Box::new(checked) }))
}

/// Says in errors which file it is and what is wrong with it.
struct Named {
    name: String,
    codec: Codec,
    inner: Box<dyn Read + Send>,
}

impl Read for Named {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|e| {
            let (name, codec) = (&self.name, self.codec.name());
            let text = match e.kind() {
                io::ErrorKind::UnexpectedEof => {
                    format!("{name}: the {codec} data ends early, the file is not complete")
                }
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                    format!("{name}: the {codec} data is damaged: {e}")
                }
                _ => format!("{name}: {e}"),
            };
            io::Error::new(e.kind(), text)
        })
    }
}

/// LZ4 frames one after the other: the decoder says the end of one as the end of all.
struct Lz4Frames<R: Read> {
    frames: lz4_flex::frame::FrameDecoder<R>,
    ended: bool,
}

impl<R: Read> Lz4Frames<R> {
    fn new(reader: R) -> Self {
        Self { frames: lz4_flex::frame::FrameDecoder::new(reader), ended: false }
    }
}

impl<R: Read> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.frames.read(buffer)?;
        if read > 0 || buffer.is_empty() || self.ended {
            return Ok(read);
        }
        // Once more: either the next frame starts here, or there is nothing more to read.
        let read = self.frames.read(buffer)?;
        self.ended = read == 0;
        Ok(read)
    }
}

/// Compares CRC-32 and length with what the archive says, at the end.
struct Checked<R> {
    inner: R,
    hash: Hasher,
    crc: u32,
    size: u64,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let (crc, size) = (self.hash.clone().finalize(), self.hash.total_len());
            if (crc, size) != (self.crc, self.size) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("expected {} bytes with CRC-32 {:08x}, found {size} with {crc:08x}", self.size, self.crc),
                ));
            }
        }
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// A stretch of an input as a reader.
struct Range {
    input: Arc<dyn Input>,
    at: u64,
    end: u64,
}

impl Range {
    fn all(input: Arc<dyn Input>) -> Self {
        let end = input.len();
        Self { input, at: 0, end }
    }
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        self.input.read_at(self.at, &mut buffer[..length]).map_err(io::Error::other)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Range {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        self.at =
            at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a position before the start of the file"))?;
        Ok(self.at)
    }
}
