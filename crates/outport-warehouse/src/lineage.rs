//! OpenLineage run events: what a run of a model reads and writes, for whoever gathers the lineage of many tools.

use outport_core::{Context, Error, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::build::{Observer, Outcome};
use crate::plan::Warehouse;
use crate::state::Status;

/// The version of the events.
const SCHEMA_URL: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const PRODUCER: &str = concat!("https://github.com/outport/outport/tree/v", env!("CARGO_PKG_VERSION"));

/// Takes events as they happen.
pub trait Sink: Send + Sync {
    /// Takes one event.
    ///
    /// # Errors
    /// Those of the file or server; the run goes on all the same.
    fn send(&self, event: Value) -> Result<()>;
    /// Told of what could not be sent.
    fn failed(&self, error: &Error);
}

/// Makes events of a run and hands everything on to another observer.
pub struct Lineage<'a> {
    warehouse: &'a Warehouse,
    namespace: String,
    sink: &'a dyn Sink,
    next: &'a dyn Observer,
    runs: std::sync::Mutex<std::collections::BTreeMap<String, Uuid>>,
}

impl<'a> Lineage<'a> {
    /// Events about the models of `warehouse`, under `namespace`, which names the warehouse file.
    pub fn new(warehouse: &'a Warehouse, namespace: String, sink: &'a dyn Sink, next: &'a dyn Observer) -> Self {
        Self { warehouse, namespace, sink, next, runs: std::sync::Mutex::default() }
    }

    fn send(&self, event: Value) {
        if let Err(error) = self.sink.send(event) {
            self.sink.failed(&error);
        }
    }

    fn event(&self, kind: &str, model: &str, run: Uuid, outputs: Value, facets: Value) -> Value {
        let needs = self.warehouse.references.get(model);
        let inputs: Vec<Value> =
            needs.into_iter().flatten().map(|name| json!({"namespace": self.namespace, "name": name})).collect();
        json!({
            "eventType": kind,
            "eventTime": jiff::Timestamp::now().to_string(),
            "run": {"runId": run.to_string(), "facets": facets},
            "job": {"namespace": self.namespace, "name": model, "facets": self.sql_facet(model)},
            "inputs": inputs,
            "outputs": outputs,
            "producer": PRODUCER,
            "schemaURL": SCHEMA_URL,
        })
    }

    fn sql_facet(&self, model: &str) -> Value {
        let query = self.warehouse.rendered.get(model).map_or("", |rendered| &rendered.sql);
        json!({"sql": {
            "_producer": PRODUCER,
            "_schemaURL": "https://openlineage.io/spec/facets/1-0-1/SQLJobFacet.json#/$defs/SQLJobFacet",
            "query": query,
        }})
    }

    fn outputs(&self, model: &str, outcome: Option<&Outcome>) -> Value {
        let mut outputs = vec![json!({"namespace": self.namespace, "name": model})];
        if let Some(path) = outcome.and_then(|outcome| outcome.export_path.as_ref()) {
            let statistics = json!({"outputStatistics": {
                "_producer": PRODUCER,
                "_schemaURL": "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet",
                "rowCount": outcome.and_then(|outcome| outcome.export_rows),
                "size": outcome.and_then(|outcome| outcome.export_bytes),
            }});
            outputs.push(json!({"namespace": "file", "name": path, "outputFacets": statistics}));
        }
        Value::Array(outputs)
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<String, Uuid>> {
        self.runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Observer for Lineage<'_> {
    fn begun(&self, model: &str, context: &Context) {
        self.runs().insert(model.to_owned(), context.run_id);
        self.send(self.event("START", model, context.run_id, self.outputs(model, None), json!({})));
        self.next.begun(model, context);
    }

    fn ended(&self, outcome: &Outcome) {
        let run = self.runs().remove(&outcome.model_name);
        // What did not begin has no run.
        if let Some(run) = run {
            let (kind, facets) = match outcome.status {
                Status::Error => (
                    "FAIL",
                    json!({"errorMessage": {
                        "_producer": PRODUCER,
                        "_schemaURL": "https://openlineage.io/spec/facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
                        "message": outcome.error,
                        "programmingLanguage": "SQL",
                    }}),
                ),
                _ => ("COMPLETE", json!({})),
            };
            let outputs = self.outputs(&outcome.model_name, Some(outcome));
            self.send(self.event(kind, &outcome.model_name, run, outputs, facets));
        }
        self.next.ended(outcome);
    }
}
