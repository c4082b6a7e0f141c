//! From a [`Definition`] to an [`Export`]: everything that can be found wrong without asking a system, all at once.

use crate::config::node::{Node, Position};
use crate::error::{nearest, suggestion};
use crate::export::findings::Findings;
use crate::export::{Definition, Export, ExportKey, ManifestSetting, Rows, SourceType};
use crate::extract::Relation;
use crate::format::{FormatCaps, FormatOptions};
use crate::placeholder::{self, QUERY_PLACEHOLDERS};
use crate::vars::Vars;
use crate::{Error, ErrorKind, Result};

/// What the words of a definition can refer to.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// The formats by name.
    pub formats: Vec<(&'static str, FormatCaps)>,
    /// The connections by name.
    pub connections: Vec<(String, ConnectionKind)>,
    /// Tells whether a format of that name takes these options.
    pub check_options: Option<fn(&str, &FormatOptions) -> Result<()>>,
    /// The variables.
    pub vars: Vars,
}

/// What a connection can be used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionKind {
    /// The kind of source it is, if it is one.
    pub source: Option<SourceType>,
    /// Whether files can be written to it.
    pub target: bool,
}

impl Vocabulary {
    fn connection(&self, name: &str) -> Option<ConnectionKind> {
        self.connections.iter().find(|(n, _)| n == name).map(|(_, kind)| *kind)
    }

    pub(super) fn format(&self, name: &str) -> Option<&FormatCaps> {
        self.formats.iter().find(|(n, _)| *n == name).map(|(_, caps)| caps)
    }
}

