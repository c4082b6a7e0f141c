//! `outport doctor`: is everything there that exports need?

use outport_core::Result;

use super::{App, conns};
use crate::args;

/// Checks configuration, state, space for spilled data and connections; ends with the first kind of failure.
pub async fn run(args: &args::Doctor, app: &App) -> Result<u8> {
    let (project, systems) = app.project()?;
    let printer = &app.printer;
    let ok = printer.style().green("ok");
    printer.line(&format!("{ok}  configuration {}", app.config_file()?.display()))?;
    project.exports(&systems).await?;
    project.open_state().await?;
    printer.line(&format!("{ok}  state {}", outport_core::secret::redact_url(&project.state_url())))?;
    let temporary = project.temp_directory();
    let probe = tempfile::NamedTempFile::new_in(&temporary).map_err(|e| {
        outport_core::error::from_io(outport_core::ErrorKind::Write, e)
            .context(format!("temp_directory {}", temporary.display()))
    })?;
    drop(probe);
    printer.line(&format!("{ok}  temp_directory {}", temporary.display()))?;
    printer.line(&format!("{ok}  clock {}", jiff::Timestamp::now()))?;
    conns::test(&systems, &args.connections, app).await
}
