//! The schema of JSON records, judged by a sample of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use indexmap::IndexMap;
use serde_json::Value;

use crate::text::infer::Guess;

/// What was seen of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    booleans: u64,
    numbers: Guess,
    strings: Guess,
    items: Option<Box<Seen>>,
    members: Option<IndexMap<String, Seen>>,
}

impl Seen {
    /// Looks at a value.
    pub(super) fn see(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => self.numbers.see(number.to_string().as_bytes()),
            Value::String(text) => self.strings.see(text.as_bytes()),
            Value::Array(values) => {
                let items = self.items.get_or_insert_default();
                values.iter().for_each(|value| items.see(value));
            }
            Value::Object(members) => {
                let known = self.members.get_or_insert_default();
                for (name, value) in members {
                    known.entry(name.clone()).or_default().see(value);
                }
            }
        }
    }

    /// The members seen, as columns.
    pub(super) fn fields(&self, temporal: bool) -> Fields {
        let members = self.members.iter().flatten();
        members.map(|(name, seen)| Arc::new(Field::new(name, seen.data_type(temporal), true))).collect()
    }

    /// The narrowest type that holds every value seen; text, as JSON, where there are several kinds of them.
    fn data_type(&self, temporal: bool) -> DataType {
        let kinds = [
            self.booleans > 0,
            !self.numbers.is_empty(),
            !self.strings.is_empty(),
            self.items.is_some(),
            self.members.as_ref().is_some_and(|members| !members.is_empty()),
        ];
        match kinds {
            [true, false, false, false, false] => DataType::Boolean,
            [false, true, false, false, false] => self.numbers.data_type(),
            [false, false, true, false, false] => match self.strings.data_type() {
                found @ (DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_)) if temporal => found,
                _ => DataType::Utf8,
            },
            [false, false, false, true, false] => {
                let item = self.items.as_ref().map_or(DataType::Utf8, |items| items.data_type(temporal));
                DataType::List(Arc::new(Field::new_list_field(item, true)))
            }
            [false, false, false, false, true] => DataType::Struct(self.fields(temporal)),
            _ => DataType::Utf8,
        }
    }
}
