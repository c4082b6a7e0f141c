//! CSV and TSV.
//!
//! NULL is a field without anything in it and the empty string is `""`, so that they stay apart; quotes are doubled (RFC 4180)
//! and only put where they are needed. All of that can be changed by Spark's options.

mod cells;
mod decode;
mod encode;
mod field;
mod options;
mod record;
mod sniff;

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use outport_core::Result;
use outport_core::format::{
    DecodeSettings, Decoder, EncodeSettings, Encoder, Fidelity, Format, FormatCaps, FormatOptions, Input, OptionSpec,
};
use outport_core::layout::Codec;

pub(crate) use cells::Cells;

use crate::json::refusal;
use crate::text::fidelity;

/// The formats `csv` and `tsv`, which differ in what stands between two fields unless the options say otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Csv {
    tabs: bool,
}

impl Csv {
    /// `csv`: commas.
    pub const CSV: Self = Self { tabs: false };
    /// `tsv`: tabs.
    pub const TSV: Self = Self { tabs: true };

    fn specs(&self) -> &'static [OptionSpec] {
        if self.tabs { options::TSV_OPTIONS } else { options::CSV_OPTIONS }
    }
}

impl Format for Csv {
    fn name(&self) -> &'static str {
        if self.tabs { "tsv" } else { "csv" }
    }

    fn positional(&self) -> bool {
        true
    }

    fn caps(&self) -> FormatCaps {
        FormatCaps {
            extension: self.name(),
            media_type: if self.tabs { "text/tab-separated-values" } else { "text/csv" },
            text: true,
            internal_codecs: &[],
            default_codec: Codec::None,
            options: self.specs(),
            reads: true,
        }
    }

    fn fidelity(&self, field: &Field, options: &FormatOptions) -> Fidelity {
        let data_type = field.data_type();
        match refusal(data_type) {
            None if data_type.is_nested() && options::refuses_nested(options) => {
                Fidelity::Refused(format!("{data_type} is nested, and the option nested says error"))
            }
            Some(why) => Fidelity::Refused(why),
            None => fidelity::of(field, fidelity::Nested::AsText, options::not_finite(options)),
        }
    }

    fn encoder(&self, schema: &SchemaRef, settings: &EncodeSettings) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(encode::CsvEncoder::new(self.name(), self.specs(), schema, settings)?))
    }

    fn decoder(&self, input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(decode::CsvDecoder::new(self.name(), self.specs(), input, settings)?))
    }
}
