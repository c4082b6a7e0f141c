//! The commands on exports.

use clap::{Args, Subcommand, ValueEnum};

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
    /// Run exports for each run date of a range, one after the other
    Backfill(Backfill),
    /// Past runs, one by one
    #[command(subcommand)]
    Runs(Runs),
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

/// Values of variables.
#[derive(Clone, Debug, Default, Args)]
pub struct Vars {
    /// Value of a variable, in place of the one that the configuration gives it; may be given several times
    #[arg(long = "vars", alias = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
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
    /// With.
    #[command(flatten)]
    pub vars: Vars,
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
    /// With.
    #[command(flatten)]
    pub vars: Vars,
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
    /// With.
    #[command(flatten)]
    pub vars: Vars,
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

/// `backfill`.
#[derive(Clone, Debug, Args)]
pub struct Backfill {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// First run date
    #[arg(long, value_name = "DATE")]
    pub from: String,
    /// Last run date
    #[arg(long, value_name = "DATE")]
    pub to: String,
    /// From one run date to the next
    #[arg(long, value_enum, default_value_t = Every::Day)]
    pub every: Every,
    /// Zone of run_date and process_date for exports that name none
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub timezone: String,
    /// Take a changed query or schema under an old watermark as the new one
    #[arg(long)]
    pub accept_change: bool,
    /// How many exports of one execution group run at the same time
    #[arg(long, alias = "threads", value_name = "N")]
    pub max_concurrency: Option<usize>,
    /// Begin no further execution group, and no further run date, after a failure
    #[arg(long)]
    pub fail_fast: bool,
    /// With.
    #[command(flatten)]
    pub vars: Vars,
}

/// The step of a backfill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Every {
    /// Each day.
    Day,
    /// Each seventh day.
    Week,
    /// The same day of each month, or its last.
    Month,
}

/// `runs`.
#[derive(Debug, Subcommand)]
pub enum Runs {
    /// Show past runs, as `history` does
    List(History),
    /// Show everything that is known of a run
    Show {
        /// Id of the run, or the beginning of it, as lists and the names of files have it
        #[arg(value_name = "RUN_ID")]
        run_id: String,
    },
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
