//! What the server says when something is wrong, in our words and kinds.

use outport_core::error::Location;
use outport_core::{Error, ErrorKind};

/// An ErrorResponse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerError {
    pub(super) code: String,
    pub(super) message: String,
    detail: Option<String>,
    hint: Option<String>,
    /// 1-based, in characters of the statement.
    position: Option<usize>,
}

impl ServerError {
    /// Reads the fields of the message's body.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|b| *b == 0) {
            let Some((tag, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match tag {
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                b'P' => error.position = text.parse().ok(),
                _ => {}
            }
        }
        error
    }

    /// The error of Outport; `sql` is the statement that the position refers to.
    pub(super) fn into_error(self, sql: &str) -> Error {
        let (kind, retryable, hint) = self.classify();
        let mut message = format!("PostgreSQL says: {}", self.message);
        if let Some(detail) = &self.detail {
            message.push_str(&format!(" ({})", detail.trim_end_matches('.')));
        }
        message.push_str(&format!(" [SQLSTATE {}]", self.code));
        let mut error = Error::new(kind, message).retryable(retryable);
        if let Some(hint) = self.hint.as_deref().or(hint) {
            error = error.hint(hint);
        }
        match self.position.and_then(|position| locate(sql, position)) {
            Some(location) => error.at(location),
            None => error,
        }
    }

    /// The relation or column that does not exist, if that is what is wrong: `"a"` of `relation "a" does not exist`.
    pub(super) fn missing_name(&self) -> Option<String> {
        if !matches!(self.code.as_str(), "42P01" | "42703") {
            return None;
        }
        let quoted = self.message.find('"').zip(self.message.rfind('"')).filter(|(a, b)| a < b);
        let name = match quoted {
            Some((start, end)) => &self.message[start + 1..end],
            None => self.message.split(' ').nth(1)?,
        };
        Some(name.to_owned())
    }

    fn classify(&self) -> (ErrorKind, bool, Option<&'static str>) {
        match self.code.as_str() {
            "28P01" => (ErrorKind::Auth, false, Some("check the user and the password of the connection")),
            "28000" => (
                ErrorKind::Auth,
                false,
                Some("check the user, and that pg_hba.conf admits it from here, with or without SSL"),
            ),
            "42501" => {
                (ErrorKind::Auth, false, Some("grant the role of the connection the permission, or use another role"))
            }
            "3D000" => (ErrorKind::NotFound, false, Some("check `dbname`, or the path of the url")),
            "42P01" | "42703" | "3F000" | "42704" | "42883" => (ErrorKind::NotFound, false, None),
            "53300" => (ErrorKind::Connection, true, Some("lower `parallel`, or raise max_connections in the server")),
            "40001" | "40P01" => (
                ErrorKind::SourceRead,
                true,
                Some(
                    "on a replica, `consistency: chunk` keeps the transactions short; else raise max_standby_streaming_delay",
                ),
            ),
            "55P03" => (ErrorKind::Busy, true, None),
            "57014" => (
                ErrorKind::SourceRead,
                true,
                Some(
                    "the server ended the query; set `options: -c statement_timeout=0` if it was too slow for statement_timeout",
                ),
            ),
            "57P01" | "57P02" | "57P03" => (ErrorKind::Connection, true, None),
            code if code.starts_with("08") => (ErrorKind::Connection, true, None),
            code if code.starts_with("53") => (ErrorKind::SourceRead, true, None),
            code if code.starts_with("28") => (ErrorKind::Auth, false, None),
            _ => (ErrorKind::SourceRead, false, None),
        }
    }
}

/// Line, column and text of the line at a 1-based character of a statement.
fn locate(sql: &str, position: usize) -> Option<Location> {
    let offset = sql.char_indices().nth(position.checked_sub(1)?).map_or(sql.len(), |(at, _)| at);
    let before = &sql[..offset];
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    let text = sql[start..].lines().next().unwrap_or_default();
    Some(Location {
        file: "query".to_owned(),
        line: before.matches('\n').count() as u64 + 1,
        column: sql[start..offset].chars().count() as u64 + 1,
        text: Some(text.to_owned()),
    })
}

/// The error of a server that does not keep to the protocol.
pub(super) fn protocol(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Connection, format!("the server does not speak the PostgreSQL protocol as expected: {what}"))
        .hint("check that host and port belong to PostgreSQL 12 or later, or a proxy that passes COPY through")
        .retryable(false)
}

#[cfg(test)]
mod tests;
