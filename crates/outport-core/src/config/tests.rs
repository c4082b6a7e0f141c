use super::*;
use crate::export::{ConnectionKind, NullCursor, Rows, SourceType};
use crate::extract::Relation;
use crate::format::{FormatCaps, OptionSpec};
use crate::layout::Codec;

const CSV_OPTIONS: &[OptionSpec] = &[
    OptionSpec { name: "header", aliases: &[], default: "true", help: "" },
    OptionSpec { name: "sep", aliases: &["delimiter"], default: ",", help: "" },
];

fn vocabulary() -> Vocabulary {
    let caps = |extension, text, internal_codecs| FormatCaps {
        extension,
        media_type: "",
        text,
        internal_codecs,
        default_codec: Codec::None,
        options: CSV_OPTIONS,
        reads: true,
    };
    let source = |kind| ConnectionKind { source: Some(kind), target: kind == SourceType::Lakehouse };
    Vocabulary {
        formats: vec![
            ("csv", caps("csv", true, &[])),
            ("parquet", caps("parquet", false, &[Codec::Zstd, Codec::Snappy])),
        ],
        connections: vec![
            ("lake".to_owned(), source(SourceType::Lakehouse)),
            ("shop".to_owned(), source(SourceType::Warehouse)),
            ("DEV/lh_exports".to_owned(), source(SourceType::Lakehouse)),
            ("drop".to_owned(), ConnectionKind { source: None, target: true }),
        ],
        check_options: None,
        vars: crate::vars::Vars::default(),
    }
}

fn environment() -> Environment {
    Environment::from_variables([("HOST", "db.example"), ("PASSWORD", "hunter2-canary")])
}

