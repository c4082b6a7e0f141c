//! The configuration: connections, defaults and exports, from files and from definition tables.

pub mod de;
pub mod interpolate;
pub mod node;
mod overrides;
mod rows;
mod schema;
mod size;
mod toml;
mod yaml;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

pub use rows::definitions_from_rows;
pub use schema::json_schema;
pub use size::parse_bytes;

use crate::environment::Environment;
use crate::error::suggestion;
use crate::export::{Definition, Export, ExportKey, Vocabulary};
use crate::placeholder;
use crate::vars::Vars;
use crate::{Error, ErrorKind, Result};
use interpolate::ReadFile;
use node::{Key, Node, Origin, Position, Value};

/// The group of exports that name none.
pub const DEFAULT_GROUP: &str = "default";

/// A configuration file that has been read.
#[derive(Clone, Debug)]
pub struct Text {
    /// The path, as messages shall show it. `.toml` is read as TOML, everything else as YAML.
    pub name: String,
    /// The content.
    pub text: String,
}

/// The settings of a project that are not about one export.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where runs and watermarks are kept: a path for SQLite or a `postgres://` URL. Default `.outport/state.db`.
    pub state: Option<String>,
    /// Further files with exports, as globs relative to this file. Default `exports/*.yml`, `.yaml` and `.toml`.
    #[serde(deserialize_with = "optional_list")]
    pub include: Option<Vec<String>>,
    /// How many exports of one execution group run at the same time. Default 4.
    pub max_concurrency: Option<usize>,
    /// Memory for work in flight, such as `512MiB`.
    #[serde(deserialize_with = "size::deserialize")]
    #[schemars(with = "Option<String>")]
    pub memory_limit: Option<usize>,
    /// Folder for spilled data. Default the system's.
    pub temp_directory: Option<String>,
    /// Texts that queries, filters, paths and names hold as `{var:NAME}`, by name, with their defaults; `--vars NAME=VALUE`
    /// gives another value. One without a default needs a value in every call that uses it.
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub vars: Option<IndexMap<String, Option<String>>>,
}

fn optional_list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Option::deserialize(deserializer)
}

/// A named, configured system. What its settings mean is for the crate that knows the system.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The name that exports use.
    pub name: String,
    /// The value of `type`.
    pub kind: String,
    /// Where it stands.
    pub kind_position: Position,
    /// The settings without `type`.
    pub settings: Node,
}

/// A table whose rows are definitions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportsFrom {
    /// The connection that has the table.
    pub connection: String,
    /// Schema of the table.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table, usually `config_resource_export` or `config_export_resource`.
    pub table: String,
}

/// An export that is read but not checked, since that takes all connections.
#[derive(Clone, Debug)]
pub struct Unchecked {
    /// `group/name` or `name`, where the export stands under a key.
    pub key: Option<Key>,
    /// The definition, with the defaults of its file merged in.
    pub node: Node,
}

/// A table of definitions, and what holds for its rows.
#[derive(Clone, Debug)]
pub struct DefinitionTable {
    /// The table.
    pub from: ExportsFrom,
    /// Where it is named.
    pub position: Position,
    /// The `defaults` of that file.
    pub defaults: Option<Node>,
}

/// A configuration file with its references resolved.
#[derive(Debug)]
pub struct Document {
    root: Node,
}

impl Document {
    /// Reads a file and resolves `${env:…}` and `${file:…}` in it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the place.
    pub fn parse(file: &Text, environment: &Environment, read: ReadFile<'_>) -> Result<Self> {
        let mut root = parse(file)?;
        if !matches!(root.value, Value::Mapping(_)) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("expected a mapping with connections and exports, found {}", root.kind()),
            )
            .at(root.position.location()));
        }
        interpolate::resolve(&mut root, environment, read)?;
        Ok(Self { root })
    }

    /// Applies `OUTPORT__SECTION__KEY=value` from the environment; meant for the main file.
    pub fn with_overrides(mut self, environment: &Environment) -> Self {
        overrides::apply(&mut self.root, environment);
        self
    }

    /// The globs of further files, relative to this one.
    pub fn include(&self) -> Vec<String> {
        match self.root.get("include") {
            None => ["exports/*.yml", "exports/*.yaml", "exports/*.toml"].map(str::to_owned).to_vec(),
            Some(Node { value: Value::Sequence(items), .. }) => {
                items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(node) => node.as_str().map(str::to_owned).into_iter().collect(),
        }
    }
}

