//! What is said when an extract is wrong.

use super::sample::try_read;
use super::{SourceFixture, people};
use crate::extract::{Extract, Relation};
use crate::{Error, ErrorKind};

/// A table that does not exist is [`ErrorKind::NotFound`], and the hint names the nearest that does.
pub async fn missing_table_names_the_nearest(fixture: &dyn SourceFixture) {
    let Relation::Table { schema, .. } = fixture.create("suite_customers", &people()).await else {
        panic!("create() gives a table");
    };
    let wrong = Extract::of(Relation::Table { schema, name: "suite_custmers".into() });
    let error = error_of(fixture, &wrong).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(told(&error).contains("suite_custmers"), "{error} does not name what was asked for");
    assert!(error.hint_text().unwrap_or_default().contains("suite_customers"), "hint: {:?}", error.hint_text());
    assert!(!error.is_retryable(), "{error}");
}

/// A column that does not exist is [`ErrorKind::NotFound`], and the hint names the nearest that does.
pub async fn missing_column_names_the_nearest(fixture: &dyn SourceFixture) {
    let mut wrong = Extract::of(fixture.create("suite_missing_column", &people()).await);
    wrong.columns = Some(vec!["id".into(), "chnged".into()]);
    let error = error_of(fixture, &wrong).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(told(&error).contains("chnged"), "{error} does not name what was asked for");
    assert!(error.hint_text().unwrap_or_default().contains("changed"), "hint: {:?}", error.hint_text());
}

/// Wrong SQL gives the system's own words and says in which line they apply.
pub async fn bad_sql_speaks_with_position(fixture: &dyn SourceFixture) {
    if !fixture.source().caps().sql {
        return;
    }
    let error = error_of(fixture, &Extract::query("SELECT 1 AS id\nWHERE 1 = 1\nGROUP ORDER LIMIT")).await;
    assert!(!matches!(error.kind(), ErrorKind::Internal | ErrorKind::Connection), "{:?}: {error}", error.kind());
    assert!(!error.is_retryable(), "{error}");
    let told = told(&error).to_lowercase();
    let line = error.location().is_some_and(|l| l.line == 3) || told.contains("line 3") || told.contains("line: 3");
    assert!(line, "the message does not say that line 3 is wrong: {told}");
    assert!(told.contains("order"), "the message does not say what is wrong: {told}");
}

async fn error_of(fixture: &dyn SourceFixture, extract: &Extract) -> Error {
    let source = fixture.source();
    let of_schema = source.schema(extract, &super::context()).await.err();
    let of_read = try_read(source, extract).await.expect_err("read() of a wrong extract succeeded");
    let of_schema = of_schema.expect("schema() of a wrong extract succeeded");
    assert_eq!(of_schema.kind(), of_read.kind(), "schema() and read() disagree: {of_schema} / {of_read}");
    of_read
}

fn told(error: &Error) -> String {
    format!("{error} {}", error.causes().join(" "))
}
