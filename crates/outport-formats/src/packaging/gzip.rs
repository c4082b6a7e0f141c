//! One gzip member (RFC 1952) around joined blocks.

use std::io::Write;

use jiff::Timestamp;
use outport_core::Result;

use super::block::{Block, Joined};
use super::write;

/// The flag of a header that holds the file's name.
const FNAME: u8 = 0x08;
/// The operating system byte: Unix, whose line ends and paths the content has.
const UNIX: u8 = 3;

/// Writes one member.
pub(super) struct Gzip {
    level: Option<u32>,
    body: Joined,
}

impl Gzip {
    pub(super) fn new(level: Option<u32>) -> Self {
        Self { level, body: Joined::default() }
    }

    pub(super) fn begin(&mut self, name: &str, modified: Option<Timestamp>, out: &mut dyn Write) -> Result<()> {
        // The header holds a name without folder in ISO 8859-1; what is not ASCII is left out, as readers disagree on it.
        let name = name.rsplit('/').next().unwrap_or_default();
        let name = if name.is_ascii() && !name.contains('\0') { name } else { "" };
        let seconds = modified.and_then(|at| u32::try_from(at.as_second()).ok()).unwrap_or(0);
        // XFL tells the two extremes.
        let effort = match self.level {
            Some(9) => 2,
            Some(1) => 4,
            _ => 0,
        };
        let mut header = vec![0x1f, 0x8b, 8, if name.is_empty() { 0 } else { FNAME }];
        header.extend(seconds.to_le_bytes());
        header.extend([effort, UNIX]);
        if !name.is_empty() {
            header.extend(name.as_bytes());
            header.push(0);
        }
        write(out, &header)
    }

    pub(super) fn append(&mut self, block: Block, out: &mut dyn Write) -> Result<()> {
        self.body.append(block, out)
    }

    pub(super) fn end(&mut self, out: &mut dyn Write) -> Result<()> {
        self.body.end(out)?;
        let mut trailer = self.body.crc().to_le_bytes().to_vec();
        // The length is kept modulo 2^32, by the definition of the format.
        trailer.extend_from_slice(&self.body.raw_len().to_le_bytes()[..4]);
        write(out, &trailer)
    }
}
