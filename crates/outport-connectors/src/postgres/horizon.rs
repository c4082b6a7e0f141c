//! Which transactions are open in the database: what they write is not there yet, whatever time they write into it.

use jiff::Timestamp;
use outport_core::source::{Horizon, OpenTransaction};
use outport_core::{Error, ErrorKind, Result};

use super::session::{Row, Session};

/// Processes that keep transactions open but write no rows of users.
const HARMLESS: &[&str] = &["autovacuum worker", "walsender"];

/// The clock comes first: who begins behind it has a later time, and who began before it is in one of the lists. A transaction
/// that is being prepared leaves the first list for the second, so that they are read in this order. A session that has its
/// query already but is not in a transaction yet counts from the query on, which gives the transaction its time.
pub(super) fn horizon(session: &mut Session) -> Result<Horizon> {
    let [Some(standby), Some(now), timezone] = first(session.rows(
        "SELECT pg_catalog.pg_is_in_recovery(), (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8, \
             (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'TimeZone')",
    )?)?
    else {
        return Err(unexpected());
    };
    if standby == "t" {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "incremental_cap: open_transactions cannot see on a standby what is open on its primary",
        )
        .hint("read from the primary, or use incremental_lookback"));
    }
    let now = micros(&now)?;
    let mut open = Vec::new();
    let sessions = session.rows(
        "SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type), a.backend_type, a.state, \
         (extract(epoch FROM coalesce(a.xact_start, CASE WHEN a.state = 'active' THEN a.query_start END)) * 1000000)::int8, \
         a.usename, \
         a.usesysid IS NULL OR pg_catalog.pg_has_role(a.usesysid, 'USAGE') \
         OR pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), current_user \
         FROM pg_catalog.pg_stat_activity a \
         WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()",
    )?;
    for row in sessions {
        let [pid, application, kind, state, since, user, visible, me] = cells(row)?;
        if visible.as_deref() != Some("t") {
            return Err(Error::new(
                ErrorKind::Auth,
                format!(
                    "incremental_cap: open_transactions: user \"{}\" may not see the transactions of user \"{}\"",
                    me.unwrap_or_default(),
                    user.unwrap_or_default()
                ),
            )
            .hint("GRANT pg_read_all_stats TO the user of the connection"));
        }
        if state.as_deref() == Some("disabled") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "incremental_cap: open_transactions: process {} does not tell its transactions",
                    pid.unwrap_or_default()
                ),
            )
            .hint("set track_activities = on"));
        }
        let harmless = kind.is_some_and(|kind| HARMLESS.contains(&kind.as_str()));
        if let (Some(since), false) = (since, harmless) {
            let name =
                format!("the transaction of process {} ({})", pid.unwrap_or_default(), application.unwrap_or_default());
            open.push(OpenTransaction { since: Some(micros(&since)?), name });
        }
    }
    // What is kept of a prepared transaction is when it was prepared, behind everything that it wrote.
    let prepared = session.rows(
        "SELECT gid, owner FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() ORDER BY prepared",
    )?;
    for row in prepared {
        let [gid, owner] = cells(row)?;
        let name = format!("prepared transaction '{}' of {}", gid.unwrap_or_default(), owner.unwrap_or_default());
        open.push(OpenTransaction { since: None, name });
    }
    Ok(Horizon { now, open, timezone })
}

fn first<const N: usize>(rows: Vec<Row>) -> Result<[Option<String>; N]> {
    cells(rows.into_iter().next().ok_or_else(unexpected)?)
}

fn cells<const N: usize>(row: Row) -> Result<[Option<String>; N]> {
    row.try_into().map_err(|_| unexpected())
}

fn micros(text: &str) -> Result<Timestamp> {
    text.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok()).ok_or_else(unexpected)
}

fn unexpected() -> Error {
    Error::new(ErrorKind::SourceRead, "the server did not tell its open transactions as expected")
}
