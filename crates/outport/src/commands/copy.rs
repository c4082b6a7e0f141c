//! `outport copy SRC DST`: one file, folder, table or query to a file, without a configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use outport::{Project, Systems};
use outport_connectors::files::{FileDestination, FileSource};
use outport_core::config::interpolate::ReadFile;
use outport_core::destination::Destination;
use outport_core::extract::{Extract, Relation};
use outport_core::format::FormatOptions;
use outport_core::layout::{Codec, Compression, Header, IfExists, Layout, OnEmpty};
use outport_core::manifest::Provenance;
use outport_core::source::Source;
use outport_core::{Context, Error, ErrorKind, Result};
use uuid::Uuid;

use super::App;
use crate::args::{self, Output};
use crate::printer::{Cell, Table, counted, thousands};

/// The table that a query over files reads.
const QUERY_TABLE: &str = "source";

/// Copies, and prints what was written.
pub async fn run(args: &args::Copy, app: &App) -> Result<u8> {
    let mut context = Context::new(Uuid::new_v4());
    context.cancel = app.cancel.clone();
    let (source, extract, systems) = source(args, app, &context).await?;
    let destination = destination(args, &systems, context.run_id)?;
    let begun = std::time::Instant::now();
    let batches = source.read(&extract, &context).await.map_err(|error| {
        let name = outport_core::secret::redact_url(&args.source);
        // Most errors name the file themselves.
        if error.message().contains(name.as_str()) { error } else { error.context(format!("reading {name}")) }
    })?;
    let receipt = destination.write(batches, &context).await.map_err(|error| match error.kind() {
        // What goes wrong while the source is still read says so itself.
        ErrorKind::Write | ErrorKind::DiskFull | ErrorKind::Compression => {
            error.context(format!("writing {}", outport_core::secret::redact_url(&args.destination)))
        }
        _ => error,
    })?;
    if app.printer.output() == Output::Json {
        app.printer.json(&receipt)?;
        return Ok(0);
    }
    let mut table = Table::new(&["File", "Rows", "Bytes"], "there were no rows and nothing was written");
    for file in &receipt.files {
        table.push(vec![file.path.clone().into(), Cell::Count(file.rows), Cell::Bytes(file.bytes)]);
    }
    app.printer.table(&table)?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = (receipt.rows as f64 / seconds.max(0.001)) as u64;
    app.printer.note(&format!("{} in {seconds:.2} s, {} rows/s", counted(receipt.rows, "row"), thousands(rate)));
    for loss in &receipt.type_losses {
        app.printer.note(&format!("warning: column \"{}\" ({}): {}", loss.column, loss.data_type, loss.loss));
    }
    for (warning, count) in context.warnings.list() {
        app.printer.note(&format!("warning: {} ({count})", warning.message));
    }
    Ok(0)
}

async fn source(args: &args::Copy, app: &App, context: &Context) -> Result<(Arc<dyn Source>, Extract, Systems)> {
    let options = pairs("--from-option", &args.from_option)?;
    let mut extract = match (&args.table, &args.query) {
        (Some(table), _) => Extract::of(relation(table)),
        (_, Some(query)) => Extract::query(query.clone()),
        _ => Extract::table(QUERY_TABLE),
    };
    extract.limit = args.limit;
    extract.columns = args.columns.clone();
    let empty = || Project::empty(app.environment.clone());
    let written = |yaml: serde_json::Value| connection(&yaml, app);
    let lower = args.source.to_lowercase();
    if lower.starts_with("postgres://") || lower.starts_with("postgresql://") {
        needs_relation(args)?;
        let systems = written(serde_json::json!({"type": "postgres", "url": args.source}))?;
        return Ok((open(&systems, context).await?, extract, systems));
    }
    if lower.starts_with("duckdb://") || lower.ends_with(".duckdb") || lower.ends_with(".ddb") {
        needs_relation(args)?;
        let path = args.source.strip_prefix("duckdb://").unwrap_or(&args.source);
        let systems = written(serde_json::json!({"type": "duckdb", "path": path}))?;
        return Ok((open(&systems, context).await?, extract, systems));
    }
    let is_name = !args.source.contains(['/', '.', '*', ':']);
    if is_name && (args.table.is_some() || args.query.is_some()) {
        let (_, systems) = app.project()?;
        let source = outport_runtime::systems::Systems::source(&systems, &args.source, context).await?;
        return Ok((source, extract, systems));
    }
    if args.query.is_some() {
        let (folder, name) = split(&args.source);
        let mut table = serde_json::json!({"path": name, "options": options.0});
        if let Some(format) = &args.from_format {
            table["format"] = format.as_str().into();
        }
        let systems = written(serde_json::json!({"type": "lakehouse", "url": folder, "tables": {QUERY_TABLE: table}}))?;
        return Ok((open(&systems, context).await?, extract, systems));
    }
    let systems = Systems::new(&empty())?;
    let (folder, name) = split(&args.source);
    let store = systems.open_store(folder, &BTreeMap::new())?;
    let mut source = FileSource::new(store, outport::wiring::formats(), systems.temporary()).with_options(options);
    if let Some(format) = &args.from_format {
        source = source.with_format(format)?;
    }
    extract.relation = Relation::table(name);
    Ok((Arc::new(source), extract, systems))
}

