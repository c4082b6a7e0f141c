//! `outport warehouse plan` and `list-models`.

use outport::wiring;
use outport_core::Result;
use outport_core::engine::Engine;
use outport_warehouse::graph;
use outport_warehouse::plan::{self, Change};
use serde_json::json;

use crate::args::Output;
use crate::args::warehouse as args;
use crate::commands::App;
use crate::printer::Table;

/// Says what a run would do.
pub(super) async fn plan(args: &args::Plan, app: &App) -> Result<u8> {
    let config = super::config(app, &args.place)?;
    let context = super::context(app);
    let warehouse = super::warehouse(app, &config, &args.place, &context).await?;
    let selected = graph::select(&warehouse.project, &warehouse.references, &args.chosen.models)?;
    let scratch = wiring::open_scratch(&config);
    let reader = super::reader(&config);
    let engine: &dyn Engine = reader.as_ref().map_or(&scratch, |reader| reader);
    let export_dir = config.path(&config.settings.export_dir);
    let planned = plan::plan(&warehouse, &selected, &export_dir, engine, &scratch, &context).await?;
    if app.printer.output() == Output::Json {
        app.printer.json(&json!({ "models": planned }))?;
        return Ok(0);
    }
    let header =
        ["#", "Model", "Materialized", "Change", "Export", "Format", "Compression", "Partitions", "Overwrites"];
    let mut table = Table::new(&header, "no models");
    for model in &planned {
        let export = model.export.as_ref();
        table.push(vec![
            format!("{}.", model.order).into(),
            model.model.as_str().into(),
            model.materialized.name().into(),
            match model.change {
                Change::New => "new",
                Change::Changed => "changed",
                Change::Unchanged => "unchanged",
            }
            .into(),
            export.map_or("", |export| &export.path).into(),
            export.map_or("", |export| &export.format).into(),
            export.map_or("", |export| &export.compression).into(),
            export.map_or_else(String::new, |export| export.partition_by.join(", ")).into(),
            export.map_or("", |export| if export.overwrites { "yes" } else { "no" }).into(),
        ]);
    }
    if app.printer.output() == Output::Text {
        app.printer.line(&format!("Execution plan ({} models):", planned.len()))?;
    }
    app.printer.table(&table)?;
    Ok(0)
}

/// Lists the models.
pub(super) async fn list(args: &args::Listed, app: &App) -> Result<u8> {
    let config = super::config(app, &args.place)?;
    let context = super::context(app);
    let warehouse = super::warehouse(app, &config, &args.place, &context).await?;
    let selected = graph::select(&warehouse.project, &warehouse.references, &args.chosen.models)?;
    let models: Vec<_> =
        warehouse.project.models.iter().filter(|model| selected.contains(&model.full_name())).collect();
    if app.printer.output() == Output::Json {
        let models: Vec<_> = models
            .iter()
            .map(|model| {
                json!({
                    "name": model.name,
                    "layer": model.layer,
                    "full_name": model.full_name(),
                    "description": model.description,
                    "materialized": model.materialized,
                    "depends_on": warehouse.references.get(&model.full_name()),
                    "tags": model.tags,
                    "export": model.export.as_ref().map(|export| &export.path),
                    "file": model.file.display().to_string(),
                })
            })
            .collect();
        app.printer.json(&json!({ "models": models }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["Model", "Materialized", "Depends on", "Tags", "Export", "Description"], "no models");
    for model in models {
        let needs = warehouse.references.get(&model.full_name());
        table.push(vec![
            model.full_name().into(),
            model.materialized.name().into(),
            needs.into_iter().flatten().cloned().collect::<Vec<_>>().join(", ").into(),
            model.tags.join(", ").into(),
            model.export.as_ref().map_or("", |export| &export.path).into(),
            model.description.lines().next().unwrap_or_default().into(),
        ]);
    }
    app.printer.table(&table)?;
    Ok(0)
}
