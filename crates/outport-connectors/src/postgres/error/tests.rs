use super::*;

fn server(fields: &[(char, &str)]) -> ServerError {
    let mut body = Vec::new();
    for (tag, text) in fields {
        body.push(*tag as u8);
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    ServerError::parse(&body)
}

#[test]
fn an_error_says_where_in_the_statement() {
    let error = server(&[('S', "ERROR"), ('C', "42601"), ('M', "syntax error at or near \"ORDR\""), ('P', "19")]);
    let error = error.into_error("SELECT 'ä'\nFROM t ORDR BY 1");
    assert_eq!(error.to_string(), "query:2:8: PostgreSQL says: syntax error at or near \"ORDR\" [SQLSTATE 42601]");
    assert_eq!(error.location().and_then(|l| l.text.as_deref()), Some("FROM t ORDR BY 1"));
    // A position behind the end points at the end.
    let error = server(&[('C', "42601"), ('M', "syntax error at end of input"), ('P', "99")]).into_error("SELECT");
    assert_eq!(error.location().map(|l| (l.line, l.column)), Some((1, 7)));
}

#[test]
fn codes_decide_kind_and_retry() {
    for (code, kind, retryable) in [
        ("28P01", ErrorKind::Auth, false),
        ("42501", ErrorKind::Auth, false),
        ("3D000", ErrorKind::NotFound, false),
        ("42P01", ErrorKind::NotFound, false),
        ("53300", ErrorKind::Connection, true),
        ("57P01", ErrorKind::Connection, true),
        ("08006", ErrorKind::Connection, true),
        ("40001", ErrorKind::SourceRead, true),
        ("55P03", ErrorKind::Busy, true),
        ("22012", ErrorKind::SourceRead, false),
    ] {
        let error = server(&[('C', code), ('M', "text")]).into_error("");
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{code}");
    }
}

#[test]
fn the_missing_name_is_found_quoted_or_not() {
    let name = |code, message| server(&[('C', code), ('M', message)]).missing_name();
    assert_eq!(name("42P01", "relation \"a \"b\" c\" does not exist").as_deref(), Some("a \"b\" c"));
    assert_eq!(name("42703", "column q.chnged does not exist").as_deref(), Some("q.chnged"));
    assert_eq!(name("42601", "syntax error at or near \"x\""), None);
}
