//! What a contributor runs: `cargo xtask tidy | bench NAME`.

#![allow(unreachable_pub, reason = "a program has no outside")]

mod bench;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

#[allow(clippy::print_stderr, reason = "a tool for contributors, with nothing between it and the terminal")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy::run(&root()),
        ["bench", rest @ ..] => bench::run(&root(), rest),
        _ => bail!("usage: cargo xtask tidy | bench list | bench NAME [--rows N] [--rounds N]"),
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}
