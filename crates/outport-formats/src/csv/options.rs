//! The options of CSV and TSV: Spark's names, with those of UNLOAD and COPY as aliases.

use outport_core::Result;
use outport_core::format::{FormatOptions, OptionSpec};

use crate::text::encoding::Encoding;
use crate::text::options::{
    BINARY, DATE_FORMAT, SAMPLING_RATIO, TIMESTAMP_FORMAT, TIMESTAMP_NTZ_FORMAT, TYPES, character, choice, flag,
    given_flag, pattern, sampling_ratio, spec, unescaped, wrong,
};
use crate::text::style::{BinaryText, NotFinite, Style};

const SEP: OptionSpec = spec("sep", &["delimiter", "delim", "field_delimiter"], ",", "what stands between two fields");
const TAB: OptionSpec = OptionSpec { default: "\\t", ..SEP };
const HEADER: OptionSpec = spec(
    "header",
    &[],
    "true",
    "whether the first line holds the names of the columns; `true` when writing, detected when reading, unless given",
);
const QUOTE: OptionSpec = spec("quote", &[], "\"", "the character around fields that need it; empty for none");
const ESCAPE: OptionSpec = spec(
    "escape",
    &[],
    "\"",
    "the character before a quote inside a quoted field; the quote itself by default (RFC 4180), a backslash for Spark's way",
);
const ESCAPE_ESCAPE: OptionSpec = spec(
    "charToEscapeQuoteEscaping",
    &[],
    "",
    "the character before an `escape` inside a quoted field; the escape itself where it differs from the quote",
);
const ESCAPE_QUOTES: OptionSpec = spec(
    "escapeQuotes",
    &[],
    "true",
    "whether a field is quoted because it holds a quote; `false` writes such a field as it is",
);
const QUOTE_ALL: OptionSpec = spec("quoteAll", &["force_quote"], "false", "whether every field but NULL is quoted");
const NULL_VALUE: OptionSpec = spec(
    "nullValue",
    &["NULL AS", "null", "nullstr", "null_string"],
    "",
    "what stands for NULL, without quotes; nothing by default",
);
const EMPTY_VALUE: OptionSpec =
    spec("emptyValue", &[], "\"\"", "what stands for the empty string; two quotes by default, so that it is not NULL");
const LINE_SEP: OptionSpec =
    spec("lineSep", &["record_delimiter", "newline"], "\\n", "what ends a record; detected when reading, unless given");
const ENCODING: OptionSpec = spec(
    "encoding",
    &["charset"],
    "UTF-8",
    "the character encoding: UTF-8, UTF-16LE, UTF-16BE, UTF-16 (with a byte order mark), ISO-8859-1, windows-1252, US-ASCII",
);
const LEADING: OptionSpec = spec(
    "ignoreLeadingWhiteSpace",
    &[],
    "false",
    "whether blanks before a value are dropped, when writing and when reading",
);
const TRAILING: OptionSpec = spec(
    "ignoreTrailingWhiteSpace",
    &[],
    "false",
    "whether blanks behind a value are dropped, when writing and when reading",
);
const COMMENT: OptionSpec =
    spec("comment", &[], "", "the character that starts a line to pass over when reading; none by default");
const NAN_VALUE: OptionSpec = spec("nanValue", &[], "NaN", "what stands for NaN");
const POSITIVE_INF: OptionSpec = spec("positiveInf", &[], "Inf", "what stands for infinity");
const NEGATIVE_INF: OptionSpec = spec("negativeInf", &[], "-Inf", "what stands for negative infinity");
const NAN: OptionSpec =
    spec("nan", &[], "string", "what becomes of NaN and the infinities: `string` (see nanValue), `null` or `error`");
const BOOL: OptionSpec =
    spec("bool", &["boolean"], "true/false", "the words for true and false, with a slash between them, such as 1/0");
const NAN_CHOICES: &[(&str, NotFinite)] =
    &[("string", NotFinite::Words), ("null", NotFinite::Null), ("error", NotFinite::Error)];