/// A file as a tree, with its references as they are written.
///
/// # Errors
/// [`ErrorKind::Config`] with the place.
pub fn parse(file: &Text) -> Result<Node> {
    let origin = Arc::new(Origin { name: file.name.clone(), text: file.text.clone() });
    if file.name.ends_with(".toml") { toml::parse(&origin) } else { yaml::parse(&origin) }
}

/// A whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// What is not about one export.
    pub settings: Settings,
    /// The connections by name.
    pub connections: IndexMap<String, Connection>,
    /// The exports of the files.
    pub exports: Vec<Unchecked>,
    /// The tables with further exports.
    pub tables: Vec<DefinitionTable>,
    /// The variables, with their defaults or with the values of this call.
    pub vars: Vars,
}

const SECTIONS: &[&str] = &["connections", "defaults", "exports", "exports_from"];
const SETTINGS: &[&str] = &["state", "include", "max_concurrency", "memory_limit", "temp_directory", "vars"];

impl Project {
    /// Puts the main file and the files it includes together. The main file's `defaults` hold for all of them; a file's own
    /// come first.
    ///
    /// # Errors
    /// Everything that is wrong with the files' outer shape, at once.
    pub fn assemble(main: Document, included: Vec<Document>) -> Result<Self> {
        let mut project = Self::default();
        let mut errors = Vec::new();
        let shared = main.root.get("defaults").cloned();
        project.read(main.root, None, true, &mut errors);
        for document in included {
            project.read(document.root, shared.as_ref(), false, &mut errors);
        }
        if errors.is_empty() { Ok(project) } else { Err(all(errors)) }
    }

    fn read(&mut self, mut root: Node, shared: Option<&Node>, main: bool, errors: &mut Vec<Error>) {
        let mut defaults = root.remove("defaults");
        if let Some(shared) = shared {
            match &mut defaults {
                Some(own) => own.merge_defaults(shared),
                None => defaults = Some(shared.clone()),
            }
        }
        for (key, node) in root.remove("connections").iter().flat_map(Node::entries) {
            self.connection(key, node, errors);
        }
        if let Some(node) = root.remove("exports_from") {
            let list = if matches!(node.value, Value::Sequence(_)) {
                de::from_node(&node)
            } else {
                de::from_node(&node).map(|one| vec![one])
            };
            match list {
                Ok(list) => self.tables.extend(list.into_iter().map(|from| DefinitionTable {
                    from,
                    position: node.position.clone(),
                    defaults: defaults.clone(),
                })),
                Err(error) => errors.push(error),
            }
        }
        self.read_exports(root.remove("exports"), defaults.as_ref(), errors);
        if main {
            if let Some(settings) = de::from_mapping_with_all_errors::<Settings>(&known_only(&root, errors), errors) {
                for (name, default) in settings.vars.iter().flatten() {
                    self.vars.declare(name, default.clone());
                }
                self.settings = settings;
            }
            errors.extend(root.get("vars").iter().flat_map(|vars| vars.entries()).filter_map(|(key, _)| misnamed(key)));
        } else {
            for (key, _) in root.entries() {
                let error = unknown_section(key, SECTIONS);
                let setting = SETTINGS.contains(&key.name.as_str());
                errors.push(if setting { error.hint("it belongs in the main file") } else { error });
            }
        }
    }

