//! `outport gc`: what dead runs left behind.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use outport_connectors::files::gc;
use outport_core::run::RunState;
use outport_core::{Context, Error, ErrorKind, Result};
use outport_runtime::clean_up;
use outport_runtime::state::HistoryFilter;
use uuid::Uuid;

use super::App;
use crate::args;
use crate::printer::Table;

/// Closes or undoes runs that died, leaves those alone that go on, then removes temporary files older than an age from the targets' folders.
pub async fn run(args: &args::Gc, app: &App) -> Result<u8> {
    let age = age(&args.older_than)?;
    let (project, systems, exports) = app.selected(&args.selection).await?;
    let state = project.open_state().await?;
    let mut context = Context::new(Uuid::new_v4());
    context.cancel = app.cancel.clone();
    let mut table = Table::new(&["Target", "Removed"], "nothing was left behind");
    if !args.dry_run {
        for export in &exports {
            // Each clean-up has an id of its own: a lease is given back by it.
            let context = Context { run_id: Uuid::new_v4(), ..context.clone() };
            match clean_up(&export.key, &export.target, &systems, &state, &context).await {
                Ok(recovered) => {
                    for path in recovered.removed {
                        table.push(vec![export.target.as_str().into(), path.into()]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Busy => app.printer.note(&format!("left alone: {error}")),
                Err(error) => return Err(error),
            }
        }
    }
    // Runs that go on keep their temporary files, however long they take.
    let running = HistoryFilter { state: Some(RunState::Running), ..HistoryFilter::default() };
    let alive: HashSet<Uuid> =
        state.history(&running, u32::MAX).await?.into_iter().map(|run| run.export_run_id).collect();
    let targets: std::collections::BTreeSet<&str> = exports.iter().map(|export| export.target.as_str()).collect();
    for target in targets {
        let store = systems.store(target)?;
        let leftovers = gc::leftovers(&store, "", age, Timestamp::now(), |run| alive.contains(&run)).await?;
        if !args.dry_run {
            gc::remove(&store, &leftovers).await?;
        }
        for leftover in leftovers {
            table.push(vec![target.into(), leftover.file.path.into()]);
        }
    }
    app.printer.table(&table)?;
    Ok(0)
}

fn age(text: &str) -> Result<SignedDuration> {
    let wrong =
        || Error::new(ErrorKind::Usage, format!("--older-than: expected a span such as 1d or 12h, found \"{text}\""));
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())
}
