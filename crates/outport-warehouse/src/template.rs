//! Jinja in models: variables, references, dates, and whether the run is incremental.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Zoned;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind as JinjaKind, UndefinedBehavior, context};
use outport_core::error::{Location, suggestion};
use outport_core::{Error, ErrorKind, Result};
use serde_json::Map;

use crate::model::{Model, Project};
use crate::sql;

/// Renders the models of one run.
pub struct Renderer {
    names: Arc<Names>,
    vars: Arc<Map<String, serde_json::Value>>,
    run_date: Zoned,
}

/// The models that a reference can mean.
struct Names {
    full: Vec<(String, String)>,
    short: BTreeMap<String, Vec<usize>>,
}

/// A model's SQL, ready to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The SELECT, without comments behind it and without a semicolon.
    pub sql: String,
    /// The models named by `ref`, as `layer.name`.
    pub references: Vec<String>,
}

impl Renderer {
    /// For the models of `project`, with the values of `var`.
    pub fn new(project: &Project, vars: Map<String, serde_json::Value>, run_date: Zoned) -> Self {
        let full: Vec<(String, String)> = project.models.iter().map(|m| (m.layer.clone(), m.name.clone())).collect();
        let mut short: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, (layer, name)) in full.iter().enumerate() {
            short.entry(name.clone()).or_default().push(at);
            short.entry(format!("{layer}.{name}")).or_default().push(at);
        }
        Self { names: Arc::new(Names { full, short }), vars: Arc::new(vars), run_date }
    }

    /// The SQL of a model; `incremental` tells whether its table stands already and is to grow.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with file and line: a template that is none, a variable or a model that does not exist.
    pub fn render(&self, model: &Model, incremental: bool) -> Result<Rendered> {
        // Most models are plain SQL, which may hold what a template engine would stumble over.
        if !model.text.contains("{{") && !model.text.contains("{%") {
            return Ok(Rendered { sql: trimmed(&model.text), references: Vec::new() });
        }
        let references = Arc::new(Mutex::new(Vec::new()));
        let mut jinja = Environment::new();
        jinja.set_undefined_behavior(UndefinedBehavior::Strict);
        jinja.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let (names, found) = (self.names.clone(), references.clone());
        jinja.add_function("ref", move |name: String| {
            let (layer, name) = names.find(&name)?;
            found.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{layer}.{name}"));
            Ok(sql::relation(layer, name))
        });
        let vars = self.vars.clone();
        jinja.add_function("var", move |name: String, default: Option<Value>, options: Kwargs| {
            let default = default.or_else(|| options.get("default").ok());
            match (vars.get(&name), default) {
                (Some(value), _) => Ok(jinja_value(value)),
                (None, Some(default)) => Ok(default),
                (None, None) => Err(minijinja::Error::new(
                    JinjaKind::UndefinedError,
                    format!("there is no variable \"{name}\"; {}", suggestion(&name, vars.keys().map(String::as_str))),
                )),
            }
        });
        jinja.add_function("is_incremental", move || incremental);
        let date = self.run_date.strftime("%Y-%m-%d").to_string();
        let values = context! {
            this => sql::relation(&model.layer, &model.name),
            date => date.clone(),
            run_date => date,
        };
        let name = model.file.display().to_string();
        let rendered = jinja.render_named_str(&name, &model.text, values).map_err(|e| wrong(&e, model))?;
        let mut references = std::mem::take(&mut *references.lock().unwrap_or_else(PoisonError::into_inner));
        references.sort();
        references.dedup();
        Ok(Rendered { sql: trimmed(&rendered), references })
    }
}

impl Names {
    fn find(&self, name: &str) -> Result<(&str, &str), minijinja::Error> {
        let wrong = |message| minijinja::Error::new(JinjaKind::InvalidOperation, message);
        match self.short.get(name).map(Vec::as_slice) {
            Some([at]) => {
                let (layer, name) = &self.full[*at];
                Ok((layer, name))
            }
            Some(several) => {
                let full: Vec<String> =
                    several.iter().map(|at| format!("{}.{}", self.full[*at].0, self.full[*at].1)).collect();
                Err(wrong(format!("ref('{name}') may be any of {}: name the layer, too", full.join(", "))))
            }
            None => Err(wrong(format!(
                "there is no model \"{name}\"; {}",
                suggestion(name, self.short.keys().map(String::as_str))
            ))),
        }
    }
}

