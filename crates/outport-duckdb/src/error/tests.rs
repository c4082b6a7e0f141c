//! The texts are those of DuckDB 1.5.

use super::*;

#[test]
fn a_syntax_error_has_line_and_column() {
    let error = parse("Parser Error: syntax error at or near \"selec\"\n\nLINE 2: selec 1\n        ^");
    assert_eq!(error.kind(), ErrorKind::SourceRead);
    assert_eq!(error.to_string(), "query:2:1: syntax error at or near \"selec\"");
    assert_eq!(error.location().unwrap().text.as_deref(), Some("selec 1"));
}

#[test]
fn a_missing_column_lists_the_candidates() {
    let error = parse(
        "Binder Error: Referenced column \"idd\" not found in FROM clause!\nCandidate bindings: \"id\"\n\nLINE 1: select idd from orders\n               ^",
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "referenced column \"idd\" not found in FROM clause");
    assert_eq!(error.hint_text(), Some("there are: \"id\""));
    assert_eq!(error.location().unwrap().column, 8);
}

#[test]
fn a_missing_table_keeps_the_suggestion() {
    let error =
        parse("Catalog Error: Table with name order does not exist!\nDid you mean \"orders\"?\n\nLINE 1: x\n  ^");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint_text(), Some("did you mean \"orders\"?"));
}

#[test]
fn a_value_that_does_not_convert_is_data() {
    assert_eq!(parse("Conversion Error: Could not convert string 'a' to INT32").kind(), ErrorKind::Data);
    assert_eq!(parse("Out of Range Error: Overflow in multiplication").kind(), ErrorKind::Data);
}

#[test]
fn memory_that_runs_out_names_the_setting() {
    let error = parse(
        "Out of Memory Error: could not allocate block of size 256.0 KiB (9.3 MiB/9.5 MiB used)\n\nPossible solutions:\n* Reducing",
    );
    assert_eq!(error.kind(), ErrorKind::SourceRead);
    assert!(error.message().ends_with("(9.3 MiB/9.5 MiB used)"), "{error}");
    assert!(error.hint_text().unwrap().contains("memory_limit"));
}

#[test]
fn a_long_line_has_no_column() {
    let error = parse("Parser Error: syntax error\n\nLINE 1: ...from orders where\n                ^");
    assert_eq!(error.location().unwrap().column, 0);
}

#[test]
fn text_without_a_class_stays_whole() {
    assert_eq!(parse("connect error").message(), "connect error");
}

#[test]
fn the_cause_behind_a_closed_result_counts() {
    let error = parse(
        "Invalid Input Error: Attempting to execute an unsuccessful or closed pending query result\nError: Conversion Error: Could not convert string 'x' to INT32",
    );
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.message(), "could not convert string 'x' to INT32");
}
