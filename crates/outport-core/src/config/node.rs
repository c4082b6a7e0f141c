//! A configuration as a tree in which every value knows where it stands, whatever it was written in.
//!
//! YAML, TOML and the rows of a definition table all become [`Node`]s, so that one deserializer and one set of checks serve
//! them all and every message can name file, line and column.

use std::sync::Arc;

use crate::error::Location;

/// The text that a configuration was read from.
#[derive(Debug)]
pub struct Origin {
    /// The path, or the table that stands in for one.
    pub name: String,
    /// The text; empty where there is none to show.
    pub text: String,
}

/// A place in an [`Origin`].
#[derive(Clone, Debug)]
pub struct Position {
    /// The text it is in.
    pub origin: Arc<Origin>,
    /// 1-based; for tables the number of the row.
    pub line: u64,
    /// 1-based; 0 where there are no columns.
    pub column: u64,
}

impl Position {
    /// The location for an error, with the line itself.
    pub fn location(&self) -> Location {
        let index = usize::try_from(self.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let text = self.origin.text.lines().nth(index).map(str::to_owned);
        Location { file: self.origin.name.clone(), line: self.line, column: self.column, text }
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub position: Position,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// A scalar without quotes; what it means depends on what is wanted of it.
    Plain(String),
    /// A scalar that is text.
    Text(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in the order written.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping with its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it begins.
    pub position: Position,
}

impl Node {
    /// A mapping without entries.
    pub fn empty_mapping(position: Position) -> Self {
        Self { value: Value::Mapping(Vec::new()), position }
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Plain(_) | Value::Text(_) => "a scalar",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The entries of a mapping; empty for everything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Removes a key of a mapping and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Node> {
        let Value::Mapping(entries) = &mut self.value else { return None };
        let at = entries.iter().position(|(key, _)| key.name == name)?;
        Some(entries.remove(at).1)
    }

    /// Adds a key with a scalar that `name`, such as a variable, gives; the mapping has no such key yet.
    pub fn insert(&mut self, key: &str, scalar: &str, name: &str) {
        let Value::Mapping(entries) = &mut self.value else { return };
        let origin = Arc::new(Origin { name: name.to_owned(), text: scalar.to_owned() });
        let position = Position { origin, line: 1, column: 1 };
        let node = Node { value: Value::Plain(scalar.to_owned()), position: position.clone() };
        entries.push((Key { name: key.to_owned(), position }, node));
    }

    /// Adds the entries of `defaults` that this mapping does not have; a mapping in both is merged key by key.
    pub fn merge_defaults(&mut self, defaults: &Node) {
        let Value::Mapping(entries) = &mut self.value else { return };
        for (key, default) in defaults.entries() {
            match entries.iter_mut().find(|(k, _)| k.name == key.name) {
                Some((_, node)) if matches!(node.value, Value::Mapping(_)) => node.merge_defaults(default),
                Some(_) => {}
                None => entries.push((key.clone(), default.clone())),
            }
        }
    }

    /// Calls `change` on every scalar, innermost first.
    pub fn for_each_scalar<E>(&mut self, change: &mut impl FnMut(&mut Node) -> Result<(), E>) -> Result<(), E> {
        match &mut self.value {
            Value::Null => Ok(()),
            Value::Plain(_) | Value::Text(_) => change(self),
            Value::Sequence(items) => items.iter_mut().try_for_each(|node| node.for_each_scalar(change)),
            Value::Mapping(entries) => entries.iter_mut().try_for_each(|(_, node)| node.for_each_scalar(change)),
        }
    }
}
