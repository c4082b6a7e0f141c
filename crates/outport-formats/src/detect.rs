//! Which format a file has, by what is in it before by what it is called.

/// What the start and end of a file tell, with its name for the last resort.
///
/// `head` and `tail` are the first and last bytes, a few KiB or all of them. Returns the name of a format (`parquet`, `arrow`,
/// `avro`, `orc`, `csv`, `tsv`, `json`, `ndjson`) or, for a file that has to be unpacked first, of a codec (`gzip`, `zstd`,
/// `zip`, `lz4`, `snappy`); `None` where nothing tells.
pub fn detect(name: &str, head: &[u8], tail: &[u8]) -> Option<&'static str> {
    binary(head, tail).or_else(|| text(name, head)).or_else(|| extension(name))
}

fn binary(head: &[u8], tail: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 10] = [
        (b"PAR1", "parquet"),
        (b"PARE", "parquet"),
        (b"ARROW1", "arrow"),
        (b"\xFF\xFF\xFF\xFF", "arrow"),
        (b"Obj\x01", "avro"),
        (b"\x1F\x8B", "gzip"),
        (b"\x28\xB5\x2F\xFD", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"\x04\x22\x4D\x18", "lz4"),
        (b"\xFF\x06\x00\x00sNaPpY", "snappy"),
    ];
    if let Some((_, found)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(found);
    }
    // ORC files of early writers have their name at the end alone.
    let postscript = &tail[tail.len().saturating_sub(256)..];
    (head.starts_with(b"ORC") || postscript.windows(3).any(|window| window == b"ORC") && tail.contains(&0))
        .then_some("orc")
}

fn text(name: &str, head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    match text.first()? {
        b'[' if text[1..].trim_ascii_start().first().is_none_or(|byte| matches!(byte, b'{' | b']')) => {
            return Some("json");
        }
        b'{' if text[1..].trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'"' | b'}')) => {
            let one_line = line.ends_with(b"}");
            return Some(if one_line && extension(name) != Some("json") { "ndjson" } else { "json" });
        }
        _ => {}
    }
    if text.contains(&0) {
        return None;
    }
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    match (count(b'\t'), count(b',') + count(b';') + count(b'|')) {
        (0, 0) => None,
        (tabs, others) if tabs > others => Some("tsv"),
        _ => Some("csv"),
    }
}

fn extension(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "parquet" | "parq" | "pq" => "parquet",
        "arrow" | "ipc" | "feather" | "arrows" => "arrow",
        "avro" => "avro",
        "orc" => "orc",
        "csv" | "txt" | "dat" => "csv",
        "tsv" | "tab" => "tsv",
        "json" => "json",
        "ndjson" | "jsonl" => "ndjson",
        "gz" | "gzip" => "gzip",
        "zst" | "zstd" => "zstd",
        "zip" => "zip",
        "lz4" => "lz4",
        "sz" => "snappy",
        _ => return None,
    })
}
