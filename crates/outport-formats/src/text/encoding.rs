//! Character encodings other than UTF-8.

use outport_core::{Error, ErrorKind, Result};

/// The character encoding of a text file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The default, without a byte order mark.
    #[default]
    Utf8,
    /// UTF-16, little end first.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
    /// UTF-16, big end first, with the byte order mark that says so; as Java writes `UTF-16`.
    Utf16,
    /// The first 256 characters of Unicode.
    Latin1,
    /// As ISO-8859-1, with printable characters from 0x80 to 0x9F.
    Windows1252,
    /// The first 128 characters of Unicode.
    Ascii,
}

/// The names that a configuration may use.
pub(crate) const NAMES: [&str; 7] =
    ["UTF-8", "UTF-16LE", "UTF-16BE", "UTF-16", "ISO-8859-1", "windows-1252", "US-ASCII"];

impl Encoding {
    /// Reads a name as Java or IANA spell it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for any other.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        Ok(match plain.as_str() {
            "utf8" => Self::Utf8,
            "utf16le" => Self::Utf16Le,
            "utf16be" => Self::Utf16Be,
            "utf16" => Self::Utf16,
            "iso88591" | "latin1" => Self::Latin1,
            "windows1252" | "cp1252" => Self::Windows1252,
            "ascii" | "usascii" => Self::Ascii,
            _ => {
                return Err(Error::new(ErrorKind::Config, format!("option encoding: no encoding \"{name}\""))
                    .hint(outport_core::error::suggestion(name, NAMES)));
            }
        })
    }

    /// The name as IANA spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => NAMES[0],
            Self::Utf16Le => NAMES[1],
            Self::Utf16Be => NAMES[2],
            Self::Utf16 => NAMES[3],
            Self::Latin1 => NAMES[4],
            Self::Windows1252 => NAMES[5],
            Self::Ascii => NAMES[6],
        }
    }

    /// The bytes of the smallest part of a character.
    pub(crate) fn unit(self) -> usize {
        if matches!(self, Self::Utf16 | Self::Utf16Be | Self::Utf16Le) { 2 } else { 1 }
    }

    /// What stands before the first character of a file.
    pub(crate) fn mark(self) -> &'static [u8] {
        if self == Self::Utf16 { &[0xFE, 0xFF] } else { &[] }
    }

    /// The bytes of `text`, or the first character that the encoding does not have.
    pub(crate) fn encode(self, text: &str) -> Result<Vec<u8>, char> {
        let mut bytes = Vec::with_capacity(text.len() * 2);
        match self {
            Self::Utf8 => bytes.extend_from_slice(text.as_bytes()),
            Self::Utf16Le => bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Utf16Be | Self::Utf16 => bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Latin1 | Self::Windows1252 | Self::Ascii => {
                for character in text.chars() {
                    bytes.push(self.single(character).ok_or(character)?);
                }
            }
        }
        Ok(bytes)
    }

    /// The byte of a character in an encoding of one byte each.
    fn single(self, character: char) -> Option<u8> {
        let code = u32::from(character);
        match (self, u8::try_from(code)) {
            (_, Ok(byte @ 0..=0x7F)) => Some(byte),
            (Self::Latin1, Ok(byte)) | (Self::Windows1252, Ok(byte @ 0xA0..)) => Some(byte),
            (Self::Windows1252, _) => {
                WINDOWS_1252.iter().position(|known| *known == character).map(|at| 0x80 + at as u8)
            }
            _ => None,
        }
    }

    /// The text of `bytes`, which are a whole file without its byte order mark.
    ///
    /// Returns the place of the first byte that is no character where there is one.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<String, usize> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.valid_up_to()),
            Self::Utf16Le => decode_utf16(bytes, u16::from_le_bytes),
            Self::Utf16Be | Self::Utf16 => decode_utf16(bytes, u16::from_be_bytes),
            Self::Latin1 => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Self::Windows1252 => Ok(bytes
                .iter()
                .map(|byte| match byte {
                    0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
                    byte => char::from(*byte),
                })
                .collect()),
            Self::Ascii => match bytes.iter().position(|byte| !byte.is_ascii()) {
                Some(at) => Err(at),
                None => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            },
        }
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, usize> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len() / 2);
    let mut at = 0;
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let character = character.map_err(|_| at)?;
        at += character.len_utf16() * 2;
        text.push(character);
    }
    if rest.is_empty() { Ok(text) } else { Err(at) }
}

/// The characters of the bytes 0x80 to 0x9F; those that are not assigned are the control characters, as in the WHATWG table.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];