fn project(name: &str, text: &str) -> Result<Project> {
    let file = Text { name: name.to_owned(), text: text.to_owned() };
    let read = |path: &str| match path {
        "/run/secrets/token" => Ok("t0ken\n".to_owned()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    Project::assemble(Document::parse(&file, &environment(), &read)?.with_overrides(&environment()), Vec::new())
}

fn exports(text: &str) -> Result<Vec<Export>> {
    check_exports(project("outport.yml", text)?.exports, &vocabulary())
}

fn messages(error: &Error) -> Vec<String> {
    if error.others().is_empty() {
        vec![error.to_string()]
    } else {
        error.others().iter().map(ToString::to_string).collect()
    }
}

const MINIMAL: &str =
    "exports:\n  sales/orders: {source: lake, source_table: orders, target: drop, target_path: a/, file_format: csv}\n";

#[test]
fn the_example_of_the_manual_is_read_whole() {
    let text = r#"
connections:
  lake: {type: lakehouse, url: "s3://gold"}
  drop: {type: store, url: "az://exports"}
defaults: {target: drop, timezone: Australia/Sydney}
exports:
  sales/daily_orders:
    source: lake
    source_table: orders
    extract_type: incremental
    incremental_column: modified_date
    file_format: csv
    file_format_options: {sep: "|", header: true}
    compression: zipdeflate
    max_rows_per_file: 1000000
    target_path: "sales/{run_date:%Y}/"
    target_filename_pattern: "orders_{run_date:%Y%m%d}.csv"
    trigger_file_pattern: "orders_{run_date:%Y%m%d}.done"
"#;
    let exports = exports(text).unwrap();
    let [export] = exports.as_slice() else { panic!("expected one export") };
    assert_eq!(export.key.to_string(), "sales/daily_orders");
    assert_eq!(export.target, "drop");
    assert_eq!(export.timezone.as_deref(), Some("Australia/Sydney"));
    assert_eq!(export.compression.codec, Codec::Zip);
    assert_eq!(export.options.0["header"], "true");
    assert_eq!(export.relation, Relation::table("orders"));
    assert!(
        matches!(&export.rows, Rows::Incremental { column, on_null: NullCursor::Error, .. } if column == "modified_date")
    );
}

#[test]
fn everything_wrong_is_reported_at_once_with_its_place() {
    let text = "exports:\n  a/one:\n    source: lak\n    souce_table: x\n    source_table: t\n    target: drop\n    target_path: p\n    file_format: cvs\n    compression: gzipp\n    max_rows_per_file: 0\n  a/two:\n    is_active: perhaps\n";
    let error = exports(text).unwrap_err();
    let all = messages(&error).join("\n");
    for expected in [
        "a/one: outport.yml:4:5: unknown key \"souce_table\"",
        "source: there is no connection \"lak\"",
        "Unsupported file_format: 'cvs'. Valid options: csv, parquet",
        "Invalid compression: 'gzipp'",
        "max_rows_per_file must be greater than 0, found 0",
        "a/two: outport.yml:12:16: expected true or false, found \"perhaps\"",
        "a/two: outport.yml:11:3: Must specify either source_table or source_query",
    ] {
        assert!(all.contains(expected), "missing: {expected}\nin:\n{all}");
    }
    let hints: Vec<_> = error.others().iter().filter_map(Error::hint_text).collect();
    assert!(hints.contains(&"did you mean \"source_table\"?"), "{hints:?}");
    assert!(hints.contains(&"did you mean \"lake\"?"), "{hints:?}");
}

#[test]
fn an_unquoted_placeholder_gets_a_hint() {
    for line in ["target_path: {run_date:%Y}/", "target_path: {run_date}"] {
        let error = exports(&format!("exports:\n  a/b:\n    {line}\n")).unwrap_err();
        let hint = std::iter::once(&error).chain(error.others()).find_map(Error::hint_text).unwrap_or_default();
        assert!(hint.contains("quote a value that begins with a placeholder"), "{line}: {error} / {hint}");
    }
}

#[test]
fn documented_rules_have_their_documented_messages() {
    let base = "source: lake, target: drop, target_path: p, file_format: csv";
    for (fields, expected) in [
        ("source_table: t, source_query: q", "Cannot specify both source_table and source_query"),
        ("source_query: q, source_columns: [a]", "source_columns cannot be used with source_query"),
        (
            "source_table: t, extract_type: incremental",
            "incremental_column is required when extract_type='incremental'",
        ),
        ("source_table: t, extract_type: period", "period_date_query is required when extract_type='period'"),
        ("source_table: t, extract_type: weekly", "Unsupported extract_type: 'weekly'"),
        ("source_table: t, compression_level: 3", "compression_level requires compression to be set"),
        (
            "source_table: t, compression: gzip, compression_level: 10",
            "compression_level for gzip must be between 1 and 9, found 10",
        ),
        (
            "source_table: t, compression: lz4, compression_level: 1",
            "compression_level not supported for compression type 'lz4'",
        ),
        (
            "source_table: t, compressed_filename_pattern: x.zip",
            "compressed_filename_pattern requires compression to be set",
        ),
        (
            "source_table: t, target_filename_pattern: \"{watermark}.csv\"",
            "Invalid placeholder(s) in target_filename_pattern: {watermark}",
        ),
        ("source_table: t, execution_group: 0", "execution_group must be greater than 0"),
        ("source_table: t, file_format_options: {seperator: x}", "format csv has no option \"seperator\""),
        ("source_table: t, timezone: Mars/Olympus", "unknown timezone \"Mars/Olympus\""),
        ("source_query: \"select {run_dat}\"", "Invalid placeholder(s) in source_query: {run_dat}"),
        (
            "source_query: \"select {watermark}\"",
            "source_query uses {watermark}, which needs extract_type: incremental",
        ),
    ] {
        let error = exports(&format!("exports:\n  a/b: {{{base}, {fields}}}\n")).unwrap_err();
        let all = messages(&error).join("\n");
        assert!(all.contains(expected), "{fields}: expected {expected}, found {all}");
    }
}

/// The value that is to blame is marked with «».
#[test]
fn errors_stand_at_the_value() {
    for line in [
        "source_table: t, source_query: «q»",
        "source_query: q, source_columns: «[a]»",
        "source_query: q, source_filter: «a»",
        "source_query: «\"select {watermark}\"»",
        "source_query: «\"select {run_dat}\"»",
        "source_query: «\"select {period_end_date}\"»",
        "source_table: t, extract_type: «weekly»",
        "source_table: t, extract_type: «incremental»",
        "source_table: t, extract_type: incremental, incremental_column: «''»",
        "source_table: t, incremental_column: «id»",
        "source_table: t, extract_type: «period»",
        "source_table: t, period_date_query: «\"select {watermark}\"»",
        "source_table: t, compression: «gzipp»",
        "source_table: t, compression_level: «3»",
        "source_table: t, compression: gzip, compression_level: «10»",
        "source_table: t, compression: lz4, compression_level: «1»",
        "source_table: t, file_format: parquet, compression: «brotli»",
        "source_table: t, file_format: «cvs»",
        "source_table: t, file_format_options: {«sepp»: x}",
        "source_table: t, timezone: «Mars/Olympus»",
        "source_table: t, execution_group: «0»",
        "source_table: t, max_rows_per_file: «0»",
        "source_table: t, max_bytes_per_file: «-1»",
        "source_table: t, compressed_filename_pattern: «x.zip»",
        "source_table: t, target_filename_pattern: «\"{watermark}.csv\"»",
        "source_table: t, target_filename_pattern: «a/b.csv»",
        "source_table: t, trigger_file_pattern: «''»",
        "source_table: t, manifest: «\"{nope}\"»",
        "source_table: t, manifest: «[a, b]»",
        "source_table: t, target_path: «\"{nope}\"»",
        "source_table: t, target_path: «''»",
        "source_table: t, source: «lak»",
        "source_table: t, source: «drop»",
        "source_table: t, source_type: «warehouse»",
        "source_table: t, source_type: «house»",
        "source_table: t, target: «shop»",
        "source_table: t, export_name: «other»",
        "source_table: t, if_exists: «maybe»",
        "source_table: t, tags: «{a: b}»",
        "source_table: t, is_active: «perhaps»",
    ] {
        let plain = line.replace(['«', '»'], "");
        let given = |field: &str| plain.split(", ").any(|part| part.starts_with(&format!("{field}: ")));
        let base = [("source", "lake"), ("target", "drop"), ("target_path", "p"), ("file_format", "csv")];
        let rest: String = base
            .iter()
            .filter(|(field, _)| !given(field))
            .map(|(field, value)| format!(", {field}: {value}"))
            .collect();
        let before = "  a/b: {";
        let error = exports(&format!("exports:\n{before}{plain}{rest}}}\n")).unwrap_err();
        let column = before.len() + line.chars().take_while(|c| *c != '«').count() + 1;
        let location = std::iter::once(&error).chain(error.others()).find_map(Error::location).unwrap();
        assert_eq!((location.line, location.column), (2, column as u64), "{line}: {error} {:?}", error.others());
    }
    // What the defaults give wrong is wrong there.
    let text = format!("defaults:\n  compression: gzp\n{MINIMAL}");
    assert_eq!(
        exports(&text).unwrap_err().to_string().split(": Invalid").next(),
        Some("sales/orders: outport.yml:2:16")
    );
    // What the settings give wrong as well.
    for (text, place) in [("memory_limit: lots\n", "1:15"), ("connections: {x: {type: [a]}}\n", "1:25")] {
        let error = project("outport.yml", text).unwrap_err();
        assert!(error.to_string().starts_with(&format!("outport.yml:{place}: ")), "{error}");
    }
}

#[test]
fn braces_that_are_the_querys_own_stay() {
    let text = "exports:\n  a/b: {source: shop, source_query: \"select '{\\\"a\\\": 1}'::json, {x: 1}\", target: drop, target_path: p, file_format: csv}\n";
    assert_eq!(exports(text).unwrap().len(), 1);
}

#[test]
fn the_documented_long_form_names_connections_by_workspace() {
    let text = "exports:\n- {export_group_name: sales, export_name: x, is_active: true, execution_group: 1, source_type: lakehouse, source_workspace: DEV, source_datastore: lake, source_table: t, target_workspace: DEV, target_lakehouse: lh_exports, target_path: e/, file_format: csv}\n";
    let exports = exports(text).unwrap();
    assert_eq!((exports[0].source.as_str(), exports[0].target.as_str()), ("lake", "DEV/lh_exports"));
}

#[test]
fn references_are_resolved_and_never_shown() {
    let project = project("outport.yml", "connections:\n  shop: {type: postgres, url: \"postgres://u:${env:PASSWORD}@${env:HOST}/d\", token: \"${file:/run/secrets/token}\", port: \"${env:PORT:-5432}\"}\n").unwrap();
    let settings = &project.connections["shop"].settings;
    assert_eq!(settings.get("url").and_then(Node::as_str), Some("postgres://u:hunter2-canary@db.example/d"));
    assert_eq!(settings.get("token").and_then(Node::as_str), Some("t0ken"));
    assert_eq!(settings.get("port").and_then(Node::as_str), Some("5432"));
    let error = self::project("outport.yml", "connections:\n  shop: {type: x, url: \"${env:NOPE}\"}\n").unwrap_err();
    assert_eq!(error.to_string(), "outport.yml:2:24: environment variable NOPE is not set");
    let error = self::project("outport.yml", "connections:\n  shop: {type: x, pw: \"${env:PASSWORD}${oops:1}\"}\n")
        .unwrap_err();
    assert!(
        !format!("{error:?}").contains("hunter2")
            || error.location().is_some_and(|l| !format!("{l:?}").contains("hunter2"))
    );
}

#[test]
fn references_that_are_not_supported_are_refused_by_name() {
    let refused = |reference: &str| {
        project("outport.yml", &format!("connections:\n  shop: {{type: x, pw: \"${{{reference}}}\"}}\n")).unwrap_err()
    };
    for store in ["vault", "gcp", "aws", "azure"] {
        let error = refused(&format!("{store}:secret/shop#password"));
        let expected = format!("outport.yml:2:23: references \"${{{store}:…}}\" are not supported");
        assert_eq!((error.to_string(), error.kind()), (expected, ErrorKind::Config));
        let hint = error.hint_text().unwrap();
        assert!(hint.contains("${env:NAME}") && hint.contains("${file:/path}"), "{hint}");
    }
    let error = refused("evn:PASSWORD");
    assert_eq!((error.message(), error.hint_text()), ("unknown reference \"${evn:…}\"", Some("did you mean \"env\"?")));
    assert_eq!(refused("keyring:x").hint_text(), Some("there are: env, file"));
}

#[test]
fn toml_says_the_same_as_yaml() {
    let yaml = project("outport.yml", "connections: {lake: {type: lakehouse, url: /x}}\nstate: s.db\n").unwrap();
    let toml =
        project("outport.toml", "state = \"s.db\"\n[connections.lake]\ntype = \"lakehouse\"\nurl = \"/x\"\n").unwrap();
    assert_eq!(yaml.settings.state, toml.settings.state);
    assert_eq!(yaml.connections["lake"].kind, toml.connections["lake"].kind);
    let error = project("outport.toml", "state = \n").unwrap_err();
    assert!(error.to_string().starts_with("outport.toml:1:"), "{error}");
}

#[test]
fn the_environment_overrides_by_path() {
    let file = Text { name: "outport.yml".to_owned(), text: MINIMAL.to_owned() };
    let set = Environment::from_variables([
        ("OUTPORT__EXPORTS__SALES_ORDERS__TARGET_PATH", "b/"),
        ("OUTPORT__STATE", "x.db"),
    ]);
    let read = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let project =
        Project::assemble(Document::parse(&file, &set, &read).unwrap().with_overrides(&set), Vec::new()).unwrap();
    assert_eq!(project.settings.state.as_deref(), Some("x.db"));
    let exports = check_exports(project.exports, &vocabulary()).unwrap();
    assert_eq!(exports[0].target_path, "b/");
}

#[test]
fn a_definition_table_is_checked_like_a_file() {
    use arrow::array::{ArrayRef, BooleanArray, Int32Array, StringArray};
    let text = |values: [Option<&str>; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let batch = arrow::array::RecordBatch::try_from_iter([
        ("export_group_name", text([Some("s"), Some("s")])),
        ("export_name", text([Some("a"), Some("b")])),
        ("is_active", Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef),
        ("execution_group", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ("source_datastore", text([Some("lake"), Some("lake")])),
        ("source_table", text([Some("t"), None])),
        ("source_columns", text([Some("[\"x\",\"y\"]"), None])),
        ("target_lakehouse", text([Some("drop"), Some("drop")])),
        ("target_path", text([Some("p"), Some("p")])),
        ("file_format", text([Some("csv"), Some("csv")])),
        ("file_format_options", text([Some("{\"sep\": \"|\"}"), Some("")])),
    ])
    .unwrap();
    let rows = definitions_from_rows("lake.config_resource_export", &[batch], None).unwrap();
    let error = check_exports(rows.clone(), &vocabulary()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "s/b: table lake.config_resource_export, row 2: Must specify either source_table or source_query"
    );
    let exports = check_exports(rows[..1].to_vec(), &vocabulary()).unwrap();
    assert_eq!(exports[0].columns.as_deref(), Some(["x".to_owned(), "y".to_owned()].as_slice()));
    assert_eq!(exports[0].options.0["sep"], "|");
}

#[test]
fn a_wrong_cell_of_a_definition_table_is_named() {
    use arrow::array::{ArrayRef, StringArray};
    let batch = |cells: &[(&str, &str)]| {
        let columns = cells.iter().map(|(name, text)| (*name, Arc::new(StringArray::from(vec![*text])) as ArrayRef));
        arrow::array::RecordBatch::try_from_iter(columns).unwrap()
    };
    let right = [
        ("export_group_name", "s"),
        ("export_name", "a"),
        ("source_datastore", "lake"),
        ("source_table", "t"),
        ("target_lakehouse", "drop"),
        ("target_path", "p"),
        ("FILE_FORMAT", "csv"),
        ("file_format_options", "{}"),
        ("max_rows_per_file", "5"),
    ];
    for (column, text, expected) in [
        ("FILE_FORMAT", "cvs", "Unsupported file_format: 'cvs'"),
        ("file_format_options", "{\"sepp\": 1}", "format csv has no option \"sepp\""),
        ("file_format_options", "sep=1", "expected options as a mapping or its JSON"),
        ("max_rows_per_file", "many", "expected a whole number"),
        ("source_datastore", "lak", "source: there is no connection \"lak\""),
        ("export_name", "a/b", "expected a name group/export"),
    ] {
        let wrong = right.map(|(name, right)| (name, if name == column { text } else { right }));
        // The second batch begins with the second row.
        let rows = definitions_from_rows("db.exports", &[batch(&right), batch(&wrong)], None).unwrap();
        let error = check_exports(rows[1..].to_vec(), &vocabulary()).unwrap_err();
        let place = format!("table db.exports, row 2, column {column}: {expected}");
        assert!(messages(&error).iter().any(|message| message.contains(&place)), "{place} is not in {error}");
    }
}

#[test]
fn exports_of_one_file_are_refused_before_anything_runs() {
    let two = |fields: &str| {
        let one = format!("source: lake, source_table: t, target: drop, target_path: p, file_format: csv{fields}");
        exports(&format!("exports:\n  a/x: {{{one}}}\n  b/y: {{{one}}}\n"))
    };
    let error = two(", target_filename_pattern: \"o_{run_date:%Y}.csv\"").unwrap_err();
    assert!(error.to_string().contains("exports \"a/x\" and \"b/y\" would write the same file"), "{error}");
    assert_eq!(two("").unwrap().len(), 2);
    assert_eq!(two(", target_filename_pattern: \"{export_group_name}.csv\"").unwrap().len(), 2);
}

#[test]
fn keys_that_stand_twice_and_unknown_sections_are_errors() {
    assert!(
        project("outport.yml", "state: a\nstate: b\n").unwrap_err().to_string().contains("key \"state\" stands twice")
    );
    let error = project("outport.yml", "conections: {}\n").unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.hint_text()),
        ("outport.yml:1:1: unknown key \"conections\"", Some("did you mean \"connections\"?"))
    );
}

#[test]
fn the_schema_knows_every_field() {
    let schema = json_schema(&[]);
    let fields = schema["$defs"]["Export"]["properties"].as_object().unwrap();
    for field in ["source_table", "trigger_file_pattern", "compressed_filename_pattern", "incremental_lookback"] {
        assert!(fields.contains_key(field), "{field}");
    }
    assert_eq!(schema["$defs"]["Export"]["additionalProperties"], false);
}
