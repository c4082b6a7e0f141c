//! `OUTPORT__DEFAULTS__TARGET=drop`: settings from the environment, path by path.

use std::sync::Arc;

use super::node::{Key, Node, Origin, Position, Value};
use crate::environment::Environment;

const PREFIX: &str = "OUTPORT__";

/// Sets what the variables name. A step of the path is matched without regard to case; `-`, `/` and `.` in a key are `_` in a
/// variable's name. What is not there yet is added, in lower case.
pub(super) fn apply(root: &mut Node, environment: &Environment) {
    for (name, value) in environment.with_prefix(PREFIX) {
        let position = Position {
            origin: Arc::new(Origin { name: format!("environment variable {name}"), text: String::new() }),
            line: 0,
            column: 0,
        };
        let path: Vec<&str> = name[PREFIX.len()..].split("__").collect();
        set(root, &path, Node { value: Value::Plain(value.to_owned()), position });
    }
}

fn set(node: &mut Node, path: &[&str], value: Node) {
    let [step, rest @ ..] = path else {
        *node = value;
        return;
    };
    if !matches!(node.value, Value::Mapping(_)) {
        node.value = Value::Mapping(Vec::new());
    }
    let Value::Mapping(entries) = &mut node.value else { return };
    let at = match entries.iter().position(|(key, _)| same(&key.name, step)) {
        Some(at) => at,
        None => {
            let key = Key { name: step.to_lowercase(), position: value.position.clone() };
            entries.push((key, Node::empty_mapping(value.position.clone())));
            entries.len() - 1
        }
    };
    set(&mut entries[at].1, rest, value);
}

fn same(key: &str, step: &str) -> bool {
    key.replace(['-', '/', '.'], "_").eq_ignore_ascii_case(step)
}
