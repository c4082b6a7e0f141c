//! Configurations that are wrong.

use crate::check;
use crate::support::{Folder, python};

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    let folder = Folder::with_exports("  shop/cities: {source_table: cities, file_fromat: csv}\n");
    check!("unknown_key", folder.run("check"));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let folder = Folder::with_exports(
        "  a/format: {source_table: cities, file_format: parqet}
  a/codec: {source_table: cities, compression: gzp}
  a/zone: {source_table: cities, timezone: Mars/Base}
  a/option: {source_table: cities, file_format_options: {sepp: x}}
  a/value: {source_table: cities, file_format: csv, file_format_options: {header: perhaps, quote: ab}}
  a/source: {source: laek, source_table: cities}
  a/extract: {source_table: cities, extract_type: incr}
  a/rows: {source_table: cities, max_rows_per_file: many}
  a/cursor: {source_table: cities, extract_type: incremental}
",
    );
    check!("many_errors", folder.run("check"));
}

#[test]
fn a_connection_type_that_does_not_exist_is_refused_by_name() {
    let folder = Folder::new();
    for kind in ["sqlserver", "bigquery", "spark"] {
        folder.write("outport.yml", format!("connections: {{x: {{type: {kind}}}}}\n"));
        let said = folder.run("check");
        assert!(said.starts_with("exit 2\n") && said.contains(kind), "{said}");
    }
    folder.write("outport.yml", "connections: {x: {type: postgre}}\n");
    check!("connection_type", folder.run("check"));
}

#[test]
fn a_syntax_error_shows_the_line() {
    let folder = Folder::new();
    folder.write("outport.yml", "exports:\n  a: [1, 2\n  b: }\n");
    check!("yaml_syntax", folder.run("check"));
    folder.write("c.toml", "[connections\nx = 1\n");
    check!("toml_syntax", folder.run("check -c c.toml"));
}

#[test]
fn an_unset_variable_is_named() {
    let folder = Folder::new();
    folder.write("outport.yml", "connections: {x: {type: postgres, url: \"${env:SHOP_URL}\"}}\n");
    check!("unset_variable", folder.run("check"));
}

#[test]
fn no_configuration_is_said_with_a_way_out() {
    let folder = Folder::new();
    check!("no_configuration", folder.run("plan"));
    check!("no_such_configuration", folder.run("plan -c nope.yml"));
}

#[test]
fn secrets_in_plain_text_are_warned_of_and_refused_when_strict() {
    let folder = Folder::new();
    folder.write("outport.yml", "connections: {x: {type: postgres, url: 'postgres://u:hunter2@localhost/x'}}\n");
    let said = folder.run("check");
    assert!(!said.contains("hunter2"), "{said}");
    check!("secret_warning", said);
    let said = folder.run("check --strict");
    assert!(!said.contains("hunter2"), "{said}");
    check!("secret_strict", said);
}

#[test]
fn every_template_checks_cleanly() {
    for template in ["exports", "postgres", "lakehouse"] {
        let folder = Folder::new();
        let said = folder.run(&format!("init new --template {template}"));
        assert!(said.starts_with("exit 0\n"), "{said}");
        let said = folder.transcript(
            folder.command("check --strict -c new/outport.yml").env("SHOP_DATABASE_URL", "postgres://u@localhost/shop"),
        );
        assert!(said.starts_with("exit 0\nok: "), "{template}: {said}");
    }
    check!("unknown_template", Folder::new().run("init new --template postgre"));
}

#[test]
fn templates_and_demo_satisfy_the_schema() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let schema = folder.command("schema").output().expect("the schema").stdout;
    folder.write("schema.json", schema);
    let script = "import glob, json, jsonschema, sys, yaml
v = jsonschema.Draft202012Validator(json.load(open('schema.json')))
v.check_schema(v.schema)
files = [f for p in sys.argv[1:] for f in glob.glob(p, recursive=True) if '/templates/warehouse/' not in f]
assert len(files) >= 6, files
wrong = [f'{f}: {list(e.absolute_path)}: {e.message}' for f in files for e in v.iter_errors(yaml.safe_load(open(f)))]
assert not wrong, '\\n'.join(wrong)
assert list(v.iter_errors({'exports': {'a/b': {'file_fromat': 'csv'}}})), 'a slip passes'
";
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = std::process::Command::new(python)
        .args(["-c", script, &format!("{root}/demo/**/*.yml"), &format!("{root}/crates/outport/templates/**/*.yml")])
        .current_dir(folder.path())
        .output()
        .expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
