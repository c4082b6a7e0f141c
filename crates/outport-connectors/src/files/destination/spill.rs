//! What has to wait: in memory while it is little, in a temporary file beyond.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use outport_core::error::from_io;
use outport_core::{ErrorKind, Result};
use outport_formats::packaging::Block;
use tempfile::SpooledTempFile;

/// What is kept in memory.
const IN_MEMORY: usize = 16 << 20;
/// What is read back at once.
const READ: usize = 1 << 20;

/// Bytes that wait. The file has no name, so that nothing is left of it when the process dies.
pub(super) struct Spill(SpooledTempFile);

impl Spill {
    pub(super) fn new(folder: &Path) -> Self {
        Self(tempfile::spooled_tempfile_in(IN_MEMORY, folder))
    }

    /// Gives all bytes back, in pieces, from the first to the last.
    pub(super) fn drain(mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.0.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut buffer = vec![0; READ];
        loop {
            match self.0.read(&mut buffer).map_err(failed)? {
                0 => return Ok(()),
                count => take(&buffer[..count])?,
            }
        }
    }
}

impl Write for Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Blocks of an archive entry that wait for its name and size.
pub(super) struct BlockSpill {
    bytes: Spill,
    raw_len: u64,
}

/// Kind, raw length, checksum and length of a block, as it lies in the spill.
const HEAD: usize = 1 + 8 + 4 + 8;

impl BlockSpill {
    pub(super) fn new(folder: &Path) -> Self {
        Self { bytes: Spill::new(folder), raw_len: 0 }
    }

    /// The raw bytes of all blocks.
    pub(super) fn raw_len(&self) -> u64 {
        self.raw_len
    }

    pub(super) fn push(&mut self, block: &Block) -> Result<()> {
        self.raw_len += block.raw_len();
        let (kind, crc, bytes) = match block {
            Block::Raw(bytes) => (0, 0, bytes),
            Block::Deflated { bytes, crc, .. } => (1, *crc, bytes),
        };
        let mut head = Vec::with_capacity(HEAD);
        head.push(kind);
        head.extend(block.raw_len().to_le_bytes());
        head.extend(crc.to_le_bytes());
        head.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.write_all(&head).and_then(|()| self.bytes.write_all(bytes)).map_err(failed)
    }

    /// The blocks in the order in which they came.
    pub(super) fn into_blocks(mut self) -> Result<impl Iterator<Item = Result<Block>>> {
        self.bytes.0.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(std::iter::from_fn(move || next_block(&mut self.bytes.0).map_err(failed).transpose()))
    }
}

fn next_block(from: &mut impl Read) -> io::Result<Option<Block>> {
    let mut head = [0; HEAD];
    match from.read_exact(&mut head[..1]) {
        Ok(()) => from.read_exact(&mut head[1..])?,
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let mut long = [0; 8];
    long.copy_from_slice(&head[1..9]);
    let raw_len = u64::from_le_bytes(long);
    long.copy_from_slice(&head[13..21]);
    let len = usize::try_from(u64::from_le_bytes(long)).map_err(io::Error::other)?;
    let crc = u32::from_le_bytes([head[9], head[10], head[11], head[12]]);
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    Ok(Some(if head[0] == 0 { Block::Raw(bytes) } else { Block::Deflated { bytes, raw_len, crc } }))
}

fn failed(error: io::Error) -> outport_core::Error {
    from_io(ErrorKind::Write, error).context("temporary file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_as_they_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = BlockSpill::new(folder.path());
        let large = Block::Deflated { bytes: vec![7; IN_MEMORY], raw_len: 99, crc: 5 };
        let blocks = [Block::Raw(b"head".to_vec()), large, Block::Raw(Vec::new())];
        blocks.iter().for_each(|block| spill.push(block).unwrap());
        assert_eq!(spill.raw_len(), 4 + 99);
        let back: Vec<Block> = spill.into_blocks().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, blocks);
    }
}
