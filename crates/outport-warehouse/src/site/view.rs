//! What the pages show, as values for the templates.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Inputs;
use super::lineage::{self, Node};
use crate::catalog::{Column, DataFile, Table as CatalogTable, percent_encoded, relation};

/// Colours for layers; more layers begin again.
const TONES: usize = 5;

/// Values of every page.
#[derive(Debug, Serialize)]
pub(super) struct Site {
    name: String,
    version: String,
    generated_at: String,
    rows: u64,
    size_bytes: u64,
    /// Whether the documents for other catalogues stand beside the site.
    interchange: bool,
    pub(super) tables: Vec<Table>,
    pub(super) layers: Vec<Layer>,
    beside: bool,
}

/// A layer and its colour.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Layer {
    name: String,
    tone: usize,
}

/// A table as its card and its page show it.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    name: String,
    layer: String,
    tone: usize,
    description: String,
    tags: Vec<String>,
    rows: u64,
    size_bytes: u64,
    format: String,
    compression: String,
    partition_by: Vec<String>,
    updated_day: String,
    columns: Vec<ShownColumn>,
    files: Vec<File>,
    search: String,
    column_names: String,
    pub(super) page: String,
}

#[derive(Debug, Serialize)]
struct ShownColumn {
    id: String,
    name: String,
    data_type: String,
    description: String,
    missing: Option<String>,
    missing_width: f64,
    min: Option<String>,
    max: Option<String>,
}

#[derive(Debug, Serialize)]
struct File {
    label: String,
    href: String,
    rows: u64,
    size_bytes: u64,
    sha256: String,
}

/// Code to copy.
#[derive(Debug, Serialize)]
pub(super) struct Snippet {
    name: &'static str,
    code: String,
}

impl Site {
    pub(super) fn new(inputs: &Inputs<'_>) -> Self {
        let catalog = inputs.catalog;
        let layers = layers(inputs);
        let pages = page_names(&catalog.tables);
        let beside = inputs.links.beside;
        Self {
            name: catalog.name.clone(),
            version: catalog.version.clone(),
            generated_at: catalog.generated_at.replace('T', " ").replace('Z', " UTC"),
            rows: catalog.tables.iter().map(|t| t.rows).sum(),
            size_bytes: catalog.tables.iter().map(|t| t.size_bytes).sum(),
            interchange: inputs.links.catalog.is_some(),
            tables: catalog
                .tables
                .iter()
                .zip(pages)
                .map(|(t, page)| shown(t, page, tone(&layers, &t.layer), beside))
                .collect(),
            layers,
            beside,
        }
    }

    /// From a page so many folders deep to what stands beside the site.
    #[allow(clippy::unused_self, reason = "the other links depend on it")]
    pub(super) fn up(&self, depth: usize) -> String {
        "../".repeat(depth + 1)
    }

    pub(super) fn link(&self, place: Option<&(String, String)>, depth: usize) -> Option<String> {
        place.map(|(path, url)| href(path, url, self.beside, depth))
    }

    /// The picture of all models, or of those around one.
    pub(super) fn picture(&self, inputs: &Inputs<'_>, here: Option<&str>) -> Option<String> {
        let edges = edges(inputs);
        let mut names: BTreeSet<String> = inputs.project.models.iter().map(crate::Model::full_name).collect();
        names.extend(inputs.catalog.tables.iter().map(CatalogTable::full_name));
        names.extend(edges.iter().flat_map(|(to, from)| from.iter().chain([to])).cloned());
        if let Some(here) = here {
            names = lineage::around(here, &edges);
        }
        let page = |name: &str| {
            let at = inputs.catalog.tables.iter().position(|t| t.full_name() == name)?;
            let page = &self.tables.get(at)?.page;
            Some(if here.is_some() { page.trim_start_matches("tables/").to_owned() } else { page.clone() })
        };
        let nodes: Vec<Node> = names
            .iter()
            .map(|name| {
                let layer = name.split_once('.').map_or("", |(layer, _)| layer);
                Node { name: name.clone(), tone: tone(&self.layers, layer), page: page(name) }
            })
            .collect();
        lineage::svg(&nodes, &edges, here)
    }

