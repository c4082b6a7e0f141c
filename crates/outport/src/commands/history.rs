//! `outport history`: past runs, the latest first.

use outport_core::Result;

use super::App;
use crate::args::{self, Output};
use crate::printer::{Cell, Table, count};

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
    let header = ["Started", "Run", "Export", "Status", "Rows", "Files", "Bytes", "Seconds", "Execution", "Error"];
    let mut table = Table::new(&header, "no runs yet");
    for run in runs {
        table.push(vec![
            Cell::Time(run.started_at),
            match app.printer.output() {
                // The beginning, as the names of files have it, is enough for `runs show`.
                Output::Text => run.export_run_id.simple().to_string()[..8].into(),
                _ => run.export_run_id.to_string().into(),
            },
            format!("{}/{}", run.export_group_name, run.export_name).into(),
            run.export_state.name().into(),
            run.rows_exported.map(count).map(Cell::Count).into(),
            run.files_created.map(count).map(Cell::Count).into(),
            run.total_bytes.map(count).map(Cell::Bytes).into(),
            run.duration_ms.map(|ms| Cell::Seconds(ms as f64 / 1000.0)).into(),
            run.master_execution_id.into(),
            run.error_message.into(),
        ]);
    }
    app.printer.table(&table)?;
    Ok(0)
}
