//! `{run_date:%Y%m%d}` and its kin in names, paths and queries.

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use uuid::Uuid;

use crate::error::{nearest, suggestion};
use crate::value::Value;
use crate::vars::Vars;
use crate::{Error, ErrorKind, Result};

/// What a placeholder without a format gives for a date, as the export contract documents it.
const DEFAULT_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The placeholders that names of files may hold.
pub const NAME_PLACEHOLDERS: &[&str] = &[
    "run_date",
    "process_date",
    "period_start_date",
    "period_end_date",
    "export_group_name",
    "export_name",
    "run_id",
    "timestamp",
    "ext",
    "part",
];

/// The placeholders that a folder may hold.
pub const PATH_PLACEHOLDERS: &[&str] =
    &["run_date", "process_date", "period_start_date", "period_end_date", "export_group_name", "export_name", "run_id"];

/// The placeholders that a query may hold.
pub const QUERY_PLACEHOLDERS: &[&str] =
    &["run_date", "process_date", "period_start_date", "period_end_date", "watermark"];

/// The placeholders that a query for the dates of a period may hold.
pub const PERIOD_QUERY_PLACEHOLDERS: &[&str] = &["run_date", "process_date"];

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// A placeholder with its format.
    Placeholder {
        /// The name.
        name: &'a str,
        /// The strftime format behind the colon.
        format: Option<&'a str>,
        /// The placeholder as it is written, braces included.
        raw: &'a str,
    },
}

/// Cuts a template into text and placeholders. Braces that do not enclose a name are text.
pub fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text_start = 0;
    let mut at = 0;
    while let Some(open) = template[at..].find('{').map(|i| at + i) {
        let Some(close) = template[open..].find('}').map(|i| open + i) else { break };
        let body = &template[open + 1..close];
        let (name, format) = match body.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => (body, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name {
            if text_start < open {
                pieces.push(Piece::Text(&template[text_start..open]));
            }
            pieces.push(Piece::Placeholder { name, format, raw: &template[open..=close] });
            text_start = close + 1;
            at = close + 1;
        } else {
            at = open + 1;
        }
    }
    if text_start < template.len() {
        pieces.push(Piece::Text(&template[text_start..]));
    }
    pieces
}

/// The placeholder of a variable, which has the variable's name where others have a format.
const VAR: &str = "var";

impl<'a> Piece<'a> {
    /// The variable that this piece stands for: the NAME of `{var:NAME}`.
    fn variable(&self) -> Option<&'a str> {
        match self {
            Self::Placeholder { name: VAR, format: Some(variable), .. } if Vars::is_name(variable) => Some(variable),
            _ => None,
        }
    }
}

/// The variables that a template holds.
pub fn variables(template: &str) -> Vec<&str> {
    pieces(template).iter().filter_map(Piece::variable).collect()
}

/// Replaces the variables of a template by their values and leaves everything else as it is.
///
/// # Errors
/// Those of [`Vars::get`].
pub fn resolve_variables(template: &str, vars: &Vars) -> Result<String> {
    let mut out = String::with_capacity(template.len());
    for piece in pieces(template) {
        match (piece.variable(), piece) {
            (Some(variable), _) => out.push_str(vars.get(variable)?),
            (None, Piece::Text(text) | Piece::Placeholder { raw: text, .. }) => out.push_str(text),
        }
    }
    Ok(out)
}

fn check_variable(field: &str, variable: &str, vars: &Vars) -> Result<()> {
    vars.check(variable).map_err(|e| e.context(field.to_owned()))
}

fn not_a_variable(field: &str, raw: &str) -> Error {
    Error::new(ErrorKind::Config, format!("Invalid placeholder(s) in {field}: {raw}"))
        .hint("a variable is written {var:NAME}, without spaces")
}

/// Refuses placeholders of a name or path that do not exist, all at once, and variables that were not declared.
pub fn check(field: &str, template: &str, allowed: &[&str], vars: &Vars) -> Result<()> {
    let mut invalid: Vec<&str> = Vec::new();
    let mut dated = Ok(());
    for piece in pieces(template) {
        if let Some(variable) = piece.variable() {
            dated = dated.and(check_variable(field, variable, vars));
        } else if let Piece::Placeholder { name, format, raw } = piece {
            if is_slip_of_var(name) {
                return Err(not_a_variable(field, raw));
            } else if !allowed.contains(&name) {
                invalid.push(name);
            } else if let Some(format) = format {
                let formatted = format_date(DateTime::constant(2000, 1, 2, 3, 4, 5, 6), format).map(drop);
                dated = dated.and(formatted.map_err(|e| e.context(field.to_owned())));
            }
        }
    }
    if let Some(first) = invalid.first() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("Invalid placeholder(s) in {field}: {{{}}}", invalid.join(", ")),
        )
        .hint(suggestion(first, allowed.iter().copied())));
    }
    dated
}

/// Whether someone who writes `{name…}` means a variable.
fn is_slip_of_var(name: &str) -> bool {
    matches!(name, VAR | "vars" | "variable")
}

