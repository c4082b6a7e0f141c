//! The SHA-256 of bytes while they go by.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// A writer that hashes and counts what passes through it.
pub struct Sha256Writer<W> {
    inner: W,
    hash: Option<Sha256>,
    bytes: u64,
}

/// What is known of bytes that went by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// Their number.
    pub bytes: u64,
    /// Their SHA-256 in lowercase hex; empty where they were only counted.
    pub sha256: String,
}

impl<W: Write> Sha256Writer<W> {
    /// Hashes what is written to `inner` through it.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Some(Sha256::new()), bytes: 0 }
    }

    /// Counts what is written to `inner` through it, without hashing.
    pub fn counting(inner: W) -> Self {
        Self { inner, hash: None, bytes: 0 }
    }

    /// The number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The writer inside.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The writer inside, and what went by.
    pub fn finish(self) -> (W, Hashed) {
        (
            self.inner,
            Hashed {
                bytes: self.bytes,
                sha256: self.hash.map(|hash| hex::encode(hash.finalize())).unwrap_or_default(),
            },
        )
    }
}

impl<W: Write> Write for Sha256Writer<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..written]);
        }
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
