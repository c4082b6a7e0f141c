//! What `schema.yml` says of one model, with every error at its place.

use outport_core::config::node::{Node, Value};
use outport_core::error::{Location, nearest, suggestion};
use outport_core::export::NullCursor;
use outport_core::format::{FormatOptions, check_options};
use outport_core::layout::{Codec, Compression};
use outport_core::vars::Vars;
use outport_core::{Error, ErrorKind, Result, placeholder};

use super::read::{Formats, expected, unknown};
use super::{Column, Export, Incremental, Materialization, Model, Test, TestKind};

const MODEL_KEYS: &[&str] =
    &["name", "description", "materialized", "depends_on", "tags", "columns", "export", "incremental", "tests", "meta"];
const COLUMN_KEYS: &[&str] = &["name", "description", "data_type", "tests", "meta"];
const EXPORT_KEYS: &[&str] =
    &["enabled", "path", "format", "compression", "compression_level", "row_group_size", "partition_by", "options"];
const INCREMENTAL_KEYS: &[&str] = &["time_column", "unique_key", "lookback", "on_null_cursor"];
/// What may stand in the path of an export.
const PATH_PLACEHOLDERS: &[&str] = &["run_date", "date"];

impl Model {
    /// Takes what `schema.yml` says of the model.
    pub(super) fn describe(
        &mut self,
        node: &Node,
        formats: Formats<'_>,
        errors: &mut Vec<Error>,
        warnings: &mut Vec<String>,
    ) {
        let mut reader = Reader { errors, warnings, of: format!("model {}.{}", self.layer, self.name) };
        reader.keys(node, MODEL_KEYS);
        self.description = reader.text(node, "description").unwrap_or_default();
        self.tags = reader.texts(node, "tags").into_iter().map(|(tag, _)| tag).collect();
        self.depends_on = reader.texts(node, "depends_on");
        if let Some(value) = node.get("materialized") {
            match value.as_str().and_then(Materialization::from_name) {
                Some(found) => self.materialized = found,
                None => reader.error(
                    format!("Unsupported materialization: {}", value.as_str().unwrap_or(value.kind())),
                    format!("Valid options: {}", Materialization::NAMES.join(", ")),
                    value,
                ),
            }
        }
        for column in reader.list(node, "columns") {
            if let Some(column) = reader.column(&column, &mut self.tests) {
                self.columns.push(column);
            }
        }
        for test in reader.list(node, "tests") {
            self.tests.extend(reader.test(&test, None));
        }
        self.incremental = self.read_incremental(node, &mut reader);
        let export = node.get("export");
        if self.materialized.exports() {
            let name = format!("{}/{}", self.layer, self.name);
            self.export = reader.export(export.unwrap_or(&Node::empty_mapping(node.position.clone())), &name, formats);
        } else if let Some(export) = export {
            // What is wrong with it is wrong also while it is switched off.
            reader.export(export, &self.name, formats);
            if export.get("enabled").and_then(Node::as_str).is_some_and(|enabled| enabled == "true") {
                reader.warn(
                    format!(
                        "export.enabled is true, but materialized: {} exports nothing; set export_view or export_table",
                        self.materialized.name()
                    ),
                    &export.position.location(),
                );
            }
        }
    }

    fn read_incremental(&self, node: &Node, reader: &mut Reader<'_>) -> Option<Incremental> {
        let section = node.get("incremental");
        if self.materialized != Materialization::Incremental {
            if let Some(section) = section {
                reader.error(
                    format!("incremental is given, but the model is materialized: {}", self.materialized.name()),
                    "set materialized: incremental, or remove the section".to_owned(),
                    section,
                );
            }
            return None;
        }
        let Some(section) = section else {
            reader.error(
                "materialized: incremental needs a section incremental".to_owned(),
                "give it time_column, unique_key or both".to_owned(),
                node,
            );
            return None;
        };
        reader.keys(section, INCREMENTAL_KEYS);
        let unique_key = match section.get("unique_key").and_then(Node::as_str) {
            Some(key) => vec![key.to_owned()],
            None => reader.texts(section, "unique_key").into_iter().map(|(key, _)| key).collect(),
        };
        let incremental = Incremental {
            time_column: reader.text(section, "time_column"),
            unique_key,
            lookback: reader.text(section, "lookback"),
            on_null: reader.on_null(section),
        };
        if incremental.time_column.is_none() && incremental.unique_key.is_empty() {
            reader.error(
                "incremental has neither time_column nor unique_key".to_owned(),
                "time_column tells what is new, unique_key what is replaced".to_owned(),
                section,
            );
        }
        Some(incremental)
    }
}

/// Reads nodes and gathers what is wrong with them.
struct Reader<'a> {
    errors: &'a mut Vec<Error>,
    warnings: &'a mut Vec<String>,
    of: String,
}

