//! `outport deploy …`: the exports of a warehouse, published.

mod prepare;
mod send;

use std::path::Path;

use outport_core::error::from_io;
use outport_core::{ErrorKind, Result};
use outport_warehouse::{catalog, remote};

use super::App;
use crate::args::Output;
use crate::args::deploy as args;

pub(super) use prepare::Prepared;

/// Runs one of the commands.
pub async fn dispatch(command: args::Deploy, app: &App) -> Result<u8> {
    match command {
        args::Deploy::Catalog(target) => {
            let prepared = Prepared::for_deployment(&target, app).await?;
            write_documents(&prepared.export_dir, &catalog_documents(&prepared)?, app)?;
        }
        args::Deploy::CreateRemoteDb(target) => {
            let prepared = Prepared::for_deployment(&target, app).await?;
            prepared.write_database(&prepared.database_file(), app).await?;
            write_documents(&prepared.export_dir, &[(CATALOG_SQL, remote::views_sql(prepared.catalog()))], app)?;
            wrote(&prepared.database_file(), app)?;
        }
        args::Deploy::Upload(args) => return send::upload(&args.sending, app).await,
        args::Deploy::Publish(args) => return send::publish(&args, app).await,
    }
    Ok(0)
}

/// The names of what is written beside the exports.
const CATALOG: &str = "catalog.json";
const CATALOG_SQL: &str = "catalog.sql";
const DATAPACKAGE: &str = "datapackage.json";
const CROISSANT: &str = "croissant.json";

/// The catalogue and its translations, by name.
fn catalog_documents(prepared: &Prepared) -> Result<[(&'static str, String); 3]> {
    let found = prepared.catalog();
    Ok([
        (CATALOG, found.to_json()?),
        (DATAPACKAGE, catalog::datapackage(found)?),
        (CROISSANT, catalog::croissant(found)?),
    ])
}

fn write_documents(folder: &Path, documents: &[(&str, String)], app: &App) -> Result<()> {
    for (name, text) in documents {
        write(&folder.join(name), text)?;
        wrote(&folder.join(name), app)?;
    }
    Ok(())
}

/// Writes a file whole: whoever reads it meanwhile has the old one.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |e| from_io(ErrorKind::Write, e).context(format!("writing {}", path.display()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path)).map_err(failed)
}

/// Says so, where people read it.
fn wrote(path: &Path, app: &App) -> Result<()> {
    if app.printer.output() != Output::Text {
        return Ok(());
    }
    let style = app.printer.style();
    app.printer.line(&format!("{} {}", style.green("wrote"), path.display()))
}
