//! `outport watermark`.

use outport_core::export::{IncrementalBy, Rows};
use outport_core::extract::{Extract, Relation};
use outport_core::plan::find_column;
use outport_core::source::Source;
use outport_core::value::Value;
use outport_core::version::TableVersion;
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
        let Some(column) = export.rows.cursor() else { continue };
        let (value, updated) = match state.watermark(&export.key).await? {
            Some(watermark) => (watermark.watermark_value.into(), Cell::Time(watermark.updated_at)),
            None => (Cell::Empty, Cell::Empty),
        };
        table.push(vec![export.key.to_string().into(), column.into(), value, updated]);
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
    let state = project.open_state().await?;
    let mut context = Context::new(Uuid::new_v4());
    context.cancel = app.cancel.clone();
    let source = systems.source(&export.source, &context).await?;
    let column = match &export.rows {
        Rows::Incremental { column, .. } => column,
        Rows::Versions { tombstones, .. } => {
            let version = version(text, &export.relation, *tombstones, source.as_ref(), &context).await?;
            let by = IncrementalBy::TableVersion.name();
            state.set_watermark(&export.key, by, &version).await?;
            return app.printer.line(&format!("{} {by}: {version}", export.key)).map(|()| 0);
        }
        _ => return Err(Error::new(ErrorKind::Usage, format!("export {} is not incremental", export.key))),
    };
    let extract = match &export.relation {
        Relation::Query(_) => None,
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

/// A version that the next run can go on from.
async fn version(
    text: &str,
    table: &Relation,
    tombstones: bool,
    source: &dyn Source,
    context: &Context,
) -> Result<Value> {
    let number = text.trim().parse().map_err(|_| {
        Error::new(ErrorKind::Usage, format!("expected a version of the table, a whole number, found \"{text}\""))
    })?;
    let after = TableVersion { number, table: None };
    let span = source.span(table, Some(&after), tombstones, context).await?;
    Ok(Value::Version(TableVersion { number, table: span.to.table }))
}

async fn reset(selection: &Selection, app: &App) -> Result<u8> {
    if selection.names.is_empty() && selection.select.is_empty() && selection.group.is_none() {
        return Err(Error::new(ErrorKind::Usage, "name the exports whose watermark is to be forgotten")
            .hint("`outport watermark reset '*'` forgets all"));
    }
    let (project, _, exports) = app.selected(selection).await?;
    let state = project.open_state().await?;
    for export in exports.iter().filter(|export| export.rows.is_incremental()) {
        state.reset_watermark(&export.key).await?;
        app.printer.line(&format!("{}: the next run exports everything", export.key))?;
    }
    Ok(0)
}