impl Reader<'_> {
    fn error(&mut self, message: String, hint: String, node: &Node) {
        let error = Error::new(ErrorKind::Config, message).hint(hint).context(self.of.clone());
        self.errors.push(error.at(node.position.location()));
    }

    fn warn(&mut self, message: String, location: &Location) {
        self.warnings.push(format!("{}:{}: {}: {message}", location.file, location.line, self.of));
    }

    /// A key that is nearly one of ours is a slip; any other may be for another tool that reads the same file.
    fn keys(&mut self, node: &Node, known: &[&str]) {
        for (key, _) in node.entries().iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let location = key.position.location();
            if nearest(&key.name, known.iter().copied()).is_some() {
                self.errors.push(unknown(&key.name, known, &location).context(self.of.clone()));
            } else {
                self.warn(format!("the key {} is none of ours", key.name), &location);
            }
        }
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        let value = node.get(key)?;
        match (&value.value, value.as_str()) {
            (Value::Null, _) => None,
            (_, Some(text)) => Some(text.to_owned()),
            _ => {
                self.errors.push(expected(key, "a text", value).context(self.of.clone()));
                None
            }
        }
    }

    fn list(&mut self, node: &Node, key: &str) -> Vec<Node> {
        match node.get(key) {
            None | Some(Node { value: Value::Null, .. }) => Vec::new(),
            Some(Node { value: Value::Sequence(items), .. }) => items.clone(),
            Some(other) => {
                self.errors.push(expected(key, "a list", other).context(self.of.clone()));
                Vec::new()
            }
        }
    }

    /// A list of texts with their places.
    fn texts(&mut self, node: &Node, key: &str) -> Vec<(String, Location)> {
        let mut texts = Vec::new();
        for item in self.list(node, key) {
            match item.as_str() {
                Some(text) => texts.push((text.to_owned(), item.position.location())),
                None => self.errors.push(expected(key, "a list of names", &item).context(self.of.clone())),
            }
        }
        texts
    }

    fn on_null(&mut self, section: &Node) -> NullCursor {
        let Some(value) = section.get("on_null_cursor") else { return NullCursor::default() };
        value.as_str().and_then(|text| serde_json::from_value(text.into()).ok()).unwrap_or_else(|| {
            let error = expected("on_null_cursor", "error, include or exclude", value);
            self.errors.push(error.context(self.of.clone()));
            NullCursor::default()
        })
    }

    fn number(&mut self, node: &Node, key: &str) -> Option<u64> {
        let value = node.get(key)?;
        match value.as_str().and_then(|text| text.replace('_', "").parse().ok()) {
            Some(number) => Some(number),
            None => {
                self.errors.push(expected(key, "a whole number", value).context(self.of.clone()));
                None
            }
        }
    }

    fn column(&mut self, node: &Node, tests: &mut Vec<Test>) -> Option<Column> {
        self.keys(node, COLUMN_KEYS);
        let Some(name) = node.get("name").and_then(Node::as_str) else {
            self.errors.push(expected("a column", "a mapping with a name", node).context(self.of.clone()));
            return None;
        };
        for test in self.list(node, "tests") {
            tests.extend(self.test(&test, Some(name)));
        }
        Some(Column {
            name: name.to_owned(),
            description: self.text(node, "description").unwrap_or_default(),
            data_type: self.text(node, "data_type"),
        })
    }

    /// A test of a column or of the model: its bare name, or a mapping from its name to what it needs.
    fn test(&mut self, node: &Node, column: Option<&str>) -> Option<Test> {
        let (name, settings) = match (node.as_str(), node.entries()) {
            (Some(name), _) => (name.to_owned(), Node::empty_mapping(node.position.clone())),
            (None, [(key, settings), ..]) => (key.name.clone(), settings.clone()),
            _ => {
                self.errors.push(expected("a test", "its name", node).context(self.of.clone()));
                return None;
            }
        };
        let column = match column {
            Some(column) => column.to_owned(),
            None => settings.get("column").and_then(Node::as_str).unwrap_or_default().to_owned(),
        };
        let kind = match name.as_str() {
            "sql" => TestKind::Sql(settings.as_str().map(str::to_owned).or_else(|| self.text(&settings, "query"))?),
            _ if column.is_empty() => {
                self.error(
                    format!("test {name} has no column"),
                    "put it under a column, or give it one".to_owned(),
                    node,
                );
                return None;
            }
            "not_null" => TestKind::NotNull(column.clone()),
            "unique" => TestKind::Unique(column.clone()),
            "accepted_values" => TestKind::AcceptedValues(
                column.clone(),
                self.texts(&settings, "values").into_iter().map(|(value, _)| value).collect(),
            ),
            "relationships" => TestKind::Relationships {
                column: column.clone(),
                to: self.needed(&settings, "to")?,
                field: self.needed(&settings, "field")?,
            },
            other => {
                let known = ["not_null", "unique", "accepted_values", "relationships", "sql"];
                self.error(format!("unknown test \"{other}\""), suggestion(other, known), node);
                return None;
            }
        };
        let name = if column.is_empty() { name } else { format!("{name} {column}") };
        Some(Test { name, kind, location: node.position.location() })
    }

    fn needed(&mut self, node: &Node, key: &str) -> Option<String> {
        let found = self.text(node, key);
        if found.is_none() {
            self.error(
                format!("{key} is missing"),
                "relationships needs `to: layer.name` and `field`".to_owned(),
                node,
            );
        }
        found
    }

    fn export(&mut self, node: &Node, name: &str, formats: Formats<'_>) -> Option<Export> {
        self.keys(node, EXPORT_KEYS);
        let format_name = self.text(node, "format").unwrap_or_else(|| "parquet".to_owned());
        let place = |key: &str| node.get(key).unwrap_or(node).position.location();
        let format = match formats(&format_name) {
            Ok(format) => format,
            Err(error) => {
                self.errors.push(error.at(place("format")).context(self.of.clone()));
                return None;
            }
        };
        let parquet = format_name == "parquet";
        let row_group_size = self.number(node, "row_group_size");
        if let (Some(_), false) = (row_group_size, parquet) {
            self.error(
                format!("row_group_size is an option of parquet, and the format is {format_name}"),
                "remove it".to_owned(),
                node.get("row_group_size").unwrap_or(node),
            );
        }
        let codec = match self.text(node, "compression") {
            None if parquet => Codec::Zstd,
            None => Codec::None,
            // DuckDB's word for it.
            Some(name) if name == "uncompressed" => Codec::None,
            Some(name) => match codec(&name) {
                Some(codec) => codec,
                None => {
                    let hint = suggestion(&name, CODECS.iter().map(|codec| codec.name()));
                    self.error(format!("Invalid compression: {name}"), hint, node.get("compression").unwrap_or(node));
                    return None;
                }
            },
        };
        let level = self.number(node, "compression_level").and_then(|level| u32::try_from(level).ok());
        let mut options: Vec<(String, String)> = Vec::new();
        if let Some(given) = node.get("options") {
            for (key, value) in given.entries() {
                let spec = format.caps().options.iter().find(|spec| spec.is_called(&key.name));
                let name = spec.map_or_else(|| key.name.clone(), |spec| spec.name.to_owned());
                options.push((name, value.as_str().unwrap_or_default().to_owned()));
            }
        }
        if let (Some(rows), true) = (row_group_size.or(parquet.then_some(100_000)), parquet) {
            options.push(("row_group_size".to_owned(), rows.to_string()));
        }
        let pairs = FormatOptions::from_pairs(options.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        if let Err(error) = check_options(&*format, &pairs) {
            self.errors.push(error.at(place("options")).context(self.of.clone()));
        }
        if let Some(level) = level.filter(|level| !codec.levels().is_some_and(|levels| levels.contains(level))) {
            let hint = match codec.levels() {
                Some(levels) => format!("{} has the levels {} to {}", codec.name(), levels.start(), levels.end()),
                None => format!("{} has no levels", codec.name()),
            };
            self.error(format!("compression_level {level} is none of {}", codec.name()), hint, node);
        }
        let partition_by = match node.get("partition_by").and_then(Node::as_str) {
            Some(column) => vec![column.to_owned()],
            None => self.texts(node, "partition_by").into_iter().map(|(column, _)| column).collect(),
        };
        let path = match self.text(node, "path") {
            Some(path) => path,
            None if partition_by.is_empty() => format!("{name}.{}", format.caps().extension),
            None => name.to_owned(),
        };
        if let Err(error) = check_path(&path) {
            self.errors.push(error.at(place("path")).context(self.of.clone()));
        }
        Some(Export {
            path,
            format: format_name,
            extension: format.caps().extension.to_owned(),
            compression: Compression { codec, level },
            partition_by,
            options,
            location: Some(node.position.location()),
        })
    }
}

