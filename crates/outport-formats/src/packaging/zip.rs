//! A ZIP archive written front to back, its sizes behind the data they belong to (PKWARE APPNOTE 6.3).
//!
//! Sizes are not known when an entry starts, so each has a data descriptor. One of an entry beyond 4 GiB has 8-byte sizes, and
//! the local header does not announce that: whoever reads the central directory (Python, unzip, 7z, `java.util.zip.ZipFile`)
//! never looks at it, and Java's `ZipInputStream`, the one that has to, decides by the size, and stumbles over small
//! entries that are announced as ZIP64. Go's `archive/zip` writes the same.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use outport_core::{Error, ErrorKind, Result};

use super::block::{Block, Joined};
use super::{misuse, write};

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DATA_DESCRIPTOR: u32 = 0x0807_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_ZIP64: u32 = 0x0606_4b50;
const LOCATOR_ZIP64: u32 = 0x0706_4b50;

/// Sizes stand behind the data, and names are UTF-8.
const FLAGS: u16 = 0x0008 | 0x0800;
const DEFLATE: u16 = 8;
/// What a reader must know: 2.0 has DEFLATE, 4.5 has ZIP64.
const NEEDS_DEFLATE: u16 = 20;
const NEEDS_ZIP64: u16 = 45;
/// Made on Unix, by the rules of version 4.5.
const MADE_BY: u16 = (3 << 8) | 45;
/// A regular file that its owner may write and everybody read, where Unix keeps its mode.
const ATTRIBUTES: u32 = 0o100_644 << 16;
/// The extra field with the time in UTC, of which this is the time of change.
const EXTENDED_TIME: u16 = 0x5455;
const ZIP64: u16 = 0x0001;

/// Writes an archive.
pub(super) struct Zip {
    offset: u64,
    open: Option<Open>,
    entries: Vec<Entry>,
}

struct Open {
    name: String,
    modified: Option<Timestamp>,
    offset: u64,
    data: Joined,
}

struct Entry {
    name: String,
    modified: Option<Timestamp>,
    crc: u32,
    compressed: u64,
    size: u64,
    offset: u64,
}

impl Zip {
    pub(super) fn new() -> Self {
        Self { offset: 0, open: None, entries: Vec::new() }
    }

    pub(super) fn begin(&mut self, name: &str, modified: Option<Timestamp>, out: &mut dyn Write) -> Result<()> {
        check_name(name)?;
        if self.entries.iter().any(|entry| entry.name == name) {
            return Err(Error::new(ErrorKind::Config, format!("a zip archive would hold two files named {name}"))
                .hint("add {part} to the file name pattern"));
        }
        let extra = time_field(modified);
        let mut header = Vec::with_capacity(64 + name.len());
        put32(&mut header, LOCAL_HEADER);
        put16(&mut header, NEEDS_DEFLATE);
        put_common(&mut header, modified);
        // CRC and sizes follow in the data descriptor.
        header.extend([0; 12]);
        put_len(&mut header, name.len())?;
        put_len(&mut header, extra.len())?;
        header.extend(name.as_bytes());
        header.extend(extra);
        let offset = self.offset;
        self.put(&header, out)?;
        self.open = Some(Open { name: name.to_owned(), modified, offset, data: Joined::default() });
        Ok(())
    }

    pub(super) fn append(&mut self, block: Block, out: &mut dyn Write) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(|| misuse("no entry is open"))?;
        open.data.append(block, out)
    }

    pub(super) fn end(&mut self, out: &mut dyn Write) -> Result<()> {
        let mut open = self.open.take().ok_or_else(|| misuse("no entry is open"))?;
        open.data.end(out)?;
        self.offset += open.data.written();
        let entry = Entry {
            name: open.name,
            modified: open.modified,
            crc: open.data.crc(),
            compressed: open.data.written(),
            size: open.data.raw_len(),
            offset: open.offset,
        };
        let mut descriptor = Vec::with_capacity(24);
        put32(&mut descriptor, DATA_DESCRIPTOR);
        put32(&mut descriptor, entry.crc);
        match (short(entry.compressed), short(entry.size)) {
            (Some(compressed), Some(size)) => {
                put32(&mut descriptor, compressed);
                put32(&mut descriptor, size);
            }
            _ => {
                put64(&mut descriptor, entry.compressed);
                put64(&mut descriptor, entry.size);
            }
        }
        self.entries.push(entry);
        self.put(&descriptor, out)
    }

    pub(super) fn finish(mut self, out: &mut dyn Write) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        let start = self.offset;
        for entry in &entries {
            self.put(&central_header(entry)?, out)?;
        }
        let end = end_of_archive(entries.len() as u64, start, self.offset - start);
        self.put(&end, out)
    }

    fn put(&mut self, bytes: &[u8], out: &mut dyn Write) -> Result<()> {
        self.offset += bytes.len() as u64;
        write(out, bytes)
    }
}

