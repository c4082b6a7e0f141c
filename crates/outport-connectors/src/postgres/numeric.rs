//! A type for numeric columns that have no precision, found by looking at all of their values.

use outport_core::Result;

use super::describe::Column;
use super::session::Session;
use super::types::Kind;

/// Scans the query for the digits of its unbounded numeric columns and gives each the smallest of Decimal128(38, s),
/// Decimal256(76, s) and text that holds them all.
///
/// The precision is always the whole of 38 or 76, so that the type depends on as little of the data as can be.
pub(super) fn settle(session: &mut Session, columns: &mut [Column], subquery: &str) -> Result<()> {
    let unbounded: Vec<usize> =
        columns.iter().enumerate().filter(|(_, c)| c.kind == Kind::Unbounded).map(|(at, _)| at).collect();
    if unbounded.is_empty() {
        return Ok(());
    }
    // scale() of NaN and the infinities is NULL, and so they do not count as digits.
    let measures: Vec<String> = unbounded
        .iter()
        .map(|at| {
            let c = super::describe::alias(*at);
            format!("max(scale({c})), max(length(trunc(abs({c}))::text)) FILTER (WHERE scale({c}) IS NOT NULL)")
        })
        .collect();
    let rows = session.rows(&format!("SELECT {} FROM {subquery}", measures.join(", ")))?;
    let row = rows.into_iter().next().unwrap_or_default();
    let measured = |at: usize| row.get(at).and_then(Option::as_deref).and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
    for (n, at) in unbounded.into_iter().enumerate() {
        let (scale, whole) = (measured(2 * n), measured(2 * n + 1));
        columns[at].kind = match i8::try_from(scale) {
            Ok(scale) if whole + i64::from(scale) <= 38 => Kind::Decimal(38, scale),
            Ok(scale) if whole + i64::from(scale) <= 76 => Kind::Decimal(76, scale),
            _ => Kind::Cast,
        };
    }
    Ok(())
}
