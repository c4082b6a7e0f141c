//! What the library reads from: an input, with the column chunks of a row group fetched beforehand.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use outport_core::Result;
use outport_core::format::Input;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// How much is read at once where nothing was fetched.
const WINDOW: usize = 512 * 1024;
/// Column chunks up to this size are fetched whole; larger ones are read page by page.
const LARGEST_FETCH: u64 = 32 << 20;
/// Gaps up to this size are read over rather than around.
const GAP: u64 = 64 * 1024;

/// An input and what is in memory of it; cheap to clone.
#[derive(Clone)]
pub(super) struct Source {
    input: Arc<dyn Input>,
    /// Stretches by their start, in order.
    fetched: Arc<[(u64, Bytes)]>,
}

impl Source {
    pub(super) fn new(input: Arc<dyn Input>) -> Self {
        Self { input, fetched: Arc::new([]) }
    }

    /// Reads the stretches `(start, length)` that are not too large, those side by side at once.
    pub(super) fn fetch(&self, stretches: impl IntoIterator<Item = (u64, u64)>) -> Result<Self> {
        let mut wanted: Vec<(u64, u64)> = stretches
            .into_iter()
            .filter(|(_, length)| *length <= LARGEST_FETCH)
            .map(|(at, len)| (at, at.saturating_add(len)))
            .collect();
        wanted.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (start, end) in wanted {
            match joined.last_mut() {
                Some(last) if start <= last.1.saturating_add(GAP) && end - last.0 <= LARGEST_FETCH => {
                    last.1 = last.1.max(end)
                }
                _ => joined.push((start, end)),
            }
        }
        let mut fetched = Vec::with_capacity(joined.len());
        for (start, end) in joined {
            // Beyond its end there is nothing to fetch: whoever needs it finds that out with a better message.
            let end = end.min(self.input.len());
            if start < end {
                fetched.push((start, self.read(start, usize::try_from(end - start).unwrap_or(usize::MAX))?));
            }
        }
        Ok(Self { input: self.input.clone(), fetched: fetched.into() })
    }

    fn read(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut buffer = vec![0; length];
        self.input.read_at(start, &mut buffer)?;
        Ok(buffer.into())
    }

    /// What is in memory from `start` on.
    fn in_memory(&self, start: u64) -> Option<Bytes> {
        let after = self.fetched.partition_point(|(at, _)| *at <= start);
        let (at, bytes) = self.fetched.get(after.checked_sub(1)?)?;
        let skip = usize::try_from(start - at).ok()?;
        (skip < bytes.len()).then(|| bytes.slice(skip..))
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.input.len()
    }
}

impl ChunkReader for Source {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let capacity = if self.in_memory(start).is_some() { 0 } else { WINDOW };
        Ok(BufReader::with_capacity(capacity, From { source: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if let Some(bytes) = self.in_memory(start).filter(|bytes| bytes.len() >= length) {
            return Ok(bytes.slice(..length));
        }
        // A damaged file may ask for anything: nothing is allocated for what is not there.
        if start.saturating_add(length as u64) > self.input.len() {
            return Err(ParquetError::EOF(format!(
                "expected {length} bytes from byte {start}, found the end of the file at byte {}",
                self.input.len()
            )));
        }
        self.read(start, length).map_err(|e| ParquetError::External(Box::new(e)))
    }
}

/// Reads on from a place.
pub(super) struct From {
    source: Source,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.source.in_memory(self.at) {
            Some(bytes) => {
                let length = buffer.len().min(bytes.len());
                buffer[..length].copy_from_slice(&bytes[..length]);
                length
            }
            None => {
                let left = usize::try_from(self.source.input.len().saturating_sub(self.at)).unwrap_or(usize::MAX);
                let length = buffer.len().min(left);
                self.source.input.read_at(self.at, &mut buffer[..length]).map_err(io::Error::other)?;
                length
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}
