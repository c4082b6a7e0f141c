//! The commands on a warehouse of SQL models.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The commands on a warehouse.
#[derive(Debug, Subcommand)]
pub enum Warehouse {
    /// Build models in the order of their references, and write their exports
    Run(Run),
    /// Say what a run would build, export and overwrite; nothing is written
    Plan(Plan),
    /// List the models with what is made of them
    ListModels(Listed),
    /// Write a first project of models
    Init(Init),
    /// Show past runs of models
    History(History),
    /// Show the tables and views of the warehouse
    Tables(Tables),
    /// Describe a model: columns, references, last export
    Describe(Describe),
    /// Show the configuration as it holds, without secrets
    ShowConfig,
    /// Publish exports, catalogue, remote views and documentation
    #[command(subcommand)]
    Deploy(super::deploy::Deploy),
}

/// Where the warehouse is, instead of what warehouse.yml says.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// The DuckDB file
    #[arg(long, value_name = "FILE")]
    pub db_path: Option<PathBuf>,
    /// The folder of models
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// A value for {{ var('NAME') }}, as JSON or as text
    #[arg(long = "vars", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Logical date, such as 2025-12-12 [default: today, UTC]
    #[arg(long, value_name = "DATE")]
    pub run_date: Option<String>,
}

/// Which models.
#[derive(Clone, Debug, Default, Args)]
pub struct Chosen {
    /// Models by name, layer.name, glob, tag:NAME or layer:NAME; +x takes what x needs, x+ what needs x
    #[arg(long, short, value_name = "MODEL", num_args = 1..)]
    pub models: Vec<String>,
}

/// `warehouse run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub chosen: Chosen,
    #[command(flatten)]
    pub place: Place,
    /// Begin nothing new after a failure (the default)
    #[arg(long, overrides_with = "no_fail_fast")]
    pub fail_fast: bool,
    /// Go on with what does not need what failed
    #[arg(long)]
    pub no_fail_fast: bool,
    /// Leave alone what did not change since its last run
    #[arg(long)]
    pub changed: bool,
    /// Make incremental models anew
    #[arg(long)]
    pub full_refresh: bool,
    /// Let incremental models grow on although their SQL was edited
    #[arg(long)]
    pub accept_change: bool,
    /// Write OpenLineage events to a file, or post them to a server [default: OPENLINEAGE_URL, if that is set]
    #[arg(long, value_name = "FILE|URL")]
    pub openlineage: Option<String>,
    /// How many models run at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub jobs: usize,
}

/// `warehouse plan`.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub chosen: Chosen,
    #[command(flatten)]
    pub place: Place,
}

/// `warehouse list-models`.
#[derive(Debug, Args)]
pub struct Listed {
    #[command(flatten)]
    pub chosen: Chosen,
    #[command(flatten)]
    pub place: Place,
}

/// `warehouse init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Where to
    #[arg(default_value = ".", value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Overwrite files that exist
    #[arg(long)]
    pub force: bool,
}

/// `warehouse history`.
#[derive(Debug, Args)]
pub struct History {
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    #[command(flatten)]
    pub place: Place,
}

/// `warehouse tables`.
#[derive(Debug, Args)]
pub struct Tables {
    /// One layer alone
    #[arg(long, value_name = "LAYER", default_value = "all")]
    pub layer: String,
    #[command(flatten)]
    pub place: Place,
}

/// `warehouse describe`.
#[derive(Debug, Args)]
pub struct Describe {
    /// The model, as name or layer.name
    pub name: String,
    #[command(flatten)]
    pub place: Place,
}
