//! [`Node`]s to configuration structs, with every error at its place.

use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::node::{Key, Node, Position, Value};
use crate::error::suggestion;
use crate::{Error, ErrorKind, Result};

/// Reads a struct from `node`.
///
/// # Errors
/// The first thing that is wrong, with its place: an unknown key with the nearest one, a value of the wrong kind.
pub fn from_node<T: de::DeserializeOwned>(node: &Node) -> Result<T> {
    T::deserialize(Deserializer(node)).map_err(|fault| fault.into_error(&node.position))
}

/// Reads a struct from a mapping and goes on behind an error, so that all that is wrong is found at once.
///
/// A key with an error is left out; what it leaves undone is for the caller's own checks. `T` must be readable from an empty
/// mapping.
pub fn from_mapping_with_all_errors<T: de::DeserializeOwned>(node: &Node, errors: &mut Vec<Error>) -> Option<T> {
    if !matches!(node.value, Value::Mapping(_)) {
        let wrong = Error::new(ErrorKind::Config, format!("expected a mapping, found {}", node.kind()));
        errors.push(wrong.at(node.position.location()));
        return None;
    }
    let mut node = node.clone();
    loop {
        match T::deserialize(Deserializer(&node)) {
            Ok(value) => return Some(value),
            Err(fault) => {
                let culprit = fault.key.clone();
                errors.push(fault.into_error(&node.position));
                match culprit {
                    Some(name) if node.remove(&name).is_some() => {}
                    _ => return None,
                }
            }
        }
    }
}

/// An error on its way out, until it has found its place.
#[derive(Debug)]
struct Fault {
    message: String,
    hint: Option<String>,
    position: Option<Position>,
    /// The outermost key it lies under.
    key: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, position: None, key: None }
    }

    fn at(mut self, position: &Position) -> Self {
        self.position.get_or_insert_with(|| position.clone());
        self
    }

    fn under(mut self, key: &Key) -> Self {
        // Told from the inside out: the last one to be said is the outermost.
        if self.position.is_none() {
            self.position = Some(key.position.clone());
        }
        self.key = Some(key.name.clone());
        self
    }

    fn into_error(self, fallback: &Position) -> Error {
        let position = self.position.as_ref().unwrap_or(fallback);
        let error = Error::new(ErrorKind::Config, self.message).at(position.location());
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut fault = Self::new(format!("unknown key \"{field}\""));
        fault.hint = Some(suggestion(field, expected.iter().copied()));
        fault
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mut fault = Self::new(format!("unknown value \"{variant}\", valid options: {}", expected.join(", ")));
        fault.hint =
            crate::error::nearest(variant, expected.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
        fault
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("missing key \"{field}\""))
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {unexpected}"))
    }
}

/// What is expected, in words that do not come from a programming language.
fn plain(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        _ => text,
    }
}

struct Deserializer<'a>(&'a Node);

impl Deserializer<'_> {
    fn wrong<T>(&self, expected: &dyn de::Expected) -> Result<T, Fault> {
        let found = match &self.0.value {
            Value::Plain(text) | Value::Text(text) => format!("\"{text}\""),
            _ => self.0.kind().to_owned(),
        };
        let mut fault = Fault::new(format!("expected {}, found {found}", plain(expected))).at(&self.0.position);
        // `{run_date}` without quotes is a mapping to YAML.
        if let Value::Mapping(entries) = &self.0.value
            && entries.len() == 1
            && matches!(entries[0].1.value, Value::Null)
        {
            fault.hint = Some(format!("quote a value that begins with a placeholder: \"{{{}}}\"", entries[0].0.name));
        }
        Err(fault)
    }
}

macro_rules! number {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.as_str().and_then(|text| text.replace('_', "").parse::<$type>().ok()) {
                Some(number) => visitor.$visit(number).map_err(|e: Fault| e.at(&self.0.position)),
                None => self.wrong(&visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Deserializer<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Text(text) => visitor.visit_str(text),
            Value::Plain(text) => match text.as_str() {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                text => {
                    if let Ok(number) = text.parse::<u64>() {
                        visitor.visit_u64(number)
                    } else if let Ok(number) = text.parse::<i64>() {
                        visitor.visit_i64(number)
                    } else if let (Ok(number), true) =
                        (text.parse::<f64>(), text.starts_with(|c: char| "+-.0123456789".contains(c)))
                    {
                        visitor.visit_f64(number)
                    } else {
                        visitor.visit_str(text)
                    }
                }
            },
            Value::Sequence(_) => return self.deserialize_seq(visitor),
            Value::Mapping(_) => return self.deserialize_map(visitor),
        }
        .map_err(|e: Fault| e.at(&self.0.position))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.as_str().map(str::to_lowercase).as_deref() {
            Some("true" | "yes" | "on") => visitor.visit_bool(true),
            Some("false" | "no" | "off") => visitor.visit_bool(false),
            _ => self.wrong(&"true or false"),
        }
    }

    number! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.as_str() {
            Some(text) => visitor.visit_str(text).map_err(|e: Fault| e.at(&self.0.position)),
            None => self.wrong(&"text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.value {
            Value::Null => visitor.visit_unit(),
            _ => self.wrong(&"nothing"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            // One value may stand where a list is wanted.
            Value::Plain(_) | Value::Text(_) => visitor.visit_seq(Items(std::slice::from_ref(self.0).iter())),
            _ => self.wrong(&visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Mapping(entries) => visitor.visit_map(Entries { entries: entries.iter(), current: None }),
            _ => self.wrong(&"a mapping"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0.as_str() {
            Some(text) => {
                let variant: de::value::StrDeserializer<'_, Fault> = text.into_deserializer();
                visitor.visit_enum(variant).map_err(|e| e.at(&self.0.position))
            }
            None => self.wrong(&"text"),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 bytes byte_buf }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.0.next().map(|node| seed.deserialize(Deserializer(node)).map_err(|e| e.at(&node.position))).transpose()
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    current: Option<&'a (Key, Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        let name: de::value::StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|e| e.under(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, node)) = self.current else { return Err(Fault::new("a value was asked for before its key")) };
        seed.deserialize(Deserializer(node)).map_err(|e| e.at(&node.position).under(key))
    }
}
