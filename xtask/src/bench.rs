//! Benchmarks against peers, in turns on the same data.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Builds the program and hands over to the script that runs both sides and prints the ratios.
pub fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let built = Command::new("cargo").current_dir(root).args(["build", "--locked", "--package", "outport"]).status()?;
    if !built.success() {
        bail!("the program does not build");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let python = root.join(".venv/bin/python");
    let status = Command::new(&python)
        .current_dir(root)
        .arg("xtask/bench/run.py")
        .arg(target.join("debug/outport"))
        .args(arguments)
        .status()
        .with_context(|| format!("{} cannot be run: `scripts/setup bench` installs it", python.display()))?;
    if !status.success() {
        bail!("the benchmark failed");
    }
    Ok(())
}
