//! The commands that publish a warehouse.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::warehouse::Place;

/// The commands that publish a warehouse.
#[derive(Debug, Subcommand)]
pub enum Deploy {
    /// Write catalog.json, datapackage.json and croissant.json beside the exports
    #[command(alias = "generate-catalog")]
    Catalog(Target),
    /// Write the database of remote views, and catalog.sql, beside the exports
    #[command(visible_alias = "database")]
    CreateRemoteDb(Target),
    /// Send exports, catalogue and database to the store
    Upload(Upload),
    /// Catalogue, database, documentation and upload in one go
    #[command(visible_alias = "all")]
    Publish(Publish),
}

/// Where to publish, instead of what warehouse.yml says.
#[derive(Clone, Debug, Default, Args)]
pub struct Target {
    /// The bucket
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// The URL under which readers find the store
    #[arg(long, value_name = "URL", alias = "r2-url")]
    pub public_url: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

/// What is sent, and how.
#[derive(Clone, Debug, Default, Args)]
pub struct Sending {
    #[command(flatten)]
    pub target: Target,
    /// Leave out the data
    #[arg(long)]
    pub no_data: bool,
    /// Leave out the catalogue
    #[arg(long)]
    pub no_catalog: bool,
    /// Leave out the database
    #[arg(long)]
    pub no_database: bool,
    /// Say what would be sent; nothing is
    #[arg(long)]
    pub dry_run: bool,
    /// How data is checked once it is there: sha256 reads back what was sent
    #[arg(long, value_enum, default_value_t)]
    pub verify: Verify,
}

/// `deploy upload`.
#[derive(Clone, Debug, Args)]
pub struct Upload {
    #[command(flatten)]
    pub sending: Sending,
}

/// `deploy publish`.
#[derive(Clone, Debug, Args)]
pub struct Publish {
    #[command(flatten)]
    pub sending: Sending,
    /// Leave out the documentation
    #[arg(long)]
    pub no_docs: bool,
    /// Write everything beside the exports and send nothing
    #[arg(long)]
    pub skip_upload: bool,
}

/// How data is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Verify {
    /// Size and SHA-256.
    #[default]
    Sha256,
    /// The size alone.
    Size,
}

/// `docs`.
#[derive(Clone, Debug, Args)]
pub struct Docs {
    /// The folder to write to [default: docs in the folder of the exports]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}
