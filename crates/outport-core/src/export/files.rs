//! What a definition says of its files: how they are compressed and what they are called.

use super::check::{Vocabulary, with_nearest};
use super::findings::Findings;
use super::{Definition, ManifestSetting};
use crate::layout::{Codec, Compression};
use crate::placeholder::{self, NAME_PLACEHOLDERS, PATH_PLACEHOLDERS};
use crate::vars::Vars;
use crate::{Error, ErrorKind};

impl Definition {
    /// The variables that the texts of the definition hold.
    pub(super) fn variables(&self) -> Vec<&str> {
        let manifest = match &self.manifest {
            Some(ManifestSetting::Named(name)) => Some(name),
            _ => None,
        };
        let texts = [
            self.source_query.as_ref(),
            self.source_filter.as_ref(),
            self.period_date_query.as_ref(),
            self.target_path.as_ref(),
            self.target_filename_pattern.as_ref(),
            self.compressed_filename_pattern.as_ref(),
            self.trigger_file_pattern.as_ref(),
            manifest,
        ];
        texts.into_iter().flatten().flat_map(|text| placeholder::variables(text)).collect()
    }

    pub(super) fn compression(
        &self,
        format: &str,
        vocabulary: &Vocabulary,
        findings: &mut Findings<'_>,
    ) -> Compression {
        let codec = match self.compression.as_deref() {
            None | Some("default") => Codec::Default,
            Some("none" | "uncompressed") => Codec::None,
            Some("gzip") => Codec::Gzip,
            Some("zip" | "zipdeflate") => Codec::Zip,
            Some("zstd") => Codec::Zstd,
            Some("snappy") => Codec::Snappy,
            Some("lz4") => Codec::Lz4,
            Some("brotli") => Codec::Brotli,
            Some(other) => {
                let valid = ["none", "gzip", "zip", "zipdeflate", "zstd", "snappy", "lz4", "brotli"];
                let error = Error::new(
                    ErrorKind::Config,
                    format!("Invalid compression: '{other}'. Valid options: {}", valid.join(", ")),
                );
                findings.error(&["compression"], with_nearest(error, other, &valid));
                Codec::Default
            }
        };
        let text = vocabulary.format(format).is_none_or(|caps| caps.text);
        if let Some(caps) = vocabulary.format(format)
            && !text
            && !matches!(codec, Codec::Default | Codec::None | Codec::Zip)
            && !caps.internal_codecs.contains(&codec)
        {
            let valid: Vec<&str> = caps.internal_codecs.iter().map(|c| c.name()).collect();
            findings.add(
                &["compression"],
                format!("format {format} has no compression '{}'; it has: {}", codec.name(), valid.join(", ")),
            );
        }
        if let Some(level) = self.compression_level {
            let wrong = match (codec, codec.levels()) {
                (Codec::Default | Codec::None, _) => {
                    Some("compression_level requires compression to be set".to_owned())
                }
                (_, None) => Some(format!("compression_level not supported for compression type '{}'", codec.name())),
                (_, Some(levels)) if !levels.contains(&level) => Some(format!(
                    "compression_level for {} must be between {} and {}, found {level}",
                    codec.name(),
                    levels.start(),
                    levels.end()
                )),
                _ => None,
            };
            if let Some(wrong) = wrong {
                findings.add(&["compression_level"], wrong);
            }
        }
        Compression { codec, level: self.compression_level }
    }

    pub(super) fn names(&self, compression: &Compression, vars: &Vars, findings: &mut Findings<'_>) {
        let manifest = match &self.manifest {
            Some(ManifestSetting::Named(name)) => Some(name),
            _ => None,
        };
        let fields = [
            ("target_filename_pattern", &self.target_filename_pattern, NAME_PLACEHOLDERS),
            ("compressed_filename_pattern", &self.compressed_filename_pattern, NAME_PLACEHOLDERS),
            ("trigger_file_pattern", &self.trigger_file_pattern, NAME_PLACEHOLDERS),
            ("manifest", &manifest.cloned(), NAME_PLACEHOLDERS),
            ("target_path", &self.target_path, PATH_PLACEHOLDERS),
        ];
        for (field, template, allowed) in fields {
            let Some(template) = template else { continue };
            findings.keep(field, placeholder::check(field, template, allowed, vars));
            if template.is_empty() && field != "target_path" {
                findings.add(&[field], format!("{field} must not be empty"));
            }
            if field != "target_path" && template.contains(['/', '\\']) && !template.contains('{') {
                findings.add(
                    &[field],
                    format!(
                        "{field} must be a name without slashes, found \"{template}\"; folders belong in target_path"
                    ),
                );
            }
        }
        if self.compressed_filename_pattern.is_some() && matches!(compression.codec, Codec::None | Codec::Default) {
            findings
                .add(&["compressed_filename_pattern"], "compressed_filename_pattern requires compression to be set");
        }
    }
}
