//! The command line of Outport: reads arguments and the environment, prints, and exits.

#![allow(unreachable_pub, reason = "a program has no outside")]

use std::process::ExitCode;

use clap::Parser;
use outport_core::Error;
use outport_core::context::Cancel;
use outport_core::environment::Environment;

mod allocator;
mod args;
mod commands;
mod log;
mod printer;
mod progress;
mod report;

use args::{Arguments, Command};
use printer::Printer;

fn main() -> ExitCode {
    allocator::give_back_early();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; clap prints either to the right stream.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let environment = Environment::from_variables(std::env::vars());
    let printer = Printer::new(&arguments.global, environment.get("NO_COLOR").is_some());
    log::start(&arguments.global, &printer);
    match run(arguments, environment, &printer) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn run(arguments: Arguments, environment: Environment, printer: &Printer) -> Result<u8, Error> {
    // What needs no system starts no threads.
    match &arguments.command {
        Command::Schema => return commands::schema::run(printer),
        Command::Completions { shell } => return commands::completions::run(*shell, printer),
        Command::Init(init) => return commands::init::run(init, printer),
        _ => {}
    }
    let app =
        commands::App { global: arguments.global, environment, printer: printer.clone(), cancel: Cancel::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| outport_core::error::from_io(outport_core::ErrorKind::Internal, e).context("starting threads"))?;
    let result = runtime.block_on(async {
        let watch = tokio::spawn(commands::signals::watch(app.cancel.clone(), app.printer.clone()));
        let result = commands::dispatch(arguments.command, &app).await;
        let signal = app.cancel.is_cancelled();
        watch.abort();
        match result {
            // The code tells which signal it was.
            Ok(130) | Err(_) if signal => commands::signals::exit_code().map_or(result, Ok),
            result => result,
        }
    });
    // A blocking read that does not come back must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}