    fn read_exports(&mut self, node: Option<Node>, defaults: Option<&Node>, errors: &mut Vec<Error>) {
        let with_defaults = |mut node: Node| {
            if matches!(node.value, Value::Null) {
                node.value = Value::Mapping(Vec::new());
            }
            if let Some(defaults) = defaults {
                node.merge_defaults(defaults);
            }
            node
        };
        match node {
            None | Some(Node { value: Value::Null, .. }) => {}
            Some(Node { value: Value::Mapping(entries), .. }) => {
                self.exports.extend(
                    entries.into_iter().map(|(key, node)| Unchecked { key: Some(key), node: with_defaults(node) }),
                );
            }
            Some(Node { value: Value::Sequence(items), .. }) => {
                self.exports.extend(items.into_iter().map(|node| Unchecked { key: None, node: with_defaults(node) }));
            }
            Some(node) => errors.push(
                Error::new(
                    ErrorKind::Config,
                    format!("exports: expected a mapping by group/name, found {}", node.kind()),
                )
                .at(node.position.location()),
            ),
        }
    }

    fn connection(&mut self, key: &Key, node: &Node, errors: &mut Vec<Error>) {
        let mut settings = node.clone();
        let (kind, kind_position) = match settings.remove("type") {
            Some(Node { value: Value::Plain(kind) | Value::Text(kind), position }) => (kind, position),
            written => {
                let (what, at) = match &written {
                    None | Some(Node { value: Value::Null, .. }) => ("there is no type".to_owned(), &key.position),
                    Some(other) => (format!("expected a type, found {}", other.kind()), &other.position),
                };
                let wrong = Error::new(ErrorKind::Config, format!("connection \"{}\": {what}", key.name));
                errors.push(wrong.hint("add `type:`, such as lakehouse, duckdb, postgres or store").at(at.location()));
                return;
            }
        };
        let connection = Connection { name: key.name.clone(), kind, kind_position, settings };
        if self.connections.insert(key.name.clone(), connection).is_some() {
            errors.push(
                Error::new(ErrorKind::Config, format!("connection \"{}\" is defined twice", key.name))
                    .at(key.position.location()),
            );
        }
    }
}

/// Checks all exports together: each on its own, and that no two have one name.
///
/// # Errors
/// Everything that is wrong with any of them, at once.
pub fn check_exports(exports: Vec<Unchecked>, vocabulary: &Vocabulary) -> Result<Vec<Export>> {
    let mut checked: Vec<Export> = Vec::new();
    let mut errors = Vec::new();
    for export in exports {
        let position = export.key.as_ref().map_or(&export.node.position, |key| &key.position).clone();
        let before = errors.len();
        let definition = de::from_mapping_with_all_errors::<Definition>(&export.node, &mut errors);
        let name = export.key.as_ref().map(|key| key.name.clone());
        let key = definition.as_ref().and_then(|definition| match key_of(name.as_deref(), definition) {
            Ok(key) => Some(key),
            Err((field, error)) => {
                let at = export.node.get(field).map_or(&position, |value| &value.position);
                errors.push(error.at(at.location()));
                None
            }
        });
        if let (Some(definition), Some(key)) = (definition, key.clone()) {
            match definition.check(key, &export.node, &position, vocabulary) {
                Ok(export) => checked.push(export),
                Err(found) => errors.extend(found),
            }
        }
        let label = key.map(|key| key.to_string()).or(name).unwrap_or_else(|| "export".to_owned());
        let named: Vec<Error> = errors.drain(before..).map(|error| error.context(label.clone())).collect();
        errors.extend(named);
    }
    for (index, export) in checked.iter().enumerate() {
        if let Some(first) = checked[..index].iter().find(|other| other.key == export.key) {
            errors.push(
                Error::new(
                    ErrorKind::Config,
                    format!("export \"{}\" is defined twice, first at {}", export.key, first.position.location()),
                )
                .at(export.position.location()),
            );
        }
    }
    for (index, export) in checked.iter().enumerate() {
        if let Some(first) = checked[..index].iter().find(|other| other.key != export.key && same_target(other, export))
        {
            errors.push(
                Error::new(
                    ErrorKind::Config,
                    format!("exports \"{}\" and \"{}\" would write the same file", first.key, export.key),
                )
                .hint("give them different target_path or name patterns, or use {export_name} in them")
                .at(export.position.location()),
            );
        }
    }
    if !errors.is_empty() {
        return Err(all(errors));
    }
    checked.sort_by(|a, b| {
        (&a.key.group, a.execution_group, &a.key.name).cmp(&(&b.key.group, b.execution_group, &b.key.name))
    });
    Ok(checked)
}

