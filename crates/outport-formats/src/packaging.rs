//! What stands around a data file: compression, archives, hashes, the manifest.
//!
//! One object in a store is built by one [`Packager`]. The costly part of gzip and ZIP, DEFLATE, runs wherever the caller has a
//! thread for it: [`Packager::block_compressor`] hands out a [`BlockCompressor`] that turns each chunk of raw bytes into a
//! [`Block`] on its own, and [`Packager::append`] joins the blocks, in order, into one gzip member or one ZIP entry, as
//! pigz does. The other codecs take raw blocks: zstd has worker threads of its own, LZ4 and Snappy are cheap.
//!
//! ```
//! # use outport_formats::packaging::{Block, Packager, Wrapping};
//! # fn main() -> outport_core::Result<()> {
//! let mut out = Vec::new();
//! let mut packager = Packager::new(Wrapping::Zip, None, 2)?;
//! let compressor = packager.block_compressor();
//! packager.begin_entry("orders.csv", None, &mut out)?;
//! for chunk in [b"id,name\n".to_vec(), b"1,one\n".to_vec()] {
//!     let block = match &compressor {
//!         Some(compressor) => compressor.compress(chunk)?, // on any thread
//!         None => Block::Raw(chunk),
//!     };
//!     packager.append(block, &mut out)?;
//! }
//! packager.end_entry(&mut out)?;
//! packager.finish(&mut out)?;
//! # Ok(())
//! # }
//! ```

mod block;
pub mod decompress;
mod gzip;
mod hash;
mod manifest;
mod stream;
mod tar;
#[cfg(test)]
mod tests;
mod wrapping;
mod zip;

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use outport_core::error::from_io;
use outport_core::{Error, ErrorKind, Result};

pub use self::block::{Block, BlockCompressor};
pub use self::hash::{Hashed, Sha256Writer};
pub use self::manifest::manifest_bytes;
pub use self::wrapping::{Wrapping, check_level};

use self::block::Deflate;
use self::gzip::Gzip;
use self::stream::Stream;
use self::tar::TarGz;
use self::zip::Zip;

/// Builds one object: raw or compressed blocks in, the bytes of the object out.
///
/// The calls come in this order: for each entry [`begin_entry`](Self::begin_entry), any number of [`append`](Self::append),
/// [`end_entry`](Self::end_entry); then [`finish`](Self::finish). Only an archive has more than one entry. A [`Wrapping::TarGz`]
/// takes entries whole, through [`append_entry`](Self::append_entry). After an error the object is worthless.
pub struct Packager {
    wrapping: Wrapping,
    deflate: Option<Arc<Deflate>>,
    body: Body,
    entry: Entry,
}

enum Body {
    Plain,
    Gzip(Box<Gzip>),
    Zip(Zip),
    TarGz(Box<TarGz>),
    Stream(Box<Stream>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    None,
    Open,
    Closed,
}

impl Packager {
    /// A packager; `level` as [`outport_core::layout::Codec::levels`] has them, the codec's usual one where there is none.
    ///
    /// `threads` is the number of worker threads of codecs that have their own (zstd).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a level that the codec does not have.
    pub fn new(wrapping: Wrapping, level: Option<u32>, threads: usize) -> Result<Self> {
        wrapping::check_wrapping_level(wrapping, level)?;
        let deflate = wrapping.deflates().then(|| Arc::new(Deflate::new(level)));
        let body = match (wrapping, &deflate) {
            (Wrapping::Gzip, _) => Body::Gzip(Box::new(Gzip::new(level))),
            (Wrapping::Zip, _) => Body::Zip(Zip::new()),
            (Wrapping::TarGz, Some(deflate)) => Body::TarGz(Box::new(TarGz::new(level, deflate.clone()))),
            (Wrapping::Plain | Wrapping::TarGz, _) => Body::Plain,
            (Wrapping::Zstd | Wrapping::Lz4 | Wrapping::Snappy | Wrapping::Brotli, _) => {
                Body::Stream(Box::new(Stream::new(wrapping, level, threads)?))
            }
        };
        Ok(Self { wrapping, deflate, body, entry: Entry::None })
    }

    /// What turns raw bytes into blocks on any thread; `None` where the packager wants them raw.
    pub fn block_compressor(&self) -> Option<Arc<dyn BlockCompressor>> {
        self.deflate.as_ref().map(|deflate| deflate.clone() as Arc<dyn BlockCompressor>)
    }

