//! What the books of the warehouse and its configuration say.

use outport::wiring;
use outport_core::engine::{Dialect, Engine};
use outport_core::error::suggestion;
use outport_core::{Error, ErrorKind, Result};
use outport_warehouse::state::State;
use serde_json::json;

use crate::args::Output;
use crate::args::warehouse as args;
use crate::commands::App;
use crate::printer::Table;

/// Past runs.
pub(super) async fn history(args: &args::History, app: &App) -> Result<u8> {
    let config = super::config(app, &args.place)?;
    let context = super::context(app);
    let engine = super::needed_reader(&config)?;
    let runs = State::new(&engine, &context).history(args.limit).await?;
    let header =
        ["run_id", "model_name", "status", "started_at", "execution_time_seconds", "rows_affected", "error_message"];
    if app.printer.output() == Output::Json {
        let runs: Vec<_> = runs
            .iter()
            .map(|run| {
                header
                    .iter()
                    .zip(run)
                    .map(|(key, value)| ((*key).to_owned(), json!(value)))
                    .collect::<serde_json::Map<_, _>>()
            })
            .collect();
        app.printer.json(&json!({ "runs": runs }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["Run", "Model", "Status", "Started", "Seconds", "Rows", "Error"], "no runs yet");
    for run in runs {
        // The first line of an error is enough for a table.
        let cell = |value: Option<String>| value.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        table.push(run.into_iter().map(|value| cell(value).into()).collect());
    }
    app.printer.table(&table)?;
    Ok(0)
}

/// Tables and views.
pub(super) async fn tables(args: &args::Tables, app: &App) -> Result<u8> {
    let config = super::config(app, &args.place)?;
    let context = super::context(app);
    let engine = super::needed_reader(&config)?;
    let layer = match args.layer.as_str() {
        "all" => String::new(),
        layer => format!(" AND schema_name = {}", Dialect::DuckDb.text(layer)),
    };
    let sql = format!(
        "SELECT schema_name, table_name, 'table' AS kind, estimated_size::VARCHAR AS rows, column_count::VARCHAR AS columns \
         FROM duckdb_tables() WHERE NOT internal AND schema_name <> 'meta' AND database_name = current_database(){layer} \
         UNION ALL SELECT schema_name, view_name, 'view', NULL, column_count::VARCHAR FROM duckdb_views() \
         WHERE NOT internal AND database_name = current_database(){layer} ORDER BY 1, 2"
    );
    let rows = outport_warehouse::sql::rows(&engine, &sql, &context).await?;
    if app.printer.output() == Output::Json {
        let tables: Vec<_> = rows
            .iter()
            .map(|row| json!({"layer": row[0], "name": row[1], "type": row[2], "rows": row[3].as_ref().and_then(|n| n.parse::<u64>().ok()), "columns": row[4].as_ref().and_then(|n| n.parse::<u64>().ok())}))
            .collect();
        app.printer.json(&json!({ "tables": tables }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["Layer", "Name", "Type", "Rows", "Columns"], "nothing is built yet");
    for row in rows {
        table.push(row.into_iter().map(|value| value.unwrap_or_default().into()).collect());
    }
    app.printer.table(&table)?;
    Ok(0)
}

/// One model.
pub(super) async fn describe(args: &args::Describe, app: &App) -> Result<u8> {
    let config = super::config(app, &args.place)?;
    let context = super::context(app);
    let warehouse = super::warehouse(app, &config, &args.place, &context).await?;
    let matching: Vec<_> = warehouse
        .project
        .models
        .iter()
        .filter(|model| {
            model.name.eq_ignore_ascii_case(&args.name) || model.full_name().eq_ignore_ascii_case(&args.name)
        })
        .collect();
    let model = match matching[..] {
        [model] => model,
        [] => {
            let names = warehouse.project.models.iter().map(|model| model.name.as_str());
            return Err(Error::new(ErrorKind::Usage, format!("there is no model \"{}\"", args.name))
                .hint(suggestion(&args.name, names)));
        }
        _ => {
            let names: Vec<String> = matching.iter().map(|model| model.full_name()).collect();
            return Err(Error::new(ErrorKind::Usage, format!("\"{}\" may be any of {}", args.name, names.join(", ")))
                .hint("name the layer, too"));
        }
    };
    let full_name = model.full_name();
    let mut columns = Vec::new();
    let mut export = None;
    if let Some(engine) = super::reader(&config) {
        let ident = |name: &str| Dialect::DuckDb.ident(name);
        let sql = format!("DESCRIBE {}.{}", ident(&model.layer), ident(&model.name));
        // A model that is not built yet has no columns.
        columns = outport_warehouse::sql::rows(&engine, &sql, &context).await.unwrap_or_default();
        let state = State::new(&engine as &dyn Engine, &context);
        if state.exists().await? {
            export = state.exports().await?.into_iter().find(|record| record.model == full_name);
        }
    }
    let described = |name: &str| {
        model
            .columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
            .map_or("", |column| &column.description)
    };
    let needs = warehouse.references.get(&full_name).cloned().unwrap_or_default();
    let users: Vec<&str> = outport_warehouse::graph::users(&warehouse.references)
        .remove(full_name.as_str())
        .into_iter()
        .flatten()
        .collect();
    if app.printer.output() == Output::Json {
        let columns: Vec<_> = columns
            .iter()
            .map(|row| {
                let name = row[0].as_deref().unwrap_or_default();
                json!({"name": name, "data_type": row[1], "description": described(name)})
            })
            .collect();
        app.printer.json(&json!({
            "name": model.name, "layer": model.layer, "full_name": full_name, "description": model.description,
            "materialized": model.materialized, "depends_on": needs, "needed_by": users, "tags": model.tags,
            "columns": columns, "export": export, "file": model.file.display().to_string(),
        }))?;
        return Ok(0);
    }
    let line = |label: &str, text: &str| {
        if text.is_empty() { Ok(()) } else { app.printer.line(&format!("{label:<14}{text}")) }
    };
    line("Model", &full_name)?;
    line("Description", model.description.trim())?;
    line("Materialized", model.materialized.name())?;
    line("File", &model.file.display().to_string())?;
    line("Depends on", &needs.into_iter().collect::<Vec<_>>().join(", "))?;
    line("Needed by", &users.join(", "))?;
    line("Tags", &model.tags.join(", "))?;
    if let Some(export) = &export {
        line("Export", &format!("{} ({} rows, {})", export.path, export.rows, export.exported_at))?;
    }
    let mut table = Table::new(&["Column", "Type", "Description"], "not built yet");
    for row in columns {
        let name = row.first().cloned().flatten().unwrap_or_default();
        let data_type = row.get(1).cloned().flatten().unwrap_or_default();
        let description = described(&name).to_owned();
        table.push(vec![name.into(), data_type.into(), description.into()]);
    }
    app.printer.table(&table)?;
    Ok(0)
}

/// The configuration as it holds.
pub(super) fn config(app: &App) -> Result<u8> {
    let config = wiring::load_warehouse(app.global.config.as_deref(), &app.environment)?;
    let path = |path: &std::path::Path| config.path(path).display().to_string();
    let settings = &config.settings;
    let secret = |given: bool| if given { "(set)" } else { "(not set)" };
    let shown = json!({
        "warehouse": {
            "db_path": path(&settings.db_path),
            "models_dir": path(&settings.models_dir),
            "export_dir": path(&settings.export_dir),
            "threads": settings.threads,
            "memory_limit": settings.memory_limit,
            "temp_directory": settings.temp_directory.as_deref().map(path),
            "vars": settings.vars,
        },
        "deployment": config.deployment.as_ref().map(|deployment| json!({
            "store": deployment.store_url().ok(),
            "endpoint_url": deployment.endpoint_url,
            "access_key_id": secret(deployment.access_key_id.is_some()),
            "secret_access_key": secret(deployment.secret_access_key.is_some()),
            "region": deployment.region,
            "data_prefix": deployment.data_prefix,
            "catalog_path": deployment.catalog_path,
            "database_path": deployment.database_path,
            "public_url": deployment.public_url,
            "storage_version": deployment.storage_version,
            "keep_versions": deployment.keep_versions,
        })),
    });
    if app.printer.output() == Output::Json {
        app.printer.json(&shown)?;
        return Ok(0);
    }
    for (section, values) in shown.as_object().into_iter().flatten() {
        let Some(values) = values.as_object() else { continue };
        app.printer.line(&format!("{section}:"))?;
        for (key, value) in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            app.printer.line(&format!("  {key}: {text}"))?;
        }
    }
    Ok(0)
}
