//! The graph of models as a picture: columns by depth, curves between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A model in the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// `layer.name`.
    pub(super) name: String,
    /// The number of its layer's colour.
    pub(super) tone: usize,
    /// Its page, where it is published.
    pub(super) page: Option<String>,
}

/// Sizes in pixels. A character of the monospaced face at 13 pixels is at most this wide.
const CHARACTER: f64 = 7.9;
const PADDING: f64 = 34.0;
const HEIGHT: f64 = 42.0;
const GAP: f64 = 14.0;
const BETWEEN: f64 = 72.0;
const MARGIN: f64 = 6.0;
/// Rounds of putting nodes beside their neighbours; more change nothing that one sees.
const ROUNDS: usize = 8;

/// A place of a node.
struct Place {
    x: f64,
    y: f64,
    width: f64,
}

/// The models that a model is made of, directly or not, those made of it, and itself.
pub(super) fn around(name: &str, edges: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::from([name.to_owned()]);
    for up in [true, false] {
        let mut next = vec![name.to_owned()];
        while let Some(at) = next.pop() {
            let neighbours: Vec<&String> = if up {
                edges.get(&at).into_iter().flatten().collect()
            } else {
                edges.iter().filter(|(_, sources)| sources.contains(&at)).map(|(model, _)| model).collect()
            };
            for neighbour in neighbours {
                if found.insert(neighbour.clone()) {
                    next.push(neighbour.clone());
                }
            }
        }
    }
    found
}

/// The picture of `nodes`, with `edges` from each model to those it reads; `here` is set off. None where there is no edge to draw.
pub(super) fn svg(nodes: &[Node], edges: &BTreeMap<String, Vec<String>>, here: Option<&str>) -> Option<String> {
    let index: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, node)| (node.name.as_str(), i)).collect();
    let links: Vec<(usize, usize)> = edges
        .iter()
        .filter_map(|(to, sources)| Some((index.get(to.as_str())?, sources)))
        .flat_map(|(to, sources)| sources.iter().filter_map(|from| Some((*index.get(from.as_str())?, *to))))
        .filter(|(from, to)| from != to)
        .collect();
    if links.is_empty() {
        return None;
    }
    let columns = order(columns(nodes.len(), &links), &links);
    let (places, width, height) = place(nodes, &columns);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\" aria-label=\"{} models and what they are made of\">",
        nodes.len()
    );
    for (from, to) in &links {
        let (a, b) = (&places[*from], &places[*to]);
        let (x1, y1, x2, y2) = (a.x + a.width, a.y + HEIGHT / 2.0, b.x - 7.0, b.y + HEIGHT / 2.0);
        let bend = ((x2 - x1) / 2.0).max(24.0);
        let on = here.is_some_and(|here| nodes[*from].name == here || nodes[*to].name == here);
        let on = if on { " on" } else { "" };
        // A String takes whatever is written to it.
        let _ = write!(
            out,
            "<path class=\"edge{on}\" d=\"M{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}\"/>\
             <path class=\"head{on}\" d=\"M{:.1} {y2:.1}l-7 -4v8z\"/>",
            x1 + bend,
            x2 - bend,
            b.x - 1.0
        );
    }
    for (node, place) in nodes.iter().zip(&places) {
        draw(&mut out, node, place, here == Some(node.name.as_str()));
    }
    out.push_str("</svg>");
    Some(out)
}

fn draw(out: &mut String, node: &Node, place: &Place, here: bool) {
    let (layer, name) = node.name.split_once('.').unwrap_or(("", &node.name));
    let kind = match (here, &node.page) {
        (true, _) => "here",
        (_, Some(_)) => "out",
        _ => "in",
    };
    let link = node.page.as_ref().filter(|_| !here);
    if let Some(page) = link {
        let _ = write!(out, "<a href=\"{}\">", escape(page));
    }
    let Place { x, y, width } = place;
    let _ = write!(
        out,
        "<g class=\"node {kind} l{}\"><title>{}</title><rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{HEIGHT}\" rx=\"9\"/><circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" class=\"of\">{}</text><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
        node.tone,
        escape(&node.name),
        x + 14.0,
        y + HEIGHT / 2.0,
        x + 26.0,
        y + 16.0,
        escape(layer),
        x + 26.0,
        y + 32.0,
        escape(name)
    );
    if link.is_some() {
        out.push_str("</a>");
    }
}

/// The nodes by depth: each is right of all that it is made of, and as near to what is made of it as that allows.
fn columns(count: usize, links: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut depth = vec![0usize; count];
    // A graph without cycles is settled after as many rounds as it has nodes; one with a cycle must end, too.
    for _ in 0..count {
        let mut changed = false;
        for (from, to) in links {
            if depth[*to] <= depth[*from] && depth[*from] + 1 < count {
                depth[*to] = depth[*from] + 1;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    // What only one reads stands next to it, not at the far left.
    for node in 0..count {
        let reads_nothing = !links.iter().any(|(_, to)| *to == node);
        if let Some(nearest) = links.iter().filter(|(from, _)| *from == node).map(|(_, to)| depth[*to]).min()
            && reads_nothing
        {
            depth[node] = nearest.saturating_sub(1);
        }
    }
    let mut columns = vec![Vec::new(); depth.iter().max().map_or(0, |d| d + 1)];
    for (node, at) in depth.iter().enumerate() {
        columns[*at].push(node);
    }
    columns.retain(|column| !column.is_empty());
    columns
}

/// Puts nodes where the mean of their neighbours is, to and fro, which undoes most crossings.
fn order(mut columns: Vec<Vec<usize>>, links: &[(usize, usize)]) -> Vec<Vec<usize>> {
    for round in 0..ROUNDS {
        let position: BTreeMap<usize, f64> = columns
            .iter()
            .flat_map(|column| {
                let half = column.len() as f64 / 2.0;
                column.iter().enumerate().map(move |(i, node)| (*node, i as f64 - half))
            })
            .collect();
        let mean = |node: usize| {
            let forth = round % 2 == 0;
            let of = links.iter().filter_map(|(from, to)| match (forth, node) {
                (true, n) if n == *to => position.get(from),
                (false, n) if n == *from => position.get(to),
                _ => None,
            });
            let (sum, count) = of.fold((0.0, 0.0), |(sum, count), p| (sum + p, count + 1.0));
            if count > 0.0 { sum / count } else { position.get(&node).copied().unwrap_or_default() }
        };
        for column in &mut columns {
            column.sort_by(|a, b| mean(*a).total_cmp(&mean(*b)));
        }
    }
    columns
}

fn place(nodes: &[Node], columns: &[Vec<usize>]) -> (Vec<Place>, f64, f64) {
    let width_of = |node: usize| {
        let name = &nodes[node].name;
        let characters = name.split_once('.').map_or(name.as_str(), |(_, name)| name).chars().count().max(6);
        characters as f64 * CHARACTER + PADDING + 8.0
    };
    let tallest = columns.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let height = tallest * (HEIGHT + GAP) - GAP + 2.0 * MARGIN;
    let mut places: Vec<Place> = nodes.iter().map(|_| Place { x: 0.0, y: 0.0, width: 0.0 }).collect();
    let mut x = MARGIN;
    for column in columns {
        let width = column.iter().map(|node| width_of(*node)).fold(0.0, f64::max);
        let tall = column.len() as f64 * (HEIGHT + GAP) - GAP;
        for (i, node) in column.iter().enumerate() {
            places[*node] = Place { x, y: (height - tall) / 2.0 + i as f64 * (HEIGHT + GAP), width };
        }
        x += width + BETWEEN;
    }
    (places, x - BETWEEN + MARGIN, height)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
