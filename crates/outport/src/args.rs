//! The command line, as clap reads it.

pub mod deploy;
mod exports;
pub mod warehouse;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use exports::*;

/// Takes data out of wherever it lives and puts it where someone needs it.
#[derive(Debug, Parser)]
#[command(
    name = "outport",
    version,
    about,
    max_term_width = 110,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to behave.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Configuration file [default: outport.yml, .yaml or .toml here or in a folder above]
    #[arg(long, short = 'c', global = true, env = "OUTPORT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Form of the result on stdout
    #[arg(long, short = 'o', global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Form of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// More of the log: -v for debug, -vv for trace
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Errors alone
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Progress bars
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub progress: When,
    /// Colours
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub color: When,
}

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
    /// Rows for a spreadsheet.
    Csv,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether to do something that depends on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where there is a terminal.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first configuration
    Init(Init),
    /// Check the configuration without touching a system
    Check(Check),
    /// Check connections, disk, clock and state
    Doctor(Doctor),
    /// Configuration-driven exports: the commands below, by their documented names
    #[command(subcommand)]
    Export(Export),
    /// The commands on exports, without the word before them.
    #[command(flatten)]
    Direct(Export),
    /// Copy one file, folder, table or query to a file, without a configuration
    Copy(Copy),
    /// A warehouse of SQL models that export themselves
    #[command(subcommand)]
    Warehouse(warehouse::Warehouse),
    /// Publish the exports of a warehouse, with catalogue, remote views and documentation
    #[command(subcommand)]
    Deploy(deploy::Deploy),
    /// Write the documentation of a warehouse as a static site
    Docs(deploy::Docs),
    /// Connections of the configuration
    #[command(subcommand)]
    Conns(Conns),
    /// Check published files against their manifest
    Verify(Verify),
    /// Remove what dead runs left behind
    Gc(Gc),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// `init`.
#[derive(Clone, Debug, Args)]
pub struct Init {
    /// Folder to write to
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Which template; `list` shows them
    #[arg(long, default_value = "exports")]
    pub template: String,
    /// Overwrite files that exist
    #[arg(long)]
    pub force: bool,
}

/// `check`.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// Warnings are errors
    #[arg(long)]
    pub strict: bool,
    /// With.
    #[command(flatten)]
    pub vars: Vars,
}

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Only these connections
    #[arg(value_name = "CONNECTION")]
    pub connections: Vec<String>,
}

/// `copy`.
#[derive(Clone, Debug, Args)]
pub struct Copy {
    /// A file, folder or glob (local, s3://, gs://, az://), or a connection of the configuration or a database URL with --table or --query
    pub source: String,
    /// A file; its extension names format and compression
    pub destination: String,
    /// Table of a database
    #[arg(long, conflicts_with = "query")]
    pub table: Option<String>,
    /// Query for a database; over files, its table is called source
    #[arg(long)]
    pub query: Option<String>,
    /// Columns to take, in this order
    #[arg(long, value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// At most so many rows
    #[arg(long)]
    pub limit: Option<u64>,
    /// Format of the source [default: by content]
    #[arg(long)]
    pub from_format: Option<String>,
    /// Options of the source's format, as name=value
    #[arg(long, value_name = "NAME=VALUE")]
    pub from_option: Vec<String>,
    /// Format of the destination [default: by extension]
    #[arg(long)]
    pub format: Option<String>,
    /// Options of the destination's format, as name=value
    #[arg(long, value_name = "NAME=VALUE")]
    pub option: Vec<String>,
    /// Compression [default: by extension]
    #[arg(long)]
    pub compression: Option<String>,
    /// Level of the compression
    #[arg(long)]
    pub compression_level: Option<u32>,
    /// Split into files of so many rows
    #[arg(long)]
    pub max_rows_per_file: Option<u64>,
    /// Columns that become folders
    #[arg(long, value_delimiter = ',')]
    pub partition_by: Vec<String>,
    /// What happens to a file that exists
    #[arg(long, value_enum, default_value_t = IfExists::Overwrite)]
    pub if_exists: IfExists,
    /// Write a manifest beside the file
    #[arg(long)]
    pub manifest: bool,
}

/// What happens to a file that exists.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum IfExists {
    /// Replace it.
    Overwrite,
    /// Fail.
    Error,
    /// Take the next free name.
    Version,
}

/// `conns`.
#[derive(Debug, Subcommand)]
pub enum Conns {
    /// List connections
    List,
    /// Open connections and read or write a little
    Test {
        /// Only these
        #[arg(value_name = "CONNECTION")]
        names: Vec<String>,
    },
    /// List what a connection holds
    Discover {
        /// The connection
        connection: String,
        /// Only names that match
        #[arg(long)]
        pattern: Option<String>,
        /// With columns and types
        #[arg(long)]
        columns: bool,
    },
    /// Run a query and print its rows; nothing can be changed
    Exec {
        /// The connection
        connection: String,
        /// The query, in the system's own SQL
        sql: String,
        /// At most so many rows [default: 100 as text, all of them as csv and json]
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
}

/// `verify`.
#[derive(Clone, Debug, Args)]
pub struct Verify {
    /// The manifest: a path, or a URL of a store
    pub manifest: String,
    /// Connection with the credentials of that store
    #[arg(long)]
    pub connection: Option<String>,
}

/// `gc`.
#[derive(Clone, Debug, Args)]
pub struct Gc {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// Only leftovers older than this, such as 1d or 12h
    #[arg(long, default_value = "1d")]
    pub older_than: String,
    /// Say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}
