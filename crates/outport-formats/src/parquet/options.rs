//! The options of Parquet.

use outport_core::format::{FormatOptions, OptionSpec};
use outport_core::{Error, ErrorKind, Result};
use parquet::file::properties::{EnabledStatistics, WriterVersion};

use super::types::Profile;

/// What the format knows, for validation and the manual.
pub(super) const SPECS: &[OptionSpec] = &[
    ROW_GROUP_SIZE,
    ROW_GROUP_BYTES,
    PAGE_SIZE,
    PAGE_ROWS,
    DICTIONARY,
    DICTIONARY_PAGE_SIZE,
    DELTA,
    STATISTICS,
    BLOOM_COLUMNS,
    BLOOM_FPP,
    VERSION,
    PROFILE,
    TIMESTAMP_UNIT,
    SORT_COLUMNS,
    ARROW_SCHEMA,
];

const ROW_GROUP_SIZE: OptionSpec = OptionSpec {
    name: "row_group_size",
    aliases: &["row_group_rows", "max_row_group_size"],
    default: "122880",
    help: "rows per row group; one is encoded by one thread",
};
const ROW_GROUP_BYTES: OptionSpec = OptionSpec {
    name: "row_group_size_bytes",
    aliases: &["row_group_bytes", "parquet.block.size"],
    default: "134217728",
    help: "bytes in memory after which a row group ends even if it has fewer rows",
};
const PAGE_SIZE: OptionSpec = OptionSpec {
    name: "data_page_size",
    aliases: &["page_size", "parquet.page.size"],
    default: "1048576",
    help: "bytes per data page before compression",
};
const PAGE_ROWS: OptionSpec = OptionSpec {
    name: "data_page_rows",
    aliases: &["parquet.page.row.count.limit"],
    default: "20000",
    help: "rows per data page at most",
};
const DICTIONARY: OptionSpec = OptionSpec {
    name: "dictionary",
    aliases: &["use_dictionary", "enable_dictionary", "parquet.enable.dictionary"],
    default: "auto",
    help: "auto: where a column repeats its values; true: for every column; false: for none",
};
const DICTIONARY_PAGE_SIZE: OptionSpec = OptionSpec {
    name: "dictionary_page_size",
    aliases: &["dictionary_pagesize_limit", "parquet.dictionary.page.size"],
    default: "1048576",
    help: "bytes after which a dictionary is given up",
};
const DELTA: OptionSpec = OptionSpec {
    name: "delta_encoding",
    aliases: &["delta"],
    default: "auto",
    help: "auto: delta encodings where a column does not repeat its values, unless the profile or version is for readers \
           without them; true: always there; false: plain values, which every reader knows",
};
const STATISTICS: OptionSpec = OptionSpec {
    name: "statistics",
    aliases: &["write_statistics"],
    default: "chunk",
    help: "smallest and largest value, NULL count: none, chunk (per row group), or page as well",
};
const BLOOM_COLUMNS: OptionSpec = OptionSpec {
    name: "bloom_filter_columns",
    aliases: &["bloom_filter", "bloom_filters"],
    default: "",
    help: "columns that get a bloom filter, separated by commas; `*` for all",
};
const BLOOM_FPP: OptionSpec = OptionSpec {
    name: "bloom_filter_fpp",
    aliases: &["bloom_filter_false_positive_ratio", "parquet.bloom.filter.fpp"],
    default: "0.01",
    help: "the share of false positives of a bloom filter",
};
const VERSION: OptionSpec = OptionSpec {
    name: "version",
    aliases: &["writer_version", "parquet_version", "data_page_version", "parquet.writer.version"],
    default: "",
    help: "1.0: first data page format, and no encoding younger than it; 2.0: second one; without it the first, with all encodings",
};
const PROFILE: OptionSpec = OptionSpec {
    name: "profile",
    aliases: &["flavor", "target"],
    default: "default",
    help: "default, spark, bigquery or fabric: types and encodings as that reader wants them",
};
const TIMESTAMP_UNIT: OptionSpec = OptionSpec {
    name: "timestamp_unit",
    aliases: &["coerce_timestamps", "outputTimestampType", "spark.sql.parquet.outputTimestampType"],
    default: "",
    help: "ms, us or ns for all timestamps; without it as they are, or as the profile wants them",
};
const SORT_COLUMNS: OptionSpec = OptionSpec {
    name: "sorting_columns",
    aliases: &["sorted_by", "sort_columns"],
    default: "",
    help: "the order that the rows already have, noted for readers: `day, amount desc nulls first`",
};
const ARROW_SCHEMA: OptionSpec = OptionSpec {
    name: "arrow_schema",
    aliases: &["store_schema"],
    default: "true",
    help: "whether the schema of Arrow is kept in the metadata, so that readers of Arrow restore every type",
};

