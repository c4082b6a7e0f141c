//! The rules of docs/ARCHITECTURE.md, checked over `cargo metadata` and the sources.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Which of our crates each of them may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("outport-core", &[]),
    ("outport-formats", &["outport-core"]),
    ("outport-connectors", &["outport-core", "outport-formats"]),
    ("outport-duckdb", &["outport-core"]),
    ("outport-lakehouse", &["outport-core"]),
    ("outport-runtime", &["outport-core"]),
    ("outport-warehouse", &["outport-core"]),
    (
        "outport",
        &[
            "outport-core",
            "outport-formats",
            "outport-connectors",
            "outport-duckdb",
            "outport-lakehouse",
            "outport-runtime",
            "outport-warehouse",
        ],
    ),
    ("xtask", &[]),
];

/// Dependencies that a crate must not have, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "outport-core",
        &["tokio", "reqwest", "hyper", "object_store", "datafusion", "duckdb", "sqlx"],
        "the core is pure",
    ),
    ("outport-formats", &["tokio", "reqwest", "hyper", "object_store"], "formats are synchronous and know no network"),
    (
        "outport-warehouse",
        &["object_store", "datafusion", "duckdb", "reqwest", "tokio"],
        "the warehouse reaches databases and stores only through traits",
    ),
    ("outport-runtime", &["object_store", "datafusion", "duckdb", "reqwest"], "the runtime sees only traits"),
];

/// Crates that alone may name a dependency.
const EXCLUSIVE: &[(&str, &str)] = &[
    ("duckdb", "outport-duckdb"),
    ("datafusion", "outport-lakehouse"),
    ("deltalake-core", "outport-lakehouse"),
    ("iceberg", "outport-lakehouse"),
    ("clap", "outport"),
    ("indicatif", "outport"),
];

/// Lines that a source file may have.
const LONGEST: usize = 700;

/// Checks every rule and reports all that is broken.
pub fn run(root: &Path) -> Result<()> {
    let mut broken = Vec::new();
    dependencies(root, &mut broken)?;
    sources(root, &mut broken)?;
    if !broken.is_empty() {
        bail!("{} rules are broken:\n  {}", broken.len(), broken.join("\n  "));
    }
    Ok(())
}

fn dependencies(root: &Path, broken: &mut Vec<String>) -> Result<()> {
    let output = Command::new("cargo")
        .current_dir(root)
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()
        .context("running cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut direct: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let normal = package["dependencies"].as_array().into_iter().flatten().filter(|d| d["kind"].is_null());
        direct.insert(name, normal.filter_map(|d| d["name"].as_str()).collect());
    }
    for (name, used) in &direct {
        let Some((_, allowed)) = ALLOWED.iter().find(|(n, _)| n == name) else {
            broken.push(format!("{name}: a crate that xtask/src/tidy.rs does not know"));
            continue;
        };
        for dependency in used.iter().filter(|d| d.starts_with("outport") && !allowed.contains(d)) {
            broken.push(format!("{name} depends on {dependency}, which the picture does not allow"));
        }
        for (_, forbidden, why) in FORBIDDEN.iter().filter(|(n, ..)| n == name) {
            for dependency in used.iter().filter(|d| forbidden.contains(d)) {
                broken.push(format!("{name} depends on {dependency}: {why}"));
            }
        }
        for (dependency, owner) in EXCLUSIVE.iter().filter(|(d, owner)| used.contains(d) && owner != name) {
            broken.push(format!("{name} depends on {dependency}, which belongs to {owner} alone"));
        }
    }
    Ok(())
}

fn sources(root: &Path, broken: &mut Vec<String>) -> Result<()> {
    let output =
        Command::new("git").current_dir(root).args(["ls-files", "*.rs"]).output().context("running git ls-files")?;
    for name in String::from_utf8_lossy(&output.stdout).lines() {
        let text = std::fs::read_to_string(root.join(name)).with_context(|| format!("reading {name}"))?;
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("/examples/");
        if !is_test && text.lines().count() > LONGEST {
            broken.push(format!("{name}: {} lines, more than {LONGEST}", text.lines().count()));
        }
        let in_program =
            name.starts_with("crates/outport/") || name.ends_with("build.rs") || name.starts_with("xtask/");
        // Built from halves, so that this file does not find itself.
        for (what, needle) in
            [("reads the environment", concat!("std::env", "::var")), ("exits", concat!("process", "::exit("))]
        {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            if !in_program && !is_test && code.into_iter().any(|line| line.contains(needle)) {
                broken.push(format!("{name}: {what}; only crates/outport may"));
            }
        }
        for engine in ["duckdb", "datafusion"] {
            if name.starts_with(&format!("crates/outport-{}", if engine == "duckdb" { "duckdb" } else { "lakehouse" }))
            {
                for line in text
                    .lines()
                    .filter(|l| l.trim_start().starts_with("pub fn") || l.trim_start().starts_with("pub async fn"))
                {
                    if line.contains(&format!("{engine}::")) {
                        broken.push(format!("{name}: a {engine} type in a public signature: {}", line.trim()));
                    }
                }
            }
        }
    }
    Ok(())
}