/// Whether two exports would write the same file in every run. What depends on dates shows only in a plan.
fn same_target(a: &Export, b: &Export) -> bool {
    let own = |template: &str| {
        (placeholder::uses(template, "export_name") && a.key.name != b.key.name)
            || (placeholder::uses(template, "export_group_name") && a.key.group != b.key.group)
            || placeholder::uses(template, "run_id")
    };
    let file = |export: &Export| export.file_name.clone().unwrap_or_else(|| "{export_name}_{timestamp}".to_owned());
    a.active
        && b.active
        && a.target == b.target
        && a.target_path.trim_matches('/') == b.target_path.trim_matches('/')
        && file(a) == file(b)
        && a.compressed_name == b.compressed_name
        && !own(&a.target_path)
        && !own(&file(a))
        && !a.compressed_name.as_deref().is_some_and(own)
}

fn all(errors: Vec<Error>) -> Error {
    let summary = format!("found {} errors in the configuration", errors.len());
    Error::many(errors, summary)
}

/// The name of an export; where there is none, the field that is to blame beside the error.
fn key_of(name: Option<&str>, definition: &Definition) -> Result<ExportKey, (&'static str, Error)> {
    let (group, short) = match name.map(|name| name.split_once('/').unwrap_or(("", name))) {
        Some((group, short)) => (Some(group).filter(|g| !g.is_empty()), Some(short)),
        None => (None, None),
    };
    let one = |field: &'static str, key: Option<&str>, value: &Option<String>| match (key, value) {
        (Some(key), Some(value)) if key != value => Err((
            field,
            Error::new(ErrorKind::Config, format!("{field} is \"{value}\", but the export's key says \"{key}\"")),
        )),
        (Some(key), _) => Ok(Some(key.to_owned())),
        (None, value) => Ok(value.clone()),
    };
    let group = one("export_group_name", group, &definition.export_group_name)?;
    let group = group.unwrap_or_else(|| DEFAULT_GROUP.to_owned());
    let name = one("export_name", short, &definition.export_name)?
        .ok_or_else(|| ("export_name", Error::new(ErrorKind::Config, "export_name is required")))?;
    if name.is_empty() || name.contains('/') || group.contains('/') {
        let wrong = format!("expected a name group/export, found \"{group}/{name}\"");
        let field = if group.contains('/') { "export_group_name" } else { "export_name" };
        return Err((field, Error::new(ErrorKind::Config, wrong)));
    }
    Ok(ExportKey { group, name })
}

/// The root without the keys that nothing knows, which are reported.
fn known_only(root: &Node, errors: &mut Vec<Error>) -> Node {
    let mut known = root.clone();
    for (key, _) in root.entries() {
        if !SETTINGS.contains(&key.name.as_str()) {
            errors.push(unknown_section(key, &[SECTIONS, SETTINGS].concat()));
            known.remove(&key.name);
        }
    }
    known
}

/// What is wrong with the name of a variable.
fn misnamed(key: &Key) -> Option<Error> {
    let wrong = || {
        Error::new(ErrorKind::Config, format!("vars: \"{}\" cannot be the name of a variable", key.name))
            .hint("use letters, digits and underscores, and do not begin with a digit")
            .at(key.position.location())
    };
    (!Vars::is_name(&key.name)).then(wrong)
}

fn unknown_section(key: &Key, known: &[&str]) -> Error {
    Error::new(ErrorKind::Config, format!("unknown key \"{}\"", key.name))
        .hint(suggestion(&key.name, known.iter().copied()))
        .at(key.position.location())
}
