//! `outport runs show`: everything that is known of one run.

use outport_core::Result;
use outport_runtime::state::RunDetail;

use super::App;
use crate::args::Output;
use crate::printer::{Cell, Table, count};

/// Prints a run: as fields and values, or with `-o json` as an object with the documented columns of the log.
pub async fn show(run_id: &str, app: &App) -> Result<u8> {
    let (project, _) = app.project()?;
    let state = project.open_state().await?;
    let detail = state.find_run(run_id).await?;
    if app.printer.output() == Output::Json {
        app.printer.json(&detail)?;
        return Ok(0);
    }
    let mut table = Table::new(&["Field", "Value"], "");
    for (field, value) in fields(&detail) {
        if !matches!(value, Cell::Empty) {
            table.push(vec![field.into(), value]);
        }
    }
    app.printer.table(&table)?;
    Ok(0)
}

fn fields(detail: &RunDetail) -> Vec<(&'static str, Cell)> {
    let run = &detail.run;
    let mut fields = vec![
        ("run", Cell::from(run.export_run_id.to_string())),
        ("export", format!("{}/{}", run.export_group_name, run.export_name).into()),
        ("status", run.export_state.name().into()),
        ("execution", run.master_execution_id.as_str().into()),
        ("run date", detail.run_date.as_str().into()),
        ("started", Cell::Time(run.started_at)),
        ("completed", run.completed_at.map(Cell::Time).into()),
        ("seconds", run.duration_ms.map(|ms| Cell::Seconds(ms as f64 / 1000.0)).into()),
        ("host", detail.host.as_str().into()),
        ("source", run.source_datastore.clone().into()),
        ("table", run.source_table.clone().into()),
        ("target", detail.target.clone().into()),
        ("folder", run.target_path.clone().into()),
        ("format", run.file_format.clone().into()),
        ("compression", run.compression.clone().into()),
        ("watermark before", run.watermark_value.clone().into()),
        ("watermark after", detail.new_watermark_value.clone().into()),
        ("period start", run.period_start_date.clone().into()),
        ("period end", run.period_end_date.clone().into()),
        ("fingerprint", detail.fingerprint.clone().into()),
        ("rows", run.rows_exported.map(count).map(Cell::Count).into()),
        ("files", run.files_created.map(count).map(Cell::Count).into()),
        ("bytes", run.total_bytes.map(count).map(Cell::Bytes).into()),
    ];
    fields.extend(run.file_paths.iter().map(|path| ("file", path.as_str().into())));
    fields.push(("trigger", run.trigger_file_path.clone().into()));
    let vars = detail.vars.iter().map(|(name, value)| ("var", format!("{name} = {value}").into()));
    fields.extend(vars);
    fields.extend(detail.warnings.iter().map(|warning| ("warning", warning.as_str().into())));
    fields.push(("error", run.error_message.clone().into()));
    fields
}
