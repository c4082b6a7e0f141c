//! `outport verify`: are the published files what the manifest says?

use outport::Systems;
use outport_connectors::files::verify;
use outport_core::{Context, Result};
use uuid::Uuid;

use super::App;
use crate::args::{self, Output};
use crate::printer::{Cell, Table};

/// Checks existence, size, SHA-256 and rows of every file; 4 where something differs.
pub async fn run(args: &args::Verify, app: &App) -> Result<u8> {
    let systems = match &args.connection {
        Some(_) => app.project()?.1,
        None => Systems::new(&outport::Project::empty(app.environment.clone()))?,
    };
    let (store, path) = match &args.connection {
        Some(connection) => (systems.store(connection)?, args.manifest.trim_start_matches('/').to_owned()),
        None => {
            let (folder, name) = args.manifest.rsplit_once('/').unwrap_or((".", &args.manifest));
            (systems.open_store(folder, &std::collections::BTreeMap::new())?, name.to_owned())
        }
    };
    let mut context = Context::new(Uuid::new_v4());
    context.cancel = app.cancel.clone();
    let report = verify::verify(&store, &path, &outport::wiring::formats(), systems.temporary(), &context).await?;
    if app.printer.output() == Output::Json {
        app.printer.json(&report.to_json())?;
    } else {
        let mut table = Table::new(&["File", "Rows", "Verdict"], "the manifest lists no files");
        for file in &report.files {
            let verdict = if file.problems.is_empty() { "ok".to_owned() } else { file.problems.join("; ") };
            table.push(vec![file.path.clone().into(), file.rows.map(Cell::Count).into(), verdict.into()]);
        }
        app.printer.table(&table)?;
        for problem in &report.problems {
            app.printer.note(&format!("{}: {problem}", args.manifest));
        }
    }
    Ok(if report.is_ok() { 0 } else { outport_core::ErrorKind::Contract.exit_code() })
}
