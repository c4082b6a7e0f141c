//! JSON: records one per line (`ndjson`, and `json` as Spark writes it), or one array of records (`json` with `array: true`).
//!
//! Names are kept, values are JSON's: numbers with all their digits, ISO 8601 strings for dates and times, base64 strings for
//! bytes, objects for structs and maps. What JSON does not have is dealt with by options: `nan`, `bigint`, `decimal`, `binary`.

mod encode;
mod options;
mod value;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use outport_core::format::{
    DecodeSettings, Decoder, EncodeSettings, Encoder, Fidelity, Format, FormatCaps, FormatOptions, Input,
};
use outport_core::layout::Codec;
use outport_core::{Error, ErrorKind, Result};

pub(crate) use options::sampling_ratio;
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

    fn fidelity(&self, data_type: &DataType, _: &FormatOptions) -> Fidelity {
        match refusal(data_type) {
            Some(why) => Fidelity::Refused(why),
            None => fidelity(data_type),
        }
    }

    fn encoder(&self, schema: &SchemaRef, settings: &EncodeSettings) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(encode::JsonEncoder::new(self.name(), self.lines, schema, settings)?))
    }

    fn decoder(&self, _input: Arc<dyn Input>, _settings: &DecodeSettings) -> Result<Box<dyn Decoder>> {
        Err(Error::new(ErrorKind::Unsupported, "no decoder"))
    }
}

fn fidelity(data_type: &DataType) -> Fidelity {
    match data_type {
        DataType::Boolean | DataType::Int64 | DataType::Utf8 => Fidelity::Exact,
        other => Fidelity::Lossy(format!(
            "JSON does not say that the values are {other}; read them with a schema to get them back"
        )),
    }
}
