//! `outport backfill`: exports for each run date of a range.

use jiff::ToSpan;
use jiff::civil::Date;
use outport_core::export::Export;
use outport_core::{Error, ErrorKind, Result};
use outport_runtime::process::Summary;
use outport_runtime::{Parameters, process_exports};

use super::{App, parameters};
use crate::args::{self, Every, Output};
use crate::printer::{Cell, Table, counted};
use crate::progress::Display;

/// What one run date gave.
#[derive(Debug, serde::Serialize)]
struct Dated {
    run_date: String,
    #[serde(flatten)]
    summary: Summary,
}

/// Runs the selected exports once for each run date; each date is an execution of its own, which can be run again with `retry`.
pub async fn run(args: &args::Backfill, app: &App) -> Result<u8> {
    let selection = &args.selection;
    if selection.names.is_empty() && selection.select.is_empty() && selection.group.is_none() {
        return Err(Error::new(ErrorKind::Usage, "name the exports that are to run for each date")
            .hint("`outport backfill '*' --from … --to …` runs all"));
    }
    let dates = dates(args)?;
    let (project, systems, exports) = app.selected_with(selection, &args.vars).await?;
    note_what_repeats(&exports, app);
    let state = project.open_state().await?;
    let timing =
        args::Timing { timezone: args.timezone.clone(), accept_change: args.accept_change, ..args::Timing::default() };
    let pace = args::Pace { max_concurrency: args.max_concurrency, fail_fast: args.fail_fast };
    let shared = parameters(&project, &timing, &pace)?;
    let mut done: Vec<Dated> = Vec::new();
    for date in &dates {
        let failed = done.iter().any(|dated| !dated.summary.success);
        if app.cancel.is_cancelled() || (args.fail_fast && failed) {
            break;
        }
        let parameters = Parameters { run_date: Some(date.to_string()), ..shared.clone() };
        let display = Display::new(app.printer.clone());
        let summary = process_exports(exports.clone(), &parameters, &systems, &state, &display, &app.cancel).await?;
        done.push(Dated { run_date: date.to_string(), summary });
    }
    let left = dates.len() - done.len();
    print(&done, left, app)?;
    Ok(exit_code(done, left))
}

/// A run of an export that takes everything that is new, or everything, is the same whatever its run date.
fn note_what_repeats(exports: &[Export], app: &App) {
    for export in exports.iter().filter(|export| export.active && export.rows.is_incremental()) {
        let key = &export.key;
        app.printer.note(&format!("{key} is incremental: the first run date takes all that lies behind its watermark"));
    }
}

fn dates(args: &args::Backfill) -> Result<Vec<Date>> {
    let (from, to) = (date("--from", &args.from)?, date("--to", &args.to)?);
    if from > to {
        return Err(Error::new(ErrorKind::Usage, format!("--from {from} lies behind --to {to}")));
    }
    // Counted from the first date, so that the 31st stays the 31st behind a shorter month.
    let nth = |n: i32| {
        let step = match args.every {
            Every::Day => n.days(),
            Every::Week => n.weeks(),
            Every::Month => n.months(),
        };
        from.checked_add(step).ok().filter(|date| *date <= to)
    };
    Ok((0..).map_while(nth).collect())
}

fn date(option: &str, text: &str) -> Result<Date> {
    text.parse().map_err(|_| {
        Error::new(ErrorKind::Usage, format!("{option}: expected a date such as 2025-12-12, found \"{text}\""))
    })
}

fn print(done: &[Dated], left: usize, app: &App) -> Result<()> {
    let printer = &app.printer;
    if printer.output() == Output::Json {
        return printer.json(&done);
    }
    let header = ["Run date", "Export", "Status", "Rows", "Files", "Bytes", "Seconds", "Execution"];
    let mut table = Table::new(&header, "nothing to run");
    for Dated { run_date, summary } in done {
        let mut results: Vec<_> = summary.results.iter().collect();
        results.sort_by_key(|result| (&result.export_group_name, &result.export_name));
        for result in results {
            table.push(vec![
                run_date.as_str().into(),
                format!("{}/{}", result.export_group_name, result.export_name).into(),
                result.status.into(),
                Cell::Count(result.metrics.rows_exported),
                Cell::Count(result.metrics.files_created),
                Cell::Bytes(result.metrics.total_bytes),
                Cell::Seconds(result.metrics.duration_ms as f64 / 1000.0),
                summary.execution_id.as_str().into(),
            ]);
        }
    }
    printer.table(&table)?;
    if left > 0 {
        printer.note(&format!("not begun: {}", counted(left as u64, "run date")));
    }
    for Dated { run_date, summary } in done.iter().filter(|dated| dated.summary.failed > 0) {
        printer.note(&format!("to run again what failed for {run_date}: outport retry {}", summary.execution_id));
    }
    Ok(())
}

/// The exit code of all run dates as if they had been one call.
fn exit_code(done: Vec<Dated>, left: usize) -> u8 {
    let mut all = Summary {
        success: true,
        execution_id: String::new(),
        total_exports: 0,
        successful: 0,
        failed: 0,
        skipped: left,
        results: Vec::new(),
    };
    for Dated { summary, .. } in done {
        all.success &= summary.success;
        all.total_exports += summary.total_exports;
        all.successful += summary.successful;
        all.failed += summary.failed;
        all.skipped += summary.skipped;
        all.results.extend(summary.results);
    }
    all.exit_code()
}
