//! `outport check`: everything that can be found wrong without touching a system.

use outport::{Project, Systems};
use outport_core::config::check_exports;
use outport_core::config::node::{Node, Value};
use outport_core::{Error, ErrorKind, Result};

use super::{App, set_vars};
use crate::args;
use crate::printer::{Printer, counted};

/// Names of settings that hold secrets.
const SECRET_NAMES: &[&str] = &["password", "secret", "token", "access_key", "account_key", "private_key", "sas"];

/// Checks the configuration. Definition tables are not read: `plan` does that.
pub async fn run(args: &args::Check, app: &App) -> Result<u8> {
    let file = app.config_file()?;
    // The text as it is written, before references are resolved: what is hard-coded shows there alone.
    let hard_coded = hard_coded_secrets(&file)?;
    let mut project = Project::load(&file, app.environment.clone())?;
    set_vars(&mut project, &args.vars)?;
    let systems = Systems::new(&project)?;
    let exports = check_exports(project.config.exports.clone(), &project.vocabulary(&systems))?;

    for warning in &hard_coded {
        app.printer.note(&format!("warning: {warning}"));
    }
    if args.strict && !hard_coded.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{} in plain text in the configuration", counted(hard_coded.len() as u64, "secret")),
        )
        .hint("write ${env:NAME} or ${file:/run/secrets/name} in their place"));
    }
    say(&app.printer, project.config.connections.len(), exports.len(), project.config.tables.len())?;
    Ok(0)
}

fn say(printer: &Printer, connections: usize, exports: usize, tables: usize) -> Result<()> {
    let counted = |number: usize, what| counted(number as u64, what);
    let tables = match tables {
        0 => String::new(),
        _ => format!(", {} that plan and run read", counted(tables, "definition table")),
    };
    let ok = printer.style().green("ok:");
    printer.line(&format!("{ok} {}, {}{tables}", counted(connections, "connection"), counted(exports, "export")))
}

fn hard_coded_secrets(file: &std::path::Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        outport_core::error::from_io(ErrorKind::Config, e).context(format!("reading {}", file.display()))
    })?;
    let name = file.display().to_string();
    let origin = outport_core::config::Text { name, text };
    let root = outport_core::config::parse(&origin)?;
    let mut found = Vec::new();
    if let Some(connections) = root.get("connections") {
        scan(connections, &mut found);
    }
    Ok(found)
}

fn scan(node: &Node, found: &mut Vec<String>) {
    for (key, value) in node.entries() {
        let text = value.as_str().unwrap_or_default();
        let literal = !text.is_empty() && !text.contains("${");
        let name = key.name.to_lowercase();
        if literal && SECRET_NAMES.iter().any(|secret| name.contains(secret)) {
            found.push(format!("{}: \"{}\" holds a secret in plain text", value.position.location(), key.name));
        }
        if literal && outport_core::secret::redact_url(text) != text && text.contains("://") && text.contains('@') {
            found.push(format!(
                "{}: the URL in \"{}\" holds a password in plain text",
                value.position.location(),
                key.name
            ));
        }
        if matches!(value.value, Value::Mapping(_)) {
            scan(value, found);
        }
    }
}
