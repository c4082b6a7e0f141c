//! `outport deploy upload` and `publish`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use outport_core::error::from_io;
use outport_core::{Error, ErrorKind, Result};
use outport_warehouse::catalog::Catalog;
use outport_warehouse::publish::{Cleaning, FileLog, Item, Publisher, Stage, Step, Verify, clean, refresh_stable};
use outport_warehouse::remote;
use serde_json::json;

use super::{CATALOG, CATALOG_SQL, CROISSANT, DATAPACKAGE, Prepared, catalog_documents, wrote};
use crate::args::Output;
use crate::args::deploy as args;
use crate::commands::App;

/// The folder of the site in the store.
const DOCS: &str = "docs";

/// Sends what the commands before it wrote.
pub(super) async fn upload(args: &args::Sending, app: &App) -> Result<u8> {
    let prepared = Prepared::for_deployment(&args.target, app).await?;
    let mut documents = Vec::new();
    if !args.no_catalog {
        let names = [CATALOG, DATAPACKAGE, CROISSANT];
        let read = names.into_iter().map(|name| Ok((name, read(&prepared.export_dir.join(name), "catalog")?)));
        let read = read.collect::<Result<Vec<_>>>()?;
        // Names of data hold its hash: a catalogue of other exports would point at what is not there.
        let written = Catalog::parse(CATALOG, &read[0].1)?;
        if written.tables != prepared.catalog().tables || written.public_url != prepared.catalog().public_url {
            return Err(stale(&prepared.export_dir.join(CATALOG), "catalog"));
        }
        documents.extend(read.into_iter().map(|(name, bytes)| catalog_item(&prepared, name, bytes)));
    }
    if !args.no_database {
        let views = read(&prepared.export_dir.join(CATALOG_SQL), "create-remote-db")?;
        let file = prepared.database_file();
        let database = read(&file, "create-remote-db")?;
        if statements(&String::from_utf8_lossy(&views)) != statements(&remote::views_sql(prepared.catalog())) {
            return Err(stale(&file, "create-remote-db"));
        }
        documents.extend(database_items(&prepared, database, views));
    }
    send(&prepared, documents, args, app).await
}

/// Writes everything and sends it.
pub(super) async fn publish(args: &args::Publish, app: &App) -> Result<u8> {
    let sending = &args.sending;
    let prepared = Prepared::for_deployment(&sending.target, app).await?;
    if !args.skip_upload {
        prepared.store()?;
    }
    // A dry run leaves nothing behind.
    let scratch = tempfile::tempdir().map_err(|e| from_io(ErrorKind::Write, e).context("making a temporary folder"))?;
    let folder = if sending.dry_run { scratch.path() } else { &prepared.export_dir };
    let tell = |path: &Path| if sending.dry_run { Ok(()) } else { wrote(path, app) };
    let mut documents = Vec::new();
    if !sending.no_catalog {
        for (name, text) in catalog_documents(&prepared)? {
            super::write(&folder.join(name), &text)?;
            tell(&folder.join(name))?;
            documents.push(catalog_item(&prepared, name, text.into_bytes()));
        }
    }
    if !sending.no_database {
        let file = folder.join(prepared.database_file().file_name().unwrap_or_default());
        prepared.write_database(&file, app).await?;
        let views = remote::views_sql(prepared.catalog());
        super::write(&folder.join(CATALOG_SQL), &views)?;
        tell(&file)?;
        documents.extend(database_items(&prepared, read(&file, "create-remote-db")?, views.into_bytes()));
    }
    if !args.no_docs {
        for page in prepared.pages(true).await? {
            super::write(&folder.join(DOCS).join(&page.path), &page.html)?;
            documents.push(Item::document(Stage::Docs, format!("{DOCS}/{}", page.path), page.html));
        }
        tell(&folder.join(DOCS).join("index.html"))?;
    }
    if args.skip_upload {
        return Ok(0);
    }
    send(&prepared, documents, sending, app).await
}

fn catalog_item(prepared: &Prepared, name: &str, bytes: Vec<u8>) -> Item {
    // The translations name places from the root of the store.
    let path = if name == CATALOG { prepared.deployment.catalog_path.as_str() } else { name };
    Item::document(Stage::Catalog, path, bytes)
}

fn database_items(prepared: &Prepared, database: Vec<u8>, views: Vec<u8>) -> [Item; 2] {
    let path = &prepared.deployment.database_path;
    let beside =
        path.rsplit_once('/').map_or_else(|| CATALOG_SQL.to_owned(), |(folder, _)| format!("{folder}/{CATALOG_SQL}"));
    [Item::document(Stage::Database, path, database), Item::document(Stage::Database, beside, views)]
}

/// What was done, for the answer.
#[derive(Default)]
struct Done {
    sent: Vec<(Stage, String, u64)>,
    kept: u64,
}

