//! Apache Parquet.
//!
//! A chunk is a row group, encoded whole by one thread; a piece to decode is a row group, or a stretch of one where it is
//! large and has an offset index. How each column is encoded is decided from a sample of its values, so that no dictionary is begun that
//! has to be given up again (`encodings.rs`).

mod column;
mod decoder;
mod encoder;
mod encodings;
mod input;
mod options;
mod repair;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use outport_core::format::{
    DecodeSettings, Decoder, EncodeSettings, Encoder, Fidelity, Format, FormatCaps, FormatOptions, Input,
};
use outport_core::layout::Codec;
use outport_core::{Error, ErrorKind, Result};

use self::options::Options;

/// The format `parquet`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn caps(&self) -> FormatCaps {
        FormatCaps {
            extension: "parquet",
            media_type: "application/vnd.apache.parquet",
            text: false,
            internal_codecs: &[Codec::None, Codec::Zstd, Codec::Snappy, Codec::Gzip, Codec::Lz4, Codec::Brotli],
            default_codec: Codec::Zstd,
            options: options::SPECS,
            reads: true,
        }
    }

    fn fidelity(&self, field: &Field, options: &FormatOptions) -> Fidelity {
        // Wrong options are refused by the encoder, which can say so; until then the usual ones hold.
        let options = Options::parse(options).unwrap_or_default();
        types::fidelity(field.data_type(), options.profile, options.timestamp_unit)
    }

    fn encoder(&self, schema: &SchemaRef, settings: &EncodeSettings) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(encoder::ParquetEncoder::new(schema, settings)?))
    }

    fn decoder(&self, input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(decoder::ParquetDecoder::new(input, settings)?))
    }
}

/// An error of the library while it reads `name`.
fn read_error(name: &str, error: parquet::errors::ParquetError) -> Error {
    use parquet::errors::ParquetError as P;
    match error {
        P::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => data_error(name, &other.to_string()),
        },
        P::NYI(text) => {
            Error::new(ErrorKind::Unsupported, format!("{name} uses a feature of parquet that is not read: {text}"))
        }
        P::ArrowError(text) | P::General(text) | P::EOF(text) => data_error(name, &text),
        other => data_error(name, &other.to_string()),
    }
}

fn data_error(name: &str, text: &str) -> Error {
    if text.contains("ncrypt") {
        return encrypted(name);
    }
    // The library says what it is about at each of its own layers.
    let mut text = text;
    while let Some(rest) = ["Parquet error: ", "Parquet argument error: ", "External: ", "Arrow: "]
        .iter()
        .find_map(|p| text.strip_prefix(p))
    {
        text = rest;
    }
    Error::new(ErrorKind::Data, format!("{name} is not readable as parquet: {text}"))
        .hint("the file is damaged or was not written completely; write it again at its source")
}

fn encrypted(name: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{name} is an encrypted parquet file, which cannot be read"))
        .hint("decrypt it with the tool and the keys that it was written with")
}
