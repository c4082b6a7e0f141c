//! `outport gaps`: the run dates that no successful run covers.

use jiff::ToSpan;
use jiff::civil::Date;
use outport_core::{Error, ErrorKind, Result};

use super::App;
use crate::args;
use crate::printer::Table;

/// Prints the days between the first and the last run date for which an export has no successful run.
pub async fn run(args: &args::Gaps, app: &App) -> Result<u8> {
    let (project, _, exports) = app.selected(&args.selection).await?;
    let state = project.open_state().await?;
    let zone = jiff::tz::TimeZone::get(&args.timezone)
        .map_err(|_| Error::new(ErrorKind::Usage, format!("unknown timezone \"{}\"", args.timezone)))?;
    let today = jiff::Timestamp::now().to_zoned(zone).date();
    let to = args.to.as_deref().map(date).transpose()?.unwrap_or(today);
    let from = args.from.as_deref().map(date).transpose()?;
    let mut table = Table::new(&["Export", "Run date", "Last state"], "no gaps");
    for export in &exports {
        let covered = state.run_dates(&export.key).await?;
        let Some(first) = from.or_else(|| covered.iter().map(|(day, _)| *day).min()) else { continue };
        let mut day = first;
        while day <= to {
            let states: Vec<&str> = covered.iter().filter(|(d, _)| *d == day).map(|(_, state)| state.name()).collect();
            if !states.iter().any(|state| matches!(*state, "success" | "warning")) {
                let last = states.last().copied().unwrap_or("never run");
                table.push(vec![export.key.to_string().into(), day.to_string().into(), last.into()]);
            }
            day = day
                .checked_add(1.day())
                .map_err(|_| Error::new(ErrorKind::Usage, "--to is the end of the calendar"))?;
        }
    }
    app.printer.table(&table)?;
    Ok(0)
}

fn date(text: &str) -> Result<Date> {
    text.parse()
        .map_err(|_| Error::new(ErrorKind::Usage, format!("expected a date such as 2025-12-12, found \"{text}\"")))
}
