//! Where the files go and what they are called.

use std::collections::HashMap;

use super::Plan;
use crate::export::{Export, ManifestSetting};
use crate::format::{Format, FormatCaps};
use crate::layout::{Codec, Compression, Layout, Part, split_extension};
use crate::placeholder::Placeholders;
use crate::{Error, ErrorKind, Result};

/// The layout of a run.
pub(super) fn layout(
    export: &Export,
    placeholders: &Placeholders,
    format: &dyn Format,
    partition_by: Vec<String>,
) -> Result<Layout> {
    let caps = format.caps();
    let name = |field: &str, template: &str| -> Result<String> {
        let name = placeholders.resolve(template).map_err(|e| e.context(field.to_owned()))?;
        check_name(field, &name)?;
        Ok(name)
    };
    let file_name =
        name("target_filename_pattern", export.file_name.as_deref().unwrap_or("{export_name}_{timestamp}.{ext}"))?;
    let optional = |field: &str, template: &Option<String>| template.as_ref().map(|t| name(field, t)).transpose();
    let manifest_name = match &export.manifest {
        ManifestSetting::Written(false) => None,
        ManifestSetting::Written(true) => {
            let plain = file_name.replace("_{part}", "").replace("{part}", "");
            let stem = split_extension(&plain).0;
            Some(if stem.is_empty() { "_manifest.json".to_owned() } else { format!("{stem}_manifest.json") })
        }
        ManifestSetting::Named(template) => Some(name("manifest", template)?),
    };
    let layout = Layout {
        directory: directory(&placeholders.resolve(&export.target_path).map_err(|e| e.context("target_path"))?)?,
        file_name,
        compressed_name: optional("compressed_filename_pattern", &export.compressed_name)?,
        bundle_stem: placeholders.resolve("{export_name}_{timestamp}")?,
        compression: Compression {
            codec: resolved_codec(export.compression.codec, &caps),
            level: export.compression.level,
        },
        max_rows_per_file: export.max_rows_per_file,
        max_bytes_per_file: export.max_bytes_per_file,
        partition_by,
        trigger_name: optional("trigger_file_pattern", &export.trigger_name)?,
        manifest_name,
        if_exists: export.if_exists,
        on_empty: export.on_empty,
        header: export.header,
    };
    distinct(&layout, format)?;
    Ok(layout)
}

/// The codec that "default" stands for.
fn resolved_codec(codec: Codec, caps: &FormatCaps) -> Codec {
    match codec {
        Codec::Default if caps.text => Codec::None,
        Codec::Default => caps.default_codec,
        other => other,
    }
}

fn check_name(field: &str, name: &str) -> Result<()> {
    let wrong = if name.is_empty() {
        "is empty"
    } else if name == "." || name == ".." {
        "is a folder"
    } else if name.contains(['/', '\\', '\0']) {
        "holds a slash"
    } else if name.len() > 255 {
        "is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Config, format!("{field}: the name \"{name}\" {wrong}")))
}

fn directory(path: &str) -> Result<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("target_path: \"{path}\" leaves the target with \"..\""),
                ));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The paths that a layout gives, as far as they are known before the rows are counted: for a split export the first part
/// and the name it has when it stays alone.
pub fn target_paths(layout: &Layout, format: &dyn Format) -> Vec<String> {
    let codec = layout.compression.codec;
    let outside = format.caps().text || codec == Codec::Zip;
    let part = |part| if outside { layout.compressed_part_name(part, codec) } else { layout.part_name(part) };
    let prefix: String = layout.partition_by.iter().map(|column| format!("{column}=*/")).collect();
    let mut names = vec![part(Part::Only)];
    if layout.splits() {
        names.push(match layout.bundle_name(codec) {
            Some(bundle) if outside => bundle,
            _ => part(Part::Number(1)),
        });
    }
    names.dedup();
    names.iter().map(|name| layout.path(&format!("{prefix}{name}"))).collect()
}

/// Refuses a layout whose own files would overwrite one another.
fn distinct(layout: &Layout, format: &dyn Format) -> Result<()> {
    if layout.splits() {
        let (first, second) = (layout.part_name(Part::Number(1)), layout.part_name(Part::Number(2)));
        if first == second {
            return Err(Error::new(
                ErrorKind::Config,
                format!("all parts would be called \"{first}\" and overwrite one another"),
            )
            .hint("use {part} in target_filename_pattern"));
        }
    }
    let data = target_paths(layout, format);
    let named = [("trigger_file_pattern", &layout.trigger_name), ("manifest", &layout.manifest_name)];
    for (field, name) in named {
        if let Some(name) = name
            && data.contains(&layout.path(name))
        {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{field} gives \"{name}\", which is the name of the data file"),
            ));
        }
    }
    if layout.trigger_name.is_some() && layout.trigger_name == layout.manifest_name {
        return Err(Error::new(ErrorKind::Config, "trigger_file_pattern and manifest give the same name"));
    }
    Ok(())
}

/// Refuses plans of one run that would write to one path.
pub fn check_collisions(plans: &[Plan]) -> Result<()> {
    let mut owners: HashMap<(String, String), &Plan> = HashMap::new();
    let mut errors = Vec::new();
    for plan in plans {
        let own = [&plan.layout.trigger_name, &plan.layout.manifest_name]
            .into_iter()
            .flatten()
            .map(|name| plan.layout.path(name));
        for path in plan.paths.iter().cloned().chain(own) {
            // Some file systems and stores take two cases for one name.
            if let Some(other) = owners.insert((plan.target.clone(), path.to_lowercase()), plan)
                && other.export != plan.export
            {
                errors.push(
                    Error::new(
                        ErrorKind::Config,
                        format!(
                            "exports \"{}\" and \"{}\" would both write \"{path}\" on {}",
                            other.export, plan.export, plan.target
                        ),
                    )
                    .hint("give them different target_path or name patterns"),
                );
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        let n = errors.len();
        Err(Error::many(errors, format!("{n} paths would be written twice")))
    }
}