async fn send(prepared: &Prepared, documents: Vec<Item>, args: &args::Sending, app: &App) -> Result<u8> {
    let store = prepared.store()?;
    let complete = !args.no_data && !args.no_catalog && !args.no_database;
    let mut items = if args.no_data { Vec::new() } else { Item::data(&prepared.gathered, &prepared.export_dir) };
    items.extend(documents);
    // The catalogue is what a reader begins with: what it is translated to may come before it, not the other way round.
    items.sort_by_key(|item| (item.stage, item.path == prepared.deployment.catalog_path));
    let log = FileLog::load(&prepared.export_dir, store);
    let done = Mutex::new(Done::default());
    let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
    let text = app.printer.output() == Output::Text;
    let observer = |step: Step, item: &Item| match step {
        Step::Sent => {
            lock().sent.push((item.stage, item.path.clone(), item.size));
            if text {
                // A reader of the output that went away does not stop the publication.
                let _ = app.printer.line(&line(item.stage, &item.path, item.size));
            }
        }
        Step::Kept => lock().kept += 1,
        Step::Verified => {}
    };
    let publisher = Publisher {
        store,
        log: &log,
        verify: match args.verify {
            args::Verify::Sha256 => Verify::Sha256,
            args::Verify::Size => Verify::Size,
        },
        observer: &observer,
        context: &prepared.context,
    };
    if args.dry_run {
        for item in publisher.missing(&items, &prepared.deployment.catalog_path).await? {
            observer(Step::Sent, item);
        }
        answer(&lock(), &[], &[], true, app)?;
        return Ok(0);
    }
    publisher.publish(&items, &prepared.deployment.catalog_path).await?;
    let (mut copied, mut removed) = (Vec::new(), Vec::new());
    if !args.no_data {
        let (fresh, too_large) = refresh_stable(store, &prepared.gathered, &prepared.context).await?;
        for path in too_large {
            app.printer.note(&format!("warning: {path} is too large to be copied inside the store; it stays as it is"));
        }
        copied = fresh;
    }
    // What an older catalogue or database in the store points at must not go.
    if complete {
        let cleaning = Cleaning { keep_versions: prepared.deployment.keep_versions, now: jiff::Timestamp::now() };
        removed = clean(store, &prepared.gathered, &cleaning, &prepared.context).await?;
        let wanted: Vec<&str> = items.iter().map(|item| item.path.as_str()).collect();
        log.abort_others(store, &wanted).await?;
    }
    answer(&lock(), &copied, &removed, false, app)?;
    Ok(0)
}

fn answer(done: &Done, copied: &[String], removed: &[String], dry_run: bool, app: &App) -> Result<()> {
    let bytes: u64 = done.sent.iter().map(|(.., size)| size).sum();
    if app.printer.output() != Output::Text {
        let sent: Vec<_> =
            done.sent.iter().map(|(stage, path, size)| json!({"stage": stage, "path": path, "bytes": size})).collect();
        return app.printer.json(&json!({
            "dry_run": dry_run, "sent": sent, "bytes": bytes, "unchanged": done.kept, "copied": copied, "removed": removed,
        }));
    }
    for path in copied {
        app.printer.line(&format!("[copy    ] {path}"))?;
    }
    for path in removed {
        app.printer.line(&format!("[removed ] {path}"))?;
    }
    let kept = if done.kept == 0 { String::new() } else { format!(", {} unchanged", done.kept) };
    let would = if dry_run { " would be sent" } else { "" };
    app.printer.line(&format!("total: {} files{would} ({}){kept}", done.sent.len(), megabytes(bytes)))
}

fn line(stage: Stage, path: &str, size: u64) -> String {
    format!("[{:<8}] {path} ({})", stage.name(), megabytes(size))
}

fn megabytes(size: u64) -> String {
    format!("{:.2} MB", size as f64 / (1024.0 * 1024.0))
}

fn read(path: &Path, command: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = if missing {
            Error::new(ErrorKind::NotFound, format!("{} is missing", path.display()))
        } else {
            from_io(ErrorKind::SourceRead, error).context(path.display().to_string())
        };
        error
            .hint(format!("`outport deploy {command}` writes it, `outport deploy publish` writes and sends everything"))
    })
}

fn stale(path: &Path, command: &str) -> Error {
    Error::new(ErrorKind::Contract, format!("{} is of other exports than those that are there now", path.display()))
        .hint(format!(
            "`outport deploy {command}` writes it anew, `outport deploy publish` writes and sends everything"
        ))
}

/// The statements without their comments, in which the day stands.
fn statements(sql: &str) -> Vec<&str> {
    sql.lines().filter(|line| !line.starts_with("--")).collect()
}
