//! A local file written once from front to back, past the page cache when it grows big.
//!
//! An export is written once, synced, and seldom read back in the same minute. Copied into the page cache it costs about a second
//! of processor time for each two gigabytes, pushes out what other programs have there, and leaves the longest wait to the end.
//! So what goes beyond [`DIRECT_FROM`] bytes goes to the disk directly where the file system can do that (`O_DIRECT`); a full
//! disk then shows at once, too.

use std::fs::File;
use std::io::{self, Write};

/// Bytes are gathered to blocks of this size; a multiple of [`ALIGNMENT`].
const BLOCK: usize = 1 << 20;
/// What direct writes ask of addresses, positions and lengths; no device in use asks for more.
const ALIGNMENT: usize = 4096;
/// Smaller files stay in the page cache, as somebody may want to read them soon; a multiple of [`BLOCK`].
const DIRECT_FROM: u64 = 16 << 20;

/// Gathers what is written to it to blocks, and writes these.
pub(super) struct SequentialFile {
    file: File,
    /// One block and what it takes to align it.
    buffer: Box<[u8]>,
    start: usize,
    waiting: usize,
    written: u64,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Through the page cache, for the file is small.
    Small,
    /// Past the page cache.
    Direct,
    /// Through the page cache, for the file system wants it so.
    Cached,
}

impl SequentialFile {
    /// Writes to `file`, which is empty.
    pub(super) fn new(file: File) -> Self {
        let buffer = vec![0; BLOCK + ALIGNMENT].into_boxed_slice();
        let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { file, buffer, start, waiting: 0, written: 0, mode: Mode::Small }
    }

    /// Writes what waits, and returns once all of the file is on the disk.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write_block()?;
        self.file.sync_all()
    }

    fn write_block(&mut self) -> io::Result<()> {
        let whole = self.waiting == BLOCK;
        if self.mode == Mode::Small && self.written >= DIRECT_FROM {
            self.mode = if direct(&self.file, true).is_ok() { Mode::Direct } else { Mode::Cached };
        }
        if self.mode == Mode::Direct && !whole {
            self.leave_direct()?;
        }
        let mut at = self.start;
        let end = self.start + self.waiting;
        while at < end {
            match self.file.write(&self.buffer[at..end]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The file system refuses only now, or a block was taken in part and the rest is not aligned.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.mode == Mode::Direct => {
                    self.leave_direct()?;
                }
                Err(error) => return Err(error),
            }
        }
        self.written += self.waiting as u64;
        self.waiting = 0;
        Ok(())
    }

    fn leave_direct(&mut self) -> io::Result<()> {
        self.mode = Mode::Cached;
        direct(&self.file, false)
    }
}

impl Write for SequentialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting == BLOCK {
            self.write_block()?;
        }
        let count = bytes.len().min(BLOCK - self.waiting);
        let at = self.start + self.waiting;
        self.buffer[at..at + count].copy_from_slice(&bytes[..count]);
        self.waiting += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        // What is not a whole block would end the direct writes; nobody reads a hidden file before it is finished.
        Ok(())
    }
}

/// Whether writes go past the page cache from now on.
#[cfg(target_os = "linux")]
fn direct(file: &File, on: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, on);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn direct(_: &File, on: bool) -> io::Result<()> {
    if on { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length around the borders arrives as it was written, however it was cut.
    #[test]
    fn bytes_arrive_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let direct_from = usize::try_from(DIRECT_FROM).unwrap();
        let lengths = [0, 1, BLOCK, BLOCK + 1, direct_from, direct_from + BLOCK, direct_from + 3 * BLOCK + 4097];
        for (number, length) in lengths.into_iter().enumerate() {
            let content: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
            let path = folder.path().join(number.to_string());
            let mut file = SequentialFile::new(File::create(&path).unwrap());
            for piece in content.chunks(700_001) {
                file.write_all(piece).unwrap();
            }
            file.finish().unwrap();
            assert!(std::fs::read(&path).unwrap() == content, "{length} bytes");
        }
    }

    /// A file system that knows no direct writes gets the usual ones, whether it says so early or late.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_refused_block_is_written_the_usual_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = SequentialFile::new(File::create(&path).unwrap());
        let content = vec![7; usize::try_from(DIRECT_FROM).unwrap() + 2 * BLOCK];
        file.write_all(&content).unwrap();
        // The next block is at an address that no device takes.
        file.start = usize::from(file.start == 0);
        file.mode = if direct(&file.file, true).is_ok() { Mode::Direct } else { Mode::Cached };
        file.waiting = 0;
        file.write_all(&vec![8; BLOCK]).unwrap();
        file.write_all(&[9]).unwrap();
        let before = file.written;
        file.finish().unwrap();
        let written = std::fs::read(&path).unwrap();
        assert_eq!(written.len() as u64, before + 1);
        assert!(written[written.len() - 1 - BLOCK..written.len() - 1].iter().all(|byte| *byte == 8));
    }
}
