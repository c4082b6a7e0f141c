//! `outport warehouse …`: models, their runs and their books.

mod events;
mod plan;
mod run;
mod show;

use std::path::Path;

use jiff::Zoned;
use jiff::tz::TimeZone;
use outport::wiring;
use outport_core::{Context, Error, ErrorKind, Result};
use outport_duckdb::{AccessMode, DuckDb};
use outport_warehouse::Project;
use outport_warehouse::config::Config;
use outport_warehouse::plan::Warehouse;
use uuid::Uuid;

use super::App;
use crate::args::warehouse as args;

/// Runs one of the commands.
pub async fn dispatch(command: args::Warehouse, app: &App) -> Result<u8> {
    match command {
        args::Warehouse::Run(args) => run::run(&args, app).await,
        args::Warehouse::Plan(args) => plan::plan(&args, app).await,
        args::Warehouse::ListModels(args) => plan::list(&args, app).await,
        args::Warehouse::Init(args) => {
            let args = crate::args::Init { template: "warehouse".to_owned(), folder: args.folder, force: args.force };
            super::init::run(&args, &app.printer)
        }
        args::Warehouse::History(args) => show::history(&args, app).await,
        args::Warehouse::Tables(args) => show::tables(&args, app).await,
        args::Warehouse::Describe(args) => show::describe(&args, app).await,
        args::Warehouse::ShowConfig => show::config(app),
        args::Warehouse::Deploy(command) => super::deploy::dispatch(command, app).await,
    }
}

/// The configuration with what the command line says instead.
pub(super) fn config(app: &App, place: &args::Place) -> Result<Config> {
    let mut config = wiring::load_warehouse(app.global.config.as_deref(), &app.environment)?;
    // Paths of the command line start where the user is, those of the file where it is.
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|e| outport_core::error::from_io(ErrorKind::Usage, e));
    if let Some(path) = &place.db_path {
        config.settings.db_path = absolute(path)?;
    }
    if let Some(path) = &place.models_dir {
        config.settings.models_dir = absolute(path)?;
    }
    for pair in &place.vars {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Error::new(ErrorKind::Usage, format!("--vars: expected NAME=VALUE, found \"{pair}\"")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        config.settings.vars.insert(name.to_owned(), value);
    }
    Ok(config)
}

fn run_date(place: &args::Place) -> Result<Zoned> {
    match &place.run_date {
        None => Ok(Zoned::now().with_time_zone(TimeZone::UTC)),
        Some(text) => text.parse::<jiff::civil::Date>().and_then(|date| date.to_zoned(TimeZone::UTC)).map_err(|_| {
            Error::new(ErrorKind::Usage, format!("--run-date: expected a date such as 2025-12-12, found \"{text}\""))
        }),
    }
}

pub(super) fn context(app: &App) -> Context {
    Context { cancel: app.cancel.clone(), ..Context::new(Uuid::now_v7()) }
}

/// Reads the models and puts them in order.
pub(super) async fn warehouse(app: &App, config: &Config, place: &args::Place, context: &Context) -> Result<Warehouse> {
    let project = Project::read(&config.path(&config.settings.models_dir), &wiring::format)?;
    for warning in &project.warnings {
        app.printer.note(&format!("warning: {warning}"));
    }
    // The parser needs no database.
    let scratch = wiring::open_scratch(config);
    Warehouse::new(project, config.settings.vars.clone(), run_date(place)?, &scratch, context).await
}

/// The warehouse file for reading; none where there is no file yet.
fn reader(config: &Config) -> Option<DuckDb> {
    let exists = config.path(&config.settings.db_path).is_file();
    exists.then(|| wiring::open_warehouse(config, AccessMode::ReadOnly))
}

/// The warehouse file for reading.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there is none.
pub(super) fn needed_reader(config: &Config) -> Result<DuckDb> {
    reader(config).ok_or_else(|| {
        let path = config.path(&config.settings.db_path);
        Error::new(ErrorKind::NotFound, format!("there is no warehouse {}", path.display()))
            .hint("`outport warehouse run` makes it; db_path in warehouse.yml says where")
    })
}
