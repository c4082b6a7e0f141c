//! `outport init`: a first configuration that runs.

use std::path::Path;

use outport_core::{Error, ErrorKind, Result};

use crate::args;
use crate::printer::{Printer, Table};

/// A template: its name, what it is for, and its files.
struct Template {
    name: &'static str,
    purpose: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const TEMPLATES: &[Template] = &[
    Template {
        name: "exports",
        purpose: "exports from a folder of files; runs as it stands",
        files: &[
            ("outport.yml", include_str!("../../templates/exports/outport.yml")),
            ("exports/cities.yml", include_str!("../../templates/exports/exports/cities.yml")),
            ("data/cities.csv", include_str!("../../templates/exports/data/cities.csv")),
        ],
    },
    Template {
        name: "postgres",
        purpose: "incremental exports from PostgreSQL to a bucket",
        files: &[("outport.yml", include_str!("../../templates/postgres/outport.yml"))],
    },
    Template {
        name: "lakehouse",
        purpose: "exports from Delta Lake and Iceberg tables in a bucket",
        files: &[("outport.yml", include_str!("../../templates/lakehouse/outport.yml"))],
    },
];

/// Writes a template's files and the JSON Schema that editors check them with.
pub fn run(args: &args::Init, printer: &Printer) -> Result<u8> {
    if args.template == "list" {
        let mut table = Table::new(&["Template", "For"], "");
        for template in TEMPLATES {
            table.push(vec![template.name.into(), template.purpose.into()]);
        }
        printer.table(&table)?;
        return Ok(0);
    }
    let names = TEMPLATES.iter().map(|t| t.name);
    let template = TEMPLATES.iter().find(|t| t.name == args.template).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("there is no template \"{}\"", args.template))
            .hint(outport_core::error::suggestion(&args.template, names))
    })?;
    let schema = serde_json::to_string_pretty(&outport_core::config::json_schema(&outport::wiring::connection_types()))
        .map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let files: Vec<(&str, &str)> =
        template.files.iter().copied().chain([("outport.schema.json", schema.as_str())]).collect();
    for (name, _) in &files {
        let path = args.folder.join(name);
        if path.exists() && !args.force {
            return Err(Error::new(ErrorKind::Usage, format!("{} exists already", path.display()))
                .hint("pass --force to overwrite it, or name another folder"));
        }
    }
    for (name, text) in &files {
        write(&args.folder.join(name), text)?;
        printer.line(&format!("{} {}", printer.style().green("wrote"), args.folder.join(name).display()))?;
    }
    let there = if args.folder == Path::new(".") { String::new() } else { format!("cd {} && ", args.folder.display()) };
    printer.note(&format!("next: {there}outport plan, then outport run"));
    Ok(0)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |e| outport_core::error::from_io(ErrorKind::Write, e).context(format!("writing {}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}
