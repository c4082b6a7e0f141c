//! Types by the names that SQL and Spark have for them, as the option `types` takes them.

use arrow::datatypes::{DataType, TimeUnit};
use outport_core::{Error, ErrorKind, Result};

/// Reads `id=text, price=decimal(12,2)`.
///
/// # Errors
/// [`ErrorKind::Config`] for what is no list of names and types.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, DataType)>> {
    let mut rest = text.trim();
    let mut types = Vec::new();
    while !rest.is_empty() {
        // A decimal's own comma stands in parentheses.
        let mut depth = 0;
        let end = rest
            .find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ',' && depth == 0
            })
            .unwrap_or(rest.len());
        let (entry, tail) = rest.split_at(end);
        rest = tail.strip_prefix(',').unwrap_or(tail).trim_start();
        let Some((name, type_name)) = entry.split_once(['=', ':']) else {
            return Err(Error::new(
                ErrorKind::Config,
                format!("option types: expected column=type, found \"{}\"", entry.trim()),
            )
            .hint("write it as in `id=text, price=decimal(12,2)`"));
        };
        types.push((name.trim().to_owned(), data_type(type_name.trim())?));
    }
    Ok(types)
}

const NAMES: [&str; 14] = [
    "text",
    "string",
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal",
    "date",
    "time",
    "timestamp",
    "timestamptz",
];

fn data_type(name: &str) -> Result<DataType> {
    let lower = name.to_lowercase();
    let (base, arguments) = match lower.split_once('(') {
        Some((base, rest)) => (base.trim(), rest.strip_suffix(')')),
        None => (lower.as_str(), None),
    };
    Ok(match base {
        "text" | "string" | "varchar" | "utf8" => DataType::Utf8,
        "boolean" | "bool" => DataType::Boolean,
        "tinyint" | "int8" => DataType::Int8,
        "smallint" | "int16" => DataType::Int16,
        "int" | "integer" | "int32" => DataType::Int32,
        "bigint" | "long" | "int64" => DataType::Int64,
        "float" | "real" | "float32" => DataType::Float32,
        "double" | "double precision" | "float64" => DataType::Float64,
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" | "timestamp_ntz" | "datetime" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" | "timestamp_ltz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "binary" | "bytea" | "blob" => DataType::Binary,
        "decimal" | "numeric" => {
            let (precision, scale) = arguments.map_or(("38", "10"), |text| text.split_once(',').unwrap_or((text, "0")));
            match (precision.trim().parse(), scale.trim().parse()) {
                (Ok(precision @ 1..=38), Ok(scale)) if (0..=precision as i8).contains(&scale) => {
                    DataType::Decimal128(precision, scale)
                }
                (Ok(precision @ 39..=76), Ok(scale)) if (0..=precision as i8).contains(&scale) => {
                    DataType::Decimal256(precision, scale)
                }
                _ => return Err(unknown(name)),
            }
        }
        _ => return Err(unknown(name)),
    })
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Config, format!("option types: no type \"{name}\""))
        .hint(outport_core::error::suggestion(name, NAMES))
}

/// The name of a type for a message.
pub(crate) fn describe(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "true or false".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            format!("an integer ({})", data_type.to_string().to_lowercase())
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            format!("an integer without sign ({})", data_type.to_string().to_lowercase())
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "a number".to_owned(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            format!("a decimal number ({p} digits, {s} of them behind the point)")
        }
        DataType::Date32 | DataType::Date64 => "a date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "a time".to_owned(),
        DataType::Timestamp(_, None) => "a timestamp without zone".to_owned(),
        DataType::Timestamp(_, Some(_)) => "a timestamp with zone".to_owned(),
        DataType::Struct(_) | DataType::Map(..) => "an object".to_owned(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "an array".to_owned(),
        other => other.to_string(),
    }
}
