//! What is wrong with a definition, each with the place of the value it is about.

use crate::config::node::{Node, Position};
use crate::{Error, ErrorKind, Result};

/// The other spellings of fields.
const ALIASES: &[(&str, &str)] = &[("source", "source_connection"), ("target", "target_connection")];

/// Collects errors on the way through a definition.
pub(super) struct Findings<'a> {
    node: &'a Node,
    position: &'a Position,
    errors: Vec<Error>,
}

impl<'a> Findings<'a> {
    /// For the definition in `node`. `position` is where it begins, which is the place of everything that is missing.
    pub(super) fn new(node: &'a Node, position: &'a Position) -> Self {
        Self { node, position, errors: Vec::new() }
    }

    /// Something is wrong with the first of `fields` that stands in the definition.
    pub(super) fn add(&mut self, fields: &[&str], message: impl Into<String>) {
        self.error(fields, Error::new(ErrorKind::Config, message));
    }

    /// As [`Self::add`], with an error that says more than a message.
    pub(super) fn error(&mut self, fields: &[&str], error: Error) {
        let at = fields.iter().find_map(|field| self.value(field)).map_or(self.position, |value| &value.position);
        self.errors.push(error.at(at.location()));
    }

    /// As [`Self::error`], where there is one.
    pub(super) fn keep(&mut self, field: &str, result: Result<()>) {
        if let Err(error) = result {
            self.error(&[field], error);
        }
    }

    /// Something is wrong with the key `entry` of the mapping in `field`.
    pub(super) fn entry(&mut self, field: &str, entry: &str, error: Error) {
        let entries = self.value(field).map(Node::entries).unwrap_or_default();
        match entries.iter().find(|(key, _)| key.name == entry) {
            Some((key, _)) => self.errors.push(error.at(key.position.location())),
            None => self.error(&[field], error),
        }
    }

    /// The text of the first of `fields`, which must not be empty; the others are those that demand it.
    pub(super) fn require(&mut self, fields: &[&str], text: Option<String>, message: &str) -> String {
        text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| {
            self.add(fields, message);
            String::new()
        })
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// What was found.
    pub(super) fn into_errors(self) -> Vec<Error> {
        self.errors
    }

    fn value(&self, field: &str) -> Option<&'a Node> {
        let alias = ALIASES.iter().find(|(name, _)| *name == field).map(|(_, alias)| *alias);
        self.node.get(field).or_else(|| self.node.get(alias?))
    }
}
