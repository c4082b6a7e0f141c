//! The models that a model's SQL reads, found by DuckDB's own parser.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::engine::Engine;
use outport_core::error::Location;
use outport_core::{Context, Error, ErrorKind, Result};
use serde_json::Value;

use crate::model::{Model, Project, all};
use crate::sql;
use crate::template::Rendered;

/// For every model the models it needs, as `layer.name`, sorted: those its SQL reads and those that `depends_on` names.
pub type References = BTreeMap<String, BTreeSet<String>>;

/// Finds the references of all models. All of them are parsed by one query.
///
/// # Errors
/// Everything that is wrong, at once: SQL that does not parse, with file and line; a declared model that does not exist.
pub async fn find(
    project: &Project,
    rendered: &BTreeMap<String, Rendered>,
    engine: &dyn Engine,
    context: &Context,
) -> Result<References> {
    if project.models.is_empty() {
        return Ok(References::new());
    }
    let texts: Vec<String> = project
        .models
        .iter()
        .enumerate()
        .map(|(at, model)| format!("({at}, {})", sql::text(rendered.get(&model.full_name()).map_or("", |r| &r.sql))))
        .collect();
    let query = format!(
        "SELECT json_serialize_sql(sql) FROM (VALUES {}) AS models(number, sql) ORDER BY number",
        texts.join(", ")
    );
    let trees = sql::rows(engine, &query, context).await?;
    let by_lower_name: BTreeMap<String, String> =
        project.models.iter().map(|model| (model.full_name().to_lowercase(), model.full_name())).collect();
    let mut references = References::new();
    let mut errors = Vec::new();
    for (model, row) in project.models.iter().zip(trees) {
        let tree: Value =
            row.first().and_then(Option::as_deref).and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
        let full_name = model.full_name();
        let sql = rendered.get(&full_name);
        let mut found = BTreeSet::new();
        let mut read = |schema: &str, table: &str| {
            found.extend(by_lower_name.get(&format!("{schema}.{table}").to_lowercase()).cloned());
        };
        if tree.get("error").and_then(Value::as_bool) != Some(true) {
            tables(&tree, &mut read);
        } else if tree.get("error_type").and_then(Value::as_str) == Some("parser") && model.is_select() {
            errors.push(syntax_error(model, &tree));
        } else {
            // What the parser cannot turn into a tree (COPY, PIVOT) is looked through for names.
            names(sql.map_or("", |r| &r.sql), &mut read);
        }
        found.extend(sql.into_iter().flat_map(|r| r.references.iter().cloned()));
        for (name, location) in &model.depends_on {
            match by_lower_name.get(&name.to_lowercase()) {
                Some(known) => drop(found.insert(known.clone())),
                None => errors.push(
                    Error::new(ErrorKind::Config, format!("model {full_name} depends on {name}, which does not exist"))
                        .hint(outport_core::error::suggestion(name, by_lower_name.values().map(String::as_str)))
                        .at(location.clone()),
                ),
            }
        }
        // A recursive model reads itself.
        found.remove(&full_name);
        references.insert(full_name, found);
    }
    if errors.is_empty() { Ok(references) } else { Err(all(errors)) }
}

/// Calls with schema and name of every table in a serialized statement.
fn tables(tree: &Value, found: &mut impl FnMut(&str, &str)) {
    match tree {
        Value::Object(entries) => {
            if entries.get("type").and_then(Value::as_str) == Some("BASE_TABLE") {
                let text = |key: &str| entries.get(key).and_then(Value::as_str).unwrap_or_default();
                found(text("schema_name"), text("table_name"));
            }
            entries.values().for_each(|value| tables(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| tables(value, found)),
        _ => {}
    }
}

/// Calls with both sides of every `a.b` in a text, quoted or not.
fn names(sql: &str, found: &mut impl FnMut(&str, &str)) {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '"';
    for (at, _) in sql.match_indices('.') {
        let before = sql[..at].rsplit(|c: char| !word(c)).next().unwrap_or_default();
        let after = sql[at + 1..].split(|c: char| !word(c)).next().unwrap_or_default();
        found(before.trim_matches('"'), after.trim_matches('"'));
    }
}

fn syntax_error(model: &Model, tree: &Value) -> Error {
    let message = tree.get("error_message").and_then(Value::as_str).unwrap_or("the SQL could not be parsed");
    let position = tree
        .get("position")
        .and_then(|p| p.as_str().map(str::to_owned).or_else(|| p.as_u64().map(|n| n.to_string())))
        .and_then(|p| p.parse::<usize>().ok())
        .unwrap_or(0);
    let before = model.text.get(..position.min(model.text.len())).unwrap_or_default();
    let line = before.matches('\n').count();
    Error::new(ErrorKind::Config, message.to_owned()).context(format!("model {}", model.full_name())).at(Location {
        file: model.file.display().to_string(),
        line: line as u64 + 1,
        column: before.rsplit('\n').next().map_or(0, |last| last.chars().count() as u64 + 1),
        text: model.text.lines().nth(line).map(str::to_owned),
    })
}
