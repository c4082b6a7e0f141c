//! `outport docs`: the documentation as a folder of pages.

use outport_core::Result;

use super::App;
use super::deploy::{Prepared, write};
use crate::args::deploy as args;

/// Writes the pages.
pub async fn run(args: &args::Docs, app: &App) -> Result<u8> {
    let prepared = Prepared::for_docs(&args.target, app).await?;
    let (folder, beside) = match &args.out {
        Some(folder) => (folder.clone(), false),
        None => (prepared.default_docs(), !prepared.is_published()),
    };
    let pages = prepared.pages(beside).await?;
    for page in &pages {
        write(&folder.join(&page.path), &page.html)?;
    }
    let style = app.printer.style();
    app.printer.line(&format!("{} {}", style.green("wrote"), folder.join("index.html").display()))?;
    Ok(0)
}
