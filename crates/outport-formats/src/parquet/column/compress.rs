//! The codec of pages.

use outport_core::{Error, ErrorKind, Result};

use super::PageCodec;

/// Compresses page after page.
pub(super) enum Compressor {
    None,
    Zstd(zstd::bulk::Compressor<'static>),
    Snappy(Box<snap::raw::Encoder>),
    Lz4,
}

impl Compressor {
    /// Whether there is a compressor for a codec.
    pub(super) fn knows(codec: PageCodec) -> bool {
        matches!(codec, PageCodec::UNCOMPRESSED | PageCodec::ZSTD(_) | PageCodec::SNAPPY | PageCodec::LZ4_RAW)
    }

    pub(super) fn new(codec: PageCodec) -> Result<Self> {
        Ok(match codec {
            PageCodec::UNCOMPRESSED => Self::None,
            PageCodec::ZSTD(level) => {
                Self::Zstd(zstd::bulk::Compressor::new(level.compression_level()).map_err(failed)?)
            }
            PageCodec::SNAPPY => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            PageCodec::LZ4_RAW => Self::Lz4,
            other => return Err(Error::new(ErrorKind::Internal, format!("no compressor for {other}"))),
        })
    }

    /// The bytes compressed, or nothing where there is no codec.
    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        match self {
            Self::None => Ok(None),
            Self::Zstd(compressor) => compressor.compress(bytes).map(Some).map_err(failed),
            Self::Snappy(encoder) => encoder.compress_vec(bytes).map(Some).map_err(failed),
            Self::Lz4 => Ok(Some(lz4_flex::block::compress(bytes))),
        }
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, format!("a page could not be compressed: {error}")).with_source(error)
}
