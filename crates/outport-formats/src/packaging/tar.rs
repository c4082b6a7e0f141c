//! A tar archive (POSIX.1-2001: ustar with pax records where they are needed) inside one gzip member.

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use outport_core::Result;

use super::block::{Block, BlockCompressor, Deflate};
use super::gzip::Gzip;
use super::{misuse, write};

const RECORD: usize = 512;
/// What the size field can hold, 11 octal digits: 8 GiB less one byte.
const LARGEST: u64 = 0o77_777_777_777;
const NAME_FIELD: usize = 100;

/// Writes an archive whose entries are handed over with their size.
pub(super) struct TarGz {
    gzip: Gzip,
    deflate: Arc<Deflate>,
    started: bool,
    left: u64,
    padding: usize,
}

impl TarGz {
    pub(super) fn new(level: Option<u32>, deflate: Arc<Deflate>) -> Self {
        Self { gzip: Gzip::new(level), deflate, started: false, left: 0, padding: 0 }
    }

    pub(super) fn begin(
        &mut self,
        name: &str,
        modified: Option<Timestamp>,
        size: u64,
        out: &mut dyn Write,
    ) -> Result<()> {
        self.start(out)?;
        super::zip::check_name(name)?;
        let seconds = modified.and_then(|at| u64::try_from(at.as_second()).ok()).unwrap_or(0);
        let mut bytes = Vec::new();
        let short_name = name.is_ascii() && name.len() <= NAME_FIELD;
        if !short_name || size > LARGEST {
            let mut records = Vec::new();
            if !short_name {
                records.extend(pax_record("path", name));
            }
            if size > LARGEST {
                records.extend(pax_record("size", &size.to_string()));
            }
            bytes.extend(header("PaxHeaders/entry", records.len() as u64, seconds, b'x'));
            let padding = padding(records.len() as u64);
            bytes.extend(records);
            bytes.resize(bytes.len() + padding, 0);
        }
        bytes.extend(header(name, size.min(LARGEST), seconds, b'0'));
        self.left = size;
        self.padding = padding(size);
        self.put(bytes, out)
    }

    pub(super) fn append(&mut self, block: Block, out: &mut dyn Write) -> Result<()> {
        self.left = self
            .left
            .checked_sub(block.raw_len())
            .ok_or_else(|| misuse("an entry of a tar.gz is longer than the size it was announced with"))?;
        self.gzip.append(block, out)
    }

    pub(super) fn end(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.left > 0 {
            return Err(misuse("an entry of a tar.gz is shorter than the size it was announced with"));
        }
        self.put(vec![0; self.padding], out)
    }

    pub(super) fn finish(mut self, out: &mut dyn Write) -> Result<()> {
        self.start(out)?;
        // An archive ends with two empty records.
        self.put(vec![0; 2 * RECORD], out)?;
        self.gzip.end(out)
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<()> {
        if !self.started {
            self.started = true;
            // The member has no name of its own: it would be that of the archive.
            self.gzip.begin("", None, out)?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: Vec<u8>, out: &mut dyn Write) -> Result<()> {
        if bytes.is_empty() {
            return write(out, &[]);
        }
        let block = self.deflate.compress(bytes)?;
        self.gzip.append(block, out)
    }
}

/// The bytes up to the next full record.
fn padding(size: u64) -> usize {
    (RECORD - (size % RECORD as u64) as usize) % RECORD
}

fn header(name: &str, size: u64, seconds: u64, kind: u8) -> [u8; RECORD] {
    let mut header = [0; RECORD];
    let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
    // A name that does not fit stands in a pax record; what is here is for readers older than those.
    let name: Vec<u8> = name.bytes().map(|b| if b.is_ascii() { b } else { b'_' }).take(NAME_FIELD).collect();
    put(0, &name);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", seconds.min(LARGEST)).as_bytes());
    // The checksum is taken with spaces in its own place.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// `length key=value\n`, where the length counts its own digits.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}