    /// Starts an entry. `name` is kept where the format has a place for it: with `/` between folders in archives, without
    /// folder in gzip; `modified` likewise, and where it is `None` the same rows give the same bytes every time.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a second entry in what is not an archive, or for a name that the archive cannot hold.
    pub fn begin_entry(&mut self, name: &str, modified: Option<Timestamp>, out: &mut dyn Write) -> Result<()> {
        match (self.entry, &self.body) {
            (Entry::Open, _) => return Err(misuse("the entry before has not ended")),
            (Entry::Closed, Body::Plain | Body::Gzip(_) | Body::Stream(_)) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "a {} file holds one data file, expected no second one, found {name}",
                        self.wrapping.name()
                    ),
                )
                .hint("use compression zip or gzip, which bundle several files, or write one file per part"));
            }
            _ => {}
        }
        match &mut self.body {
            Body::Plain | Body::Stream(_) => {}
            Body::Gzip(gzip) => gzip.begin(name, modified, out)?,
            Body::Zip(zip) => zip.begin(name, modified, out)?,
            Body::TarGz(_) => return Err(misuse("an entry of a tar.gz is handed over whole")),
        }
        self.entry = Entry::Open;
        Ok(())
    }

    /// Adds a block to the open entry; a raw one is compressed here, on the calling thread, if it has to be.
    pub fn append(&mut self, block: Block, out: &mut dyn Write) -> Result<()> {
        if self.entry != Entry::Open {
            return Err(misuse("no entry is open"));
        }
        match (&mut self.body, block) {
            (Body::Plain, Block::Raw(bytes)) => write(out, &bytes),
            (Body::Stream(stream), Block::Raw(bytes)) => stream.append(&bytes, out),
            (Body::Gzip(gzip), block) => gzip.append(deflated(&self.deflate, block)?, out),
            (Body::Zip(zip), block) => zip.append(deflated(&self.deflate, block)?, out),
            (Body::TarGz(_), _) => Err(misuse("an entry of a tar.gz is handed over whole")),
            (Body::Plain | Body::Stream(_), Block::Deflated { .. }) => {
                Err(misuse("a deflated block was given to what does not hold DEFLATE"))
            }
        }
    }

    /// Ends the open entry.
    pub fn end_entry(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.entry != Entry::Open {
            return Err(misuse("no entry is open"));
        }
        match &mut self.body {
            Body::Plain | Body::TarGz(_) => {}
            Body::Gzip(gzip) => gzip.end(out)?,
            Body::Zip(zip) => zip.end(out)?,
            Body::Stream(stream) => stream.end(out)?,
        }
        self.entry = Entry::Closed;
        Ok(())
    }

    /// Adds a whole entry of `size` raw bytes, given as blocks; the only way into a [`Wrapping::TarGz`], whose entries start
    /// with their size. The blocks may come from where the caller keeps them until the size is known: they are compressed
    /// already, so that is little.
    ///
    /// # Errors
    /// Whatever `blocks` yields; [`ErrorKind::Internal`] if they are not `size` bytes together.
    pub fn append_entry(
        &mut self,
        name: &str,
        modified: Option<Timestamp>,
        size: u64,
        blocks: &mut dyn Iterator<Item = Result<Block>>,
        out: &mut dyn Write,
    ) -> Result<()> {
        if let Body::TarGz(tar) = &mut self.body {
            tar.begin(name, modified, size, out)?;
            for block in blocks {
                tar.append(deflated(&self.deflate, block?)?, out)?;
            }
            return tar.end(out);
        }
        self.begin_entry(name, modified, out)?;
        for block in blocks {
            self.append(block?, out)?;
        }
        self.end_entry(out)
    }

    /// Writes what stands behind the last entry.
    pub fn finish(self, out: &mut dyn Write) -> Result<()> {
        if self.entry == Entry::Open {
            return Err(misuse("the last entry has not ended"));
        }
        match self.body {
            Body::Plain | Body::Gzip(_) | Body::Stream(_) => Ok(()),
            Body::Zip(zip) => zip.finish(out),
            Body::TarGz(tar) => tar.finish(out),
        }
    }
}

fn deflated(deflate: &Option<Arc<Deflate>>, block: Block) -> Result<Block> {
    match (block, deflate) {
        (Block::Raw(raw), Some(deflate)) => deflate.compress(raw),
        (block, _) => Ok(block),
    }
}

fn misuse(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("packaging: {what}"))
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|e| from_io(ErrorKind::Write, e))
}