/// When an encoding is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Use {
    #[default]
    Auto,
    Always,
    Never,
}

/// The unit that all timestamps get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millisecond,
    Microsecond,
    Nanosecond,
}

/// A column by which the rows are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SortColumn {
    pub(super) name: String,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

/// The columns that get a bloom filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum BloomColumns {
    #[default]
    None,
    All,
    Named(Vec<String>),
}

/// The options with their types.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) row_group_rows: usize,
    pub(super) row_group_bytes: usize,
    pub(super) page_bytes: usize,
    pub(super) page_rows: usize,
    pub(super) dictionary: Use,
    pub(super) dictionary_bytes: usize,
    pub(super) delta: bool,
    pub(super) statistics: EnabledStatistics,
    pub(super) bloom: BloomColumns,
    pub(super) bloom_fpp: f64,
    pub(super) version: WriterVersion,
    pub(super) profile: Profile,
    pub(super) timestamp_unit: Option<Unit>,
    pub(super) sorted_by: Vec<SortColumn>,
    pub(super) arrow_schema: bool,
}

impl Options {
    /// Reads the options as the user wrote them.
    pub(super) fn parse(options: &FormatOptions) -> Result<Self> {
        options.check("parquet", SPECS)?;
        let profile = choice(
            options,
            &PROFILE,
            &[
                ("default", Profile::Default),
                ("spark", Profile::Spark),
                ("bigquery", Profile::BigQuery),
                ("fabric", Profile::Fabric),
            ],
        )?;
        let version = choice(
            options,
            &VERSION,
            &[
                ("", None),
                ("1", Some(WriterVersion::PARQUET_1_0)),
                ("1.0", Some(WriterVersion::PARQUET_1_0)),
                ("v1", Some(WriterVersion::PARQUET_1_0)),
                ("parquet_1_0", Some(WriterVersion::PARQUET_1_0)),
                ("2", Some(WriterVersion::PARQUET_2_0)),
                ("2.0", Some(WriterVersion::PARQUET_2_0)),
                ("2.4", Some(WriterVersion::PARQUET_2_0)),
                ("2.6", Some(WriterVersion::PARQUET_2_0)),
                ("v2", Some(WriterVersion::PARQUET_2_0)),
                ("parquet_2_0", Some(WriterVersion::PARQUET_2_0)),
            ],
        )?;
        let old_reader =
            version == Some(WriterVersion::PARQUET_1_0) || matches!(profile, Profile::BigQuery | Profile::Fabric);
        let delta = match choice(options, &DELTA, USES)? {
            Use::Auto => !old_reader,
            Use::Always => true,
            Use::Never => false,
        };
        Ok(Self {
            row_group_rows: size(options, &ROW_GROUP_SIZE)?,
            row_group_bytes: size(options, &ROW_GROUP_BYTES)?,
            page_bytes: size(options, &PAGE_SIZE)?,
            page_rows: size(options, &PAGE_ROWS)?,
            dictionary: choice(options, &DICTIONARY, USES)?,
            dictionary_bytes: size(options, &DICTIONARY_PAGE_SIZE)?,
            delta,
            statistics: choice(
                options,
                &STATISTICS,
                &[
                    ("chunk", EnabledStatistics::Chunk),
                    ("none", EnabledStatistics::None),
                    ("page", EnabledStatistics::Page),
                    ("true", EnabledStatistics::Chunk),
                    ("false", EnabledStatistics::None),
                ],
            )?,
            bloom: bloom_columns(options.get(&BLOOM_COLUMNS)),
            bloom_fpp: ratio(options, &BLOOM_FPP)?,
            version: version.unwrap_or(WriterVersion::PARQUET_1_0),
            profile,
            timestamp_unit: choice(
                options,
                &TIMESTAMP_UNIT,
                &[
                    ("", None),
                    ("ms", Some(Unit::Millisecond)),
                    ("us", Some(Unit::Microsecond)),
                    ("ns", Some(Unit::Nanosecond)),
                    ("timestamp_millis", Some(Unit::Millisecond)),
                    ("timestamp_micros", Some(Unit::Microsecond)),
                ],
            )?,
            sorted_by: sort_columns(options.get(&SORT_COLUMNS))?,
            arrow_schema: choice(options, &ARROW_SCHEMA, &[("true", true), ("false", false)])?,
        })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            row_group_rows: 122_880,
            row_group_bytes: 128 << 20,
            page_bytes: 1 << 20,
            page_rows: 20_000,
            dictionary: Use::Auto,
            dictionary_bytes: 1 << 20,
            delta: true,
            statistics: EnabledStatistics::Chunk,
            bloom: BloomColumns::None,
            bloom_fpp: 0.01,
            version: WriterVersion::PARQUET_1_0,
            profile: Profile::Default,
            timestamp_unit: None,
            sorted_by: Vec::new(),
            arrow_schema: true,
        }
    }
}

