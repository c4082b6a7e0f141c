//! Which rows a definition takes.

use crate::error::suggestion;
use crate::export::findings::Findings;
use crate::export::{Definition, Deletes, IncrementalBy, IncrementalCap, Rows};
use crate::placeholder::{self, PERIOD_QUERY_PLACEHOLDERS};
use crate::vars::Vars;
use crate::{Error, ErrorKind};

impl Definition {
    pub(super) fn rows(&self, vars: &Vars, findings: &mut Findings<'_>) -> Rows {
        let full = || Rows::Full { period_query: self.period_date_query.clone() };
        if let Some(query) = &self.period_date_query {
            let checked = placeholder::check_query("period_date_query", query, PERIOD_QUERY_PLACEHOLDERS, vars);
            findings.keep("period_date_query", checked);
        }
        let incremental = self.extract_type.as_deref() == Some("incremental");
        for (field, stands) in [("incremental_by", self.incremental_by.is_some()), ("deletes", self.deletes.is_some())]
        {
            if stands && !incremental && self.extract_type.is_none() {
                findings
                    .add(&[field], format!("{field} has no effect on a full extract; set extract_type: incremental"));
            }
        }
        if self.incremental_cap.is_some_and(|cap| cap != IncrementalCap::None) && !incremental {
            findings.error(
                &["incremental_cap"],
                Error::new(ErrorKind::Config, "incremental_cap has no effect without an incremental extract")
                    .hint("set extract_type: incremental"),
            );
        }
        match self.extract_type.as_deref() {
            None | Some("full") => {
                if let Some(column) = &self.incremental_column
                    && self.extract_type.is_none()
                {
                    findings.error(
                        &["incremental_column"],
                        Error::new(
                            ErrorKind::Config,
                            format!("incremental_column \"{column}\" has no effect on a full extract"),
                        )
                        .hint("set extract_type: incremental, or extract_type: full if it is meant to be there"),
                    );
                }
                full()
            }
            Some("incremental") => self.incremental(findings),
            Some("period") => {
                let query = findings.require(
                    &["period_date_query", "extract_type"],
                    self.period_date_query.clone(),
                    "period_date_query is required when extract_type='period'",
                );
                if self.source_query.is_none() && self.period_filter_column.is_none() {
                    findings.add(
                        &["extract_type"],
                        "period_filter_column is required when extract_type='period' with source_table",
                    );
                }
                let column = if self.source_query.is_some() { None } else { self.period_filter_column.clone() };
                Rows::Period { column, query }
            }
            Some(other) => {
                let valid = ["full", "incremental", "period"];
                findings.error(
                    &["extract_type"],
                    Error::new(
                        ErrorKind::Config,
                        format!("Unsupported extract_type: '{other}'. Valid options: {}", valid.join(", ")),
                    )
                    .hint(suggestion(other, valid)),
                );
                full()
            }
        }
    }

    fn incremental(&self, findings: &mut Findings<'_>) -> Rows {
        let deletes = self.deletes.unwrap_or_default();
        if deletes == Deletes::FullKeysDiff {
            let error = Error::new(ErrorKind::Config, "deletes: full_keys_diff is not supported yet");
            findings
                .error(&["deletes"], error.hint("deletes: tombstones has them from a Delta table's change data feed"));
        }
        if self.incremental_by.unwrap_or_default() == IncrementalBy::TableVersion {
            return self.versions(deletes, findings);
        }
        if deletes == Deletes::Tombstones {
            findings.error(
                &["deletes"],
                Error::new(ErrorKind::Config, "deletes: tombstones needs incremental_by: table_version")
                    .hint("a column says nothing of rows that are gone; the change data feed of a Delta table does"),
            );
        }
        Rows::Incremental {
            column: findings.require(
                &["incremental_column", "extract_type"],
                self.incremental_column.clone(),
                "incremental_column is required when extract_type='incremental'",
            ),
            initial: self.incremental_initial_watermark.clone(),
            lookback: self.incremental_lookback.clone(),
            on_null: self.on_null_cursor.unwrap_or_default(),
            cap: self.incremental_cap.unwrap_or_default(),
            period_query: self.period_date_query.clone(),
        }
    }

    fn versions(&self, deletes: Deletes, findings: &mut Findings<'_>) -> Rows {
        let idle = [
            ("incremental_column", self.incremental_column.is_some()),
            ("incremental_lookback", self.incremental_lookback.is_some()),
            ("on_null_cursor", self.on_null_cursor.is_some()),
            ("incremental_cap", self.incremental_cap.is_some_and(|cap| cap != IncrementalCap::None)),
        ];
        for (field, _) in idle.iter().filter(|(_, stands)| *stands) {
            findings.add(&[field], format!("{field} has no effect with incremental_by: table_version"));
        }
        if self.source_query.is_some() {
            findings.error(
                &["source_query"],
                Error::new(
                    ErrorKind::Config,
                    "incremental_by: table_version needs a source_table, a query has no version",
                )
                .hint("use source_table with source_columns and source_filter"),
            );
        }
        let initial = self.incremental_initial_watermark.as_ref().and_then(|text| {
            let number = text.trim().parse().ok();
            if number.is_none() {
                let message =
                    format!("incremental_initial_watermark: expected a version of the table, found \"{text}\"");
                findings.add(&["incremental_initial_watermark"], message);
            }
            number
        });
        let period_query = self.period_date_query.clone();
        Rows::Versions { initial, tombstones: deletes == Deletes::Tombstones, period_query }
    }
}
