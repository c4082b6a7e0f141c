use std::collections::BTreeMap;

use super::lineage::{Node, around, svg};
use super::view::{bytes, count};
use super::*;
use crate::catalog::Table;

fn node(name: &str) -> Node {
    Node { name: name.to_owned(), tone: 0, page: None }
}

fn edges(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    pairs.iter().map(|(to, from)| ((*to).to_owned(), from.iter().map(|f| (*f).to_owned()).collect())).collect()
}

/// Where the box of a node begins.
fn left(picture: &str, name: &str) -> f64 {
    let (_, behind) = picture.split_once(&format!("<title>{name}</title><rect class=\"box\" x=\"")).unwrap();
    behind.split('"').next().unwrap().parse().unwrap()
}

#[test]
fn a_model_stands_right_of_all_that_it_reads() {
    let edges = edges(&[("b.b", &["a.a"]), ("c.c", &["a.a", "b.b"]), ("d.d", &["e.e"])]);
    let nodes = ["a.a", "b.b", "c.c", "d.d", "e.e"].map(node);
    let picture = svg(&nodes, &edges, Some("c.c")).unwrap();
    for (from, to) in [("a.a", "b.b"), ("b.b", "c.c"), ("a.a", "c.c"), ("e.e", "d.d")] {
        assert!(left(&picture, from) < left(&picture, to), "{from} {to}");
    }
    assert_eq!(picture.matches("<path class=\"edge").count(), 4);
    assert_eq!(picture.matches("node here").count(), 1);
}

#[test]
fn a_picture_of_a_cycle_ends_and_one_of_nothing_is_none() {
    let nodes = ["a.a", "b.b"].map(node);
    assert!(svg(&nodes, &edges(&[("a.a", &["b.b"]), ("b.b", &["a.a"])]), None).is_some());
    assert_eq!(svg(&nodes, &edges(&[("a.a", &["a.a", "gone.x"])]), None), None);
}

#[test]
fn names_in_the_picture_are_escaped() {
    let picture = svg(&[node("a.<x>&"), node("b.b")], &edges(&[("b.b", &["a.<x>&"])]), None).unwrap();
    assert!(picture.contains("&lt;x&gt;&amp;") && !picture.contains("<x>"));
}

#[test]
fn around_a_model_is_what_it_is_made_of_and_what_is_made_of_it() {
    let edges = edges(&[("b.b", &["a.a"]), ("c.c", &["b.b"]), ("d.d", &["a.a"])]);
    assert_eq!(around("b.b", &edges).into_iter().collect::<Vec<_>>(), ["a.a", "b.b", "c.c"]);
}

#[test]
fn numbers_are_for_people() {
    assert_eq!([0, 999, 1000, 49_392_569].map(count), ["0", "999", "1,000", "49,392,569"]);
    assert_eq!([0, 999, 1000, 408_944_640].map(bytes), ["0 B", "999 B", "1.0 kB", "408.9 MB"]);
}

#[test]
fn pages_of_names_that_look_alike_do_not_meet() {
    let table = |name: &str| Table { name: name.to_owned(), layer: "mart".to_owned(), ..Table::default() };
    let catalog = Catalog { tables: vec![table("a b"), table("a/b"), table("A-b")], ..Catalog::default() };
    let pages = pages(&Inputs {
        catalog: &catalog,
        project: &Project::default(),
        lineage: &BTreeMap::new(),
        samples: &BTreeMap::new(),
        links: Links::default(),
    })
    .unwrap();
    let paths: Vec<&str> = pages.iter().map(|page| page.path.as_str()).collect();
    assert_eq!(paths, ["index.html", "tables/mart.a-b.html", "tables/mart.a-b-2.html", "tables/mart.A-b-3.html"]);
}
