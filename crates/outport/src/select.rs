//! Which exports a command is about.

use outport_core::error::suggestion;
use outport_core::export::Export;
use outport_core::{Error, ErrorKind, Result};

/// A selection, as the command line gives it.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Selectors of which at least one must match; everything matches where there is none.
    pub include: Vec<String>,
    /// Selectors of which none may match.
    pub exclude: Vec<String>,
    /// A group that must match.
    pub group: Option<String>,
    /// An execution group that must match.
    pub execution_group: Option<u32>,
    /// Whether it is fine to select nothing.
    pub allow_none: bool,
}

/// The exports that are selected, in their order.
///
/// # Errors
/// [`ErrorKind::Usage`] for a selector that matches nothing, with the nearest name, and where nothing is selected.
pub fn select(exports: Vec<Export>, selection: &Selection) -> Result<Vec<Export>> {
    for selector in selection.include.iter().chain(&selection.exclude) {
        if !exports.iter().any(|export| matches(export, selector)) && !selection.allow_none {
            let names: Vec<String> = exports.iter().map(|e| e.key.to_string()).collect();
            return Err(Error::new(ErrorKind::Usage, format!("\"{selector}\" matches no export"))
                .hint(suggestion(selector, names.iter().map(String::as_str))));
        }
    }
    if let Some(group) = &selection.group
        && !exports.iter().any(|export| &export.key.group == group)
        && !selection.allow_none
    {
        return Err(Error::new(ErrorKind::Usage, format!("there is no group \"{group}\""))
            .hint(suggestion(group, exports.iter().map(|e| e.key.group.as_str()))));
    }
    let selected: Vec<Export> = exports
        .into_iter()
        .filter(|export| {
            (selection.include.is_empty() || selection.include.iter().any(|s| matches(export, s)))
                && !selection.exclude.iter().any(|s| matches(export, s))
                && selection.group.as_ref().is_none_or(|group| *group == export.key.group)
                && selection.execution_group.is_none_or(|group| group == export.execution_group)
        })
        .collect();
    if selected.is_empty() && !selection.allow_none {
        return Err(Error::new(ErrorKind::Usage, "no export is selected").hint("pass --allow-none if that is fine"));
    }
    Ok(selected)
}

fn matches(export: &Export, selector: &str) -> bool {
    match selector.split_once(':') {
        Some(("tag", pattern)) => export.tags.iter().any(|tag| glob(pattern, tag)),
        Some(("group", pattern)) => glob(pattern, &export.key.group),
        Some(("source", pattern)) => glob(pattern, &export.source),
        Some(("target" | "destination", pattern)) => glob(pattern, &export.target),
        Some(("format", pattern)) => glob(pattern, &export.format),
        _ => glob(selector, &export.key.to_string()) || glob(selector, &export.key.name),
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(text))
}
