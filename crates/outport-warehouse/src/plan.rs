//! What a run would do, found out without writing anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Zoned;
use outport_core::engine::Engine;
use outport_core::placeholder::Placeholders;
use outport_core::vars::Vars;
use outport_core::{Context, Error, ErrorKind, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{Export, Materialization, Model, Project, all, plain_placeholders};
use crate::references::{self, References};
use crate::state::{Built, State};
use crate::template::{Rendered, Renderer};
use crate::{graph, sql};

/// A project, rendered and in order.
pub struct Warehouse {
    /// The models.
    pub project: Project,
    /// Their SQL.
    pub rendered: BTreeMap<String, Rendered>,
    /// What each needs.
    pub references: References,
    /// All of them, each behind what it needs.
    pub order: Vec<String>,
    /// The logical date of the run.
    pub run_date: Zoned,
    renderer: Renderer,
    places: BTreeMap<String, usize>,
}

impl Warehouse {
    /// Renders the models, finds their references and puts them in order.
    ///
    /// # Errors
    /// Everything that is wrong with the models themselves: templates, syntax, unknown references, cycles.
    pub async fn new(
        project: Project,
        vars: serde_json::Map<String, serde_json::Value>,
        run_date: Zoned,
        engine: &dyn Engine,
        context: &Context,
    ) -> Result<Self> {
        let renderer = Renderer::new(&project, vars, run_date.clone());
        let mut rendered = BTreeMap::new();
        let mut errors = Vec::new();
        for model in &project.models {
            match renderer.render(model, false) {
                Ok(sql) => drop(rendered.insert(model.full_name(), sql)),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(all(errors));
        }
        let references = references::find(&project, &rendered, engine, context).await?;
        let order = graph::order(&references)?;
        let places = project.models.iter().enumerate().map(|(at, model)| (model.full_name(), at)).collect();
        Ok(Self { project, rendered, references, order, run_date, renderer, places })
    }

    /// A model by its full name.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.places.get(name).and_then(|at| self.project.models.get(*at))
    }

    /// The SQL of a model whose table stands already and is to grow.
    pub fn render_incremental(&self, model: &Model) -> Result<Rendered> {
        self.renderer.render(model, true)
    }

    /// What every model's content depends on, as a hash: its own SQL and settings, and those of all it needs.
    pub fn fingerprints(&self) -> BTreeMap<String, Built> {
        let mut fingerprints: BTreeMap<String, Built> = BTreeMap::new();
        for name in &self.order {
            let Some(model) = self.model(name) else { continue };
            let text = self.rendered.get(name).map_or("", |rendered| &rendered.sql);
            let own = hash(&[text, &format!("{:?} {:?}", model.materialized, model.incremental)]);
            let export = model.export.as_ref().map(|export| Export { location: None, ..export.clone() });
            let mut parts = vec![own.clone(), format!("{export:?}")];
            parts.extend(
                self.references
                    .get(name)
                    .into_iter()
                    .flatten()
                    .filter_map(|need| Some(fingerprints.get(need)?.fingerprint.clone())),
            );
            let fingerprint = hash(&parts.iter().map(String::as_str).collect::<Vec<_>>());
            fingerprints.insert(name.clone(), Built { fingerprint, own, export_run: String::new() });
        }
        fingerprints
    }

    /// Where a model's export goes, relative to `export_dir`, with its placeholders filled in.
    pub fn export_path(&self, model: &Model, export: &Export) -> Result<String> {
        let placeholders = Placeholders {
            run_date: self.run_date.clone(),
            process_date: self.run_date.clone(),
            period: None,
            watermark: None,
            group: model.layer.clone(),
            export: model.name.clone(),
            run_id: Uuid::nil(),
            extension: String::new(),
            vars: Vars::default(),
        };
        placeholders.resolve(&plain_placeholders(&export.path)).map_err(|error| {
            let error = error.context(format!("model {}: export.path", model.full_name()));
            match &export.location {
                Some(location) => error.at(location.clone()),
                None => error,
            }
        })
    }

    /// Two exports with one target.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming both models.
    pub fn check_targets(&self) -> Result<()> {
        let mut targets: BTreeMap<String, String> = BTreeMap::new();
        let mut errors = Vec::new();
        for model in &self.project.models {
            let Some(export) = &model.export else { continue };
            let path = self.export_path(model, export)?;
            if let Some(other) = targets.insert(path.to_lowercase(), model.full_name()) {
                let error = Error::new(
                    ErrorKind::Config,
                    format!("models {other} and {} export to the same path {path}", model.full_name()),
                )
                .hint("give one of them another export.path");
                errors.push(match &export.location {
                    Some(location) => error.at(location.clone()),
                    None => error,
                });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(all(errors)) }
    }
}

/// What a run would do with a model.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct PlannedModel {
    /// Its place, from 1.
    pub order: usize,
    /// `layer.name`.
    pub model: String,
    /// What is made of it.
    pub materialized: Materialization,
    /// Whether it is there, and as it would become.
    pub change: Change,
    /// What it needs.
    pub depends_on: BTreeSet<String>,
    /// Its export.
    pub export: Option<PlannedExport>,
}

/// How a model differs from its last success.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was never built.
    New,
    /// Its SQL, its settings or something it needs was changed.
    Changed,
    /// It is as it was.
    Unchanged,
}

