//! `outport status`: the last run of every export.

use outport_core::Result;

use super::App;
use crate::args;
use crate::printer::{Cell, Table, count};

/// Prints the last run of the selected exports.
pub async fn run(args: &args::Selected, app: &App) -> Result<u8> {
    let (project, _, exports) = app.selected(&args.selection).await?;
    let state = project.open_state().await?;
    let header = ["Export", "Status", "Started", "Rows", "Files", "Bytes", "Watermark", "Error"];
    let mut table = Table::new(&header, "no exports are defined");
    for export in &exports {
        let watermark = state.watermark(&export.key).await?.and_then(|w| w.watermark_value).unwrap_or_default();
        let name = Cell::from(export.key.to_string());
        let row = match state.runs_of(&export.key, 1).await?.pop() {
            None => {
                let status = if export.active { "never run" } else { "inactive" };
                let nothing = Cell::Empty;
                vec![
                    name,
                    status.into(),
                    nothing.clone(),
                    nothing.clone(),
                    nothing.clone(),
                    nothing.clone(),
                    watermark.into(),
                    nothing,
                ]
            }
            Some(run) => vec![
                name,
                run.export_state.name().into(),
                Cell::Time(run.started_at),
                run.rows_exported.map(count).map(Cell::Count).into(),
                run.files_created.map(count).map(Cell::Count).into(),
                run.total_bytes.map(count).map(Cell::Bytes).into(),
                watermark.into(),
                run.error_message.into(),
            ],
        };
        table.push(row);
    }
    app.printer.table(&table)?;
    Ok(0)
}