const USES: &[(&str, Use)] = &[("auto", Use::Auto), ("true", Use::Always), ("false", Use::Never)];

fn wrong(spec: &OptionSpec, expected: &str, found: &str) -> Error {
    Error::new(ErrorKind::Config, format!("option {} of parquet: expected {expected}, found \"{found}\"", spec.name))
        .hint(spec.help)
}

fn choice<T: Copy>(options: &FormatOptions, spec: &OptionSpec, choices: &[(&str, T)]) -> Result<T> {
    let given = options.get(spec).trim();
    match choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(given)) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
            Err(wrong(spec, &format!("one of {}", names.join(", ")), given))
        }
    }
}

fn size(options: &FormatOptions, spec: &OptionSpec) -> Result<usize> {
    let given = options.get(spec).trim();
    given.replace('_', "").parse().ok().filter(|n| *n > 0).ok_or_else(|| wrong(spec, "a number above 0", given))
}

fn ratio(options: &FormatOptions, spec: &OptionSpec) -> Result<f64> {
    let given = options.get(spec).trim();
    given
        .parse()
        .ok()
        .filter(|ratio| *ratio > 0.0 && *ratio < 1.0)
        .ok_or_else(|| wrong(spec, "a number between 0 and 1", given))
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn bloom_columns(text: &str) -> BloomColumns {
    let names: Vec<String> = names(text).map(str::to_owned).collect();
    match names.as_slice() {
        [] => BloomColumns::None,
        [one] if one == "*" => BloomColumns::All,
        _ => BloomColumns::Named(names),
    }
}

fn sort_columns(text: &str) -> Result<Vec<SortColumn>> {
    names(text)
        .map(|part| {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let rest = words.map(str::to_lowercase).collect::<Vec<_>>().join(" ");
            let (descending, nulls) = match rest.split_once("nulls ") {
                Some((order, nulls)) => (order.trim().to_owned(), nulls.to_owned()),
                None => (rest.clone(), "last".to_owned()),
            };
            match (descending.as_str(), nulls.as_str()) {
                ("" | "asc" | "desc", "first" | "last") => {
                    Ok(SortColumn { name, descending: descending == "desc", nulls_first: nulls == "first" })
                }
                _ => Err(wrong(&SORT_COLUMNS, "`column [asc|desc] [nulls first|last]`", part)),
            }
        })
        .collect()
}
