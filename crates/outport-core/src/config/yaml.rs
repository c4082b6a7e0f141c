//! YAML to [`Node`]s.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::node::{Key, Node, Origin, Position, Value};
use crate::{Error, ErrorKind, Result};

/// Reads one YAML document. An empty one is a mapping without entries.
///
/// # Errors
/// [`ErrorKind::Config`] with the place, for what is not YAML, a key that stands twice, and a second document.
pub(super) fn parse(origin: &Arc<Origin>) -> Result<Node> {
    let mut builder = Builder { origin, stack: Vec::new(), anchors: HashMap::new(), root: None };
    for next in Parser::new_from_str(&origin.text) {
        let (event, span) = next.map_err(|error| {
            let text = error.info();
            let wrong = Error::new(ErrorKind::Config, format!("not valid YAML: {text}"));
            builder.with_brace_hint(wrong, *error.marker())
        })?;
        builder.event(event, span.start)?;
    }
    let start = Position { origin: origin.clone(), line: 1, column: 1 };
    Ok(match builder.root {
        Some(Node { value: Value::Null, .. }) | None => Node::empty_mapping(start),
        Some(node) => node,
    })
}

struct Open {
    node: Node,
    anchor: usize,
    key: Option<Key>,
}

struct Builder<'a> {
    origin: &'a Arc<Origin>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
}

impl Builder<'_> {
    fn position(&self, marker: Marker) -> Position {
        Position { origin: self.origin.clone(), line: marker.line() as u64, column: marker.col() as u64 + 1 }
    }

    /// An unquoted `{run_date}` is the usual slip in a file that is full of placeholders.
    fn with_brace_hint(&self, error: Error, marker: Marker) -> Error {
        let position = self.position(marker);
        let lines = position.origin.text.lines();
        let from = usize::try_from(position.line).unwrap_or(1).saturating_sub(2);
        let brace = lines.skip(from).take(2).any(|line| line.split_once(": ").is_some_and(|(_, v)| v.starts_with('{')));
        let error = error.at(position.location());
        if brace { error.hint("quote a value that begins with a placeholder: \"{run_date:%Y}.csv\"") } else { error }
    }

    fn event(&mut self, event: Event<'_>, marker: Marker) -> Result<()> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let position = self.position(marker);
                let plain = style == ScalarStyle::Plain;
                let value = match text.as_ref() {
                    "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
                    text if plain => Value::Plain(text.to_owned()),
                    text => Value::Text(text.to_owned()),
                };
                // A key is text whatever it looks like.
                if let Some(Open { node: Node { value: Value::Mapping(entries), .. }, key: key @ None, .. }) =
                    self.stack.last_mut()
                {
                    if entries.iter().any(|(k, _)| k.name == text) {
                        return Err(Error::new(ErrorKind::Config, format!("key \"{text}\" stands twice"))
                            .at(position.location()));
                    }
                    *key = Some(Key { name: text.into_owned(), position });
                    return Ok(());
                }
                self.close(Node { value, position }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Value::Sequence(Vec::new()), anchor, marker),
            Event::MappingStart(_, anchor, _) => self.open(Value::Mapping(Vec::new()), anchor, marker),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(open) => self.close(open.node, open.anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let mut node = self.anchors.get(&anchor).cloned().ok_or_else(|| {
                    Error::new(ErrorKind::Config, "an alias refers to an anchor that is not complete")
                        .at(self.position(marker).location())
                })?;
                node.position = self.position(marker);
                self.close(node, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Error::new(ErrorKind::Config, "expected one YAML document, found a second")
                    .at(self.position(marker).location()))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, value: Value, anchor: usize, marker: Marker) -> Result<()> {
        let position = self.position(marker);
        if let Some(Open { node: Node { value: Value::Mapping(_), .. }, key: None, .. }) = self.stack.last() {
            let wrong = Error::new(ErrorKind::Config, "expected a key, found a list or a mapping");
            return Err(self.with_brace_hint(wrong, marker));
        }
        self.stack.push(Open { node: Node { value, position }, anchor, key: None });
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<()> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open { node: Node { value: Value::Sequence(items), .. }, .. }) => items.push(node),
            Some(Open { node: parent, key, .. }) => {
                let Some(key) = key.take() else {
                    return Err(
                        Error::new(ErrorKind::Config, "expected a key that is text").at(node.position.location())
                    );
                };
                if key.name == "<<" {
                    parent.merge_defaults(&node);
                } else if let Value::Mapping(entries) = &mut parent.value {
                    // What a merge brought in gives way to what is written.
                    entries.retain(|(k, _)| k.name != key.name);
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }
}
