//! File formats, and the packaging around them.
//!
//! Encoders and decoders over bytes, synchronous, without network or async runtime: see [`outport_core::format`] for the
//! contract that each format implements and for how the work is spread over threads.

pub mod arrow_ipc;
pub mod csv;
pub mod detect;
pub mod json;
pub mod packaging;
pub mod parquet;
mod text;

use std::sync::Arc;

use outport_core::format::Format;

/// The formats that are text: `csv`, `tsv`, `json`, `ndjson`.
pub fn text_formats() -> Vec<Arc<dyn Format>> {
    vec![Arc::new(csv::Csv::CSV), Arc::new(csv::Csv::TSV), Arc::new(json::Json::JSON), Arc::new(json::Json::NDJSON)]
}

/// The formats that keep columns together.
pub fn columnar_formats() -> Vec<Arc<dyn Format>> {
    vec![
        Arc::new(self::parquet::Parquet),
        Arc::new(self::arrow_ipc::ArrowIpc::file()),
        Arc::new(self::arrow_ipc::ArrowIpc::stream()),
    ]
}
