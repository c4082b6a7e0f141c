//! The documentation site: pages that stand for themselves, without a server, a network or a framework.

mod lineage;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use minijinja::{AutoEscape, Environment, Value, context};
use outport_core::{Error, ErrorKind, Result};

use crate::catalog::{Catalog, Sample};
use crate::model::Project;

/// What the site is made from.
pub struct Inputs<'a> {
    /// The tables.
    pub catalog: &'a Catalog,
    /// All models: those that are not exported are in the picture of the lineage.
    pub project: &'a Project,
    /// The models that each model reads, by full name.
    pub lineage: &'a BTreeMap<String, Vec<String>>,
    /// A few rows of each table, by full name.
    pub samples: &'a BTreeMap<String, Sample>,
    /// How pages link to what is published.
    pub links: Links,
}

/// How pages link to what is published.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Whether the site stands in a folder beside the data, so that a link needs no URL. Public URLs are used all the same.
    pub beside: bool,
    /// The catalogue: its path in the store and its URL.
    pub catalog: Option<(String, String)>,
    /// The database of remote views, likewise.
    pub database: Option<(String, String)>,
}

/// A file of the site, by its path in the folder of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Such as `tables/mart.sra_metadata.html`.
    pub path: String,
    /// Its content.
    pub html: String,
}

/// All pages: the first is the index, then one for each table.
///
/// # Errors
/// [`ErrorKind::Internal`] where a template does not fit, which is a bug.
pub fn pages(inputs: &Inputs<'_>) -> Result<Vec<Page>> {
    let environment = environment().map_err(bug)?;
    let render = |template: &str, values: Value| -> Result<String> {
        environment.get_template(template).and_then(|t| t.render(values)).map_err(bug)
    };
    let style = Value::from_safe_string(include_str!("site/style.css").to_owned());
    let script = Value::from_safe_string(include_str!("site/script.js").to_owned());
    let view = view::Site::new(inputs);
    let mut pages = Vec::new();
    let picture = |here: Option<&str>| view.picture(inputs, here).map(Value::from_safe_string);
    let html = render(
        "index.html",
        context! {
            site => &view, style, script, up => view.up(0), layers => &view.layers,
            lineage => picture(None), start => view.start(inputs),
            database => view.link(inputs.links.database.as_ref(), 0), catalog => view.link(inputs.links.catalog.as_ref(), 0),
        },
    )?;
    pages.push(Page { path: "index.html".to_owned(), html });
    let empty = Sample::default();
    for (table, shown) in inputs.catalog.tables.iter().zip(&view.tables) {
        let name = table.full_name();
        let html = render(
            "table.html",
            context! {
                site => &view, style, script, up => view.up(1), layers => &view.layers, table => shown,
                sample => inputs.samples.get(&name).unwrap_or(&empty),
                lineage => picture(Some(&name)), code => view.code(table),
            },
        )?;
        pages.push(Page { path: shown.page.clone(), html });
    }
    Ok(pages)
}

fn environment() -> std::result::Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_trim_blocks(true);
    for (name, text) in [
        ("base.html", include_str!("site/base.html")),
        ("snippets.html", include_str!("site/snippets.html")),
        ("index.html", include_str!("site/index.html")),
        ("table.html", include_str!("site/table.html")),
    ] {
        environment.add_template(name, text)?;
    }
    environment.add_filter("count", view::count);
    environment.add_filter("bytes", view::bytes);
    Ok(environment)
}

fn bug(error: minijinja::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("a page of the documentation could not be made: {error:#}"))
}