impl Definition {
    /// Checks the definition of `key`, which was read from `node` and begins at `position`.
    ///
    /// # Errors
    /// Everything that is wrong with it, with the documented messages.
    pub fn check(
        self,
        key: ExportKey,
        node: &Node,
        position: &Position,
        vocabulary: &Vocabulary,
    ) -> Result<Export, Vec<Error>> {
        let mut findings = Findings::new(node, position);
        let vars = &vocabulary.vars;
        let used = vars.only(self.variables());
        let rows = self.rows(vars, &mut findings);
        let (source, source_type) = self.source(vocabulary, &mut findings);
        if matches!(rows, Rows::Versions { .. }) && source_type == Some(SourceType::Warehouse) {
            findings.error(
                &["incremental_by"],
                Error::new(
                    ErrorKind::Config,
                    format!("incremental_by: table_version needs a lakehouse, connection \"{source}\" is a warehouse"),
                )
                .hint("tables of a database have no versions; use an incremental_column"),
            );
        }
        let target = self.target(vocabulary, &mut findings);
        let relation = self.relation(source_type, &rows, vars, &mut findings);
        let (format, options) = self.format(vocabulary, &mut findings);
        let compression = self.compression(&format, vocabulary, &mut findings);
        self.names(&compression, vars, &mut findings);
        let max_rows_per_file = positive("max_rows_per_file", self.max_rows_per_file, &mut findings);
        let max_bytes_per_file = positive("max_bytes_per_file", self.max_bytes_per_file, &mut findings);
        if self.execution_group == Some(0) {
            findings.add(&["execution_group"], "execution_group must be greater than 0, found 0");
        }
        if let Some(zone) = &self.timezone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            findings.error(
                &["timezone"],
                Error::new(ErrorKind::Config, format!("unknown timezone \"{zone}\""))
                    .hint("use an IANA name such as Australia/Sydney or UTC"),
            );
        }
        let target_path = findings.require(&["target_path"], self.target_path, "target_path is required");
        if !findings.is_empty() {
            return Err(findings.into_errors());
        }
        Ok(Export {
            key,
            active: self.is_active.unwrap_or(true),
            execution_group: self.execution_group.unwrap_or(1),
            description: self.description,
            tags: self.tags.unwrap_or_default(),
            source,
            source_type: source_type.unwrap_or(SourceType::Warehouse),
            source_workspace: self.source_workspace,
            relation,
            columns: self.source_columns.filter(|columns| !columns.is_empty()),
            filter: self.source_filter,
            rows,
            target,
            target_path,
            file_name: self.target_filename_pattern,
            compressed_name: self.compressed_filename_pattern,
            trigger_name: self.trigger_file_pattern,
            manifest: self.manifest.unwrap_or(ManifestSetting::Written(true)),
            format,
            options,
            compression,
            max_rows_per_file,
            max_bytes_per_file,
            partition_by: self.partition_by.unwrap_or_default(),
            if_exists: self.if_exists.unwrap_or_default(),
            on_empty: self.on_empty.unwrap_or_default(),
            header: self.header.unwrap_or_default(),
            schema_policy: self.schema_policy.unwrap_or_default(),
            timezone: self.timezone,
            vars: used,
            position: position.clone(),
            fields: node.clone(),
        })
    }

    fn source(&self, vocabulary: &Vocabulary, findings: &mut Findings<'_>) -> (String, Option<SourceType>) {
        let declared = match self.source_type.as_deref() {
            None => None,
            Some("lakehouse") => Some(SourceType::Lakehouse),
            Some("warehouse") => Some(SourceType::Warehouse),
            Some(other) => {
                findings.add(
                    &["source_type"],
                    format!("Unsupported source_type: '{other}'. Valid options: lakehouse, warehouse"),
                );
                None
            }
        };
        let name = connection_name(
            ("source", &self.source),
            ("source_workspace", &self.source_workspace),
            ("source_datastore", &self.source_datastore),
            vocabulary,
            findings,
        );
        let kind = vocabulary.connection(&name).map(|kind| kind.source);
        match (kind, declared) {
            (Some(None), _) => {
                findings.add(
                    &["source", "source_datastore"],
                    format!("connection \"{name}\" is a store of files and cannot be a source by table or query"),
                );
                (name, declared)
            }
            (Some(Some(actual)), Some(declared)) if actual != declared => {
                findings.add(
                    &["source_type"],
                    format!("source_type is '{}', but connection \"{name}\" is a {}", declared.name(), actual.name()),
                );
                (name, Some(actual))
            }
            (Some(actual), _) => (name, actual),
            (None, declared) => (name, declared),
        }
    }

    fn target(&self, vocabulary: &Vocabulary, findings: &mut Findings<'_>) -> String {
        let name = connection_name(
            ("target", &self.target),
            ("target_workspace", &self.target_workspace),
            ("target_lakehouse", &self.target_lakehouse),
            vocabulary,
            findings,
        );
        if vocabulary.connection(&name).is_some_and(|kind| !kind.target) {
            findings.add(
                &["target", "target_lakehouse"],
                format!("connection \"{name}\" cannot take files; a target is a store or a lakehouse"),
            );
        }
        name
    }

    fn relation(
        &self,
        source_type: Option<SourceType>,
        rows: &Rows,
        vars: &Vars,
        findings: &mut Findings<'_>,
    ) -> Relation {
        if let Some(filter) = &self.source_filter {
            findings.keep("source_filter", placeholder::check_query("source_filter", filter, &[], vars));
        }
        match (&self.source_table, &self.source_query) {
            (Some(_), Some(_)) => {
                findings.add(&["source_query"], "Cannot specify both source_table and source_query");
            }
            (None, None) => findings.add(&[], "Must specify either source_table or source_query"),
            (None, Some(query)) => {
                let checked = placeholder::check_query("source_query", query, QUERY_PLACEHOLDERS, vars);
                findings.keep("source_query", checked);
                if self.source_columns.as_ref().is_some_and(|columns| !columns.is_empty()) {
                    findings.add(&["source_columns"], "source_columns cannot be used with source_query");
                }
                if self.source_filter.is_some() {
                    findings.add(&["source_filter"], "source_filter cannot be used with source_query");
                }
                if placeholder::uses(query, "watermark") && !rows.is_incremental() {
                    findings
                        .add(&["source_query"], "source_query uses {watermark}, which needs extract_type: incremental");
                }
                for name in ["period_start_date", "period_end_date"] {
                    if placeholder::uses(query, name) && rows.period_query().is_none() {
                        findings.add(
                            &["source_query"],
                            format!("source_query uses {{{name}}}, which needs a period_date_query"),
                        );
                    }
                }
            }
            (Some(_), None) => {
                // The documented long form names a warehouse's schema; the short form takes the connection's default.
                let long_form = self.source.is_none() && self.source_type.is_some();
                if source_type == Some(SourceType::Warehouse) && long_form && self.source_schema.is_none() {
                    findings
                        .add(&["source_schema", "source_type"], "source_schema is required for warehouse source_type");
                }
            }
        }
        match (&self.source_query, &self.source_table) {
            (Some(query), _) => Relation::Query(query.clone()),
            (None, table) => {
                Relation::Table { schema: self.source_schema.clone(), name: table.clone().unwrap_or_default() }
            }
        }
    }

    fn format(&self, vocabulary: &Vocabulary, findings: &mut Findings<'_>) -> (String, FormatOptions) {
        let options = FormatOptions(self.file_format_options.clone().unwrap_or_default());
        let name = findings.require(&["file_format"], self.file_format.clone(), "file_format is required");
        match vocabulary.format(&name) {
            Some(caps) => {
                for (option, value) in &options.0 {
                    let known = FormatOptions::check_name(&name, option, caps.options);
                    // One by one, for the place of the one that is wrong.
                    let one = FormatOptions::from_pairs([(option.as_str(), value.as_str())]);
                    let right =
                        known.and_then(|()| vocabulary.check_options.map_or(Ok(()), |check| check(&name, &one)));
                    if let Err(error) = right {
                        findings.entry("file_format_options", option, error);
                    }
                }
            }
            None if name.is_empty() => {}
            None => {
                let valid: Vec<&str> = vocabulary.formats.iter().map(|(n, _)| *n).collect();
                let error = Error::new(
                    ErrorKind::Config,
                    format!("Unsupported file_format: '{name}'. Valid options: {}", valid.join(", ")),
                );
                findings.error(&["file_format"], with_nearest(error, &name, &valid));
            }
        }
        (name, options)
    }
}

