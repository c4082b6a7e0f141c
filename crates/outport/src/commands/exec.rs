//! `outport conns exec`: the rows of a query.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions as CellOptions};
use futures::StreamExt;
use outport::Systems;
use outport_core::format::{EncodeSettings, FormatOptions};
use outport_core::{Batches, Context, Error, ErrorKind, Result};
use outport_runtime::systems::Systems as _;
use uuid::Uuid;

use super::App;
use crate::args::Output;
use crate::printer::{Cell, Printer, Table, counted};

/// How many rows a person is shown.
const SHOWN: u64 = 100;

/// Runs a query on a connection that runs SQL, and prints its rows: as a table, or as the formats csv and json write them.
pub async fn run(systems: &Systems, connection: &str, sql: &str, limit: Option<u64>, app: &App) -> Result<u8> {
    let mut context = Context::new(Uuid::new_v4());
    context.cancel = app.cancel.clone();
    let source = systems.source(connection, &context).await?;
    let engine = source.engine().ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!("connection \"{connection}\" is a {} and runs no SQL", source.caps().system),
        )
    })?;
    let batches = engine.query(sql, &context).await.map_err(|e| e.context(format!("connection {connection}")))?;
    match app.printer.output() {
        Output::Text => as_text(batches, limit.unwrap_or(SHOWN), limit.is_none(), &app.printer).await?,
        Output::Csv => encoded(batches, "csv", FormatOptions::default(), limit, &app.printer).await?,
        Output::Json => {
            let array = FormatOptions::from_pairs([("array", "true")]);
            encoded(batches, "json", array, limit, &app.printer).await?;
        }
    }
    Ok(0)
}

/// The first `limit` rows of the stream, batch by batch, and whether there are more.
async fn first(mut batches: Batches, limit: u64, mut take: impl FnMut(&RecordBatch) -> Result<()>) -> Result<bool> {
    let mut left = limit;
    while let Some(batch) = batches.stream.next().await {
        let batch = batch?;
        let rows = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
        if rows > 0 {
            take(&batch.slice(0, rows))?;
        }
        left -= rows as u64;
        if rows < batch.num_rows() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn as_text(batches: Batches, limit: u64, cut: bool, printer: &Printer) -> Result<()> {
    let names: Vec<String> = batches.schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut table = Table::of_columns(names, "no rows");
    let more = first(batches, limit, |batch| {
        let options = CellOptions::default();
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().zip(&columns).map(|(column, formatter)| {
                let text = formatter.value(row).try_to_string()?;
                let numeric = column.data_type().is_numeric() && !text.is_empty();
                Ok(if numeric { Cell::Number(text) } else { text.into() })
            });
            table.push(cells.collect::<Result<_>>()?);
        }
        Ok(())
    });
    let more = more.await?;
    printer.table(&table)?;
    if more && cut {
        printer.note(&format!("the first {}; --limit N for more", counted(limit, "row")));
    }
    Ok(())
}

/// The rows as one file of a format.
async fn encoded(
    batches: Batches,
    format: &str,
    options: FormatOptions,
    limit: Option<u64>,
    printer: &Printer,
) -> Result<()> {
    let format = outport::wiring::format(format)?;
    let schema: SchemaRef = batches.schema.clone();
    let mut encoder = format.encoder(&schema, &EncodeSettings { options, ..EncodeSettings::default() })?;
    let chunks = encoder.chunk_encoder();
    let mut out = Vec::new();
    encoder.start(&mut out)?;
    first(batches, limit.unwrap_or(u64::MAX), |batch| {
        encoder.append(chunks.encode(std::slice::from_ref(batch))?, &mut out)?;
        printer.write(&String::from_utf8_lossy(&out))?;
        out.clear();
        Ok(())
    })
    .await?;
    encoder.finish(&mut out)?;
    printer.write(&String::from_utf8_lossy(&out))
}