/// An export as it would be written.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct PlannedExport {
    /// The file or folder, relative to `export_dir`.
    pub path: String,
    /// The format.
    pub format: String,
    /// The codec.
    pub compression: String,
    /// Columns that become folders.
    pub partition_by: Vec<String>,
    /// Whether something is there that would be replaced.
    pub overwrites: bool,
}

/// Says what a run of the selected models would do. `scratch` is an empty database, in which the columns of models that are not
/// built yet are found out.
///
/// # Errors
/// What [`Warehouse::check_targets`] finds; a partition column that a model's SELECT lacks.
pub async fn plan(
    warehouse: &Warehouse,
    selected: &BTreeSet<String>,
    export_dir: &Path,
    engine: &dyn Engine,
    scratch: &dyn Engine,
    context: &Context,
) -> Result<Vec<PlannedModel>> {
    warehouse.check_targets()?;
    let state = State::new(engine, context);
    let built = if state.exists().await? { state.built().await? } else { BTreeMap::new() };
    let fingerprints = warehouse.fingerprints();
    let mut planned = Vec::new();
    let mut errors = Vec::new();
    for name in warehouse.order.iter().filter(|name| selected.contains(*name)) {
        let Some(model) = warehouse.model(name) else { continue };
        let change = match (built.get(name), fingerprints.get(name)) {
            (None, _) => Change::New,
            (Some(old), Some(new)) if old.fingerprint == new.fingerprint => Change::Unchanged,
            _ => Change::Changed,
        };
        let export = match &model.export {
            None => None,
            Some(export) => {
                if let Err(error) = check_partition(warehouse, model, export, engine, scratch, context).await {
                    errors.push(error);
                }
                let path = warehouse.export_path(model, export)?;
                Some(PlannedExport {
                    overwrites: export_dir.join(&path).exists(),
                    path,
                    format: export.format.clone(),
                    compression: export.compression.codec.name().to_owned(),
                    partition_by: export.partition_by.clone(),
                })
            }
        };
        planned.push(PlannedModel {
            order: planned.len() + 1,
            model: name.clone(),
            materialized: model.materialized,
            change,
            depends_on: warehouse.references.get(name).cloned().unwrap_or_default(),
            export,
        });
    }
    if errors.is_empty() { Ok(planned) } else { Err(all(errors)) }
}

/// Whether the model's SELECT has the columns that its export is partitioned by, as far as that can be known without
/// building what it needs.
async fn check_partition(
    warehouse: &Warehouse,
    model: &Model,
    export: &Export,
    engine: &dyn Engine,
    scratch: &dyn Engine,
    context: &Context,
) -> Result<()> {
    if export.partition_by.is_empty() || !model.is_select() {
        return Ok(());
    }
    let text = warehouse.rendered.get(&model.full_name()).map_or("", |rendered| &rendered.sql);
    let found = match columns(text, engine, context).await {
        Ok(columns) => Ok(columns),
        Err(_) => {
            rebuild_as_views(warehouse, model, scratch, context).await;
            columns(text, scratch, context).await
        }
    };
    match found {
        Ok(columns) => partition_columns(model, export, &columns),
        // What the model reads is not there yet: the run itself will find out, before anything is replaced.
        Err(_) => Ok(()),
    }
}

/// All that a model needs, as views; those that cannot be made are left out.
async fn rebuild_as_views(warehouse: &Warehouse, model: &Model, scratch: &dyn Engine, context: &Context) {
    let mut needed = BTreeSet::new();
    graph::reach(&model.full_name(), &mut needed, |name| {
        warehouse.references.get(name).into_iter().flatten().map(String::as_str).collect()
    });
    for name in warehouse.order.iter().filter(|name| needed.contains(*name)) {
        let (Some(model), Some(rendered)) = (warehouse.model(name), warehouse.rendered.get(name)) else { continue };
        let script = format!(
            "CREATE SCHEMA IF NOT EXISTS {}; CREATE OR REPLACE VIEW {} AS {}",
            sql::ident(&model.layer),
            sql::relation(&model.layer, &model.name),
            rendered.sql
        );
        if let Err(error) = scratch.execute(&script, context).await {
            tracing::debug!(model = %name, "not known before it is built: {error}");
        }
    }
}

/// The columns of a SELECT, without running it.
async fn columns(select: &str, engine: &dyn Engine, context: &Context) -> Result<Vec<String>> {
    let rows = sql::rows(engine, &format!("DESCRIBE {select}"), context).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// Whether all partition columns are among `columns`, and something is left beside them.
pub(crate) fn partition_columns(model: &Model, export: &Export, columns: &[String]) -> Result<()> {
    let wrong = |message: String, hint: String| {
        let error = Error::new(ErrorKind::Config, message).hint(hint);
        Err(match &export.location {
            Some(location) => error.at(location.clone()),
            None => error,
        })
    };
    for wanted in &export.partition_by {
        if !columns.iter().any(|column| column.eq_ignore_ascii_case(wanted)) {
            return wrong(
                format!(
                    "model {}: partition_by names the column \"{wanted}\", which its SELECT lacks",
                    model.full_name()
                ),
                outport_core::error::suggestion(wanted, columns.iter().map(String::as_str)),
            );
        }
    }
    if export.partition_by.len() >= columns.len() {
        return wrong(
            format!("model {}: partition_by takes all columns, and none is left for the files", model.full_name()),
            "leave at least one column out of partition_by".to_owned(),
        );
    }
    Ok(())
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
