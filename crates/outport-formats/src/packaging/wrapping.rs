//! Which packaging a codec asks for, and at which levels.

use outport_core::format::FormatCaps;
use outport_core::layout::{Codec, Compression};
use outport_core::{Error, ErrorKind, Result};

/// What stands around a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrapping {
    /// Nothing.
    Plain,
    /// One gzip member, `.gz`.
    Gzip,
    /// A ZIP archive, `.zip`.
    Zip,
    /// A tar archive inside gzip, `.tar.gz`.
    TarGz,
    /// One Zstandard frame, `.zst`.
    Zstd,
    /// One LZ4 frame, `.lz4`.
    Lz4,
    /// The Snappy framing format, `.sz`.
    Snappy,
    /// A Brotli stream, `.br`.
    Brotli,
}

impl Wrapping {
    /// What stands around one file of a format: the codec, unless the format applies it to its own pages.
    ///
    /// ZIP is an archive and not a page codec: it goes around any format.
    pub fn of_file(format: &FormatCaps, codec: Codec) -> Self {
        let inside = !format.text && !format.internal_codecs.is_empty();
        match codec {
            Codec::Default | Codec::None => Self::Plain,
            Codec::Zip => Self::Zip,
            _ if inside => Self::Plain,
            Codec::Gzip => Self::Gzip,
            Codec::Zstd => Self::Zstd,
            Codec::Snappy => Self::Snappy,
            Codec::Lz4 => Self::Lz4,
            Codec::Brotli => Self::Brotli,
        }
    }

    /// What bundles several files of a format into one; `None` where they stay apart.
    ///
    /// Parquet parts under gzip stay apart: the codec is at work inside of them.
    pub fn of_bundle(format: &FormatCaps, codec: Codec) -> Option<Self> {
        match (codec, Self::of_file(format, codec)) {
            (_, Self::Zip) => Some(Self::Zip),
            (_, Self::Gzip) => Some(Self::TarGz),
            _ => None,
        }
    }

    /// The name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zip => "zip",
            Self::TarGz => "tar.gz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Brotli => "brotli",
        }
    }

    /// Whether its blocks are DEFLATE.
    pub(super) fn deflates(self) -> bool {
        matches!(self, Self::Gzip | Self::Zip | Self::TarGz)
    }

    fn codec(self) -> Codec {
        match self {
            Self::Plain => Codec::None,
            Self::Gzip | Self::TarGz => Codec::Gzip,
            Self::Zip => Codec::Zip,
            Self::Zstd => Codec::Zstd,
            Self::Lz4 => Codec::Lz4,
            Self::Snappy => Codec::Snappy,
            Self::Brotli => Codec::Brotli,
        }
    }
}

/// Refuses a level that the codec does not have.
///
/// # Errors
/// [`ErrorKind::Config`], in the words of the export contract.
pub fn check_level(compression: Compression) -> Result<()> {
    let Some(level) = compression.level else { return Ok(()) };
    let wrong = |message: String| Err(Error::new(ErrorKind::Config, message));
    let name = compression.codec.name();
    match (compression.codec, compression.codec.levels()) {
        (Codec::Default | Codec::None, _) => wrong("compression_level requires compression to be set".to_owned()),
        (_, None) => wrong(format!("compression_level not supported for compression type {name}")),
        (_, Some(levels)) if !levels.contains(&level) => wrong(format!(
            "compression_level for {name} must be between {} and {}, found {level}",
            levels.start(),
            levels.end()
        )),
        _ => Ok(()),
    }
}

/// Refuses a level that the codec of `wrapping` does not have; one for nothing at all is of the pages inside.
pub(super) fn check_wrapping_level(wrapping: Wrapping, level: Option<u32>) -> Result<()> {
    if wrapping == Wrapping::Plain { Ok(()) } else { check_level(Compression { codec: wrapping.codec(), level }) }
}
