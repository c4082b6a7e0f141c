//! `outport warehouse run`.

use outport::wiring;
use outport_core::Result;
use outport_duckdb::AccessMode;
use outport_warehouse::build::{Build, Observer, Options, Outcome, Summary};
use outport_warehouse::graph;
use outport_warehouse::lineage::Lineage;
use outport_warehouse::state::Status;

use super::events::Events;
use crate::args::Output;
use crate::args::warehouse as args;
use crate::commands::App;
use crate::printer::{Cell, Printer, Table, counted};
use crate::progress::Display;

/// Builds and exports the selected models.
pub(super) async fn run(args: &args::Run, app: &App) -> Result<u8> {
    let config = super::config(app, &args.place)?;
    let context = super::context(app);
    let warehouse = super::warehouse(app, &config, &args.place, &context).await?;
    let selected = graph::select(&warehouse.project, &warehouse.references, &args.chosen.models)?;
    let engine = wiring::open_warehouse(&config, AccessMode::ReadWrite);
    let exporter = wiring::Exports::new(&config);
    let summary = {
        let display = Display::new(app.printer.clone());
        let target = args.openlineage.as_deref().or_else(|| app.environment.get("OPENLINEAGE_URL"));
        let key = app.environment.get("OPENLINEAGE_API_KEY").map(str::to_owned);
        let events = Events::open(target, key, app.printer.clone())?;
        let database = config.path(&config.settings.db_path);
        let namespace = format!("duckdb://{}", std::path::absolute(&database).unwrap_or(database).display());
        let lineage = Lineage::new(&warehouse, namespace, &events, &display);
        let observer: &dyn Observer = if events.wanted() { &lineage } else { &display };
        let build = Build {
            warehouse: &warehouse,
            engine: &engine,
            exporter: &exporter,
            options: Options {
                fail_fast: !args.no_fail_fast,
                changed: args.changed,
                full_refresh: args.full_refresh,
                accept_change: args.accept_change,
                jobs: args.jobs,
                export_dir: config.path(&config.settings.export_dir),
            },
            context: &context,
            observer,
        };
        let summary = build.run(&selected).await;
        events.finish().await;
        summary?
    };
    print(&summary, &app.printer)?;
    Ok(exit_code(&summary))
}

/// 1 where a model failed; the code of its error where it was the only one.
fn exit_code(summary: &Summary) -> u8 {
    let failed: Vec<&Outcome> = summary.results.iter().filter(|outcome| outcome.status == Status::Error).collect();
    match (summary.success, &failed[..], summary.results.len()) {
        (true, ..) => 0,
        (false, [only], 1) => only.cause.as_ref().map_or(1, |cause| cause.kind().exit_code()),
        (false, ..) => 1,
    }
}

fn print(summary: &Summary, printer: &Printer) -> Result<()> {
    if printer.output() == Output::Json {
        return printer.json(summary);
    }
    let mut table = Table::new(&["Model", "Status", "Rows", "Export", "Exported", "Bytes", "Seconds"], "no models");
    for outcome in &summary.results {
        table.push(vec![
            outcome.model_name.as_str().into(),
            outcome.status.name().into(),
            outcome.rows_affected.map_or_else(|| "".into(), Cell::Count),
            outcome.export_path.as_deref().unwrap_or_default().into(),
            outcome.export_rows.map_or_else(|| "".into(), Cell::Count),
            outcome.export_bytes.map_or_else(|| "".into(), Cell::Bytes),
            Cell::Seconds(outcome.execution_time_seconds),
        ]);
    }
    printer.table(&table)?;
    let count = |status: Status| summary.results.iter().filter(|outcome| outcome.status == status).count() as u64;
    if !summary.success && printer.output() == Output::Text {
        printer.note(&format!("{} failed, {} skipped", counted(count(Status::Error), "model"), count(Status::Skipped)));
    }
    Ok(())
}

impl Observer for Display {
    fn begun(&self, model: &str, context: &outport_core::Context) {
        self.begin(model, context);
    }

    fn ended(&self, outcome: &Outcome) {
        self.end(&outcome.model_name, |printer| {
            if let Some(cause) = &outcome.cause {
                printer.error(cause);
            }
        });
    }
}
