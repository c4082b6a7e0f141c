//! The file formats: bytes ↔ batches, without network or async runtime.

pub mod csv;
pub mod json;
mod text;

use std::sync::Arc;

use outport_core::format::Format;

/// The formats that are text: `csv`, `tsv`, `json`, `ndjson`.
pub fn text_formats() -> Vec<Arc<dyn Format>> {
    vec![Arc::new(csv::Csv::CSV), Arc::new(csv::Csv::TSV), Arc::new(json::Json::JSON), Arc::new(json::Json::NDJSON)]
}
