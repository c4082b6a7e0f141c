//! `outport gc`: what dead runs left behind.

use std::time::Duration;

use outport_core::{Context, Error, ErrorKind, Result};
use outport_runtime::recover_dead;
use uuid::Uuid;

use super::App;
use crate::args;
use crate::printer::Table;

/// Closes or undoes runs that died, then removes temporary files older than an age from the targets' folders.
pub async fn run(args: &args::Gc, app: &App) -> Result<u8> {
    let age = age(&args.older_than)?;
    let (project, systems, exports) = app.selected(&args.selection).await?;
    let state = project.open_state().await?;
    let context = Context::new(Uuid::new_v4());
    let mut table = Table::new(&["Target", "Removed"], "nothing was left behind");
    for export in &exports {
        let removed = if args.dry_run { Vec::new() } else { recover_dead(&export.key, &export.target, &systems, &state, &context).await? };
        for path in removed {
            table.push(vec![export.target.clone(), path]);
        }
    }
    let mut targets: Vec<&str> = exports.iter().map(|export| export.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    for target in targets {
        let store = systems.store(target)?;
        for leftover in outport_connectors::files::gc::leftovers(&store, "", age).await? {
            if !args.dry_run {
                outport_connectors::files::gc::remove(&store, &leftover).await?;
            }
            table.push(vec![target.to_owned(), leftover.path]);
        }
    }
    app.printer.table(&table)?;
    Ok(0)
}

fn age(text: &str) -> Result<Duration> {
    let wrong = || Error::new(ErrorKind::Usage, format!("--older-than: expected a span such as 1d or 12h, found \"{text}\""));
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let today = jiff::civil::Date::new(2000, 1, 1).map_err(|_| wrong())?;
    let duration = span.to_duration(today).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}
