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
    Template {
        name: "warehouse",
        purpose: "SQL models over DuckDB that export and publish themselves; runs as it stands",
        files: &[
            ("warehouse.yml", include_str!("../../templates/warehouse/warehouse.yml")),
            ("models/raw/countries.sql", include_str!("../../templates/warehouse/models/raw/countries.sql")),
            ("models/raw/zones.sql", include_str!("../../templates/warehouse/models/raw/zones.sql")),
            ("models/raw/schema.yml", include_str!("../../templates/warehouse/models/raw/schema.yml")),
            ("models/staging/stg_zones.sql", include_str!("../../templates/warehouse/models/staging/stg_zones.sql")),
            ("models/staging/schema.yml", include_str!("../../templates/warehouse/models/staging/schema.yml")),
            ("models/mart/country_zones.sql", include_str!("../../templates/warehouse/models/mart/country_zones.sql")),
            (
                "models/mart/zones_by_region.sql",
                include_str!("../../templates/warehouse/models/mart/zones_by_region.sql"),
            ),
            ("models/mart/schema.yml", include_str!("../../templates/warehouse/models/mart/schema.yml")),
            ("data/zone1970.tab", include_str!("../../templates/warehouse/data/zone1970.tab")),
            ("data/iso3166.tab", include_str!("../../templates/warehouse/data/iso3166.tab")),
        ],
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
    let mut files = template.files.to_vec();
    let warehouse = template.name == "warehouse";
    if !warehouse {
        files.push(("outport.schema.json", &schema));
    }
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
    let command = if warehouse { "outport warehouse" } else { "outport" };
    printer.note(&format!("next: {there}{command} plan, then {command} run"));
    Ok(0)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |e| outport_core::error::from_io(ErrorKind::Write, e).context(format!("writing {}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}
