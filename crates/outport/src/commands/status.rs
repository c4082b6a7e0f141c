//! `outport status`: the last run of every export.

use outport_core::Result;

use super::App;
use crate::args;
use crate::printer::{Table, bytes, count, thousands};

/// Prints the last run of the selected exports.
pub async fn run(args: &args::Selected, app: &App) -> Result<u8> {
    let (project, _, exports) = app.selected(&args.selection).await?;
    let state = project.open_state().await?;
    let header = ["Export", "Status", "Started", "Rows", "Files", "Bytes", "Watermark", "Error"];
    let mut table = Table::new(&header, "no exports are defined");
    for export in &exports {
        let watermark = state.watermark(&export.key).await?.and_then(|w| w.watermark_value).unwrap_or_default();
        let row = match state.runs_of(&export.key, 1).await?.pop() {
            None => {
                let status = if export.active { "never run" } else { "inactive" };
                vec![
                    export.key.to_string(),
                    status.to_owned(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    watermark,
                    String::new(),
                ]
            }
            Some(run) => vec![
                export.key.to_string(),
                run.export_state.name().to_owned(),
                run.started_at.to_string(),
                run.rows_exported.map(count).map(thousands).unwrap_or_default(),
                run.files_created.map(|n| n.to_string()).unwrap_or_default(),
                run.total_bytes.map(count).map(bytes).unwrap_or_default(),
                watermark,
                run.error_message.unwrap_or_default(),
            ],
        };
        table.push(row);
    }
    app.printer.table(&table)?;
    Ok(0)
}
