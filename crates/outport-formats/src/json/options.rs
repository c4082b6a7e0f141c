//! The options of JSON.

use outport_core::Result;
use outport_core::format::{FormatOptions, OptionSpec};

use super::value::JsonStyle;
use crate::text::encoding::Encoding;
use crate::text::options::{
    BINARY, DATE_FORMAT, SAMPLING_RATIO, TIMESTAMP_FORMAT, TIMESTAMP_NTZ_FORMAT, TYPES, choice, flag, given_flag,
    pattern, sampling_ratio, spec, unescaped, wrong,
};
use crate::text::style::{BinaryText, NotFinite, Style};

const ARRAY: OptionSpec = spec(
    "array",
    &[],
    "auto",
    "`true` makes the file one array of records, `false` one record per line, `auto` lines when writing and what the file is when reading",
);
const LINE_SEP: OptionSpec = spec("lineSep", &[], "\\n", "what ends a record that is written");
const ENCODING: OptionSpec = spec("encoding", &["charset"], "UTF-8", "the character encoding; JSON is UTF-8");
const IGNORE_NULL_FIELDS: OptionSpec =
    spec("ignoreNullFields", &[], "false", "whether members that are NULL are left out");
const NAN: OptionSpec = spec(
    "nan",
    &[],
    "null",
    "what becomes of NaN and the infinities, which JSON does not have: `null`, `string` (\"NaN\", \"Infinity\", \"-Infinity\") or `error`",
);
const NAN_CHOICES: &[(&str, NotFinite)] =
    &[("null", NotFinite::Null), ("string", NotFinite::Words), ("error", NotFinite::Error)];
const BIGINT: OptionSpec =
    spec("bigint", &[], "number", "`string` writes integers of 64 bits as strings, for readers that have only doubles");
const DECIMAL: OptionSpec =
    spec("decimal", &[], "number", "`string` writes decimal numbers as strings; all digits are written either way");
const INFER_TIMESTAMP: OptionSpec = spec(
    "inferTimestamp",
    &[],
    "true",
    "whether strings that are all ISO 8601 dates or times become such columns when reading",
);
const UNKNOWN: OptionSpec = spec(
    "unknownFields",
    &[],
    "error",
    "what becomes of a member that the detected schema does not have: `error` or `ignore`",
);

/// The options of `json` and `ndjson`.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    ARRAY,
    LINE_SEP,
    ENCODING,
    DATE_FORMAT,
    TIMESTAMP_FORMAT,
    TIMESTAMP_NTZ_FORMAT,
    IGNORE_NULL_FIELDS,
    NAN,
    BIGINT,
    DECIMAL,
    BINARY,
    INFER_TIMESTAMP,
    SAMPLING_RATIO,
    TYPES,
    UNKNOWN,
];

/// What becomes of NaN and the infinities; a wrong value is reported where all options are read.
pub(crate) fn not_finite(options: &FormatOptions) -> NotFinite {
    choice(options, &NAN, NAN_CHOICES).unwrap_or(NotFinite::Null)
}

/// What the options say, read.
#[derive(Clone, Debug)]
pub(crate) struct JsonOptions {
    /// Whether the file is one array; `None` where that is detected.
    pub(crate) array: Option<bool>,
    /// What ends a record.
    pub(crate) line_sep: Vec<u8>,
    /// How values look.
    pub(crate) style: JsonStyle,
    /// Whether strings may become dates and times.
    pub(crate) infer_timestamp: bool,
    /// The share of the file that types are detected from.
    pub(crate) sampling_ratio: Option<f64>,
    /// Types by column, as the user wrote them.
    pub(crate) types: String,
    /// Whether members that the detected schema does not have are passed over.
    pub(crate) ignore_unknown: bool,
}

impl JsonOptions {
    /// Reads the options of `format`.
    ///
    /// # Errors
    /// `Config` for an unknown option or a wrong value.
    pub(crate) fn read(format: &str, options: &FormatOptions) -> Result<Self> {
        options.check(format, OPTIONS)?;
        let line_sep = unescaped(options, &LINE_SEP);
        if line_sep.is_empty() || line_sep.iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Err(wrong(&LINE_SEP, "a line end such as \\n or \\r\\n", options.get(&LINE_SEP)));
        }
        if Encoding::parse(options.get(&ENCODING))? != Encoding::Utf8 {
            return Err(wrong(&ENCODING, "UTF-8", options.get(&ENCODING)));
        }
        let timestamp = pattern(options, &TIMESTAMP_FORMAT)?;
        let scalars = Style {
            date: pattern(options, &DATE_FORMAT)?,
            timestamp_ntz: pattern(options, &TIMESTAMP_NTZ_FORMAT)?.or_else(|| timestamp.clone()),
            timestamp,
            binary: choice(options, &BINARY, &[("base64", BinaryText::Base64), ("hex", BinaryText::Hex)])?,
            not_finite: choice(options, &NAN, NAN_CHOICES)?,
            words: [b"\"NaN\"".to_vec(), b"\"Infinity\"".to_vec(), b"\"-Infinity\"".to_vec()],
            ..Style::default()
        };
        Ok(Self {
            array: given_flag(options, &ARRAY)?,
            line_sep,
            style: JsonStyle {
                scalars,
                bigint_as_text: choice(options, &BIGINT, &[("number", false), ("string", true)])?,
                decimal_as_text: choice(options, &DECIMAL, &[("number", false), ("string", true)])?,
                ignore_nulls: flag(options, &IGNORE_NULL_FIELDS)?,
            },
            infer_timestamp: flag(options, &INFER_TIMESTAMP)?,
            sampling_ratio: sampling_ratio(options)?,
            types: options.get(&TYPES).to_owned(),
            ignore_unknown: choice(options, &UNKNOWN, &[("error", false), ("ignore", true)])?,
        })
    }
}
