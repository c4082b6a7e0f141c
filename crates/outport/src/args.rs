//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

/// The commands on exports.
#[derive(Debug, Subcommand)]
pub enum Export {
    /// Say what a run would do: SQL, bounds, file names
    Plan(Plan),
    /// Run exports
    Run(Run),
    /// Show the last run of every export
    Status(Selected),
    /// Show past runs
    History(History),
    /// Run again what failed in an execution, or whose process died
    Retry(Retry),
    /// Watermarks of incremental exports
    #[command(subcommand)]
    Watermark(Watermark),
    /// Show the run dates for which there is no successful run
    Gaps(Gaps),
}

/// Which exports.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Exports as group/name, or as names; * and ? stand for anything
    #[arg(value_name = "EXPORT")]
    pub names: Vec<String>,
    /// Exports by glob, or by tag:NAME, group:NAME, source:NAME, target:NAME, format:NAME
    #[arg(long, short, value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// Leave out what these select
    #[arg(long, value_name = "SELECTOR")]
    pub exclude: Vec<String>,
    /// One group of exports
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// One execution group
    #[arg(long, value_name = "N")]
    pub execution_group: Option<u32>,
    /// Do not mind when nothing is selected
    #[arg(long)]
    pub allow_none: bool,
}

/// When, and how much.
#[derive(Clone, Debug, Default, Args)]
pub struct Timing {
    /// Logical date, such as 2025-12-12 [default: today]
    #[arg(long, value_name = "DATE")]
    pub run_date: Option<String>,
    /// Zone of run_date and process_date for exports that name none
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub timezone: String,
    /// At most so many rows of each export; watermarks stay where they are
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Take a changed query or schema under an old watermark as the new one
    #[arg(long)]
    pub accept_change: bool,
}

/// `plan`.
#[derive(Clone, Debug, Args)]
pub struct Plan {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// When.
    #[command(flatten)]
    pub timing: Timing,
    /// End with 6 where there is something to export, with 0 where there is not
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// When.
    #[command(flatten)]
    pub timing: Timing,
    /// How.
    #[command(flatten)]
    pub pace: Pace,
    /// Id that the runs of this call share
    #[arg(long, value_name = "ID")]
    pub execution_id: Option<String>,
    /// Only what failed in the execution of that id, and what died
    #[arg(long, requires = "execution_id")]
    pub retry: bool,
}

/// How fast, and what a failure means.
#[derive(Clone, Debug, Args)]
pub struct Pace {
    /// How many exports of one execution group run at the same time
    #[arg(long, alias = "threads", value_name = "N")]
    pub max_concurrency: Option<usize>,
    /// Begin no further execution group after a failure
    #[arg(long)]
    pub fail_fast: bool,
}

/// `retry`.
#[derive(Clone, Debug, Args)]
pub struct Retry {
    /// The execution that failed [default: the last one]
    #[arg(value_name = "EXECUTION_ID")]
    pub execution_id: Option<String>,
    /// When.
    #[command(flatten)]
    pub timing: Timing,
    /// How.
    #[command(flatten)]
    pub pace: Pace,
}

/// A command that only selects.
#[derive(Clone, Debug, Args)]
pub struct Selected {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
}

/// `history`.
#[derive(Clone, Debug, Args)]
pub struct History {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
}

/// `gaps`.
#[derive(Clone, Debug, Args)]
pub struct Gaps {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// First run date [default: that of the first run]
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Last run date [default: today]
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    /// Zone of today
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub timezone: String,
}

/// `watermark`.
#[derive(Debug, Subcommand)]
pub enum Watermark {
    /// Show watermarks
    Get(Selected),
    /// Set a watermark: rows behind it are exported next
    Set {
        /// The export, group/name
        export: String,
        /// The value, as ISO date or time, number or text
        value: String,
    },
    /// Forget watermarks: the next run exports everything
    Reset(Selected),
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