pub(super) fn with_nearest(error: Error, name: &str, valid: &[&str]) -> Error {
    match nearest(name, valid.iter().copied()) {
        Some(near) => error.hint(format!("did you mean \"{near}\"?")),
        None => error,
    }
}

/// The connection that the short form or the two fields of the documented long form name.
fn connection_name(
    short: (&str, &Option<String>),
    workspace: (&str, &Option<String>),
    datastore: (&str, &Option<String>),
    vocabulary: &Vocabulary,
    findings: &mut Findings<'_>,
) -> String {
    let name = match (short.1, datastore.1) {
        (Some(name), _) => name.clone(),
        (None, Some(store)) => {
            let long = workspace.1.as_ref().map(|workspace| format!("{workspace}/{store}"));
            match long {
                Some(long) if vocabulary.connection(&long).is_some() => long,
                _ => store.clone(),
            }
        }
        (None, None) => {
            findings.add(&[], format!("{} is required (or {} with {})", short.0, workspace.0, datastore.0));
            return String::new();
        }
    };
    if vocabulary.connection(&name).is_none() {
        let names: Vec<&str> = vocabulary.connections.iter().map(|(n, _)| n.as_str()).collect();
        findings.error(
            &[short.0, datastore.0],
            Error::new(ErrorKind::Config, format!("{}: there is no connection \"{name}\"", short.0))
                .hint(suggestion(&name, names)),
        );
    }
    name
}

fn positive(field: &str, value: Option<i64>, findings: &mut Findings<'_>) -> Option<u64> {
    let value = value?;
    match u64::try_from(value) {
        Ok(value) if value > 0 => Some(value),
        _ => {
            findings.add(&[field], format!("{field} must be greater than 0, found {value}"));
            None
        }
    }
}