const NESTED: OptionSpec = spec(
    "nested",
    &[],
    "json",
    "what becomes of lists, structs and maps: `json` writes them as JSON text, `error` refuses them",
);
const SPREADSHEET_SAFE: OptionSpec = spec(
    "spreadsheet_safe",
    &[],
    "false",
    "whether text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay as they are",
);
const INFER_SCHEMA: OptionSpec =
    spec("inferSchema", &[], "true", "whether types are detected when reading; `false` reads every column as text");
const RAGGED: OptionSpec = spec(
    "ragged",
    &[],
    "error",
    "what becomes of lines with too few fields: `error`, or `null` for the missing ones; too many are always an error",
);
const MODE: OptionSpec =
    spec("mode", &[], "FAILFAST", "FAILFAST: a line that does not fit is an error; other modes of Spark are refused");
const MULTI_LINE: OptionSpec =
    spec("multiLine", &[], "true", "accepted for Spark: a quoted field may always hold line ends");

const fn all(sep: OptionSpec) -> [OptionSpec; 32] {
    [
        sep,
        HEADER,
        QUOTE,
        ESCAPE,
        ESCAPE_ESCAPE,
        ESCAPE_QUOTES,
        QUOTE_ALL,
        NULL_VALUE,
        EMPTY_VALUE,
        LINE_SEP,
        ENCODING,
        DATE_FORMAT,
        TIMESTAMP_FORMAT,
        TIMESTAMP_NTZ_FORMAT,
        LEADING,
        TRAILING,
        COMMENT,
        NAN_VALUE,
        POSITIVE_INF,
        NEGATIVE_INF,
        NAN,
        BOOL,
        BINARY,
        NESTED,
        SPREADSHEET_SAFE,
        INFER_SCHEMA,
        SAMPLING_RATIO,
        TYPES,
        RAGGED,
        MODE,
        MULTI_LINE,
        // Spark's reader checks a given schema against the header; so does ours, always.
        spec(
            "enforceSchema",
            &[],
            "false",
            "accepted for Spark: a given schema is matched with the header by name where there is one",
        ),
    ]
}

/// The options of `csv`.
pub(crate) const CSV_OPTIONS: &[OptionSpec] = &all(SEP);
/// The options of `tsv`.
pub(crate) const TSV_OPTIONS: &[OptionSpec] = &all(TAB);

/// Whether the options refuse lists, structs and maps.
pub(crate) fn refuses_nested(options: &FormatOptions) -> bool {
    options.get(&NESTED).eq_ignore_ascii_case("error")
}

/// What becomes of NaN and the infinities; a wrong value is reported where all options are read.
pub(crate) fn not_finite(options: &FormatOptions) -> NotFinite {
    choice(options, &NAN, NAN_CHOICES).unwrap_or(NotFinite::Words)
}

/// What the options say, read.
#[derive(Clone, Debug)]
pub(crate) struct CsvOptions {
    /// What stands between two fields; whether the user said so.
    pub(crate) sep: Vec<u8>,
    pub(crate) sep_given: bool,
    /// Whether there is a header, where the user said so.
    pub(crate) header: Option<bool>,
    pub(crate) quote: Option<u8>,
    pub(crate) quote_given: bool,
    /// What stands before a quote inside quotes.
    pub(crate) escape: Option<u8>,
    /// What stands before an escape inside quotes.
    pub(crate) escape_escape: Option<u8>,
    pub(crate) escape_quotes: bool,
    pub(crate) quote_all: bool,
    pub(crate) null_value: Vec<u8>,
    pub(crate) null_given: bool,
    /// The text of the empty string as it stands in the file.
    pub(crate) empty_value: Vec<u8>,
    pub(crate) line_sep: Vec<u8>,
    pub(crate) line_sep_given: bool,
    pub(crate) encoding: Encoding,
    pub(crate) encoding_given: bool,
    pub(crate) trim_start: bool,
    pub(crate) trim_end: bool,
    pub(crate) comment: Option<u8>,
    pub(crate) style: Style,
    /// Whether nested values are refused instead of written as JSON.
    pub(crate) refuse_nested: bool,
    pub(crate) spreadsheet_safe: bool,
    pub(crate) infer_schema: bool,
    pub(crate) sampling_ratio: Option<f64>,
    pub(crate) types: String,
    /// Whether fields that are missing at the end of a line are NULL.
    pub(crate) fill_short: bool,
}

