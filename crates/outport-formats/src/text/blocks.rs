//! Text files read block by block: as a sample of all parts, or from the first byte to the last.

use std::io::Read;
use std::sync::Arc;

use outport_core::error::{Location, from_io};
use outport_core::format::Input;
use outport_core::{Error, ErrorKind, Result};

use super::encoding::Encoding;

const WHOLE: u64 = 4 << 20;
const HEAD: u64 = 1 << 20;
const SAMPLE: u64 = 128 << 10;
const SAMPLES: u64 = 16;

/// A part of a file, as UTF-8.
pub(crate) struct Block {
    /// Whether it is the start of the file.
    pub(crate) head: bool,
    /// Whether it reaches the end of the file.
    pub(crate) tail: bool,
    pub(crate) bytes: Vec<u8>,
}

/// The encoding that a byte order mark tells, and the length of the mark.
pub(crate) fn byte_order_mark(input: &dyn Input) -> Result<(Option<Encoding>, usize)> {
    let mut mark = vec![0; input.len().min(3) as usize];
    input.read_at(0, &mut mark)?;
    Ok(match mark.as_slice() {
        [0xEF, 0xBB, 0xBF] => (Some(Encoding::Utf8), 3),
        [0xFF, 0xFE, ..] => (Some(Encoding::Utf16Le), 2),
        [0xFE, 0xFF, ..] => (Some(Encoding::Utf16Be), 2),
        _ => (None, 0),
    })
}

/// The head of a file, blocks from all over its middle, and its tail; the whole of a small one.
///
/// `ratio` is the share of the file that is wanted, 1 for all of it. Blocks other than the head start anywhere in a record.
pub(crate) fn sample(input: &dyn Input, encoding: Encoding, skip: usize, ratio: Option<f64>) -> Result<Vec<Block>> {
    let length = input.len();
    let start = skip as u64;
    let share = ratio.map(|ratio| ((length as f64 * ratio) as u64).max(1));
    let whole = length <= WHOLE || share.is_some_and(|share| share + HEAD >= length);
    if whole {
        return Ok(vec![Block {
            head: true,
            tail: true,
            bytes: read(input, encoding, start, length - start.min(length))?,
        }]);
    }
    let size = share.map_or(SAMPLE, |share| share / SAMPLES + 2) & !1;
    let mut blocks = vec![Block { head: true, tail: false, bytes: read(input, encoding, start, HEAD)? }];
    for number in 1..=SAMPLES {
        let last = number == SAMPLES;
        // Even places, so that a unit of UTF-16 is not cut.
        let at = (if last { length - size } else { HEAD + (length - HEAD - size) / SAMPLES * number }) & !1;
        blocks.push(Block { head: false, tail: last, bytes: read(input, encoding, at, size.min(length - at))? });
    }
    Ok(blocks)
}

fn read(input: &dyn Input, encoding: Encoding, at: u64, length: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_large(input))?];
    input.read_at(at, &mut bytes)?;
    if encoding == Encoding::Utf8 {
        return Ok(bytes);
    }
    // A sample may cut a character in two; what is really wrong with the file shows when it is read as a whole.
    let mut text = String::new();
    let mut rest = bytes.as_slice();
    loop {
        match encoding.decode(rest) {
            Ok(good) => {
                text.push_str(&good);
                return Ok(text.into_bytes());
            }
            Err(at) => {
                text.push_str(&encoding.decode(&rest[..at]).unwrap_or_default());
                rest = rest.get(at + encoding.unit()..).unwrap_or_default();
            }
        }
    }
}

fn too_large(input: &dyn Input) -> Error {
    Error::new(ErrorKind::Data, format!("{} is too large to be sampled as a whole", input.name()))
}

/// Reads a file from the first byte to the last, as UTF-8.
pub(crate) struct Stream {
    name: String,
    reader: Box<dyn Read + Send>,
    encoding: Encoding,
    /// Bytes of a character whose rest is in the next block.
    pending: Vec<u8>,
    skip: usize,
    ended: bool,
}

impl Stream {
    /// Starts behind the `skip` bytes of a byte order mark.
    pub(crate) fn new(input: Arc<dyn Input>, encoding: Encoding, skip: usize) -> Self {
        let name = input.name().to_owned();
        Self { name, reader: input.reader(), encoding, pending: Vec::new(), skip, ended: false }
    }

    /// Whether the last byte was read.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Appends about `size` bytes to `out`.
    ///
    /// # Errors
    /// Where reading fails, and [`ErrorKind::Data`] where bytes are no text in the file's encoding.
    pub(crate) fn append(&mut self, size: usize, out: &mut Vec<u8>) -> Result<()> {
        let failed = |error| from_io(ErrorKind::SourceRead, error);
        if self.skip > 0 {
            let mut mark = vec![0; std::mem::take(&mut self.skip)];
            self.reader.read_exact(&mut mark).map_err(failed)?;
        }
        if self.encoding == Encoding::Utf8 {
            let read = self.reader.by_ref().take(size as u64).read_to_end(out).map_err(failed)?;
            self.ended = read < size;
            return Ok(());
        }
        let read = self.reader.by_ref().take(size as u64).read_to_end(&mut self.pending).map_err(failed)?;
        self.ended = read < size;
        match self.encoding.decode(&self.pending) {
            Ok(text) => {
                out.extend_from_slice(text.as_bytes());
                self.pending.clear();
                Ok(())
            }
            Err(at) if !self.ended && self.pending.len() - at < 4 => {
                let rest = self.pending.split_off(at);
                let whole = std::mem::replace(&mut self.pending, rest);
                out.extend_from_slice(self.encoding.decode(&whole).unwrap_or_default().as_bytes());
                Ok(())
            }
            Err(_) => Err(Error::new(ErrorKind::Data, format!("bytes that are not {}", self.encoding.name()))
                .at(Location { file: self.name.clone(), line: 0, column: 0, text: None })
                .hint("name the file's encoding with the option encoding")),
        }
    }
}

/// Where byte `at` of `data` is, whose first line is number `first_line` of the file.
pub(crate) fn locate(file: &str, data: &[u8], at: usize, first_line: u64, line_end: u8) -> Location {
    const LONGEST: usize = 200;
    let at = at.min(data.len());
    let before = &data[..at];
    let start = memchr::memrchr(line_end, before).map_or(0, |found| found + 1);
    let rest = &data[start..];
    let line = &rest[..memchr::memchr(line_end, rest).unwrap_or(rest.len())];
    let text = String::from_utf8_lossy(line.trim_ascii_end());
    Location {
        file: file.to_owned(),
        line: first_line + memchr::memchr_iter(line_end, before).count() as u64,
        column: String::from_utf8_lossy(&data[start..at]).chars().count() as u64 + 1,
        text: Some(if text.chars().count() > LONGEST {
            text.chars().take(LONGEST).chain(['…']).collect()
        } else {
            text.into_owned()
        }),
    }
}