    /// How to begin: the database of views where there is one, or else the first table that DuckDB reads.
    #[allow(clippy::unused_self, reason = "it is one of the values of a page")]
    pub(super) fn start(&self, inputs: &Inputs<'_>) -> Vec<Snippet> {
        let table = inputs.catalog.tables.iter().max_by_key(|table| table.rows);
        let (Some(table), Some((_, url))) = (table, &inputs.links.database) else {
            return table.map(|table| self.code(table)).unwrap_or_default();
        };
        let full = quoted(table);
        vec![
            Snippet {
                name: "DuckDB",
                code: format!(
                    "ATTACH '{}' AS warehouse (READ_ONLY);\n\nSELECT * FROM warehouse.{full} LIMIT 10;",
                    sql(url)
                ),
            },
            Snippet {
                name: "Python",
                code: format!(
                    "import duckdb\n\ncon = duckdb.connect()\ncon.sql(\"ATTACH '{}' AS warehouse (READ_ONLY)\")\n\
                     df = con.sql(\"\"\"\n    SELECT * FROM warehouse.{full}\n    LIMIT 10\n\"\"\").df()",
                    sql(url)
                ),
            },
            Snippet {
                name: "R",
                code: format!(
                    "library(duckdb)\n\ncon <- dbConnect(duckdb())\ndbExecute(con, r\"(ATTACH '{}' AS warehouse (READ_ONLY))\")\n\
                     df <- dbGetQuery(con, r\"(\n  SELECT * FROM warehouse.{full}\n  LIMIT 10\n)\")",
                    sql(url)
                ),
            },
            Snippet { name: "curl", code: fetch(std::iter::once(url.as_str())) },
        ]
    }

    /// How to read a table.
    #[allow(clippy::unused_self, reason = "it is one of the values of a page")]
    pub(super) fn code(&self, table: &CatalogTable) -> Vec<Snippet> {
        let mut snippets = Vec::new();
        // In the snippets the text is read by people: as few options as do.
        let place = |file: &DataFile| {
            if file.url.starts_with("http") { file.url.clone() } else { crate::catalog::literal(&file.url) }
        };
        if let Some(select) = relation(table, false, &place) {
            let lines = select.replace(", 'http", ",\n    'http").replace("(['", "([\n    '");
            let inner = lines.replace('\n', "\n    ");
            snippets.push(Snippet { name: "DuckDB", code: format!("{lines}\nLIMIT 10;") });
            snippets.push(Snippet {
                name: "Python",
                code: format!("import duckdb\n\ndf = duckdb.sql(r\"\"\"\n    {inner}\n    LIMIT 10\n\"\"\").df()"),
            });
            snippets.push(Snippet {
                name: "R",
                code: format!(
                    "library(duckdb)\n\ncon <- dbConnect(duckdb())\ndf <- dbGetQuery(con, r\"---(\n    {inner}\n    LIMIT 10\n)---\")"
                ),
            });
        }
        snippets.push(Snippet { name: "curl", code: fetch(table.files.iter().map(|file| file.url.as_str())) });
        snippets
    }
}

fn shown(table: &CatalogTable, page: String, tone: usize, beside: bool) -> Table {
    let column_names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let search = [&table.full_name(), &table.description, &table.format]
        .into_iter()
        .cloned()
        .chain(table.tags.iter().cloned())
        .chain(table.columns.iter().flat_map(|c| [c.name.clone(), c.description.clone()]))
        .collect::<Vec<_>>()
        .join("\n");
    let folder = table.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Table {
        name: table.name.clone(),
        layer: table.layer.clone(),
        tone,
        description: table.description.clone(),
        tags: table.tags.clone(),
        rows: table.rows,
        size_bytes: table.size_bytes,
        format: table.format.clone(),
        compression: table.compression.clone(),
        partition_by: table.partition_by.clone(),
        updated_day: table.updated.chars().take(16).collect::<String>().replace('T', " "),
        columns: table.columns.iter().enumerate().map(|(i, column)| shown_column(column, i, table.rows)).collect(),
        files: table
            .files
            .iter()
            .map(|file| File {
                label: file.path.strip_prefix(folder).unwrap_or(&file.path).trim_start_matches('/').to_owned(),
                href: href(&file.path, &file.url, beside, 1),
                rows: file.rows,
                size_bytes: file.size_bytes,
                sha256: file.sha256.clone(),
            })
            .collect(),
        search: search.to_lowercase(),
        column_names: column_names.join("\n"),
        page,
    }
}

