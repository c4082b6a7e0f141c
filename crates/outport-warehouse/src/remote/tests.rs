use super::*;
use crate::catalog::Column;

fn table(layer: &str, name: &str, format: &str) -> Table {
    Table {
        name: name.to_owned(),
        layer: layer.to_owned(),
        format: format.to_owned(),
        columns: vec![Column { name: "a\"b".to_owned(), data_type: "BIGINT".to_owned(), ..Column::default() }],
        files: vec![DataFile { url: "https://x/it's".to_owned(), ..DataFile::default() }],
        ..Table::default()
    }
}

#[test]
fn short_names_are_given_where_they_are_unique() {
    let catalog = Catalog {
        name: "two\nlines".to_owned(),
        tables: vec![
            table("mart", "both", "parquet"),
            table("mart", "one", "parquet"),
            table("staging", "Both", "parquet"),
            table("main", "plain", "parquet"),
            table("mart", "_catalog", "parquet"),
            table("mart", "sheet", "excel"),
        ],
        ..Catalog::default()
    };
    let sql = views_sql(&catalog);
    let views: Vec<&str> = sql.lines().filter_map(|line| line.strip_prefix("CREATE OR REPLACE VIEW ")).collect();
    let expected = [
        "\"mart\".\"both\" AS",
        "\"mart\".\"one\" AS",
        "\"one\" AS",
        "\"staging\".\"Both\" AS",
        "\"main\".\"plain\" AS",
        "\"mart\".\"_catalog\" AS",
    ];
    assert_eq!(views, expected);
    assert!(sql.contains("-- mart.sheet: DuckDB does not read excel"));
    assert!(sql.starts_with("-- two lines, version"), "{sql}");
}

#[test]
fn names_and_urls_are_quoted_and_readers_stood_in_for() {
    let catalog = Catalog { tables: vec![table("mart", "one", "parquet")], ..Catalog::default() };
    let sql = script(&catalog, "v1.0.0", "/tmp/it's.duckdb").unwrap();
    assert!(sql.starts_with("ATTACH '/tmp/it''s.duckdb' AS outport_remote (STORAGE_VERSION 'v1.0.0');"), "{sql}");
    let stand_in =
        "CREATE OR REPLACE TEMP MACRO read_parquet(files) AS TABLE SELECT CAST(NULL AS BIGINT) AS \"a\"\"b\" LIMIT 0;";
    assert!(sql.contains(stand_in), "{sql}");
    assert!(sql.contains("CREATE VIEW outport_remote.main.\"one\" AS SELECT * FROM read_parquet('https://x/it''s');"));
    assert!(sql.ends_with("DETACH outport_remote;\n"));
}
