//! TOML to [`Node`]s.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Key, Node, Origin, Position, Value};
use crate::{Error, ErrorKind, Result};

/// Reads a TOML document.
///
/// # Errors
/// [`ErrorKind::Config`] with the place, for what is not TOML.
pub(super) fn parse(origin: &Arc<Origin>) -> Result<Node> {
    let table = DeTable::parse(&origin.text).map_err(|error| {
        let at = position(origin, error.span().map_or(0, |span| span.start));
        Error::new(ErrorKind::Config, format!("not valid TOML: {}", error.message().replace('\n', ", ")))
            .at(at.location())
    })?;
    let at = position(origin, 0);
    Ok(Node { value: mapping(origin, table.get_ref()), position: at })
}

fn mapping(origin: &Arc<Origin>, table: &DeTable<'_>) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let name = key.get_ref().to_string();
        (Key { name, position: position(origin, key.span().start) }, node(origin, value))
    });
    Value::Mapping(entries.collect())
}

fn node(origin: &Arc<Origin>, value: &Spanned<DeValue<'_>>) -> Node {
    let at = position(origin, value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Plain(number.to_string()),
        DeValue::Float(number) => Value::Plain(number.to_string()),
        DeValue::Boolean(truth) => Value::Plain(truth.to_string()),
        DeValue::Datetime(date) => Value::Plain(date.to_string()),
        DeValue::Array(items) => Value::Sequence(items.iter().map(|item| node(origin, item)).collect()),
        DeValue::Table(table) => mapping(origin, table),
    };
    Node { value, position: at }
}

fn position(origin: &Arc<Origin>, offset: usize) -> Position {
    let before = &origin.text[..offset.min(origin.text.len())];
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) as u64 + 1;
    Position { origin: origin.clone(), line, column }
}
