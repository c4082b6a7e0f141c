//! From a name in SQL to a place in the store.
//!
//! `orders` is `<root>/orders`, `<root>/Tables/orders` or a file such as `<root>/orders.parquet`; `sales.orders` is
//! `<root>/sales/orders` or `<root>/Tables/sales/orders`. The schema `dbo`, which is what Fabric calls the default one, may be
//! named where the lakehouse has no schemas. Names are as in the store; one that differs in case only is found if it is the
//! only one.

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use outport_core::error::suggestion;
use outport_core::{Error, ErrorKind, Result};

use crate::config::{LakehouseConfig, TableConfig, TableFormat};
use crate::error::from_store;
use crate::root::{Root, check_name};
use crate::table::partitions::decoded_once;

/// The schema that may be named although there is none.
const DEFAULT_SCHEMA: &str = "dbo";
/// Where Fabric keeps the tables of a lakehouse.
const TABLES_FOLDER: &str = "Tables";
/// How many folders are looked into at once.
const LISTINGS: usize = 16;

/// A table that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The name it is registered, reported and recorded by.
    pub(crate) name: String,
    /// The folder or file.
    pub(crate) path: Path,
    /// How it is stored.
    pub(crate) kind: Kind,
    /// What the configuration says about it.
    pub(crate) config: TableConfig,
}

/// How a table is stored.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Delta,
    Iceberg,
    /// Files of one format, in the order of their paths.
    Files(TableFormat, Vec<ObjectMeta>),
}

/// Finds the table `name` of `schema`.
///
/// # Errors
/// [`ErrorKind::NotFound`] with the nearest names, [`ErrorKind::Contract`] where a folder holds files of several formats.
pub(crate) async fn find(root: &Root, config: &LakehouseConfig, schema: Option<&str>, name: &str) -> Result<Found> {
    check_name(name)?;
    let qualified = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
    if let Some((configured, table)) = configured(config, schema, name) {
        let path = root.join(table.path.as_deref().unwrap_or(configured));
        return match classify(root, &path, table.format).await? {
            Some(kind) => Ok(Found { name: configured.to_owned(), path, kind, config: table.clone() }),
            None => Err(Error::new(
                ErrorKind::NotFound,
                format!("table \"{configured}\": there is no table or data file at {}", root.show(&path)),
            )
            .hint("correct the table's `path`, relative to the connection's `url`")),
        };
    }
    for folder in folders(schema) {
        if let Some((path, kind)) = child(root, &root.join(&folder), name).await? {
            let name = label(root, &path);
            return Ok(Found { name, path, kind, config: TableConfig::default() });
        }
    }
    // The connection's URL may name a table itself, as in `copy s3://bucket/orders orders.csv`.
    if schema.is_none()
        && root.prefix.filename().is_some_and(|own| own.eq_ignore_ascii_case(name))
        && let Some(kind) = classify(root, &root.prefix, None).await?
    {
        return Ok(Found { name: name.to_owned(), path: root.prefix.clone(), kind, config: TableConfig::default() });
    }
    let existing = relations(root, config).await?;
    Err(Error::new(ErrorKind::NotFound, format!("table \"{qualified}\" does not exist"))
        .hint(suggestion(&qualified, existing.iter().map(String::as_str))))
}

