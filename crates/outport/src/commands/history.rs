//! `outport history`: past runs, the latest first.

use outport_core::Result;

use super::App;
use crate::args::{self, Output};
use crate::printer::{Table, bytes, count, thousands};

/// Prints past runs of the selected exports; with `-o json` every documented column of the log.
pub async fn run(args: &args::History, app: &App) -> Result<u8> {
    let (project, _, exports) = app.selected(&args.selection).await?;
    let state = project.open_state().await?;
    let mut runs = Vec::new();
    for export in &exports {
        runs.extend(state.runs_of(&export.key, args.limit).await?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
    runs.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    if app.printer.output() == Output::Json {
        app.printer.json(&runs)?;
        return Ok(0);
    }
    let header = ["Started", "Export", "Status", "Rows", "Files", "Bytes", "Seconds", "Execution", "Error"];
    let mut table = Table::new(&header, "no runs yet");
    for run in runs {
        table.push(vec![
            run.started_at.to_string(),
            format!("{}/{}", run.export_group_name, run.export_name),
            run.export_state.name().to_owned(),
            run.rows_exported.map(count).map(thousands).unwrap_or_default(),
            run.files_created.map(|n| n.to_string()).unwrap_or_default(),
            run.total_bytes.map(count).map(bytes).unwrap_or_default(),
            run.duration_ms.map(|ms| format!("{:.1}", ms as f64 / 1000.0)).unwrap_or_default(),
            run.master_execution_id,
            run.error_message.unwrap_or_default(),
        ]);
    }
    app.printer.table(&table)?;
    Ok(0)
}