fn shown_column(column: &Column, at: usize, rows: u64) -> ShownColumn {
    let share = column.nulls.map(|nulls| if rows == 0 { 0.0 } else { nulls as f64 * 100.0 / rows as f64 });
    let missing = share.map(|share| match share {
        0.0 => "complete".to_owned(),
        s if s >= 100.0 => "all missing".to_owned(),
        s if s < 0.1 => "< 0.1 % missing".to_owned(),
        s if s > 99.9 => "> 99.9 % missing".to_owned(),
        s if s < 10.0 => format!("{s:.1} % missing"),
        s => format!("{s:.0} % missing"),
    });
    let slug: String = column.name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    ShownColumn {
        id: format!("column-{}-{slug}", at + 1),
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        description: column.description.clone(),
        missing,
        // What is there is seen, however little it is.
        missing_width: share.map_or(0.0, |s| if s > 0.0 { (s.max(4.0) * 10.0).round() / 10.0 } else { 0.0 }),
        min: column.min.clone().map(|value| if value.is_empty() { "''".to_owned() } else { value }),
        max: column.max.clone(),
    }
}

/// The edges of the lineage: what the caller knows, and for the rest what the tables say.
fn edges(inputs: &Inputs<'_>) -> BTreeMap<String, Vec<String>> {
    let declared =
        inputs.project.models.iter().map(|model| {
            (model.full_name(), model.depends_on.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
        });
    let tables = inputs.catalog.tables.iter().map(|table| (table.full_name(), table.depends_on.clone()));
    let known = inputs.lineage.iter().map(|(name, sources)| (name.clone(), sources.clone()));
    declared.chain(tables).chain(known).collect()
}

/// The layers of models and tables, in the order in which data goes through them, as far as the edges tell.
fn layers(inputs: &Inputs<'_>) -> Vec<Layer> {
    let edges = edges(inputs);
    let layer = |name: &str| name.split_once('.').map_or_else(String::new, |(layer, _)| layer.to_owned());
    let mut names: BTreeSet<String> = inputs.project.models.iter().map(|m| m.layer.clone()).collect();
    names.extend(inputs.catalog.tables.iter().map(|t| t.layer.clone()));
    names.extend(edges.iter().flat_map(|(to, from)| from.iter().chain([to])).map(|name| layer(name)));
    names.remove("");
    let before: BTreeSet<(String, String)> = edges
        .iter()
        .flat_map(|(to, from)| from.iter().map(move |from| (from, to)))
        .map(|(from, to)| (layer(from), layer(to)))
        .filter(|(from, to)| from != to)
        .collect();
    let mut ordered: Vec<String> = Vec::new();
    while !names.is_empty() {
        let free = names.iter().find(|name| !before.iter().any(|(from, to)| to == *name && names.contains(from)));
        // Layers that read each other have no order; the alphabet is one.
        let Some(next) = free.or_else(|| names.first()).cloned() else { break };
        names.remove(&next);
        ordered.push(next);
    }
    ordered.into_iter().enumerate().map(|(i, name)| Layer { name, tone: i % TONES }).collect()
}

fn tone(layers: &[Layer], name: &str) -> usize {
    layers.iter().find(|layer| layer.name == name).map_or(0, |layer| layer.tone)
}

/// The pages of the tables; names that are the same but for odd characters or case are told apart by a number.
fn page_names(tables: &[CatalogTable]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    tables
        .iter()
        .map(|table| {
            let safe: String = table
                .full_name()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
                .collect();
            let mut name = safe.clone();
            let mut number = 2;
            while !taken.insert(name.to_lowercase()) {
                name = format!("{safe}-{number}");
                number += 1;
            }
            format!("tables/{name}.html")
        })
        .collect()
}

/// A link to a published file from a page so many folders deep in the site.
fn href(path: &str, url: &str, beside: bool, depth: usize) -> String {
    if url.starts_with("http") || !beside { url.to_owned() } else { "../".repeat(depth + 1) + &percent_encoded(path) }
}

fn fetch<'a>(urls: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = urls
        .map(|url| {
            let quoted = url.replace('\'', "'\\''");
            if url.starts_with("http") {
                format!("curl -fO '{quoted}'")
            } else if url.starts_with("s3://") {
                format!("aws s3 cp '{quoted}' .")
            } else {
                format!("cp '{quoted}' .")
            }
        })
        .collect();
    lines.join("\n")
}

fn quoted(table: &CatalogTable) -> String {
    let plain = |name: &str| {
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    let name = |name: &str| {
        if plain(name) { name.to_owned() } else { outport_core::engine::Dialect::DuckDb.ident(name) }
    };
    format!("{}.{}", name(&table.layer), name(&table.name))
}

fn sql(text: &str) -> String {
    text.replace('\'', "''")
}

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<String> = digits
        .bytes()
        .rev()
        .collect::<Vec<_>>()
        .chunks(3)
        .map(|group| group.iter().rev().map(|b| char::from(*b)).collect())
        .rev()
        .collect();
    groups.join(",")
}

/// Bytes in the unit that gives one to three digits before the point.
pub(super) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}