/// The names of all tables, `schema.name` where they lie a level deeper, sorted.
pub(crate) async fn relations(root: &Root, config: &LakehouseConfig) -> Result<Vec<String>> {
    let mut names: Vec<String> = config.tables.keys().cloned().collect();
    let top = root.children(&root.prefix).await?;
    if let (Some(own), true) = (root.prefix.filename(), top.has_folder("_delta_log") || top.has_folder("metadata")) {
        names.push(own.to_owned());
    } else {
        names.extend(level(root, &root.prefix, None).await?);
        if top.has_folder(TABLES_FOLDER) {
            names.extend(level(root, &root.join(TABLES_FOLDER), None).await?);
        }
        if names.is_empty()
            && let (Some(own), Some(_)) = (root.prefix.filename(), classify(root, &root.prefix, None).await?)
        {
            names.push(own.to_owned());
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The tables in `folder`; a folder in it that is no table is a schema.
fn level<'a>(root: &'a Root, folder: &'a Path, schema: Option<&'a str>) -> BoxFuture<'a, Result<Vec<String>>> {
    Box::pin(async move {
        let children = root.children(folder).await?;
        let files: Vec<String> = children
            .files
            .iter()
            .filter_map(|file| file.location.filename())
            .filter(|name| root.only.as_deref().is_none_or(|only| only == *name))
            .filter(|name| !hidden(name) && TableFormat::of_file(name).is_some())
            .map(|name| qualify(schema, stem(name)))
            .collect();
        if root.only.is_some() {
            return Ok(files);
        }
        let mut lookups: Vec<BoxFuture<'_, Result<Vec<String>>>> = Vec::new();
        for path in children.folders {
            let Some(name) = path.filename().filter(|name| !hidden(name) && *name != TABLES_FOLDER).map(decoded_once)
            else {
                continue;
            };
            lookups.push(Box::pin(async move {
                if shallow(root, &path).await? {
                    return Ok(vec![qualify(schema, &name)]);
                }
                match schema {
                    None => level(root, &path, Some(&name)).await,
                    Some(_) => Ok(Vec::new()),
                }
            }));
        }
        let found: Vec<Vec<String>> = futures::stream::iter(lookups).buffered(LISTINGS).try_collect().await?;
        Ok(files.into_iter().chain(found.into_iter().flatten()).collect())
    })
}

/// Whether a folder is a table, told from what lies directly in it and in its partitions.
async fn shallow(root: &Root, path: &Path) -> Result<bool> {
    let mut path = path.clone();
    loop {
        let children = root.children(&path).await?;
        if children.has_folder("_delta_log") || is_iceberg(root, &path, &children).await? {
            return Ok(true);
        }
        if children
            .files
            .iter()
            .filter_map(|f| f.location.filename())
            .any(|f| !hidden(f) && TableFormat::of_file(f).is_some())
        {
            return Ok(true);
        }
        match children.folders.into_iter().find(|f| f.filename().is_some_and(|name| name.contains('='))) {
            Some(partition) => path = partition,
            None => return Ok(false),
        }
    }
}

/// The table `name` in `folder`: a folder, or a file whose name without extension it is.
async fn child(root: &Root, folder: &Path, name: &str) -> Result<Option<(Path, Kind)>> {
    let (folder, name) = match name.rsplit_once('/') {
        Some((above, name)) => (above.split('/').fold(folder.clone(), |path, part| path.join(part)), name),
        None => (folder.clone(), name),
    };
    let children = root.children(&folder).await?;
    let folders = children.folders.iter().filter(|_| root.only.is_none());
    let folders: Vec<(String, &Path)> =
        folders.map(|path| (decoded_once(path.filename().unwrap_or_default()), path)).collect();
    if let Some(path) = unique(name, folders.iter().map(|(name, path)| (name.as_str(), *path)))
        && let Some(kind) = classify(root, path, None).await?
    {
        return Ok(Some((path.clone(), kind)));
    }
    let files = children.files.iter().filter_map(|meta| {
        let file = meta.location.filename()?;
        let shown = root.only.as_deref().is_none_or(|only| only == file);
        (shown && TableFormat::of_file(file).is_some()).then_some((file, meta))
    });
    let files: Vec<_> = files.collect();
    let by_stem = files.iter().map(|(file, meta)| (stem(file), *meta));
    let found = unique(name, files.iter().copied()).or_else(|| unique(name, by_stem));
    Ok(found.and_then(|meta| {
        let format = TableFormat::of_file(meta.location.filename()?)?;
        Some((meta.location.clone(), Kind::Files(format, vec![meta.clone()])))
    }))
}

/// What is stored at `path`; `None` where there is nothing that could be a table.
async fn classify(root: &Root, path: &Path, format: Option<TableFormat>) -> Result<Option<Kind>> {
    match format {
        Some(TableFormat::Delta) => return Ok(Some(Kind::Delta)),
        Some(TableFormat::Iceberg) => return Ok(Some(Kind::Iceberg)),
        _ => {}
    }
    if format.is_none() {
        let children = root.children(path).await?;
        if children.has_folder("_delta_log") {
            return Ok(Some(Kind::Delta));
        }
        if is_iceberg(root, path, &children).await? {
            return Ok(Some(Kind::Iceberg));
        }
    }
    let files = data_files(root, path).await?;
    if let Some(format) = format {
        return Ok((!files.is_empty()).then_some(Kind::Files(format, files)));
    }
    let mut formats: Vec<(TableFormat, Vec<ObjectMeta>)> = Vec::new();
    for file in files {
        let Some(format) = file.location.filename().and_then(TableFormat::of_file) else { continue };
        match formats.iter_mut().find(|(known, _)| *known == format) {
            Some((_, files)) => files.push(file),
            None => formats.push((format, vec![file])),
        }
    }
    if formats.len() > 1 {
        let names: Vec<String> = formats
            .iter()
            .map(|(format, files)| format!("{} ({})", format.name(), root.show(&files[0].location)))
            .collect();
        return Err(Error::new(
            ErrorKind::Contract,
            format!("{} holds files of several formats: {}", root.show(path), names.join(", ")),
        )
        .hint("name the table and its `format` under the connection's `tables`, or its files by path"));
    }
    Ok(formats.pop().map(|(format, files)| Kind::Files(format, files)))
}

/// The files of a folder and its partitions in the order of their paths, or the file itself.
async fn data_files(root: &Root, path: &Path) -> Result<Vec<ObjectMeta>> {
    let mut files: Vec<ObjectMeta> = match root.store.list(Some(path)).try_collect().await {
        Ok(files) => files,
        Err(object_store::Error::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(from_store(error).context(format!("listing {}", root.show(path)))),
    };
    files.retain(|file| {
        let inside = file.location.prefix_match(path).into_iter().flatten().map(|p| p.as_ref().to_owned());
        file.size > 0 && inside.into_iter().all(|part| !hidden(&part))
    });
    files.sort_by(|a, b| a.location.cmp(&b.location));
    if files.is_empty() {
        match root.store.head(path).await {
            Ok(meta) => files.push(meta),
            Err(object_store::Error::NotFound { .. }) => {}
            // Some stores answer a HEAD of a folder with an error of their own; it is no file in any case.
            Err(object_store::Error::Generic { .. }) => {}
            Err(error) => return Err(from_store(error)),
        }
    }
    Ok(files)
}

async fn is_iceberg(root: &Root, path: &Path, children: &crate::root::Children) -> Result<bool> {
    if !children.has_folder("metadata") {
        return Ok(false);
    }
    let metadata = root.children(&path.clone().join("metadata")).await?;
    Ok(metadata
        .files
        .iter()
        .filter_map(|f| f.location.filename())
        .any(|f| f.ends_with(".metadata.json") || f == "version-hint.text"))
}

/// What the configuration says of a table, under `schema.name` or the name alone.
fn configured<'a>(config: &'a LakehouseConfig, schema: Option<&str>, name: &str) -> Option<(&'a str, &'a TableConfig)> {
    let tables = || config.tables.iter().map(|(key, table)| (key.as_str(), (key.as_str(), table)));
    match schema {
        Some(schema) => unique(&format!("{schema}.{name}"), tables())
            .or_else(|| if schema.eq_ignore_ascii_case(DEFAULT_SCHEMA) { unique(name, tables()) } else { None }),
        None => unique(name, tables()),
    }
}

/// The folders, relative to the root, in which a table of `schema` may lie; the likeliest first.
fn folders(schema: Option<&str>) -> Vec<String> {
    let deeper = |schema: &str| vec![schema.to_owned(), format!("{TABLES_FOLDER}/{schema}")];
    let here = || vec![String::new(), TABLES_FOLDER.to_owned()];
    match schema {
        None => [here(), deeper(DEFAULT_SCHEMA)].concat(),
        Some(schema) if schema.eq_ignore_ascii_case(DEFAULT_SCHEMA) => [deeper(schema), here()].concat(),
        Some(schema) => deeper(schema),
    }
}

/// The entry of exactly this name, else the only one that differs from it in case alone.
fn unique<'a, T>(name: &str, entries: impl Iterator<Item = (&'a str, T)> + Clone) -> Option<T> {
    if let Some((_, entry)) = entries.clone().find(|(known, _)| *known == name) {
        return Some(entry);
    }
    let mut near = entries.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    match (near.next(), near.next()) {
        (Some((_, entry)), None) => Some(entry),
        _ => None,
    }
}

/// The name of a table for messages and manifests: its path below the root, without `Tables` and extension.
fn label(root: &Root, path: &Path) -> String {
    let shown = root.show(path);
    let shown = shown.strip_prefix("Tables/").unwrap_or(&shown);
    match shown.rsplit_once('/') {
        Some((above, file)) => format!("{}.{}", above.replace('/', "."), stem(file)),
        None => stem(shown).to_owned(),
    }
}

/// A file name without its data and compression extensions; another name as it is.
fn stem(name: &str) -> &str {
    if TableFormat::of_file(name).is_none() {
        return name;
    }
    let base = name.rsplit_once('.').map_or(name, |(base, _)| base);
    // Behind a compression suffix the format's own extension is still there.
    if TableFormat::of_file(base).is_some() { base.rsplit_once('.').map_or(base, |(base, _)| base) } else { base }
}

fn qualify(schema: Option<&str>, name: &str) -> String {
    schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"))
}

/// Whether writers mean a file or folder to be overlooked. A partition column may begin with an underscore.
fn hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}