/// Refuses a query whose placeholder is a slip of one that exists, and variables that were not declared. Other braces belong
/// to the query: JSON, structs, and with them `{var: 1}`.
pub fn check_query(field: &str, query: &str, allowed: &[&str], vars: &Vars) -> Result<()> {
    for piece in pieces(query) {
        if let Some(variable) = piece.variable() {
            check_variable(field, variable, vars)?;
        } else if let Piece::Placeholder { name, format, raw } = piece
            && is_slip_of_var(name)
            && format.is_none_or(Vars::is_name)
        {
            return Err(not_a_variable(field, raw));
        } else if let Piece::Placeholder { name, .. } = piece
            && !allowed.contains(&name)
            && (NAME_PLACEHOLDERS.contains(&name)
                || QUERY_PLACEHOLDERS.contains(&name)
                || nearest(name, allowed.iter().copied()).is_some())
        {
            return Err(Error::new(ErrorKind::Config, format!("Invalid placeholder(s) in {field}: {{{name}}}"))
                .hint(suggestion(name, allowed.iter().copied())));
        }
    }
    Ok(())
}

/// Whether a template holds a placeholder.
pub fn uses(template: &str, name: &str) -> bool {
    pieces(template).iter().any(|piece| matches!(piece, Piece::Placeholder { name: n, .. } if *n == name))
}

/// What the placeholders of one run stand for.
#[derive(Clone, Debug)]
pub struct Placeholders {
    /// The logical date.
    pub run_date: Zoned,
    /// When the run really began.
    pub process_date: Zoned,
    /// Start and end of the period, where there is one.
    pub period: Option<(Value, Value)>,
    /// The watermark before the run, where there is one.
    pub watermark: Option<Value>,
    /// The group of the export.
    pub group: String,
    /// The name of the export.
    pub export: String,
    /// The run.
    pub run_id: Uuid,
    /// The extension of the format, without a dot.
    pub extension: String,
    /// The variables.
    pub vars: Vars,
}

impl Placeholders {
    /// Replaces the placeholders of a name or path; `{part}` stays, since only the writer knows it.
    pub fn resolve(&self, template: &str) -> Result<String> {
        self.replace(template, |name| (name != "part").then_some(()).map(|()| name))
    }

    /// Replaces the placeholders of a query; braces that are none of ours stay.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for `{watermark}` before the first run and for period dates without a period.
    pub fn resolve_query(&self, template: &str) -> Result<String> {
        self.replace(template, |name| QUERY_PLACEHOLDERS.contains(&name).then_some(name))
    }

    fn replace<'a>(&self, template: &'a str, known: impl Fn(&'a str) -> Option<&'a str>) -> Result<String> {
        let mut out = String::with_capacity(template.len());
        for piece in pieces(template) {
            match (piece.variable(), piece) {
                (Some(variable), _) => out.push_str(self.vars.get(variable)?),
                (None, Piece::Text(text)) => out.push_str(text),
                (None, Piece::Placeholder { name, format, raw }) => match known(name) {
                    Some(name) => out.push_str(&self.one(name, format)?),
                    None => out.push_str(raw),
                },
            }
        }
        Ok(out)
    }

    fn one(&self, name: &str, format: Option<&str>) -> Result<String> {
        let date = |date: DateTime| format_date(date, format.unwrap_or(DEFAULT_FORMAT));
        match name {
            "run_date" => date(self.run_date.datetime()),
            "process_date" => date(self.process_date.datetime()),
            "timestamp" => format_date(self.process_date.datetime(), format.unwrap_or("%Y%m%d_%H%M%S")),
            "period_start_date" | "period_end_date" => {
                let (start, end) = self.period.as_ref().ok_or_else(|| {
                    Error::new(ErrorKind::Config, format!("{{{name}}} has no value"))
                        .hint("give the export a period_date_query that returns start_date and end_date")
                })?;
                self.value(if name == "period_start_date" { start } else { end }, format, DEFAULT_FORMAT)
            }
            "watermark" => match &self.watermark {
                Some(value) => match format {
                    Some(format) => self.value(value, Some(format), DEFAULT_FORMAT),
                    None => Ok(value.to_string()),
                },
                None => Err(Error::new(ErrorKind::Config, "{watermark} has no value before the first run")
                    .hint("set incremental_initial_watermark, or `outport export watermark set`")),
            },
            "export_group_name" => Ok(self.group.clone()),
            "export_name" => Ok(self.export.clone()),
            "run_id" => Ok(self.run_id.simple().to_string()[..8].to_owned()),
            "ext" => Ok(self.extension.clone()),
            other => Err(Error::new(ErrorKind::Config, format!("unknown placeholder {{{other}}}"))),
        }
    }

    fn value(&self, value: &Value, format: Option<&str>, default: &str) -> Result<String> {
        let civil = match value {
            Value::Date(date) => date.to_datetime(jiff::civil::Time::midnight()),
            Value::Timestamp(civil) => *civil,
            Value::TimestampTz(instant) => instant.to_zoned(self.run_date.time_zone().clone()).datetime(),
            other if format.is_none() => return Ok(other.to_string()),
            other => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("\"{other}\" is no date and takes no format {}", format.unwrap_or_default()),
                ));
            }
        };
        format_date(civil, format.unwrap_or(default))
    }
}

/// Formats with Python's strftime codes.
fn format_date(date: DateTime, format: &str) -> Result<String> {
    // Python's %f is six digits; jiff's is as many as needed.
    let format = format.replace("%f", "%6f");
    strtime::format(&format, date).map_err(|e| {
        Error::new(ErrorKind::Config, format!("invalid date format \"{format}\": {e}"))
            .hint("use strftime codes such as %Y%m%d")
    })
}
