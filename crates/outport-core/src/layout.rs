//! How rows become files: names, parts, partitions, compression, archive, trigger.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// A compression codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// The format's own default: Snappy or zstd inside Parquet, nothing around text.
    #[default]
    Default,
    /// No compression.
    None,
    /// gzip: around text one `.gz`, around several parts a `.tar.gz`; inside Parquet its page codec.
    Gzip,
    /// A ZIP archive with DEFLATE.
    #[serde(alias = "zipdeflate")]
    Zip,
    /// Zstandard.
    Zstd,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Brotli.
    Brotli,
}

impl Codec {
    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zip => "zip",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Brotli => "brotli",
        }
    }

    /// What a file compressed from outside ends in, without the dot.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::Default | Self::None => None,
            Self::Gzip => Some("gz"),
            Self::Zip => Some("zip"),
            Self::Zstd => Some("zst"),
            Self::Snappy => Some("sz"),
            Self::Lz4 => Some("lz4"),
            Self::Brotli => Some("br"),
        }
    }

    /// The levels that the codec has, from fastest to smallest; `None` where it has none.
    pub fn levels(self) -> Option<std::ops::RangeInclusive<u32>> {
        match self {
            Self::Gzip => Some(1..=9),
            Self::Zip => Some(0..=9),
            Self::Zstd => Some(1..=22),
            Self::Brotli => Some(0..=11),
            Self::Default | Self::None | Self::Snappy | Self::Lz4 => None,
        }
    }
}

/// A codec with its level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compression {
    /// The codec.
    pub codec: Codec,
    /// The level; the codec's usual one where there is none.
    pub level: Option<u32>,
}

impl Compression {
    /// A codec at its usual level.
    pub fn new(codec: Codec) -> Self {
        Self { codec, level: None }
    }
}

/// What happens to a target that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IfExists {
    /// It is replaced.
    #[default]
    Overwrite,
    /// The run fails and leaves it alone.
    Error,
    /// The new file gets the next free `_v2`, `_v3`, … before its extension.
    Version,
}

/// What happens when there are no rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnEmpty {
    /// A file with the schema and no rows is written.
    #[default]
    Write,
    /// Nothing is written, and the run is a success.
    Skip,
    /// The run fails.
    Fail,
}

/// Which parts of a split export start with a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// Every part.
    #[default]
    Each,
    /// The first part alone.
    First,
}

/// How rows become files, with every placeholder but `{part}` resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The folder inside the store, without a slash at either end; empty for the store's root.
    pub directory: String,
    /// The name of a data file before compression, such as `orders_20251212.csv`; may hold `{part}`.
    pub file_name: String,
    /// The name of the compressed file or of the bundle, where one is given.
    pub compressed_name: Option<String>,
    /// The name of a bundle of several parts where no `compressed_name` is given, without extension.
    pub bundle_stem: String,
    /// The compression around the file (`packaging`) or inside it, as the format has it.
    pub compression: Compression,
    /// Rows per file, exactly.
    pub max_rows_per_file: Option<u64>,
    /// Bytes per file before outside compression, exceeded by at most one chunk.
    pub max_bytes_per_file: Option<u64>,
    /// The columns that become folders `column=value`, outermost first.
    pub partition_by: Vec<String>,
    /// The name of the trigger file.
    pub trigger_name: Option<String>,
    /// The name of the manifest; none is written where there is no name.
    pub manifest_name: Option<String>,
    /// What happens to a target that exists.
    pub if_exists: IfExists,
    /// What happens when there are no rows.
    pub on_empty: OnEmpty,
    /// Which parts start with a header.
    pub header: Header,
}

/// How many parts there turn out to be decides how they are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// There is but one file.
    Only,
    /// The part with this 1-based number of several.
    Number(u32),
}

impl Layout {
    /// Whether a run may produce more than one part per folder.
    pub fn splits(&self) -> bool {
        self.max_rows_per_file.is_some() || self.max_bytes_per_file.is_some()
    }

    /// The name of a data file before outside compression.
    ///
    /// `{part}` takes the number as it is; a name without it gets `_part0001` before its extension where there are several.
    pub fn part_name(&self, part: Part) -> String {
        match part {
            Part::Only => self.file_name.replace("{part}", "1"),
            Part::Number(n) if self.file_name.contains("{part}") => self.file_name.replace("{part}", &n.to_string()),
            Part::Number(n) => {
                let (stem, extension) = split_extension(&self.file_name);
                format!("{stem}_part{n:04}{extension}")
            }
        }
    }

    /// The name of a data file that is compressed on its own, from outside, with `codec`.
    pub fn compressed_part_name(&self, part: Part, codec: Codec) -> String {
        let Some(extension) = codec.extension() else {
            return self.part_name(part);
        };
        let forced = |name: &str| {
            if name.to_lowercase().ends_with(&format!(".{extension}")) {
                name.to_owned()
            } else {
                format!("{name}.{extension}")
            }
        };
        match (&self.compressed_name, part) {
            (Some(name), Part::Only) => forced(name),
            (Some(name), Part::Number(n)) => {
                let name = forced(name);
                let (stem, tail) = split_extension(&name);
                format!("{stem}_part{n:04}{tail}")
            }
            (None, _) if codec == Codec::Zip => {
                let name = self.part_name(part);
                let (stem, _) = split_extension(&name);
                format!("{stem}.zip")
            }
            (None, _) => forced(&self.part_name(part)),
        }
    }

    /// The name of the one file that several parts are bundled into; `None` where `codec` does not bundle.
    pub fn bundle_name(&self, codec: Codec) -> Option<String> {
        let extension = match codec {
            Codec::Zip => ".zip",
            Codec::Gzip => ".tar.gz",
            _ => return None,
        };
        let stem = match &self.compressed_name {
            Some(name) => {
                let known = [".tar.gz", ".tgz", ".zip", ".gz"];
                let lower = name.to_lowercase();
                let cut = known.iter().find(|e| lower.ends_with(**e)).map_or(0, |e| e.len());
                name[..name.len() - cut].to_owned()
            }
            None => self.bundle_stem.clone(),
        };
        Some(format!("{stem}{extension}"))
    }

    /// A path inside the store: the layout's folder, then `name`.
    pub fn path(&self, name: &str) -> String {
        if self.directory.is_empty() { name.to_owned() } else { format!("{}/{name}", self.directory) }
    }
}

/// A file name in two: `orders.v2.csv` is `orders.v2` and `.csv`; a leading dot does not start an extension.
pub fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    }
}
