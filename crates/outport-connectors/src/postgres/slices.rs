//! Large tables in slices of pages, read by several connections at once.

use outport_core::Result;
use outport_core::engine::Dialect;
use outport_core::extract::Extract;

use super::catalog::TableFacts;
use super::session::Session;

/// The pages of a slice: 16 MiB. Slices are small so that what was read ahead of its turn stays small.
const SLICE_PAGES: u64 = 2048;
/// Ranges of row addresses are scanned as such from this version of the server on; before it each slice would read the whole table.
const FIRST_VERSION: u32 = 14;

/// A part of a table.
pub(super) struct Slice {
    /// The extract narrowed to it.
    pub(super) extract: Extract,
    /// How messages name it.
    pub(super) name: String,
}

/// The slices of an extract, in order; `None` where one statement does as well.
pub(super) fn plan(
    session: &mut Session,
    extract: &Extract,
    facts: TableFacts,
    parallel: usize,
) -> Result<Option<Vec<Slice>>> {
    let worthwhile =
        parallel > 1 && facts.plain && facts.pages > 2 * SLICE_PAGES && session.server_version() >= FIRST_VERSION;
    if !worthwhile || extract.limit.is_some() {
        return Ok(None);
    }
    let narrowed = extract.filter.is_some() || extract.range.is_some();
    if narrowed && !explain(session, extract)?.scans_all {
        return Ok(None);
    }
    let slices = facts.pages.div_ceil(SLICE_PAGES);
    Ok(Some(
        (0..slices)
            .map(|n| slice(extract, n * SLICE_PAGES, (n + 1 < slices).then_some((n + 1) * SLICE_PAGES)))
            .collect(),
    ))
}

/// The rows of pages `from` up to `to`; to the end of the table, however far it has grown, where there is no `to`.
fn slice(extract: &Extract, from: u64, to: Option<u64>) -> Slice {
    let mut predicate = format!("ctid >= '({from},0)'::tid");
    if let Some(to) = to {
        predicate.push_str(&format!(" AND ctid < '({to},0)'::tid"));
    }
    if let Some(filter) = &extract.filter {
        predicate = format!("{predicate} AND ({filter}\n)");
    }
    let name = format!("pages from {from} on (ctid '({from},0)')");
    Slice { extract: Extract { filter: Some(predicate), ..extract.clone() }, name }
}

/// What the planner expects of an extract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) rows: Option<u64>,
    /// Whether it reads every page of one table, rather than go by an index.
    pub(super) scans_all: bool,
}

/// Asks the planner about an extract.
pub(super) fn explain(session: &mut Session, extract: &Extract) -> Result<Expected> {
    let sql = extract.to_sql(Dialect::Postgres);
    let rows = session.rows(&format!("EXPLAIN (FORMAT JSON) {sql}"))?;
    let text: String = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let mut node = &plan[0]["Plan"];
    let rows = node["Plan Rows"].as_f64().map(|rows| rows as u64);
    if node["Node Type"] == "Gather" {
        node = &node["Plans"][0];
    }
    Ok(Expected { rows, scans_all: node["Node Type"] == "Seq Scan" })
}
