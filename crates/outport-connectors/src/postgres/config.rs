//! What a connection of `type: postgres` says.

use outport_core::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

/// A PostgreSQL database.
///
/// What is not given comes from the `url`, then from the variables of libpq (`PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`,
/// `PGDATABASE`, `PGSSLMODE`, `PGSSLROOTCERT`, `PGOPTIONS`, `PGAPPNAME`, `PGCONNECT_TIMEOUT`), the password last from the
/// password file (`PGPASSFILE`, else `~/.pgpass`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=require`.
    #[schemars(with = "Option<String>")]
    pub url: Option<Secret>,
    /// The host name or address; a path that starts with `/` is the folder of a Unix socket. Default `localhost`.
    pub host: Option<String>,
    /// The port. Default 5432.
    pub port: Option<u16>,
    /// The role to log in as. Default `postgres`.
    pub user: Option<String>,
    /// The password of the role.
    #[schemars(with = "Option<String>")]
    pub password: Option<Secret>,
    /// The database. Default: the name of the role.
    pub dbname: Option<String>,
    /// Whether the connection is encrypted and the server's certificate checked. Default `prefer`.
    pub sslmode: Option<SslMode>,
    /// A PEM file with the certificates to trust under `verify-ca` and `verify-full`; `system`, the default, means those of
    /// the operating system.
    pub sslrootcert: Option<String>,
    /// Command-line options for the server process: `-c statement_timeout=0`.
    pub options: Option<String>,
    /// What the server shows in `pg_stat_activity`. Default `outport`.
    pub application_name: Option<String>,
    /// Seconds to wait for a connection. Default 10.
    pub connect_timeout: Option<u64>,
    /// How many connections read one large table. Default: two for each thread of the run, at most 8.
    pub parallel: Option<usize>,
    /// Whether all connections that read one table see one state of it.
    pub consistency: Consistency,
    /// What becomes of values that Arrow cannot hold: infinite dates and timestamps, years beyond its range, NaN and
    /// infinity in a numeric, 24:00:00.
    pub out_of_range: OutOfRange,
    /// The type of numeric columns without precision, such as the results of sum() and avg().
    pub numeric: Numeric,
    /// The type of interval columns.
    pub interval: Interval,
    /// The type of array columns.
    pub arrays: Arrays,
    /// What becomes of types that come from extensions.
    pub unknown_types: UnknownTypes,
}

/// Whether the connection is encrypted, as in libpq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server can; its certificate is not checked.
    #[default]
    Prefer,
    /// Always; the certificate is not checked.
    Require,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; the certificate must come from a trusted authority and name the host.
    VerifyFull,
}

/// Whether all connections that read one table see one state of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// They share one exported snapshot.
    #[default]
    Snapshot,
    /// Each slice of the table is read as it is then; its transactions are short, which replicas and busy databases prefer.
    Chunk,
}

/// What becomes of values that Arrow cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutOfRange {
    /// The read fails, with column and row.
    #[default]
    Error,
    /// Dates and timestamps become the nearest of 0001-01-01 and 9999-12-31T23:59:59.999999, which every reader can hold,
    /// an infinite numeric the largest of its type, and NaN NULL; counted as a warning.
    Clamp,
    /// They become NULL; counted as a warning.
    Null,
    /// Columns of types that have such values are read as text: date, time, timestamp, timestamptz, interval and numeric.
    Text,
}

/// The type of numeric columns without precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^(scan|text|decimal\\(\\d+, ?\\d+\\))$"))]
pub enum Numeric {
    /// The column is scanned first, in the same snapshot, for its largest scale and number of digits: Decimal128(38, scale)
    /// where that holds all of it, else Decimal256(76, scale), else text. Costs one more execution of the query. Inside arrays and composite types: text.
    #[default]
    Scan,
    /// Text.
    Text,
    /// `decimal(p,s)`: this type; a value that does not fit is an error.
    Decimal(u8, i8),
}

impl TryFrom<String> for Numeric {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let decimal = || {
            let (p, s) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
            let (p, s) = (p.trim().parse::<u8>().ok()?, s.trim().parse::<i8>().ok()?);
            ((1..=76).contains(&p) && s >= 0 && i16::from(s) <= i16::from(p)).then_some(Self::Decimal(p, s))
        };
        match text.as_str() {
            "scan" => Ok(Self::Scan),
            "text" => Ok(Self::Text),
            _ => decimal().ok_or_else(|| {
                format!("expected scan, text or decimal(p,s) with 1 <= p <= 76 and 0 <= s <= p, found \"{text}\"")
            }),
        }
    }
}

/// The type of interval columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Interval(MonthDayNano).
    #[default]
    Native,
    /// ISO 8601 durations as text, `P1Y2M3DT4H5M6.7S`, for formats that have no interval.
    Text,
}

/// The type of array columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrays {
    /// List; a value of more than one dimension is an error, since any array column may hold arrays of any dimension.
    #[default]
    List,
    /// Text as PostgreSQL writes it, `{{1,2},{3,4}}`.
    Text,
}

/// What becomes of types that come from extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTypes {
    /// The extract is refused, with the column and its type.
    #[default]
    Error,
    /// They are read as text, as PostgreSQL writes them.
    Text,
}