fn needs_relation(args: &args::Copy) -> Result<()> {
    if args.table.is_none() && args.query.is_none() {
        return Err(Error::new(ErrorKind::Usage, "a database needs --table or --query"));
    }
    Ok(())
}

fn relation(table: &str) -> Relation {
    match table.split_once('.') {
        Some((schema, name)) => Relation::Table { schema: Some(schema.to_owned()), name: name.to_owned() },
        None => Relation::table(table),
    }
}

/// The systems of a project with one connection, called as the table of a query over files.
fn connection(settings: &serde_json::Value, app: &App) -> Result<Systems> {
    let text = serde_json::json!({"connections": {QUERY_TABLE: settings}}).to_string();
    let file = outport_core::config::Text { name: "the command line".to_owned(), text };
    let read: ReadFile<'_> = &|_| Err(std::io::ErrorKind::NotFound.into());
    let document = outport_core::config::Document::parse(&file, &app.environment, read)?;
    let mut project = Project::empty(app.environment.clone());
    project.config = outport_core::config::Project::assemble(document, Vec::new())?;
    Systems::new(&project)
}

async fn open(systems: &Systems, context: &Context) -> Result<Arc<dyn Source>> {
    outport_runtime::systems::Systems::source(systems, QUERY_TABLE, context).await
}

fn destination(args: &args::Copy, systems: &Systems, run_id: Uuid) -> Result<FileDestination> {
    let (folder, name) = split(&args.destination);
    let (plain, by_name) = strip_compression(name);
    let compression = match &args.compression {
        Some(codec) => codec_by_name(codec)?,
        None => by_name,
    };
    let format = match &args.format {
        Some(format) => outport::wiring::format(format)?,
        None => format_by_extension(plain)?,
    };
    let caps = format.caps();
    let codec = match compression {
        Codec::Default if caps.text => Codec::None,
        Codec::Default => caps.default_codec,
        codec => codec,
    };
    let options = pairs("--option", &args.option)?;
    options.check(format.name(), caps.options)?;
    // `orders.zip` says nothing of the file in it.
    let file_name = if plain.contains('.') { plain.to_owned() } else { format!("{plain}.{}", caps.extension) };
    let layout = Layout {
        directory: String::new(),
        bundle_stem: outport_core::layout::split_extension(&file_name).0.to_owned(),
        manifest_name: args
            .manifest
            .then(|| format!("{}_manifest.json", outport_core::layout::split_extension(&file_name).0)),
        compressed_name: (plain != name).then(|| name.to_owned()),
        file_name,
        compression: Compression { codec, level: args.compression_level },
        max_rows_per_file: args.max_rows_per_file,
        max_bytes_per_file: None,
        partition_by: args.partition_by.clone(),
        trigger_name: None,
        if_exists: match args.if_exists {
            args::IfExists::Overwrite => IfExists::Overwrite,
            args::IfExists::Error => IfExists::Error,
            args::IfExists::Version => IfExists::Version,
        },
        on_empty: OnEmpty::Write,
        header: Header::Each,
    };
    let provenance = Provenance { run_id, export: "copy".to_owned(), ..Provenance::default() };
    let store = systems.open_store(folder, &BTreeMap::new())?;
    let destination = FileDestination::new(store, format, layout, systems.temporary())?
        .with_options(options)
        .with_provenance(provenance);
    Ok(if args.manifest { destination } else { destination.without_checksums() })
}

/// Folder and name of a path or URL.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", path),
    }
}

const BY_EXTENSION: &[(&str, Codec)] = &[
    (".gz", Codec::Gzip),
    (".zip", Codec::Zip),
    (".zst", Codec::Zstd),
    (".lz4", Codec::Lz4),
    (".sz", Codec::Snappy),
    (".br", Codec::Brotli),
];

fn strip_compression(name: &str) -> (&str, Codec) {
    let lower = name.to_lowercase();
    match BY_EXTENSION.iter().find(|(extension, _)| lower.ends_with(extension)) {
        Some((extension, codec)) => (&name[..name.len() - extension.len()], *codec),
        None => (name, Codec::Default),
    }
}

fn codec_by_name(name: &str) -> Result<Codec> {
    serde_json::from_value(name.into()).map_err(|_| {
        Error::new(ErrorKind::Usage, format!("--compression: unknown codec \"{name}\""))
            .hint(outport_core::error::suggestion(name, ["none", "gzip", "zip", "zstd", "snappy", "lz4", "brotli"]))
    })
}

fn format_by_extension(name: &str) -> Result<Arc<dyn outport_core::format::Format>> {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    let extension = match extension.as_str() {
        "jsonl" => "ndjson",
        "feather" | "ipc" => "arrow",
        "parq" => "parquet",
        "" => "csv",
        other => other,
    };
    let formats = outport::wiring::formats();
    let found =
        formats.iter().find(|format| format.name() == extension || format.caps().extension == extension).cloned();
    found.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("the extension of \"{name}\" names no format")).hint(format!(
            "pass --format; there are: {}",
            formats.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ")
        ))
    })
}

fn pairs(option: &str, given: &[String]) -> Result<FormatOptions> {
    let pairs = given.iter().map(|pair| {
        pair.split_once('=')
            .ok_or_else(|| Error::new(ErrorKind::Usage, format!("{option}: expected name=value, found \"{pair}\"")))
    });
    Ok(FormatOptions::from_pairs(pairs.collect::<Result<Vec<_>>>()?))
}
