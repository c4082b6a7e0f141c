//! One file a command; each takes plain values and the [`App`] and returns an exit code.

pub mod backfill;
pub mod check;
pub mod completions;
pub mod conns;
pub mod copy;
pub mod deploy;
pub mod docs;
pub mod doctor;
pub mod exec;
pub mod gaps;
pub mod gc;
pub mod history;
pub mod init;
pub mod plan;
pub mod run;
pub mod runs;
pub mod schema;
pub mod signals;
pub mod status;
pub mod verify;
pub mod warehouse;
pub mod watermark;

use std::path::PathBuf;

use outport::select::{self, Selection};
use outport::{Project, Systems};
use outport_core::config::Settings;
use outport_core::context::Cancel;
use outport_core::environment::Environment;
use outport_core::export::Export;
use outport_core::{Error, ErrorKind, Result};

use crate::args::{self, Command, Global};
use crate::printer::{self, Printer};

/// What every command is given.
pub struct App {
    /// Options of every command.
    pub global: Global,
    /// The process environment.
    pub environment: Environment,
    /// The door to stdout and stderr.
    pub printer: Printer,
    /// Set by Ctrl-C.
    pub cancel: Cancel,
}

impl App {
    /// The configuration file that was named or that is nearest.
    pub fn config_file(&self) -> Result<PathBuf> {
        match &self.global.config {
            Some(path) if path.is_file() => Ok(path.clone()),
            Some(path) => {
                Err(Error::new(ErrorKind::Config, format!("there is no configuration file {}", path.display())))
            }
            None => {
                let here = std::env::current_dir().map_err(|e| outport_core::error::from_io(ErrorKind::Config, e))?;
                let found = Project::find(&here)?;
                // Messages name the file as the user would.
                Ok(found.strip_prefix(&here).map(PathBuf::from).unwrap_or(found))
            }
        }
    }

    /// The project and its systems.
    pub fn project(&self) -> Result<(Project, Systems)> {
        let project = Project::load(&self.config_file()?, self.environment.clone())?;
        let systems = Systems::new(&project)?;
        Ok((project, systems))
    }

    /// The project with the exports that a selection takes.
    pub async fn selected(&self, selection: &args::Selection) -> Result<(Project, Systems, Vec<Export>)> {
        let (project, systems) = self.project()?;
        let exports = select::select(project.exports(&systems).await?, &to_selection(selection))?;
        Ok((project, systems, exports))
    }

    /// The same with the variables of this call, for commands that run what is selected: each variable that it uses has a value.
    pub async fn selected_with(
        &self,
        selection: &args::Selection,
        vars: &args::Vars,
    ) -> Result<(Project, Systems, Vec<Export>)> {
        let mut project = Project::load(&self.config_file()?, self.environment.clone())?;
        set_vars(&mut project, vars)?;
        let systems = Systems::new(&project)?;
        let exports = select::select(project.exports(&systems).await?, &to_selection(selection))?;
        for export in exports.iter().filter(|export| export.active) {
            export.vars.require().map_err(|e| e.context(format!("export {}", export.key)))?;
        }
        Ok((project, systems, exports))
    }
}

/// Gives variables the values of the command line.
fn set_vars(project: &mut Project, args: &args::Vars) -> Result<()> {
    for text in &args.vars {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Error::new(ErrorKind::Usage, format!("--vars: expected NAME=VALUE, found \"{text}\"")));
        };
        project.config.vars.set(name.trim(), value)?;
    }
    Ok(())
}

fn to_selection(args: &args::Selection) -> Selection {
    Selection {
        include: args.names.iter().chain(&args.select).cloned().collect(),
        exclude: args.exclude.clone(),
        group: args.group.clone(),
        execution_group: args.execution_group,
        allow_none: args.allow_none,
    }
}

/// The parameters that a call and the project's settings give together.
pub fn parameters(project: &Project, timing: &args::Timing, pace: &args::Pace) -> Result<outport_runtime::Parameters> {
    let Settings { max_concurrency, .. } = &project.config.settings;
    let defaults = outport_runtime::Parameters::default();
    Ok(outport_runtime::Parameters {
        run_date: timing.run_date.clone(),
        timezone: timing.timezone.clone(),
        max_concurrency: pace.max_concurrency.or(*max_concurrency).unwrap_or(defaults.max_concurrency),
        fail_fast: pace.fail_fast,
        plan: plan::options(timing),
        memory_limit: project.memory_limit(),
        ..defaults
    })
}

/// `2 checks failed`.
fn counted_failures(number: usize, what: &str) -> String {
    format!("{} failed", printer::counted(number as u64, what))
}

/// Runs a command.
pub async fn dispatch(command: Command, app: &App) -> Result<u8> {
    match command {
        Command::Export(export) | Command::Direct(export) => match export {
            args::Export::Plan(args) => plan::run(&args, app).await,
            args::Export::Run(args) => run::run(&args, app).await,
            args::Export::Retry(args) => run::retry(&args, app).await,
            args::Export::Status(args) => status::run(&args, app).await,
            args::Export::History(args) => history::run(&args, app).await,
            args::Export::Watermark(args) => watermark::run(&args, app).await,
            args::Export::Gaps(args) => gaps::run(&args, app).await,
            args::Export::Backfill(args) => backfill::run(&args, app).await,
            args::Export::Runs(args::Runs::List(args)) => history::run(&args, app).await,
            args::Export::Runs(args::Runs::Show { run_id }) => runs::show(&run_id, app).await,
        },
        Command::Check(args) => check::run(&args, app).await,
        Command::Doctor(args) => doctor::run(&args, app).await,
        Command::Copy(args) => copy::run(&args, app).await,
        Command::Warehouse(command) => warehouse::dispatch(command, app).await,
        Command::Deploy(command) => deploy::dispatch(command, app).await,
        Command::Docs(args) => docs::run(&args, app).await,
        Command::Conns(args) => conns::run(&args, app).await,
        Command::Verify(args) => verify::run(&args, app).await,
        Command::Gc(args) => gc::run(&args, app).await,
        Command::Init(args) => init::run(&args, &app.printer),
        Command::Schema => schema::run(&app.printer),
        Command::Completions { shell } => completions::run(shell, &app.printer),
    }
}
