//! Sizes in bytes as people write them.

use serde::{Deserialize, Deserializer, de};

/// A size in a configuration.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let wrong = || de::Error::custom(format!("expected a size such as 512MiB, found \"{text}\""));
    parse_bytes(&text).map(Some).ok_or_else(wrong)
}

/// `512MiB`, `1.5 GB`, `1048576`.
pub fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let unit: f64 = match text[split..].trim().to_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * unit;
    (1.0..1e15).contains(&bytes).then_some(bytes as usize)
}
