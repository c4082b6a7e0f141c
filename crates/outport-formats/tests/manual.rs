//! docs/formats.md is generated from the formats themselves, and must be fresh. `OUTPORT_BLESS=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use outport_formats::{columnar_formats, text_formats};

const HEAD: &str = "\
# Formats

Options stand under `file_format_options` of an export, or behind `--option` of `outport copy`. Case and `_` do not matter, so
`ROW_GROUP_SIZE` and `row_group_size` are one; a name that the format does not have is an error. This page is generated from the
program (`OUTPORT_BLESS=1 cargo test -p outport-formats --test manual`).

What a text format cannot say of a type (that a column held 32-bit integers) is no loss that a manifest lists; what is changed on the way
(nested values as JSON text in CSV, bytes as base64) is, under `type_losses`.
";

fn manual() -> String {
    let mut page = HEAD.to_owned();
    for format in text_formats().into_iter().chain(columnar_formats()) {
        let caps = format.caps();
        let codecs: Vec<&str> = caps.internal_codecs.iter().map(|codec| codec.name()).collect();
        let compression = if caps.text {
            "from outside: gzip, zip, zstd, lz4, snappy, brotli".to_owned()
        } else {
            format!("of its own ({}; default {}); zip from outside", codecs.join(", "), caps.default_codec.name())
        };
        writeln!(
            page,
            "\n## {}\n\n`.{}`, {}. Compression {compression}.\n",
            format.name(),
            caps.extension,
            caps.media_type
        )
        .unwrap();
        writeln!(page, "| option | default | |\n|---|---|---|").unwrap();
        for option in caps.options {
            let aliases: String = option.aliases.iter().map(|alias| format!(", `{alias}`")).collect();
            let default =
                if option.default.is_empty() { String::new() } else { format!("`{}`", escape(option.default)) };
            writeln!(page, "| `{}`{aliases} | {default} | {} |", option.name, option.help.replace('|', "\\|")).unwrap();
        }
    }
    page
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

#[test]
fn the_manual_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    if std::env::var_os("OUTPORT_BLESS").is_some() {
        std::fs::write(&path, manual()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == manual(), "docs/formats.md is stale: OUTPORT_BLESS=1 cargo test -p outport-formats --test manual");
}
