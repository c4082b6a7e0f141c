//! Which Arrow type a PostgreSQL type becomes, and how its values travel.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use outport_core::{Error, ErrorKind, Result};

use super::catalog::{TypeClass, TypeInfo};
use super::config::{Arrays, Interval, Numeric, OutOfRange, PostgresConfig, UnknownTypes};

/// The shape of a column's values on the wire, and with it their Arrow type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int16,
    Int32,
    Int64,
    UInt32,
    Float32,
    Float64,
    /// Precision and scale; Decimal128 up to 38 digits, Decimal256 above.
    Decimal(u8, i8),
    /// A numeric without precision, for which a type is still to be found.
    Unbounded,
    Text,
    Json,
    /// JSON behind a byte for its version.
    Jsonb,
    /// An address with its netmask, written as text.
    Network,
    Bytes,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    List(Box<Kind>),
    Struct(Vec<(String, Kind)>),
    /// Text that the server makes by a cast.
    Cast,
    /// A list of texts that the server makes by a cast.
    CastList,
}

impl Kind {
    /// The Arrow field of a column of this kind.
    pub(super) fn field(&self, name: &str) -> Field {
        let field = Field::new(name, self.data_type(), true);
        let extension = match self {
            Self::Json | Self::Jsonb => "arrow.json",
            Self::Uuid => "arrow.uuid",
            _ => return field,
        };
        field.with_metadata(HashMap::from([
            ("ARROW:extension:name".to_owned(), extension.to_owned()),
            ("ARROW:extension:metadata".to_owned(), String::new()),
        ]))
    }

    /// The field of the elements of a list of this kind.
    pub(super) fn item(&self) -> Arc<Field> {
        Arc::new(self.field("item"))
    }

    /// The Arrow type of this kind.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt32 => DataType::UInt32,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal(precision @ ..=38, scale) => DataType::Decimal128(*precision, *scale),
            Self::Decimal(precision, scale) => DataType::Decimal256(*precision, *scale),
            Self::Text | Self::Network | Self::Json | Self::Jsonb | Self::Cast | Self::Unbounded => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::List(element) => DataType::List(element.item()),
            Self::CastList => DataType::List(Self::Text.item()),
            Self::Struct(fields) => DataType::Struct(fields.iter().map(|(name, kind)| kind.field(name)).collect()),
        }
    }

    /// The type that the server has to cast a column to before it travels.
    pub(super) fn cast(&self) -> Option<&'static str> {
        match self {
            Self::Cast | Self::Unbounded => Some("text"),
            Self::CastList => Some("text[]"),
            _ => None,
        }
    }

    fn needs_cast(&self) -> bool {
        self.cast().is_some()
    }
}

/// The kinds of types, under the policies of a connection.
pub(super) struct Resolver<'a> {
    pub(super) types: &'a HashMap<u32, TypeInfo>,
    pub(super) config: &'a PostgresConfig,
}

impl Resolver<'_> {
    /// The kind of a column.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a type of an extension, unless the connection takes those as text.
    pub(super) fn kind(&self, column: &str, oid: u32, modifier: i32) -> Result<Kind> {
        let info = self.types.get(&oid).ok_or_else(|| {
            Error::new(
                ErrorKind::SourceRead,
                format!("column \"{column}\" has type {oid}, which the catalog does not know"),
            )
        })?;
        match &info.class {
            TypeClass::Enum => Ok(Kind::Text),
            TypeClass::Range => Ok(Kind::Cast),
            TypeClass::Domain { base, modifier } => self.kind(column, *base, *modifier),
            TypeClass::Array { element } => self.list(column, *element, modifier),
            TypeClass::Composite { attributes } => {
                let fields = attributes
                    .iter()
                    .map(|a| Ok((a.name.clone(), self.kind(&format!("{column}.{}", a.name), a.type_oid, a.modifier)?)))
                    .collect::<Result<Vec<_>>>()?;
                // A cast reaches a column, not a field of it: if one field has to be text, all of the value does.
                let castless = fields.iter().all(|(_, kind)| !kind.needs_cast());
                Ok(if castless { Kind::Struct(fields) } else { Kind::Cast })
            }
            TypeClass::Base if info.built_in => Ok(self.built_in(&info.name, modifier)),
            TypeClass::Base if info.send == "citextsend" => Ok(Kind::Text),
            TypeClass::Base => match self.config.unknown_types {
                UnknownTypes::Text => Ok(Kind::Cast),
                UnknownTypes::Error => Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("column \"{column}\" has type {}, which Outport does not know", info.sql_name),
                )
                .hint(format!(
                    "set `unknown_types: text` on the connection, or leave the column out, or read it as {}::text in a source_query",
                    outport_core::engine::Dialect::Postgres.ident(column)
                ))),
            },
        }
    }

    fn list(&self, column: &str, element: u32, modifier: i32) -> Result<Kind> {
        let element = self.kind(column, element, modifier)?;
        Ok(match (self.config.arrays, element) {
            (Arrays::Text, _) => Kind::Cast,
            (Arrays::List, Kind::Cast | Kind::Unbounded) => Kind::CastList,
            // A domain over an array as the element of another: no cast gives a list of lists.
            (Arrays::List, Kind::CastList) => Kind::Cast,
            (Arrays::List, element) => Kind::List(Box::new(element)),
        })
    }

    fn built_in(&self, name: &str, modifier: i32) -> Kind {
        // Under this policy whatever may be out of range is text from the start: a schema cannot depend on the rows.
        let ranged = |kind| if self.config.out_of_range == OutOfRange::Text { Kind::Cast } else { kind };
        match name {
            "bool" => Kind::Bool,
            "int2" => Kind::Int16,
            "int4" => Kind::Int32,
            "int8" => Kind::Int64,
            "oid" | "xid" | "cid" => Kind::UInt32,
            "float4" => Kind::Float32,
            "float8" => Kind::Float64,
            "numeric" => ranged(self.numeric(modifier)),
            "text" | "varchar" | "bpchar" | "name" => Kind::Text,
            "json" => Kind::Json,
            "jsonb" => Kind::Jsonb,
            // The cast to text adds /32 to a plain address, which PostgreSQL itself does not show.
            "inet" | "cidr" => Kind::Network,
            "bytea" => Kind::Bytes,
            "uuid" => Kind::Uuid,
            "date" => ranged(Kind::Date),
            "time" => ranged(Kind::Time),
            "timestamp" => ranged(Kind::Timestamp),
            "timestamptz" => ranged(Kind::TimestampTz),
            "interval" => match self.config.interval {
                Interval::Native => ranged(Kind::Interval),
                Interval::Text => Kind::Cast,
            },
            _ => Kind::Cast,
        }
    }

    fn numeric(&self, modifier: i32) -> Kind {
        if modifier < 4 {
            return match self.config.numeric {
                Numeric::Scan => Kind::Unbounded,
                Numeric::Text => Kind::Cast,
                Numeric::Decimal(precision, scale) => Kind::Decimal(precision, scale),
            };
        }
        // The modifier holds precision and scale behind an offset of 4; the scale has 11 bits and a sign since version 15.
        let packed = modifier - 4;
        let precision = (packed >> 16) & 0xffff;
        let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
        // numeric(3,-2) has five digits before the point and none behind it; numeric(2,5) five behind it, three of them zero.
        let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(precision @ ..=76), Ok(scale)) => Kind::Decimal(precision, scale),
            _ => Kind::Cast,
        }
    }
}
