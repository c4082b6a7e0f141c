//! `outport run` and `outport retry`.

use outport::{Project, Systems, select};
use outport_core::export::ExportKey;
use outport_core::{Error, ErrorKind, Result};
use outport_runtime::execute::Outcome;
use outport_runtime::{Parameters, Summary, process_exports};

use super::{App, parameters, set_vars, to_selection};
use crate::args::{self, Output};
use crate::printer::{Cell, Printer, Table, counted};
use crate::progress::Display;

/// Runs the selected exports.
pub async fn run(args: &args::Run, app: &App) -> Result<u8> {
    let (project, systems, exports) = match (&args.execution_id, args.retry) {
        (Some(execution_id), true) => {
            let (project, systems) = repeated(execution_id, &args.vars, app).await?;
            let exports = select::select(project.exports(&systems).await?, &to_selection(&args.selection))?;
            (project, systems, exports)
        }
        _ => app.selected_with(&args.selection, &args.vars).await?,
    };
    let parameters = Parameters {
        execution_id: args.execution_id.clone(),
        is_retry: args.retry,
        ..parameters(&project, &args.timing, &args.pace)?
    };
    process(app, &project, &systems, exports, &parameters).await
}

/// Runs again what an execution left undone.
pub async fn retry(args: &args::Retry, app: &App) -> Result<u8> {
    let execution_id = match &args.execution_id {
        Some(id) => id.clone(),
        None => app.project()?.0.open_state().await?.last_execution().await?.ok_or_else(|| {
            Error::new(ErrorKind::Usage, "there is no execution to retry").hint("`outport run` is the first one")
        })?,
    };
    let (project, systems) = repeated(&execution_id, &args.vars, app).await?;
    let exports = project.exports(&systems).await?;
    let mut parameters = Parameters {
        execution_id: Some(execution_id.clone()),
        is_retry: true,
        ..parameters(&project, &args.timing, &args.pace)?
    };
    if parameters.run_date.is_none() {
        // What failed yesterday is yesterday's export still.
        let date = project.open_state().await?.run_date_of(&execution_id).await?;
        parameters.run_date = date.map(|date| date.to_string());
    }
    process(app, &project, &systems, exports, &parameters).await
}

/// The project with the variables of an execution that is run again, of which the command line may change some.
async fn repeated(execution_id: &str, vars: &args::Vars, app: &App) -> Result<(Project, Systems)> {
    let mut project = Project::load(&app.config_file()?, app.environment.clone())?;
    for (name, value) in project.open_state().await?.vars_of(execution_id).await? {
        // One that was taken out of the configuration since is used by nothing.
        if project.config.vars.contains(&name) {
            project.config.vars.set(&name, value)?;
        }
    }
    set_vars(&mut project, vars)?;
    let systems = Systems::new(&project)?;
    Ok((project, systems))
}

async fn process(
    app: &App,
    project: &Project,
    systems: &Systems,
    exports: Vec<outport_core::export::Export>,
    parameters: &Parameters,
) -> Result<u8> {
    let state = project.open_state().await?;
    let order: Vec<_> = exports.iter().map(|export| (export.execution_group, export.key.clone())).collect();
    let summary = {
        let display = Display::new(app.printer.clone());
        process_exports(exports, parameters, systems, &state, &display, &app.cancel).await?
    };
    print(&summary, order, &app.printer)?;
    Ok(summary.exit_code())
}

fn print(summary: &Summary, mut order: Vec<(u32, ExportKey)>, printer: &Printer) -> Result<()> {
    if printer.output() == Output::Json {
        return printer.json(summary);
    }
    let header = ["Export", "Status", "Rows", "Files", "Bytes", "Seconds", "Rows/s", "Watermark"];
    let mut table = Table::new(&header, "nothing to run");
    // A table is read by name; JSON keeps the order in which the exports ended.
    order.sort();
    let place = |result: &Outcome| {
        order.iter().position(|(_, key)| key.group == result.export_group_name && key.name == result.export_name)
    };
    let mut results: Vec<&Outcome> = summary.results.iter().collect();
    results.sort_by_key(|result| place(result));
    for result in results {
        let metrics = &result.metrics;
        let seconds = metrics.duration_ms as f64 / 1000.0;
        let rate = if metrics.duration_ms > 0 { (metrics.rows_exported as f64 / seconds) as u64 } else { 0 };
        let watermark = match (&result.watermark_value, &result.new_watermark_value) {
            (_, None) => String::new(),
            (Some(old), Some(new)) if old == new => new.clone(),
            (Some(old), Some(new)) => format!("{old} -> {new}"),
            (None, Some(new)) => format!("-> {new}"),
        };
        table.push(vec![
            format!("{}/{}", result.export_group_name, result.export_name).into(),
            result.status.into(),
            Cell::Count(metrics.rows_exported),
            Cell::Count(metrics.files_created),
            Cell::Bytes(metrics.total_bytes),
            Cell::Seconds(seconds),
            Cell::Count(rate),
            watermark.into(),
        ]);
    }
    printer.table(&table)?;
    if printer.output() == Output::Text {
        if summary.skipped > 0 {
            printer.note(&format!("not begun: {}", counted(summary.skipped as u64, "export")));
        }
        if summary.failed > 0 {
            printer.note(&format!("to run again what failed: outport retry {}", summary.execution_id));
        }
    }
    Ok(())
}
