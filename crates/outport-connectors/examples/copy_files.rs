//! Copies files of one format to another, and says how long it took: `copy_files SOURCE FOLDER NAME FORMAT [CODEC] [ROWS_PER_FILE]`.
//!
//! For measuring the pipeline alone, without configuration and state.

use std::time::Instant;

use outport_connectors::files::{FileDestination, FileSource, Store};
use outport_core::destination::Destination;
use outport_core::extract::Extract;
use outport_core::layout::{Codec, Compression, Layout};
use outport_core::source::Source;
use outport_core::{Context, Error, ErrorKind, Result};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
#[allow(clippy::print_stdout, reason = "an example that measures")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, folder, name, format, rest @ ..] = &arguments[..] else {
        return Err(Error::new(ErrorKind::Usage, "expected SOURCE FOLDER NAME FORMAT [CODEC] [ROWS_PER_FILE]"));
    };
    let mut formats = outport_formats::text_formats();
    formats.extend(outport_formats::columnar_formats());
    let target = formats
        .iter()
        .find(|f| f.name() == format)
        .cloned()
        .ok_or_else(|| Error::new(ErrorKind::Usage, format!("no format {format}")))?;
    let codec = match rest.first().map(String::as_str) {
        None | Some("default") => Codec::Default,
        Some("gzip") => Codec::Gzip,
        Some("zip") => Codec::Zip,
        Some("zstd") => Codec::Zstd,
        Some(other) => return Err(Error::new(ErrorKind::Usage, format!("no codec {other}"))),
    };
    let layout = Layout {
        directory: String::new(),
        file_name: name.clone(),
        compressed_name: None,
        bundle_stem: "bundle".to_owned(),
        compression: Compression::new(codec),
        max_rows_per_file: rest.get(1).and_then(|rows| rows.parse().ok()),
        max_bytes_per_file: None,
        partition_by: Vec::new(),
        trigger_name: None,
        manifest_name: Some(format!("{name}.manifest.json")),
        if_exists: Default::default(),
        on_empty: Default::default(),
        header: Default::default(),
    };
    let temporary = std::env::temp_dir();
    let context = Context::new(uuid::Uuid::new_v4());
    let began = Instant::now();
    let (root, file) = source.rsplit_once('/').unwrap_or((".", source));
    let batches =
        FileSource::new(Store::local(root), formats, &temporary).read(&Extract::table(file), &context).await?;
    let receipt =
        FileDestination::new(Store::local(folder), target, layout, &temporary)?.write(batches, &context).await?;
    println!("{} rows, {} bytes, {:.2} s", receipt.rows, receipt.bytes, began.elapsed().as_secs_f64());
    Ok(())
}
