//! Plans and runs that are refused, and state that is damaged.

use crate::check;
use crate::support::Folder;

#[test]
fn names_that_the_source_does_not_have_come_with_the_nearest() {
    let folder = Folder::with_exports(
        "  a/table: {source_table: citis}
  b/column: {source_table: cities, source_columns: [city, popultion]}
  c/query: {source_query: 'select citty from cities'}
  d/syntax: {source_query: 'select city frm cities where'}
",
    );
    check!("plan_missing", folder.run("plan"));
    check!("run_missing", folder.run("run -q a/table"));
}

#[test]
fn two_exports_with_one_target_are_refused() {
    let folder = Folder::with_exports(
        "  a/one: {source_table: cities, target_filename_pattern: x.csv}
  a/two: {source_table: cities, target_filename_pattern: x.csv}
",
    );
    for command in ["check", "plan -q", "run -q"] {
        let said = folder.run(command);
        assert!(said.starts_with("exit 2\n"), "{said}");
        assert!(said.contains("exports \"a/one\" and \"a/two\" would write the same file"), "{said}");
    }
}

#[test]
fn two_exports_whose_names_meet_today_are_refused() {
    let folder = Folder::with_exports(
        "  a/one: {source_table: cities, target_filename_pattern: 'x_{run_date:%Y}.csv'}
  a/two: {source_table: cities, target_filename_pattern: 'x_{process_date:%Y}.csv'}
",
    );
    let said = folder.run("plan -q");
    assert!(
        said.starts_with("exit 2\n") && said.contains("exports \"a/one\" and \"a/two\" would both write \"out/x_"),
        "{said}"
    );
    // Whichever comes first has the name.
    let said = folder.run("run -q");
    assert!(said.starts_with("exit 5\n") && said.contains("would both write \"out/x_"), "{said}");
}

#[test]
fn patterns_that_cannot_name_files_are_refused() {
    let folder = Folder::with_exports(
        "  a/unknown: {source_table: cities, target_filename_pattern: '{nope}.csv'}
  a/format: {source_table: cities, target_filename_pattern: 'x_{run_date:%Q}.csv'}
",
    );
    check!("patterns", folder.run("plan"));
    folder.exports("  a/outside: {source_table: cities, target_path: ../../x}\n");
    check!("path_outside", folder.run("plan"));
}

#[test]
fn an_edited_query_under_an_old_watermark_is_refused() {
    let export = |filter: &str| {
        format!(
            "  a/new: {{source_table: cities, extract_type: incremental, incremental_column: founded, source_filter: '{filter}'}}\n"
        )
    };
    let folder = Folder::with_exports(&export("population > 1"));
    let said = folder.run("run -q");
    assert!(said.starts_with("exit 0\n"), "{said}");
    folder.exports(&export("population > 2"));
    check!("edited_plan", folder.run("plan"));
    let said = folder.run("run -q");
    assert!(said.starts_with("exit 4\n"), "{said}");
    let said = folder.run("run -q --accept-change");
    assert!(said.starts_with("exit 0\n"), "{said}");
}

#[test]
fn selecting_nothing_is_an_error_unless_it_is_fine() {
    let folder = Folder::with_exports("  shop/cities: {source_table: cities}\n");
    check!("select_near", folder.run("run shop/citties"));
    check!("select_none", folder.run("run --exclude *"));
    check!("select_allowed", folder.run("run nothing --allow-none"));
    check!("wrong_zone", folder.run("plan --timezone Mars/Base"));
    check!("wrong_date", folder.run("plan --run-date 2025-13-45"));
}

#[test]
fn a_damaged_state_is_named() {
    let folder = Folder::with_exports("  shop/cities: {source_table: cities}\n");
    folder.write(".outport/state.db", "no database");
    check!("state_damaged", folder.run("status"));
}

#[test]
fn a_file_that_was_tampered_with_is_found() {
    let folder = Folder::with_exports("  shop/cities: {source_table: cities}\n");
    let said = folder.run("run -q");
    assert!(said.starts_with("exit 0\n"), "{said}");
    check!("verify_ok", folder.run("verify out/out/cities_manifest.json"));
    let path = folder.path().join("out/out/cities.csv");
    let text = std::fs::read_to_string(&path).expect("the file");
    folder.write("out/out/cities.csv", text.replace("Gent", "Bonn"));
    check!("verify_tampered", folder.run("verify out/out/cities_manifest.json"));
    check!("verify_missing", folder.run("verify out/out/city_manifest.json"));
}
