//! `outport doctor`: is everything there that exports need?

use std::time::Instant;

use outport_core::{Error, ErrorKind, Result};

use super::conns::{self, Tested, say};
use super::{App, counted_failures};
use crate::args;
use crate::printer::{Cell, Table};

/// Checks configuration, state, space for spilled data and connections, whatever came of the one before; ends with the first
/// kind of failure.
pub async fn run(args: &args::Doctor, app: &App) -> Result<u8> {
    let (project, systems) = app.project()?;
    let mut checks = Checks::default();
    checks.add("configuration", Instant::now(), Ok(app.config_file()?.display().to_string()));
    let begun = Instant::now();
    let exports = project.exports(&systems).await.map(|exports| format!("{} defined", exports.len()));
    checks.add("exports", begun, exports);

    let begun = Instant::now();
    let state = project.open_state().await.map(|_| outport_core::secret::redact_url(&project.state_url()));
    checks.add("state", begun, state);

    let (begun, temporary) = (Instant::now(), project.temp_directory());
    let probe = tempfile::NamedTempFile::new_in(&temporary).map_err(|e| {
        outport_core::error::from_io(ErrorKind::Write, e).context(format!("temp_directory {}", temporary.display()))
    });
    checks.add("temp_directory", begun, probe.map(|_| temporary.display().to_string()));
    checks.add("clock", Instant::now(), Ok(jiff::Timestamp::now().to_string()));

    for Tested { name, result, milliseconds } in conns::probe(&systems, &args.connections, app).await? {
        checks.push(format!("connection {name}"), milliseconds, result);
    }
    app.printer.table(&checks.table)?;
    if checks.errors.is_empty() {
        return Ok(0);
    }
    let summary = counted_failures(checks.errors.len(), "check");
    Err(Error::many(checks.errors, summary))
}

struct Checks {
    table: Table,
    errors: Vec<Error>,
}

impl Default for Checks {
    fn default() -> Self {
        Self { table: Table::new(&["Check", "Result", "Milliseconds"], ""), errors: Vec::new() }
    }
}

impl Checks {
    fn add(&mut self, name: &str, begun: Instant, result: Result<String>) {
        self.push(name.to_owned(), u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), result);
    }

    fn push(&mut self, name: String, milliseconds: u64, result: Result<String>) {
        self.table.push(vec![name.into(), say(&result).into(), Cell::Count(milliseconds)]);
        self.errors.extend(result.err());
    }
}
