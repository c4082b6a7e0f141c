//! Objects in a bucket, and any input from front to back, as blocking readers.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use outport_core::format::Input;
use outport_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{Found, Remote, from_object_store};

/// What is fetched at once when an object is read from front to back; the next such range is on its way meanwhile.
const READAHEAD: u64 = 8 << 20;
/// What a local file is read by.
const LOCAL_READ: usize = 1 << 20;

/// An object; each read is a ranged request, made by the runtime while the caller's thread waits.
pub(super) struct RemoteInput {
    remote: Arc<Remote>,
    key: Path,
    name: String,
    len: u64,
    runtime: Handle,
}

impl RemoteInput {
    pub(super) fn new(remote: Arc<Remote>, found: &Found, name: String) -> Result<Self> {
        let key = remote.key(&found.path).map_err(|e| from_object_store(e, &name))?;
        Ok(Self { remote, key, name, len: found.size, runtime: Handle::current() })
    }

    fn fetch(&self, start: u64, end: u64) -> JoinHandle<object_store::Result<Bytes>> {
        let (remote, key) = (self.remote.clone(), self.key.clone());
        self.runtime.spawn(async move { remote.objects.get_range(&key, start..end).await })
    }

    fn wait(&self, fetch: JoinHandle<object_store::Result<Bytes>>) -> Result<Bytes> {
        futures::executor::block_on(fetch)
            .map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?
            .map_err(|e| from_object_store(e, &self.name))
    }
}

impl Input for RemoteInput {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(buffer.len() as u64);
        if end > self.len {
            return Err(too_short(&self.name, self.len, offset, buffer.len()));
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let bytes = self.wait(self.fetch(offset, end))?;
        if bytes.len() != buffer.len() {
            return Err(too_short(&self.name, offset + bytes.len() as u64, offset, buffer.len()));
        }
        buffer.copy_from_slice(&bytes);
        Ok(())
    }

    fn reader(self: Arc<Self>) -> Box<dyn Read + Send> {
        Box::new(Readahead { input: self, at: 0, ready: Bytes::new(), coming: None })
    }
}

/// Reads an object from front to back with one range in hand and one on its way.
struct Readahead {
    input: Arc<RemoteInput>,
    /// Where the next range to ask for starts.
    at: u64,
    ready: Bytes,
    coming: Option<JoinHandle<object_store::Result<Bytes>>>,
}

impl Readahead {
    fn ask(&mut self) {
        if self.at < self.input.len {
            let end = (self.at + READAHEAD).min(self.input.len);
            self.coming = Some(self.input.fetch(self.at, end));
            self.at = end;
        }
    }
}

impl Read for Readahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() {
            if self.coming.is_none() {
                self.ask();
            }
            let Some(fetch) = self.coming.take() else { return Ok(0) };
            self.ready = self.input.wait(fetch).map_err(io::Error::other)?;
            self.ask();
        }
        let count = buffer.len().min(self.ready.len());
        buffer[..count].copy_from_slice(&self.ready.split_to(count));
        Ok(count)
    }
}

impl Drop for Readahead {
    fn drop(&mut self) {
        if let Some(fetch) = self.coming.take() {
            fetch.abort();
        }
    }
}

/// Reads any input from front to back through its own `read_at`.
pub(super) struct Sequential<I> {
    input: Arc<I>,
    at: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl<I: Input> Sequential<I> {
    pub(super) fn new(input: Arc<I>) -> Self {
        Self { input, at: 0, buffer: Vec::new(), used: 0 }
    }
}

impl<I: Input> Read for Sequential<I> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let left = self.input.len() - self.at;
        if self.used == self.buffer.len() && target.len() >= LOCAL_READ {
            // A large read needs no buffer of ours.
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(target.len());
            self.input.read_at(self.at, &mut target[..count]).map_err(io::Error::other)?;
            self.at += count as u64;
            return Ok(count);
        }
        if self.used == self.buffer.len() {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(LOCAL_READ);
            self.buffer.resize(count, 0);
            self.input.read_at(self.at, &mut self.buffer).map_err(io::Error::other)?;
            self.at += count as u64;
            self.used = 0;
        }
        let count = target.len().min(self.buffer.len() - self.used);
        target[..count].copy_from_slice(&self.buffer[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}

/// The error for a read past the end.
pub(super) fn too_short(name: &str, len: u64, offset: u64, wanted: usize) -> Error {
    Error::new(ErrorKind::Data, format!("{name} ends at byte {len}, expected {wanted} more from byte {offset}"))
}
