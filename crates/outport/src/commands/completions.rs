//! `outport completions`.

use clap::CommandFactory;
use outport_core::Result;

use crate::args::Arguments;
use crate::printer::Printer;

/// Prints the completions of a shell.
pub fn run(shell: clap_complete::Shell, printer: &Printer) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "outport", &mut script);
    printer.write(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
