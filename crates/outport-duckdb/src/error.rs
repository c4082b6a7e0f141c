//! What DuckDB says, as errors of ours.

use outport_core::error::Location;
use outport_core::{Error, ErrorKind};

/// Turns an error of DuckDB into ours: its class decides the kind, its first sentence is the message, its position and its
/// suggestions go where they belong.
pub(crate) fn from_duckdb(error: duckdb::Error) -> Error {
    let text = error.to_string();
    match &error {
        duckdb::Error::FromSqlConversionFailure(column, duckdb::types::Type::Variant, _) => {
            Error::new(ErrorKind::Unsupported, format!("column {} of the result has the type VARIANT", column + 1))
                .hint("cast it in the query, for instance to JSON or VARCHAR")
        }
        duckdb::Error::NulError(_) => Error::new(ErrorKind::Config, "the SQL holds a NUL character"),
        // All that DuckDB says is in that text; as a cause it would be said twice.
        _ => parse(&text),
    }
}

/// Reads an error message of DuckDB: `Class Error: sentence`, suggestions, and `LINE n:` with a caret under the place.
pub(crate) fn parse(text: &str) -> Error {
    // A query that fails while its result is read is reported in two ways, of which one has the cause behind it.
    let text = text.split_once("pending query result\nError: ").map_or(text, |(_, cause)| cause);
    let (class, rest) = match text.split_once(": ") {
        Some((class, rest)) if class.ends_with("Error") && class.len() < 40 => (class, rest),
        _ => ("", text),
    };
    let (body, location) = split_location(rest);
    let mut paragraphs = body.lines().map(str::trim).filter(|l| !l.is_empty());
    let summary = paragraphs.next().unwrap_or("unknown error").trim_end_matches(['!', '.', ' ']);
    let hint = paragraphs.find(|l| l.starts_with("Did you mean") || l.starts_with("Candidate bindings"));

    let kind = kind_of(class, summary);
    let mut error = Error::new(kind, lower_first(summary));
    if let Some(hint) = hint_of(class, kind, hint) {
        error = error.hint(hint);
    }
    if let Some(location) = location {
        error = error.at(location);
    }
    error
}

fn kind_of(class: &str, summary: &str) -> ErrorKind {
    let missing =
        summary.contains("does not exist") || summary.contains("not found") || summary.contains("No files found");
    let full = summary.contains("No space left") || summary.contains("max_temp_directory_size");
    match class {
        _ if full => ErrorKind::DiskFull,
        "Catalog Error" | "Binder Error" | "IO Error" if missing => ErrorKind::NotFound,
        "IO Error" if summary.contains("Could not set lock") => ErrorKind::Busy,
        "INTERRUPT Error" | "Interrupt Error" => ErrorKind::Cancelled,
        "Conversion Error" | "Out of Range Error" | "Constraint Error" | "Serialization Error" => ErrorKind::Data,
        "Not implemented Error" => ErrorKind::Unsupported,
        "Permission Error" => ErrorKind::Auth,
        "Connection Error" | "HTTP Error" => ErrorKind::Connection,
        _ => ErrorKind::SourceRead,
    }
}

fn hint_of(class: &str, kind: ErrorKind, found: Option<&str>) -> Option<String> {
    match found {
        Some(line) if line.starts_with("Did you mean") => Some(lower_first(line)),
        Some(line) => line.strip_prefix("Candidate bindings: ").map(|names| format!("there are: {names}")),
        None if kind == ErrorKind::DiskFull => {
            Some("free some space, or set `temp_directory` of the connection to a larger disk".to_owned())
        }
        None if class == "Out of Memory Error" => {
            Some("raise `memory_limit` of the connection, or lower its `threads`".to_owned())
        }
        None => None,
    }
}

/// Cuts the `LINE n: text` part off, and reads line and column from it; the column is where the caret stands.
fn split_location(text: &str) -> (&str, Option<Location>) {
    let Some(at) = text.find("LINE ").filter(|at| *at == 0 || text[..*at].ends_with('\n')) else {
        return (text, None);
    };
    let (body, tail) = text.split_at(at);
    let mut lines = tail.lines();
    let head = lines.next().unwrap_or_default();
    let Some((number, sql)) = head.strip_prefix("LINE ").and_then(|h| h.split_once(": ")) else {
        return (body, None);
    };
    let prefix = head.len() - sql.len();
    let caret = lines.next().and_then(|l| l.find('^')).and_then(|c| c.checked_sub(prefix));
    // DuckDB shortens long lines with an ellipsis, and the caret then counts from that.
    let shortened = sql.starts_with("...");
    let location = number.parse().ok().map(|line| Location {
        file: "query".to_owned(),
        line,
        column: caret.filter(|_| !shortened).map_or(0, |c| c as u64 + 1),
        text: Some(sql.to_owned()),
    });
    (body, location)
}

fn lower_first(text: &str) -> String {
    // An acronym keeps its capitals: `JSON …`, `HTTP …`.
    if text.chars().nth(1).is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
