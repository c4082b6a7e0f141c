//! The options that all text formats have, and the reading of options.

use outport_core::format::{FormatOptions, OptionSpec, unescape};
use outport_core::{Error, ErrorKind, Result};

use super::pattern::Pattern;

/// An option that takes `name`, `aliases`, `default` and one sentence of help.
pub(crate) const fn spec(
    name: &'static str,
    aliases: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { name, aliases, default, help }
}

// What all text formats understand alike.
pub(crate) const DATE_FORMAT: OptionSpec = spec(
    "dateFormat",
    &[],
    "",
    "a pattern for dates, Java's (yyyy-MM-dd) or strftime's (%Y-%m-%d); ISO 8601 by default",
);
pub(crate) const TIMESTAMP_FORMAT: OptionSpec = spec(
    "timestampFormat",
    &[],
    "",
    "a pattern for timestamps with a zone, and for those without unless timestampNTZFormat is given",
);
pub(crate) const TIMESTAMP_NTZ_FORMAT: OptionSpec =
    spec("timestampNTZFormat", &[], "", "a pattern for timestamps without a zone");
pub(crate) const BINARY: OptionSpec = spec("binary", &[], "base64", "how bytes are written: `base64` or `hex`");
pub(crate) const SAMPLING_RATIO: OptionSpec = spec(
    "samplingRatio",
    &[],
    "",
    "the share of the file that types are detected from, 1 for all of it; some MiB of all its parts by default",
);
pub(crate) const TYPES: OptionSpec = spec(
    "types",
    &["columnTypes"],
    "",
    "types that are not to be detected: `id=text, price=decimal(12,2), seen=timestamp`",
);

/// Reads `true` or `false`.
pub(crate) fn flag(options: &FormatOptions, spec: &OptionSpec) -> Result<bool> {
    let text = options.get(spec);
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(wrong(spec, "true or false", text)),
    }
}

/// Reads `true` or `false` where the user gave one of them.
pub(crate) fn given_flag(options: &FormatOptions, spec: &OptionSpec) -> Result<Option<bool>> {
    match options.given(spec) {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("auto") => Ok(None),
        Some(_) => flag(options, spec).map(Some),
    }
}

/// Reads one of `choices`, without regard to case.
pub(crate) fn choice<T: Copy>(options: &FormatOptions, spec: &OptionSpec, choices: &[(&str, T)]) -> Result<T> {
    let text = options.get(spec);
    choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        wrong(spec, &names.join(" or "), text)
    })
}

/// Reads a pattern for dates or times; none where the user gave none.
pub(crate) fn pattern(options: &FormatOptions, spec: &OptionSpec) -> Result<Option<Pattern>> {
    match options.get(spec) {
        "" => Ok(None),
        text => Pattern::parse(spec.name, text).map(Some),
    }
}

/// The bytes of a value in which backslashes have a meaning.
pub(crate) fn unescaped(options: &FormatOptions, spec: &OptionSpec) -> Vec<u8> {
    unescape(options.get(spec))
}

/// Reads one ASCII character, or none.
pub(crate) fn character(options: &FormatOptions, spec: &OptionSpec) -> Result<Option<u8>> {
    match unescaped(options, spec).as_slice() {
        [] | [0] => Ok(None),
        [byte] if byte.is_ascii() => Ok(Some(*byte)),
        _ => Err(wrong(spec, "one ASCII character or none", options.get(spec))),
    }
}

/// The error for a value that an option cannot have.
pub(crate) fn wrong(spec: &OptionSpec, expected: &str, found: &str) -> Error {
    Error::new(ErrorKind::Config, format!("option {}: expected {expected}, found \"{found}\"", spec.name))
        .hint(spec.help)
}

/// Reads the share of a file that types are detected from.
pub(crate) fn sampling_ratio(options: &FormatOptions) -> Result<Option<f64>> {
    match options.get(&SAMPLING_RATIO) {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(ratio) if ratio > 0.0 && ratio <= 1.0 => Ok(Some(ratio)),
            _ => Err(wrong(&SAMPLING_RATIO, "a number above 0 and up to 1", text)),
        },
    }
}
