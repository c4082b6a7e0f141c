//! What text does to values. That it has no types is no loss: a reader that knows the schema gets the values back.

use arrow::datatypes::{DataType, Field};
use outport_core::format::Fidelity;

use super::style::NotFinite;

/// How a text format holds lists, structs and maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nested {
    /// It has such values itself.
    AsIs,
    /// As JSON text in one cell.
    AsText,
}

/// How well the values of a column survive that the format does not refuse.
pub(crate) fn of(field: &Field, nested: Nested, not_finite: NotFinite) -> Fidelity {
    match loss(field, nested, not_finite) {
        Some(loss) => Fidelity::Lossy(loss.to_owned()),
        None => Fidelity::Exact,
    }
}

fn loss(field: &Field, nested: Nested, not_finite: NotFinite) -> Option<&'static str> {
    use DataType as D;
    match field.data_type() {
        other if other.is_nested() && nested == Nested::AsText => Some("written as JSON text"),
        D::Binary | D::LargeBinary | D::BinaryView => Some("bytes are written as text"),
        // A UUID has a text of its own, which says all.
        D::FixedSizeBinary(_) if field.extension_type_name() != Some("arrow.uuid") => Some("bytes are written as text"),
        D::Duration(_) | D::Interval(_) => Some("written as ISO 8601 text"),
        D::Float16 | D::Float32 | D::Float64 if not_finite == NotFinite::Null => Some("NaN and infinities become NULL"),
        D::Dictionary(_, values) => loss(&Field::new("", values.as_ref().clone(), true), nested, not_finite),
        D::RunEndEncoded(_, item)
        | D::List(item)
        | D::LargeList(item)
        | D::FixedSizeList(item, _)
        | D::Map(item, _) => loss(item, nested, not_finite),
        D::Struct(fields) => fields.iter().find_map(|field| loss(field, nested, not_finite)),
        _ => None,
    }
}
