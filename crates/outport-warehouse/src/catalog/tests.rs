use super::naming::is_version_of;
use super::*;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn published() -> Naming {
    Naming::published(Base::Public("https://pub.example/".to_owned()), "data/")
}

#[test]
fn a_version_stands_before_the_extensions() {
    let naming = published();
    for (path, is_file, expected) in [
        ("marts/x.parquet", true, "data/marts/x.0123456789ab.parquet"),
        ("marts/x.csv.gz", true, "data/marts/x.0123456789ab.csv.gz"),
        ("marts/x.2025.json", true, "data/marts/x.2025.0123456789ab.json"),
        ("x", true, "data/x.0123456789ab"),
        ("a.b/x", true, "data/a.b/x.0123456789ab"),
        ("marts/by.type", false, "data/marts/by.type.0123456789ab"),
    ] {
        let version = naming.versioned(path, HASH, is_file);
        assert_eq!(version, expected);
        let inside = if is_file { version.clone() } else { format!("{version}/k=v/data_0.parquet") };
        assert!(is_version_of(&naming.stable(path), is_file, &inside).is_some_and(|found| version.starts_with(found)));
    }
}

#[test]
fn the_content_is_named_once() {
    let named = naming::with_content("k=0123456789ab/data_0.csv.gz", HASH, true);
    assert_eq!(named, "k=0123456789ab/data_0.0123456789ab.csv.gz");
    assert_eq!(published().inside(&named, HASH), "k=0123456789ab/data_0.csv.gz");
    assert_eq!(published().inside("k=v/data_0.csv.gz", HASH), "k=v/data_0.csv.gz");
    assert_eq!(Naming::local(String::new()).inside(&named, HASH), named);
}

#[test]
fn other_files_are_no_versions() {
    for path in [
        "data/x.parquet",
        "data/x.0123456789ab.csv",
        "data/x.0123456789AB.parquet",
        "data/x.0123456789.parquet",
        "data/x.0123456789ab.parquet.tmp",
        "data/xy.0123456789ab.parquet",
        "data/x.0123456789äb.parquet",
    ] {
        assert_eq!(is_version_of("data/x.parquet", true, path), None, "{path}");
    }
    assert_eq!(is_version_of("data/x", false, "data/x.0123456789ab"), None);
}

#[test]
fn urls_are_encoded_and_places_in_a_store_are_not() {
    let path = "data/k=a%2Fb c/ü.parquet";
    assert_eq!(published().url(path), "https://pub.example/data/k=a%252Fb%20c/%C3%BC.parquet");
    let store = Naming::published(Base::Store("s3://bucket/pub".to_owned()), "");
    assert_eq!(store.url(path), format!("s3://bucket/pub/{path}"));
    assert_eq!(store.public_url(), None);
}

/// A table of two partitions, of which one may have an odd value.
fn partitioned(format: &str, value: Option<&str>) -> Table {
    let file = |path: &str, value: Option<&str>| DataFile {
        path: path.to_owned(),
        url: format!("https://pub.example/{path}"),
        partition: vec![("Type".to_owned(), value.map(str::to_owned))],
        ..DataFile::default()
    };
    let column = |name: &str, data_type: &str| Column {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        ..Column::default()
    };
    Table {
        name: "t".to_owned(),
        layer: "mart".to_owned(),
        format: format.to_owned(),
        partition_by: vec!["Type".to_owned()],
        columns: vec![column("it's", "INTEGER"), column("type", "VARCHAR")],
        files: vec![file("a", Some("RUN")), file("b", value)],
        ..Table::default()
    }
}

#[test]
fn plain_partitions_are_read_by_their_folders() {
    let sql = relation(&partitioned("parquet", Some("STUDY")), true, &|file| file.url.clone());
    assert_eq!(
        sql.as_deref(),
        Some(
            "SELECT * FROM read_parquet(['https://pub.example/a', 'https://pub.example/b'], hive_partitioning = true, \
             hive_types = {'Type': 'VARCHAR'})"
        )
    );
}

#[test]
fn odd_partitions_are_read_file_by_file() {
    let sql = relation(&partitioned("csv", Some("it's")), true, &|file| file.path.clone()).unwrap();
    let options = "header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, \
                   columns = {'it''s': 'INTEGER'}, hive_partitioning = false";
    assert_eq!(
        sql,
        format!(
            "SELECT *, CAST('RUN' AS VARCHAR) AS \"Type\" FROM read_csv('a', {options})\nUNION ALL BY NAME\n\
             SELECT *, CAST('it''s' AS VARCHAR) AS \"Type\" FROM read_csv('b', {options})"
        )
    );
    let nothing = relation(&partitioned("parquet", None), true, &|file| file.path.clone()).unwrap();
    assert!(nothing.contains("CAST(NULL AS VARCHAR) AS \"Type\""), "{nothing}");
}

#[test]
fn a_dialect_is_told() {
    let mut table = partitioned("csv", Some("RUN"));
    for (name, value) in [("sep", "\\t"), ("header", "false"), ("nullValue", "it's NA"), ("dateFormat", "%d.%m.%Y")] {
        table.format_options.insert(name.to_owned(), value.to_owned());
    }
    let sql = relation(&table, false, &|file| file.path.clone()).unwrap();
    let expected =
        "(['a', 'b'], header = false, delim = '\t', nullstr = 'it''s NA', names = ['it''s'], hive_partitioning = true)";
    assert!(sql.ends_with(expected), "{sql}");
    table.format_options.insert("encoding".to_owned(), "UTF-16".to_owned());
    assert!(!is_readable(&table), "DuckDB 1.0 reads UTF-8 alone");
}

#[test]
fn what_duckdb_does_not_read_has_no_view() {
    assert!(!is_readable(&partitioned("excel", Some("RUN"))));
    assert!(!is_readable(&Table { compression: "brotli".to_owned(), ..partitioned("csv", Some("RUN")) }));
    assert!(is_readable(&Table { compression: "brotli".to_owned(), ..partitioned("parquet", Some("RUN")) }));
}

#[test]
fn a_catalogue_reads_what_it_wrote() {
    let catalog = Catalog { name: "c".to_owned(), tables: vec![partitioned("parquet", None)], ..Catalog::default() };
    let text = catalog.to_json().unwrap();
    assert_eq!(Catalog::parse("catalog.json", text.as_bytes()).unwrap(), catalog);
    let error = Catalog::parse("catalog.json", b"{}").unwrap_err();
    assert!(error.to_string().contains("catalog.json is not a catalogue"), "{error}");
}
