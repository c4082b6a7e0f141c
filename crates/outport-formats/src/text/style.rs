//! How scalars look as text: the options that CSV and JSON share.

use super::pattern::Pattern;

/// How bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BinaryText {
    /// RFC 4648 with padding.
    #[default]
    Base64,
    /// Two lowercase digits a byte.
    Hex,
}

/// What becomes of NaN and the infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFinite {
    /// They are written as words.
    Words,
    /// They become NULL.
    Null,
    /// They are an error.
    Error,
}

/// How scalars look as text.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// Dates; ISO 8601 where there is none.
    pub(crate) date: Option<Pattern>,
    /// Timestamps with a zone; ISO 8601 where there is none.
    pub(crate) timestamp: Option<Pattern>,
    /// Timestamps without a zone; ISO 8601 where there is none.
    pub(crate) timestamp_ntz: Option<Pattern>,
    /// Bytes.
    pub(crate) binary: BinaryText,
    /// False and true.
    pub(crate) booleans: [Vec<u8>; 2],
    /// What becomes of NaN and the infinities.
    pub(crate) not_finite: NotFinite,
    /// NaN, infinity and negative infinity, where they are words.
    pub(crate) words: [Vec<u8>; 3],
}

impl Default for Style {
    fn default() -> Self {
        Self {
            date: None,
            timestamp: None,
            timestamp_ntz: None,
            binary: BinaryText::default(),
            booleans: [b"false".to_vec(), b"true".to_vec()],
            not_finite: NotFinite::Words,
            words: [b"NaN".to_vec(), b"Inf".to_vec(), b"-Inf".to_vec()],
        }
    }
}