impl CsvOptions {
    /// Reads the options of `format`, which knows `specs`.
    ///
    /// # Errors
    /// `Config` for an unknown option or a wrong value.
    pub(crate) fn read(format: &str, specs: &[OptionSpec], options: &FormatOptions) -> Result<Self> {
        options.check(format, specs)?;
        let sep_spec = &specs[0];
        let sep = unescaped(options, sep_spec);
        if sep.is_empty() || sep.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(wrong(sep_spec, "one character or more, without line ends", options.get(sep_spec)));
        }
        let line_sep = unescaped(options, &LINE_SEP);
        if line_sep.is_empty() {
            return Err(wrong(&LINE_SEP, "a line end such as \\n or \\r\\n", ""));
        }
        let quote = character(options, &QUOTE)?;
        let escape = if options.given(&ESCAPE).is_some() { character(options, &ESCAPE)? } else { quote };
        let escape_escape = match options.get(&ESCAPE_ESCAPE) {
            "" => escape.filter(|_| escape != quote),
            _ => character(options, &ESCAPE_ESCAPE)?,
        };
        if quote.is_some_and(|quote| sep.contains(&quote) || line_sep.contains(&quote)) {
            return Err(wrong(&QUOTE, "a character that is in neither sep nor lineSep", options.get(&QUOTE)));
        }
        if !options.get(&MODE).eq_ignore_ascii_case("FAILFAST") {
            return Err(wrong(&MODE, "FAILFAST", options.get(&MODE)));
        }
        flag(options, &MULTI_LINE)?;
        let empty_value = match (options.given(&EMPTY_VALUE), quote) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(quote)) => vec![quote, quote],
            (None, None) => Vec::new(),
        };
        let words = options.get(&BOOL);
        let Some((yes, no)) = words.split_once('/').filter(|(yes, no)| yes != no && !yes.is_empty() && !no.is_empty())
        else {
            return Err(wrong(&BOOL, "two different words with a slash between them", words));
        };
        let timestamp = pattern(options, &TIMESTAMP_FORMAT)?;
        let style = Style {
            date: pattern(options, &DATE_FORMAT)?,
            timestamp_ntz: pattern(options, &TIMESTAMP_NTZ_FORMAT)?.or_else(|| timestamp.clone()),
            timestamp,
            binary: choice(options, &BINARY, &[("base64", BinaryText::Base64), ("hex", BinaryText::Hex)])?,
            booleans: [no.as_bytes().to_vec(), yes.as_bytes().to_vec()],
            not_finite: choice(options, &NAN, NAN_CHOICES)?,
            words: [&NAN_VALUE, &POSITIVE_INF, &NEGATIVE_INF].map(|spec| options.get(spec).as_bytes().to_vec()),
        };
        Ok(Self {
            sep,
            sep_given: options.given(sep_spec).is_some() || sep_spec.default != SEP.default,
            header: given_flag(options, &HEADER)?,
            quote,
            quote_given: options.given(&QUOTE).is_some(),
            escape,
            escape_escape,
            escape_quotes: flag(options, &ESCAPE_QUOTES)?,
            quote_all: match options.given(&QUOTE_ALL) {
                Some("*") => true,
                _ => flag(options, &QUOTE_ALL)?,
            },
            null_value: options.get(&NULL_VALUE).as_bytes().to_vec(),
            null_given: options.given(&NULL_VALUE).is_some(),
            empty_value,
            line_sep,
            line_sep_given: options.given(&LINE_SEP).is_some(),
            encoding: Encoding::parse(options.get(&ENCODING))?,
            encoding_given: options.given(&ENCODING).is_some(),
            trim_start: flag(options, &LEADING)?,
            trim_end: flag(options, &TRAILING)?,
            comment: character(options, &COMMENT)?,
            style,
            refuse_nested: choice(options, &NESTED, &[("json", false), ("error", true)])?,
            spreadsheet_safe: flag(options, &SPREADSHEET_SAFE)?,
            infer_schema: flag(options, &INFER_SCHEMA)?,
            sampling_ratio: sampling_ratio(options)?,
            types: options.get(&TYPES).to_owned(),
            fill_short: choice(options, &RAGGED, &[("error", false), ("null", true)])?,
        })
    }
}
