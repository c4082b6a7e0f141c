//! The folder of models: SQL files in layers, and the `schema.yml` beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use outport_core::config::node::{Node, Value};
use outport_core::config::{self, Text};
use outport_core::error::{Location, from_io, suggestion};
use outport_core::format::Format;
use outport_core::{Error, ErrorKind, Result};

use super::{Model, Project};

/// The names of a layer's description.
const SCHEMA_FILES: &[&str] = &["schema.yml", "schema.yaml"];
/// The formats that exports can have, by name.
pub type Formats<'a> = &'a dyn Fn(&str) -> Result<std::sync::Arc<dyn Format>>;

impl Project {
    /// Reads all models under `folder`, one folder a layer.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, at once: a folder that is not there, YAML that is none, an unknown key or
    /// value, a name that occurs twice, an option that the export's format does not have.
    pub fn read(folder: &Path, formats: Formats<'_>) -> Result<Self> {
        let mut project = Self::default();
        let mut errors = Vec::new();
        for layer in layers(folder)? {
            project.read_layer(&layer, formats, &mut errors)?;
        }
        project.models.sort_by_key(Model::full_name);
        if errors.is_empty() { Ok(project) } else { Err(all(errors)) }
    }

    fn read_layer(&mut self, folder: &Path, formats: Formats<'_>, errors: &mut Vec<Error>) -> Result<()> {
        let layer = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut described = BTreeMap::new();
        for name in SCHEMA_FILES {
            let file = folder.join(name);
            if file.is_file() {
                match describe(&file) {
                    Ok(models) => add_descriptions(models, &mut described, errors),
                    Err(error) => errors.push(error),
                }
            }
        }
        for file in sql_files(folder)? {
            let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let text = fs::read_to_string(&file)
                .map_err(|e| from_io(ErrorKind::Config, e).context(format!("reading {}", file.display())))?;
            let node = described.remove(&name.to_lowercase());
            let mut model = Model { file, ..Model::of(&layer, &name, &text) };
            if let Some(node) = node {
                model.describe(&node, formats, errors, &mut self.warnings);
            }
            if let Some(other) = self.models.iter().find(|m| m.layer == layer && m.name.eq_ignore_ascii_case(&name)) {
                errors.push(
                    Error::new(
                        ErrorKind::Config,
                        format!(
                            "model {layer}.{name} is there twice: {} and {}",
                            other.file.display(),
                            model.file.display()
                        ),
                    )
                    .hint("names differ by more than upper and lower case; rename one of the files"),
                );
            }
            self.models.push(model);
        }
        for (name, node) in described {
            let location = node.position.location();
            self.warnings
                .push(format!("{}:{}: there is no file {name}.sql for this description", location.file, location.line));
        }
        Ok(())
    }
}

/// The folders of `folder`, sorted; those with a dot in front are none of ours.
fn layers(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| {
        from_io(ErrorKind::Config, error)
            .context(format!("reading the models in {}", folder.display()))
            .hint("set models_dir in warehouse.yml, or `outport init --template warehouse` makes a project")
    })?;
    let mut layers = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| from_io(ErrorKind::Config, e))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            layers.push(path);
        }
    }
    layers.sort();
    Ok(layers)
}

fn sql_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| from_io(ErrorKind::Config, e))?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(|e| from_io(ErrorKind::Config, e))?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql") && path.is_file());
    files.sort();
    Ok(files)
}

/// The entries of `models` in a `schema.yml`.
fn describe(file: &Path) -> Result<Vec<Node>> {
    let text = fs::read_to_string(file)
        .map_err(|e| from_io(ErrorKind::Config, e).context(format!("reading {}", file.display())))?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let root = config::parse(&Text { name: file.display().to_string(), text })?;
    for (key, _) in root.entries() {
        if !matches!(key.name.as_str(), "version" | "models") {
            return Err(unknown(&key.name, &["version", "models"], &key.position.location()));
        }
    }
    match root.get("models") {
        None => Ok(Vec::new()),
        Some(Node { value: Value::Sequence(models), .. }) => Ok(models.clone()),
        Some(Node { value: Value::Null, .. }) => Ok(Vec::new()),
        Some(node) => Err(expected("models", "a list of models", node)),
    }
}

fn add_descriptions(models: Vec<Node>, described: &mut BTreeMap<String, Node>, errors: &mut Vec<Error>) {
    for node in models {
        let Some(name) = node.get("name").and_then(Node::as_str) else {
            errors.push(expected("a model", "a mapping with a name", &node));
            continue;
        };
        let name = name.to_lowercase();
        if described.contains_key(&name) {
            errors.push(
                Error::new(ErrorKind::Config, format!("model {name} is described twice"))
                    .hint("keep one of the descriptions")
                    .at(node.position.location()),
            );
        }
        described.insert(name, node);
    }
}

pub(super) fn expected(what: &str, expected: &str, found: &Node) -> Error {
    Error::new(ErrorKind::Config, format!("{what}: expected {expected}, found {}", found.kind()))
        .at(found.position.location())
}

pub(super) fn unknown(key: &str, known: &[&str], location: &Location) -> Error {
    Error::new(ErrorKind::Config, format!("unknown key \"{key}\""))
        .hint(suggestion(key, known.iter().copied()))
        .at(location.clone())
}

/// Several errors as one.
pub(crate) fn all(mut errors: Vec<Error>) -> Error {
    match (errors.pop(), errors.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            errors.extend(last);
            let summary = format!("found {} errors in the models", errors.len());
            Error::many(errors, summary)
        }
    }
}
