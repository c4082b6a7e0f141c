//! Arrow IPC: the file format, with its directory at the end, and the stream format, which can be read while it is written.

mod decoder;
mod encoder;
mod options;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use outport_core::Result;
use outport_core::format::{
    DecodeSettings, Decoder, EncodeSettings, Encoder, Fidelity, Format, FormatCaps, FormatOptions, Input,
};
use outport_core::layout::Codec;

use self::options::Options;

/// The formats `arrow` and `arrow_stream`. Reading takes either for either.
#[derive(Clone, Copy, Debug)]
pub struct ArrowIpc {
    layout: Layout,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    File,
    Stream,
}

impl ArrowIpc {
    /// The file format; the option `stream` turns it into the other.
    pub fn file() -> Self {
        Self { layout: Layout::File }
    }

    /// The stream format.
    pub fn stream() -> Self {
        Self { layout: Layout::Stream }
    }
}

impl Format for ArrowIpc {
    fn name(&self) -> &'static str {
        match self.layout {
            Layout::File => "arrow",
            Layout::Stream => "arrow_stream",
        }
    }

    fn caps(&self) -> FormatCaps {
        let (extension, media_type) = match self.layout {
            Layout::File => ("arrow", "application/vnd.apache.arrow.file"),
            Layout::Stream => ("arrows", "application/vnd.apache.arrow.stream"),
        };
        FormatCaps {
            extension,
            media_type,
            text: false,
            internal_codecs: &[Codec::None, Codec::Lz4, Codec::Zstd],
            default_codec: Codec::Lz4,
            options: options::SPECS,
            reads: true,
        }
    }

    fn fidelity(&self, _: &Field, _: &FormatOptions) -> Fidelity {
        // A file has its dictionaries dissolved, which changes no value.
        Fidelity::Exact
    }

    fn encoder(&self, schema: &SchemaRef, settings: &EncodeSettings) -> Result<Box<dyn Encoder>> {
        let options = Options::parse(self.name(), &settings.options, self.layout)?;
        Ok(Box::new(encoder::IpcEncoder::new(schema, &options, settings)?))
    }

    fn decoder(&self, input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Box<dyn Decoder>> {
        settings.options.check(self.name(), options::SPECS)?;
        decoder::open(input, settings)
    }
}
