//! JSON: records one per line (`ndjson`, and `json` as Spark writes it), or one array of records (`json` with `array: true`).
//!
//! Names are kept, values are JSON's: numbers with all their digits, ISO 8601 strings for dates and times, base64 strings for
//! bytes, objects for structs and maps. What JSON does not have is dealt with by options: `nan`, `bigint`, `decimal`, `binary`.

mod cursor;
mod decode;
mod encode;
mod infer;
mod node;
mod options;
mod value;

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use outport_core::Result;
use outport_core::format::{
    DecodeSettings, Decoder, EncodeSettings, Encoder, Fidelity, Format, FormatCaps, FormatOptions, Input,
};
use outport_core::layout::Codec;

use crate::text::fidelity;
use crate::text::read::Leaf;
use crate::text::style::Style;

pub(crate) use value::{JsonStyle, TextRows, Value, any_byte, refusal, values};

/// The formats `json` and `ndjson`.
#[derive(Clone, Copy, Debug)]
pub struct Json {
    lines: bool,
}

impl Json {
    /// `json`: one record per line as Spark writes it, or one array.
    pub const JSON: Self = Self { lines: false };
    /// `ndjson`: always one record per line.
    pub const NDJSON: Self = Self { lines: true };
}

impl Format for Json {
    fn name(&self) -> &'static str {
        if self.lines { "ndjson" } else { "json" }
    }

    fn caps(&self) -> FormatCaps {
        FormatCaps {
            extension: self.name(),
            media_type: if self.lines { "application/x-ndjson" } else { "application/json" },
            text: true,
            internal_codecs: &[],
            default_codec: Codec::None,
            options: options::OPTIONS,
            reads: true,
        }
    }

    fn fidelity(&self, field: &Field, options: &FormatOptions) -> Fidelity {
        match refusal(field.data_type()) {
            Some(why) => Fidelity::Refused(why),
            None => fidelity::of(field, fidelity::Nested::AsIs, options::not_finite(options)),
        }
    }

    fn encoder(&self, schema: &SchemaRef, settings: &EncodeSettings) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(encode::JsonEncoder::new(self.name(), self.lines, schema, settings)?))
    }

    fn decoder(&self, input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(decode::JsonDecoder::new(self.name(), self.lines, input, settings)?))
    }
}

/// A column of JSON text inside another format.
///
/// # Errors
/// `Unsupported` for a type that has no form in JSON.
pub(crate) fn nested_leaf(field: &Field, style: &Style) -> Result<Box<dyn Leaf>> {
    Ok(Box::new(node::Embedded(node::Node::new(field, style, false)?)))
}