fn central_header(entry: &Entry) -> Result<Vec<u8>> {
    let (size, compressed, offset) = (short(entry.size), short(entry.compressed), short(entry.offset));
    // ZIP64 holds, in this order, those values that do not fit where they belong.
    let mut long = Vec::new();
    for (value, fits) in [(entry.size, size), (entry.compressed, compressed), (entry.offset, offset)] {
        if fits.is_none() {
            put64(&mut long, value);
        }
    }
    let mut extra = Vec::new();
    if !long.is_empty() {
        put16(&mut extra, ZIP64);
        put_len(&mut extra, long.len())?;
        extra.extend(&long);
    }
    extra.extend(time_field(entry.modified));

    let mut header = Vec::with_capacity(80 + entry.name.len());
    put32(&mut header, CENTRAL_HEADER);
    put16(&mut header, MADE_BY);
    put16(&mut header, if long.is_empty() { NEEDS_DEFLATE } else { NEEDS_ZIP64 });
    put_common(&mut header, entry.modified);
    put32(&mut header, entry.crc);
    put32(&mut header, compressed.unwrap_or(u32::MAX));
    put32(&mut header, size.unwrap_or(u32::MAX));
    put_len(&mut header, entry.name.len())?;
    put_len(&mut header, extra.len())?;
    // No comment, first disk, binary content.
    header.extend([0; 6]);
    put32(&mut header, ATTRIBUTES);
    put32(&mut header, offset.unwrap_or(u32::MAX));
    header.extend(entry.name.as_bytes());
    header.extend(extra);
    Ok(header)
}

fn end_of_archive(entries: u64, start: u64, length: u64) -> Vec<u8> {
    let mut end = Vec::with_capacity(98);
    let count = u16::try_from(entries).ok().filter(|n| *n < u16::MAX);
    if count.is_none() || short(start).is_none() || short(length).is_none() {
        put32(&mut end, END_ZIP64);
        // The length of the rest of this record.
        put64(&mut end, 44);
        put16(&mut end, MADE_BY);
        put16(&mut end, NEEDS_ZIP64);
        end.extend([0; 8]);
        for value in [entries, entries, length, start] {
            put64(&mut end, value);
        }
        put32(&mut end, LOCATOR_ZIP64);
        end.extend([0; 4]);
        put64(&mut end, start + length);
        put32(&mut end, 1);
    }
    put32(&mut end, END);
    end.extend([0; 4]);
    put16(&mut end, count.unwrap_or(u16::MAX));
    put16(&mut end, count.unwrap_or(u16::MAX));
    put32(&mut end, short(length).unwrap_or(u32::MAX));
    put32(&mut end, short(start).unwrap_or(u32::MAX));
    put16(&mut end, 0);
    end
}

/// The value where it fits into 4 bytes; the largest of these means that it does not.
fn short(value: u64) -> Option<u32> {
    u32::try_from(value).ok().filter(|v| *v < u32::MAX)
}

/// Flags, method, and time: what stands alike in both headers.
fn put_common(header: &mut Vec<u8>, modified: Option<Timestamp>) {
    put16(header, FLAGS);
    put16(header, DEFLATE);
    let (time, date) = dos_time(modified);
    put16(header, time);
    put16(header, date);
}

/// The time and date of MS-DOS, in UTC, which starts in 1980 and counts in steps of two seconds.
fn dos_time(modified: Option<Timestamp>) -> (u16, u16) {
    const EPOCH: (u16, u16) = (0, (1 << 5) | 1);
    let Some(at) = modified else { return EPOCH };
    let at = at.to_zoned(TimeZone::UTC);
    let year = i32::from(at.year()) - 1980;
    if !(0..128).contains(&year) {
        return EPOCH;
    }
    let part = |value: i32, shift: u32| (value as u16) << shift;
    let date = part(year, 9) | part(at.month().into(), 5) | part(at.day().into(), 0);
    let time = part(at.hour().into(), 11) | part(at.minute().into(), 5) | part(i32::from(at.second()) / 2, 0);
    (time, date)
}

fn time_field(modified: Option<Timestamp>) -> Vec<u8> {
    let Some(seconds) = modified.and_then(|at| i32::try_from(at.as_second()).ok()) else { return Vec::new() };
    let mut field = Vec::with_capacity(9);
    put16(&mut field, EXTENDED_TIME);
    put16(&mut field, 5);
    field.push(1);
    field.extend(seconds.to_le_bytes());
    field
}

pub(super) fn check_name(name: &str) -> Result<()> {
    let safe = !name.is_empty()
        && !name.contains(['\\', '\0'])
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if safe {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, format!("expected a relative path for an archive entry, found \"{name}\""))
        .hint("use folders and file names without \\, .. or empty parts"))
}

fn put_len(bytes: &mut Vec<u8>, len: usize) -> Result<()> {
    let len = u16::try_from(len).map_err(|_| {
        Error::new(ErrorKind::Unsupported, format!("a name of {len} bytes does not fit into a zip archive"))
    })?;
    put16(bytes, len);
    Ok(())
}

fn put16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend(value.to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}

fn put64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend(value.to_le_bytes());
}
