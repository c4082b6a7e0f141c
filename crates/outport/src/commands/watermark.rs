//! `outport watermark`.

use outport_core::export::Rows;
use outport_core::extract::Extract;
use outport_core::plan::find_column;
use outport_core::value::Value;
use outport_core::{Context, Error, ErrorKind, Result};
use outport_runtime::systems::Systems as _;
use uuid::Uuid;

use super::App;
use crate::args::{Selection, Watermark};
use crate::printer::{Cell, Table};

/// Shows, sets or forgets watermarks.
pub async fn run(args: &Watermark, app: &App) -> Result<u8> {
    match args {
        Watermark::Get(selected) => get(&selected.selection, app).await,
        Watermark::Set { export, value } => set(export, value, app).await,
        Watermark::Reset(selected) => reset(&selected.selection, app).await,
    }
}

async fn get(selection: &Selection, app: &App) -> Result<u8> {
    let (project, _, exports) = app.selected(selection).await?;
    let state = project.open_state().await?;
    let mut table = Table::new(&["Export", "Column", "Watermark", "Updated"], "no export is incremental");
    for export in exports {
        let Rows::Incremental { column, .. } = &export.rows else { continue };
        let (value, updated) = match state.watermark(&export.key).await? {
            Some(watermark) => (watermark.watermark_value.into(), Cell::Time(watermark.updated_at)),
            None => (Cell::Empty, Cell::Empty),
        };
        table.push(vec![export.key.to_string().into(), column.as_str().into(), value, updated]);
    }
    app.printer.table(&table)?;
    Ok(0)
}

/// The value is read as what the column is, so that a slip is found now and not in the next run.
async fn set(name: &str, text: &str, app: &App) -> Result<u8> {
    let selection = Selection { names: vec![name.to_owned()], ..Selection::default() };
    let (project, systems, exports) = app.selected(&selection).await?;
    let [export] = exports.as_slice() else {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("\"{name}\" selects {} exports, expected one", exports.len()),
        ));
    };
    let Rows::Incremental { column, .. } = &export.rows else {
        return Err(Error::new(ErrorKind::Usage, format!("export {} is not incremental", export.key)));
    };
    let state = project.open_state().await?;
    let mut context = Context::new(Uuid::new_v4());
    context.cancel = app.cancel.clone();
    let source = systems.source(&export.source, &context).await?;
    let extract = match &export.relation {
        outport_core::extract::Relation::Query(_) => None,
        table => Some(Extract::of(table.clone())),
    };
    let value = match extract {
        Some(extract) => {
            let schema = source.schema(&extract, &context).await?;
            let column = find_column(&schema, column, "incremental_column")?;
            Value::parse(text, schema.field_with_name(&column)?.data_type())?
        }
        // What a query with a {watermark} gives is known only when it has one; the next plan reads the text as its type.
        None => Value::Text(text.to_owned()),
    };
    state.set_watermark(&export.key, column, &value).await?;
    app.printer.line(&format!("{} {column}: {value}", export.key))?;
    Ok(0)
}

async fn reset(selection: &Selection, app: &App) -> Result<u8> {
    if selection.names.is_empty() && selection.select.is_empty() && selection.group.is_none() {
        return Err(Error::new(ErrorKind::Usage, "name the exports whose watermark is to be forgotten")
            .hint("`outport watermark reset '*'` forgets all"));
    }
    let (project, _, exports) = app.selected(selection).await?;
    let state = project.open_state().await?;
    for export in exports.iter().filter(|export| matches!(export.rows, Rows::Incremental { .. })) {
        state.reset_watermark(&export.key).await?;
        app.printer.line(&format!("{}: the next run exports everything", export.key))?;
    }
    Ok(0)
}
