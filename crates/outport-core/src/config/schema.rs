//! The JSON Schema of the whole configuration.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{ExportsFrom, Settings};
use crate::export::Definition;

/// The schema of a configuration file. `connections` holds the schema of each connection type by the value of its `type`.
pub fn json_schema(connections: &[(&str, Schema)]) -> Value {
    let mut generator = SchemaGenerator::default();
    let definition = inline::<Definition>(&mut generator);
    let exports_from = inline::<ExportsFrom>(&mut generator);
    let settings = inline::<Settings>(&mut generator);

    let kinds: Vec<Value> = connections.iter().map(|(kind, schema)| connection(kind, schema)).collect();
    let mut properties = Map::new();
    properties.insert(
        "connections".into(),
        json!({
            "description": "Systems that exports read from and write to, by name.",
            "type": "object",
            "additionalProperties": {"oneOf": kinds},
        }),
    );
    properties.insert(
        "defaults".into(),
        json!({"description": "Fields that hold for every export that does not set them.", "$ref": "#/$defs/Export"}),
    );
    properties.insert(
        "exports".into(),
        json!({
            "description": "Exports by `group/name`.",
            "type": "object",
            "additionalProperties": {"$ref": "#/$defs/Export"},
        }),
    );
    properties.insert(
        "exports_from".into(),
        json!({
            "description": "Tables whose rows are exports.",
            "anyOf": [exports_from.clone(), {"type": "array", "items": exports_from}],
        }),
    );
    if let Some(own) = settings.get("properties").and_then(Value::as_object) {
        properties.extend(own.clone());
    }
    let mut definitions = generator.take_definitions(true);
    definitions.insert("Export".into(), definition);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Outport configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).into()
}

/// The schema of one connection type, with the `type` that selects it.
fn connection(kind: &str, schema: &Schema) -> Value {
    let mut value: Value = schema.clone().into();
    if let Some(object) = value.as_object_mut() {
        object.remove("$schema");
        let properties = object.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("type".into(), json!({"const": kind}));
        }
        if let Some(required) = object.entry("required").or_insert_with(|| json!([])).as_array_mut() {
            required.push(json!("type"));
        }
    }
    value
}
