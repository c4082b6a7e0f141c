//! The order of models, and which of them a call takes.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::error::suggestion;
use outport_core::{Error, ErrorKind, Result};

use crate::model::Project;
use crate::references::References;

/// The models in an order in which each comes behind all it needs; ties are sorted by name.
///
/// # Errors
/// [`ErrorKind::Config`] naming all members of a cycle.
pub fn order(references: &References) -> Result<Vec<String>> {
    let mut waiting: BTreeMap<&str, usize> =
        references.iter().map(|(name, needs)| (name.as_str(), needs.len())).collect();
    let users = users(references);
    let mut ready: BTreeSet<&str> = waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    let mut order = Vec::with_capacity(references.len());
    while let Some(name) = ready.pop_first() {
        waiting.remove(name);
        order.push(name.to_owned());
        for user in users.get(name).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(user) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(user);
                }
            }
        }
    }
    if waiting.is_empty() {
        return Ok(order);
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("Circular dependency detected involving: {}", cycle(references, &waiting)),
    )
    .hint("one of them must not read the next; depends_on counts as well"))
}

/// One cycle among the models that wait for each other, as `a -> b -> a`.
fn cycle(references: &References, waiting: &BTreeMap<&str, usize>) -> String {
    let mut path: Vec<&str> = Vec::new();
    let mut next = waiting.keys().next().copied();
    while let Some(name) = next {
        if let Some(first) = path.iter().position(|seen| *seen == name) {
            path.drain(..first);
            path.push(name);
            break;
        }
        path.push(name);
        next =
            references.get(name).and_then(|needs| needs.iter().map(String::as_str).find(|n| waiting.contains_key(n)));
    }
    path.join(" -> ")
}

/// For every model the models that need it.
pub fn users(references: &References) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, needs) in references {
        for need in needs {
            users.entry(need).or_default().insert(name);
        }
    }
    users
}

/// The models that some selectors take: `name`, `layer.name`, globs, `tag:x`, `layer:x`, with `+` in front for all that they
/// need and behind for all that needs them. All models where there is no selector.
///
/// # Errors
/// [`ErrorKind::Usage`] for a selector that takes nothing, with the nearest name.
pub fn select(project: &Project, references: &References, selectors: &[String]) -> Result<BTreeSet<String>> {
    if selectors.is_empty() {
        return Ok(project.models.iter().map(crate::Model::full_name).collect());
    }
    let users = users(references);
    let mut selected = BTreeSet::new();
    for selector in selectors {
        let (up, rest) = selector.strip_prefix('+').map_or((false, selector.as_str()), |rest| (true, rest));
        let (down, name) = rest.strip_suffix('+').map_or((false, rest), |rest| (true, rest));
        let matched = matching(project, name)?;
        if matched.is_empty() {
            let full: Vec<String> = project.models.iter().map(crate::Model::full_name).collect();
            let names = project.models.iter().map(|m| m.name.as_str()).chain(full.iter().map(String::as_str));
            return Err(
                Error::new(ErrorKind::Usage, format!("no model matches \"{selector}\"")).hint(suggestion(name, names))
            );
        }
        for name in matched {
            if up {
                reach(&name, &mut selected, |n| references.get(n).into_iter().flatten().map(String::as_str).collect());
            }
            if down {
                reach(&name, &mut selected, |n| users.get(n).into_iter().flatten().copied().collect());
            }
            selected.insert(name);
        }
    }
    Ok(selected)
}

fn matching(project: &Project, name: &str) -> Result<Vec<String>> {
    if let Some(tag) = name.strip_prefix("tag:") {
        return Ok(names(project, |model| model.tags.iter().any(|t| t == tag)));
    }
    if let Some(layer) = name.strip_prefix("layer:") {
        return Ok(names(project, |model| model.layer == layer));
    }
    let pattern = glob::Pattern::new(name)
        .map_err(|e| Error::new(ErrorKind::Usage, format!("\"{name}\" is no pattern: {}", e.msg)))?;
    Ok(names(project, |model| pattern.matches(&model.name) || pattern.matches(&model.full_name())))
}

fn names(project: &Project, wanted: impl Fn(&crate::Model) -> bool) -> Vec<String> {
    project.models.iter().filter(|model| wanted(model)).map(crate::Model::full_name).collect()
}

/// All that can be reached from a model.
pub(crate) fn reach<'a>(from: &str, seen: &mut BTreeSet<String>, next: impl Fn(&str) -> Vec<&'a str>) {
    let mut open = vec![from.to_owned()];
    let mut visited = BTreeSet::new();
    while let Some(name) = open.pop() {
        for other in next(&name) {
            if visited.insert(other.to_owned()) {
                open.push(other.to_owned());
            }
        }
    }
    seen.extend(visited);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;

    fn graph(edges: &[(&str, &[&str])]) -> (Project, References) {
        let models = edges
            .iter()
            .map(|(name, _)| {
                let (layer, short) = name.split_once('.').unwrap();
                let mut model = Model::of(layer, short, "SELECT 1");
                model.tags = if layer == "raw" { vec!["source".to_owned()] } else { Vec::new() };
                model
            })
            .collect();
        let references = edges
            .iter()
            .map(|(name, needs)| ((*name).to_owned(), needs.iter().map(|n| (*n).to_owned()).collect()))
            .collect();
        (Project { models, warnings: Vec::new() }, references)
    }

    const EDGES: &[(&str, &[&str])] = &[
        ("mart.report", &["staging.b", "staging.a"]),
        ("raw.a", &[]),
        ("raw.b", &[]),
        ("staging.a", &["raw.a"]),
        ("staging.b", &["raw.b"]),
    ];

    #[test]
    fn each_comes_behind_what_it_needs_and_ties_are_sorted() {
        let order = order(&graph(EDGES).1).unwrap();
        assert_eq!(order, ["raw.a", "raw.b", "staging.a", "staging.b", "mart.report"]);
    }

    #[test]
    fn a_cycle_names_all_its_members() {
        let edges: &[(&str, &[&str])] =
            &[("a.one", &["a.two"]), ("a.two", &["a.three"]), ("a.three", &["a.one"]), ("b.free", &["a.one"])];
        let message = order(&graph(edges).1).unwrap_err().message().to_owned();
        for name in ["a.one", "a.two", "a.three"] {
            assert!(message.contains(name), "{message}");
        }
        assert!(!message.contains("b.free"), "{message}");
    }

    #[test]
    fn selectors_take_names_globs_tags_and_relatives() {
        let (project, references) = graph(EDGES);
        let take = |selectors: &[&str]| -> Vec<String> {
            let selectors: Vec<String> = selectors.iter().map(|s| (*s).to_owned()).collect();
            select(&project, &references, &selectors).unwrap().into_iter().collect()
        };
        assert_eq!(take(&["report"]), ["mart.report"]);
        assert_eq!(take(&["a"]), ["raw.a", "staging.a"]);
        assert_eq!(take(&["+staging.a"]), ["raw.a", "staging.a"]);
        assert_eq!(take(&["raw.b+"]), ["mart.report", "raw.b", "staging.b"]);
        assert_eq!(take(&["staging.*", "tag:source"]), ["raw.a", "raw.b", "staging.a", "staging.b"]);
        assert_eq!(take(&[]).len(), 5);
        let error = select(&project, &references, &["reprt".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.hint_text().unwrap().contains("report"));
    }
}