/// A path stays inside `export_dir`, and has only placeholders that there are.
fn check_path(path: &str) -> Result<()> {
    let template = plain_placeholders(path);
    placeholder::check("export.path", &template, PATH_PLACEHOLDERS, &Vars::default())?;
    let leaves = path.starts_with('/') || path.split('/').any(|part| part == ".." || part.is_empty() || part == ".");
    if leaves || path.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("export.path: expected a path inside export_dir, found \"{path}\""),
        )
        .hint("such as marts/orders.parquet"));
    }
    Ok(())
}

/// A path with the document's `{{ date }}` as the placeholder that it is: the run's date without dashes.
pub(crate) fn plain_placeholders(path: &str) -> String {
    let mut plain = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else { break };
        plain.push_str(before);
        match inside.trim() {
            "date" | "run_date" => plain.push_str("{run_date:%Y%m%d}"),
            other => {
                plain.push('{');
                plain.push_str(other);
                plain.push('}');
            }
        }
        rest = behind;
    }
    plain.push_str(rest);
    plain
}

const CODECS: &[Codec] = &[Codec::None, Codec::Gzip, Codec::Zip, Codec::Zstd, Codec::Snappy, Codec::Lz4, Codec::Brotli];

fn codec(name: &str) -> Option<Codec> {
    CODECS.iter().copied().find(|codec| codec.name() == name)
}