/// A value of a variable. Numbers are turned by hand, as serde_json keeps them as texts of its own.
fn jinja_value(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(float)) => Value::from(float),
            (None, None) => Value::from(number.to_string()),
        },
        Json::Array(items) => items.iter().map(jinja_value).collect(),
        Json::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), jinja_value(value))).collect(),
        other => Value::from_serialize(other),
    }
}

fn wrong(error: &minijinja::Error, model: &Model) -> Error {
    let line = error.line().unwrap_or(1);
    let text = model.text.lines().nth(line.saturating_sub(1)).map(str::to_owned);
    let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::new(ErrorKind::Config, message).context(format!("model {}", model.full_name())).at(Location {
        file: model.file.display().to_string(),
        line: line as u64,
        column: 0,
        text,
    })
}

/// SQL without the semicolons, comments and white space behind it, so that it can stand in parentheses.
fn trimmed(sql: &str) -> String {
    let mut end = sql.trim_end();
    loop {
        let before = end;
        end = end.trim_end_matches(';').trim_end();
        // A comment of its own line at the end; one behind code cannot be told from a string so simply, and stays.
        if let Some((rest, last)) = end.rsplit_once('\n')
            && last.trim_start().starts_with("--")
        {
            end = rest.trim_end();
        }
        if end.len() == before.len() {
            return end.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, text: &str) -> Model {
        let (layer, name) = name.split_once('.').unwrap();
        Model::of(layer, name, text)
    }

    fn render(text: &str, incremental: bool) -> Result<Rendered> {
        let project = Project {
            models: ["raw.a", "raw.b", "mart.b"].map(|name| model(name, "SELECT 1")).to_vec(),
            warnings: Vec::new(),
        };
        let vars = serde_json::json!({"since": "2020-01-01", "types": ["RUN", "STUDY"], "least": 7});
        let run_date = "2025-10-30T00:00:00[UTC]".parse().unwrap();
        let renderer = Renderer::new(&project, vars.as_object().unwrap().clone(), run_date);
        renderer.render(&model("mart.c", text), incremental)
    }

    #[test]
    fn plain_sql_stays_as_it_is_but_for_its_end() {
        let sql = "-- head\nSELECT {'a': [1]} AS s, '{# no #}' AS t -- kept";
        assert_eq!(render(&format!("{sql} ;\n-- tail\n;\n"), false).unwrap().sql, sql);
    }

    #[test]
    fn variables_references_and_dates_are_filled_in() {
        let found = render(
            "SELECT * FROM {{ ref('a') }} JOIN {{ ref('mart.b') }} USING (id)\nWHERE d >= '{{ var('since') }}' \
             AND t IN ({% for t in var('types') %}'{{ t }}'{% if not loop.last %}, {% endif %}{% endfor %}) \
             AND x = {{ var('limit', 10) }} AND y > {{ var('least') }} AND r = '{{ run_date }}'{% if is_incremental() %} AND new{% endif %}",
            true,
        )
        .unwrap();
        assert_eq!(
            found.sql,
            "SELECT * FROM \"raw\".\"a\" JOIN \"mart\".\"b\" USING (id)\nWHERE d >= '2020-01-01' \
             AND t IN ('RUN', 'STUDY') AND x = 10 AND y > 7 AND r = '2025-10-30' AND new"
        );
        assert_eq!(found.references, ["mart.b", "raw.a"]);
    }

    #[test]
    fn what_does_not_exist_is_named_with_its_line() {
        for (text, part) in [
            ("SELECT 1\nFROM {{ ref('aa') }}", "there is no model \"aa\""),
            ("SELECT 1\nFROM {{ ref('b') }}", "raw.b, mart.b"),
            ("SELECT 1\n+ {{ var('sinse') }}", "since"),
            ("SELECT 1\n+ {{ nothing }}", "undefined"),
        ] {
            let error = render(text, false).unwrap_err();
            assert!(error.message().contains(part), "{}", error.message());
            assert_eq!(error.location().unwrap().line, 2);
        }
    }
}
