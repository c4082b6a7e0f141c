use super::*;

fn layout(file_name: &str) -> Layout {
    Layout {
        directory: "a/b".to_owned(),
        file_name: file_name.to_owned(),
        compressed_name: None,
        bundle_stem: "orders_20251212_143022".to_owned(),
        compression: Compression::default(),
        max_rows_per_file: Some(10),
        max_bytes_per_file: None,
        partition_by: Vec::new(),
        trigger_name: None,
        manifest_name: None,
        if_exists: IfExists::Overwrite,
        on_empty: OnEmpty::Write,
        header: Header::Each,
    }
}

#[test]
fn parts_have_four_digits_before_the_extension() {
    assert_eq!(layout("o.v2.csv").part_name(Part::Number(1)), "o.v2_part0001.csv");
    assert_eq!(layout("o.csv").part_name(Part::Number(12_345)), "o_part12345.csv");
    assert_eq!(layout("noext").part_name(Part::Number(2)), "noext_part0002");
    assert_eq!(layout("o.csv").part_name(Part::Only), "o.csv");
}

#[test]
fn the_part_placeholder_takes_the_plain_number() {
    assert_eq!(layout("o-{part}.csv").part_name(Part::Number(3)), "o-3.csv");
    assert_eq!(layout("o-{part}.csv").part_name(Part::Only), "o-1.csv");
}

#[test]
fn compressed_names_have_the_right_extension_once() {
    let o = layout("o.csv");
    assert_eq!(o.compressed_part_name(Part::Only, Codec::Gzip), "o.csv.gz");
    assert_eq!(layout("o.csv.gz").compressed_part_name(Part::Only, Codec::Gzip), "o.csv.gz");
    assert_eq!(o.compressed_part_name(Part::Only, Codec::Zip), "o.zip");
    assert_eq!(o.compressed_part_name(Part::Number(2), Codec::Zstd), "o_part0002.csv.zst");
    let named = Layout { compressed_name: Some("A0".to_owned()), ..o };
    assert_eq!(named.compressed_part_name(Part::Only, Codec::Zip), "A0.zip");
    assert_eq!(named.compressed_part_name(Part::Number(2), Codec::Lz4), "A0_part0002.lz4");
}

#[test]
fn several_parts_are_bundled_by_zip_and_gzip() {
    let o = layout("o.csv");
    assert_eq!(o.bundle_name(Codec::Zip).as_deref(), Some("orders_20251212_143022.zip"));
    assert_eq!(o.bundle_name(Codec::Gzip).as_deref(), Some("orders_20251212_143022.tar.gz"));
    assert_eq!(o.bundle_name(Codec::Zstd), None);
    for given in ["A0.zip", "A0.gz", "A0.tar.gz", "A0"] {
        let named = Layout { compressed_name: Some(given.to_owned()), ..o.clone() };
        assert_eq!(named.bundle_name(Codec::Gzip).as_deref(), Some("A0.tar.gz"), "{given}");
    }
}

#[test]
fn paths_begin_at_the_store() {
    assert_eq!(layout("o.csv").path("x"), "a/b/x");
    assert_eq!(Layout { directory: String::new(), ..layout("o.csv") }.path("x"), "x");
    assert_eq!(split_extension(".hidden"), (".hidden", ""));
}
