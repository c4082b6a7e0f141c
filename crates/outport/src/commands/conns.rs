//! `outport conns`.

use std::time::Instant;

use outport::Systems;
use outport_core::extract::{Extract, Relation};
use outport_core::{Context, Error, ErrorKind, Result};
use outport_runtime::systems::Systems as _;
use uuid::Uuid;

use super::App;
use crate::args::Conns;
use crate::printer::{Cell, Table, counted};

/// Lists, tests or looks into connections.
pub async fn run(args: &Conns, app: &App) -> Result<u8> {
    let (project, systems) = app.project()?;
    match args {
        Conns::List => {
            let mut table = Table::new(&["Connection", "Type", "Use"], "no connections are configured");
            for (name, kind) in systems.connections() {
                let usage = match (kind.source.is_some(), kind.target) {
                    (true, true) => "source, target",
                    (true, false) => "source",
                    _ => "target",
                };
                let kind = project.config.connections.get(name).map(|c| c.kind.clone()).unwrap_or_default();
                table.push(vec![name.into(), kind.into(), usage.into()]);
            }
            app.printer.table(&table)?;
            Ok(0)
        }
        Conns::Test { names } => test(&systems, names, app).await,
        // PostgreSQL would let a query call what writes.
        Conns::Exec { connection, sql, limit } => {
            super::exec::run(&systems.read_only(), connection, sql, *limit, app).await
        }
        Conns::Discover { connection, pattern, columns } => {
            discover(&systems, connection, pattern.as_deref(), *columns, app).await
        }
    }
}

async fn test(systems: &Systems, names: &[String], app: &App) -> Result<u8> {
    let mut table = Table::new(&["Connection", "Result", "Milliseconds"], "no connections are configured");
    let mut errors = Vec::new();
    for Tested { name, result, milliseconds } in probe(systems, names, app).await? {
        let shown = say(&result);
        errors.extend(result.err());
        table.push(vec![name.into(), shown.into(), Cell::Count(milliseconds)]);
    }
    app.printer.table(&table)?;
    if errors.is_empty() {
        return Ok(0);
    }
    let summary = super::counted_failures(errors.len(), "connection");
    Err(Error::many(errors, summary))
}

/// What opening a connection gave.
pub struct Tested {
    /// The connection.
    pub name: String,
    /// What was found.
    pub result: Result<String>,
    /// How long it took.
    pub milliseconds: u64,
}

/// `ok: …` or `failed: …`, without what an error says beside its message.
pub fn say(result: &Result<String>) -> String {
    match result {
        Ok(found) => format!("ok: {found}"),
        Err(error) => format!("failed: {}", error.message()),
    }
}

/// Opens each connection and reads or writes a little.
pub async fn probe(systems: &Systems, names: &[String], app: &App) -> Result<Vec<Tested>> {
    let all: Vec<String> = systems.connections().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if !all.contains(name) {
            return Err(Error::new(ErrorKind::Usage, format!("there is no connection \"{name}\""))
                .hint(outport_core::error::suggestion(name, all.iter().map(String::as_str))));
        }
    }
    let mut tested = Vec::new();
    for (name, kind) in systems.connections().filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name)) {
        let mut context = Context::new(Uuid::new_v4());
        context.cancel = app.cancel.clone();
        let begun = Instant::now();
        let probe = async {
            let mut found = Vec::new();
            if kind.source.is_some() {
                let relations = systems.source(name, &context).await?.relations(&context).await?;
                found.push(counted(relations.len() as u64, "relation"));
            }
            if kind.target {
                systems.store(name)?.probe().await?;
                found.push("written and deleted".to_owned());
            }
            Ok::<_, Error>(found.join(", "))
        };
        let result = probe.await.map_err(|error| {
            // What opens a connection may have named it already.
            let context = format!("connection {name}");
            if error.contexts().contains(&context) { error } else { error.context(context) }
        });
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tested.push(Tested { name: name.to_owned(), result, milliseconds });
    }
    Ok(tested)
}

async fn discover(systems: &Systems, connection: &str, pattern: Option<&str>, columns: bool, app: &App) -> Result<u8> {
    let mut context = Context::new(Uuid::new_v4());
    context.cancel = app.cancel.clone();
    let source = systems.source(connection, &context).await?;
    let pattern = pattern
        .map(glob::Pattern::new)
        .transpose()
        .map_err(|e| Error::new(ErrorKind::Usage, format!("--pattern is no glob: {}", e.msg)))?;
    let mut relations = source.relations(&context).await?;
    relations.retain(|name| pattern.as_ref().is_none_or(|p| p.matches(name)));
    if !columns {
        let mut table = Table::new(&["Relation"], "nothing found");
        relations.into_iter().for_each(|name| table.push(vec![name.into()]));
        app.printer.table(&table)?;
        return Ok(0);
    }
    let mut table = Table::new(&["Relation", "Column", "Type", "Nullable"], "nothing found");
    for name in relations {
        let relation = match name.split_once('.') {
            Some((schema, table)) => Relation::Table { schema: Some(schema.to_owned()), name: table.to_owned() },
            None => Relation::table(name.clone()),
        };
        match source.schema(&Extract::of(relation), &context).await {
            Ok(schema) => {
                for field in schema.fields() {
                    let nullable = if field.is_nullable() { "yes" } else { "no" };
                    table.push(vec![
                        name.as_str().into(),
                        field.name().as_str().into(),
                        field.data_type().to_string().into(),
                        nullable.into(),
                    ]);
                }
            }
            Err(error) => {
                let verdict = format!("unreadable: {}", error.message());
                table.push(vec![name.into(), Cell::Empty, verdict.into(), Cell::Empty]);
            }
        }
    }
    app.printer.table(&table)?;
    Ok(0)
}
