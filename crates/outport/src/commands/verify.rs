//! `outport verify`: are the published files what the manifest says?

use outport::Systems;
use outport_connectors::files::verify::{self, Verdict};
use outport_core::Result;

use super::App;
use crate::args::{self, Output};
use crate::printer::{Table, bytes, thousands};

/// Checks existence, size, SHA-256 and rows of every file; 4 where something differs.
pub async fn run(args: &args::Verify, app: &App) -> Result<u8> {
    let (store, path) = match &args.connection {
        Some(connection) => (app.project()?.1.store(connection)?, args.manifest.trim_start_matches('/').to_owned()),
        None => {
            let systems = Systems::new(&outport::Project::empty(app.environment.clone()))?;
            let (folder, name) = args.manifest.rsplit_once('/').unwrap_or((".", &args.manifest));
            (systems.open_store(folder, &std::collections::BTreeMap::new())?, name.to_owned())
        }
    };
    let report = verify::verify(&store, &path, &outport::wiring::formats(), &app.cancel).await?;
    let good = report.files.iter().all(|file| file.verdict == Verdict::Good);
    if app.printer.output() == Output::Json {
        app.printer.json(&report)?;
    } else {
        let mut table = Table::new(&["File", "Rows", "Bytes", "Verdict"], "the manifest lists no files");
        for file in &report.files {
            table.push(vec![file.path.clone(), thousands(file.rows), bytes(file.bytes), file.verdict.to_string()]);
        }
        app.printer.table(&table)?;
    }
    Ok(if good { 0 } else { outport_core::ErrorKind::Contract.exit_code() })
}
