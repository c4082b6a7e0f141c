use outport_core::layout::{Codec, Layout};
use uuid::Uuid;

use super::{belongs, check, temporary, temporary_owner, with_suffix};

fn layout(file_name: &str) -> Layout {
    Layout {
        directory: "sales".to_owned(),
        file_name: file_name.to_owned(),
        compressed_name: None,
        bundle_stem: "orders".to_owned(),
        compression: Default::default(),
        max_rows_per_file: Some(10),
        max_bytes_per_file: None,
        partition_by: Vec::new(),
        trigger_name: None,
        manifest_name: None,
        if_exists: Default::default(),
        on_empty: Default::default(),
        header: Default::default(),
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["", "..", ".", "a/b.csv", "a\\b.csv", "a\0b", "a\nb"] {
        assert!(check(&layout(name)).is_err(), "{name:?}");
    }
    check(&layout("orders .csv")).unwrap();
    for directory in ["../x", "a//b", "/a", "a/", "a/./b"] {
        assert!(check(&Layout { directory: directory.to_owned(), ..layout("a.csv") }).is_err(), "{directory}");
    }
}

#[test]
fn the_files_of_an_export_are_told_from_others() {
    let orders = layout("orders_20251212.csv");
    for path in
        ["sales/orders_20251212.csv", "sales/orders_20251212_part0001.csv", "sales/orders_20251212_part12345.csv"]
    {
        assert!(belongs(&orders, Codec::None, path), "{path}");
    }
    for path in [
        "sales/orders_20251211.csv",
        "orders_20251212.csv",
        "sales2/orders_20251212.csv",
        "sales/orders_20251212_part1.csv",
    ] {
        assert!(!belongs(&orders, Codec::None, path), "{path}");
    }
    assert!(belongs(&layout("o_{part}.csv"), Codec::Gzip, "sales/x=1/o_17.csv.gz"));
    assert!(belongs(&orders, Codec::Gzip, "sales/orders.tar.gz"));
}

#[test]
fn temporary_files_name_their_run() {
    let run = Uuid::from_u128(7);
    assert_eq!(temporary_owner(&format!("a/b/{}", temporary(run, 12))), Some(run));
    assert_eq!(temporary_owner(".outport-x-0001.tmp"), None);
    assert_eq!(temporary_owner("outport.csv"), None);
}

#[test]
fn a_version_stands_before_the_extension() {
    assert_eq!(with_suffix("orders.csv", 2), "orders_v2.csv");
    assert_eq!(with_suffix("orders.tar.gz", 3), "orders_v3.tar.gz");
    assert_eq!(with_suffix("orders", 2), "orders_v2");
}
