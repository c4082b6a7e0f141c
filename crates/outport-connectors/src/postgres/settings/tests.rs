use serde_json::json;

use super::*;

fn resolve(config: serde_json::Value, environment: &[(&str, &str)]) -> Result<Settings> {
    let config: PostgresConfig = serde_json::from_value(config).expect("a configuration");
    Settings::resolve(&config, &|name| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

#[test]
fn fields_win_over_the_url_and_the_url_over_the_environment() {
    let environment = [
        ("PGHOST", "env"),
        ("PGPORT", "1"),
        ("PGUSER", "env"),
        ("PGDATABASE", "env"),
        ("PGSSLMODE", "require"),
        ("PGPASSWORD", "env"),
    ];
    let all = resolve(
        json!({"url": "postgresql://u%40x:p%2F@[::1]:5433/d%20b?sslmode=verify-full&application_name=app", "dbname": "field"}),
        &environment,
    );
    let all = all.expect("settings");
    assert_eq!((all.host.as_str(), all.port, all.user.as_str(), all.dbname.as_str()), ("::1", 5433, "u@x", "field"));
    assert_eq!((all.sslmode, all.application_name.as_str()), (SslMode::VerifyFull, "app"));
    assert_eq!(all.password.map(|p| p.expose().clone()).as_deref(), Some("p/"));

    let from_environment = resolve(json!({}), &environment).expect("settings");
    assert_eq!((from_environment.host.as_str(), from_environment.port), ("env", 1));
    assert_eq!(from_environment.sslmode, SslMode::Require);

    let defaults = resolve(json!({}), &[]).expect("settings");
    assert_eq!(
        (defaults.server().as_str(), defaults.user.as_str(), defaults.dbname.as_str()),
        ("localhost:5432", "postgres", "postgres")
    );
    assert!(defaults.password.is_none() && defaults.sslmode == SslMode::Prefer);
}

#[test]
fn what_cannot_be_understood_is_said_without_the_password() {
    for (config, said) in [
        (json!({"url": "postgres://u:canary@h:x/d"}), "cannot be parsed"),
        (json!({"url": "canary"}), "cannot be parsed"),
        (json!({"url": "mysql://u:canary@h/d"}), "expected the scheme postgres, found mysql"),
        (json!({"url": "postgres://u:canary@h/d?sslmode=full"}), "unknown mode \"full\""),
        (json!({"url": "postgres://u:canary@h/d?ssl_mode=require"}), "unknown parameter \"ssl_mode\""),
    ] {
        let error = resolve(config, &[]).expect_err("a bad url");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(said) && error.hint_text().is_some(), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert_eq!(resolve(json!({}), &[("PGPORT", "x")]).expect_err("a bad port").kind(), ErrorKind::Config);
}

#[test]
fn the_password_file_is_read_as_libpq_reads_it() {
    let file = "# host:5432:db:user:comment\nhost:5432:other:user:wrong\nho\\:st:*:*:user:es\\:cap\\\\ed:and more\n*:*:*:*:last\n";
    let find =
        |host: &str, user: &str| from_password_file(file, [host, "5432", "db", user]).map(|p| p.expose().clone());
    assert_eq!(find("ho:st", "user").as_deref(), Some("es:cap\\ed:and more"));
    assert_eq!(find("host", "user").as_deref(), Some("last"));
    assert!(from_password_file("host:1:db:user:p", ["host", "2", "db", "user"]).is_none());
}

#[test]
fn numeric_policies_are_checked() {
    use crate::postgres::Numeric;
    let numeric = |text: &str| serde_json::from_value::<PostgresConfig>(json!({"numeric": text})).map(|c| c.numeric);
    assert_eq!(numeric("decimal(20, 4)").expect("a type"), Numeric::Decimal(20, 4));
    for wrong in ["decimal(77,2)", "decimal(4,5)", "decimal(0,0)", "decimal(4,-1)", "float"] {
        assert!(numeric(wrong).expect_err(wrong).to_string().contains("expected scan, text or decimal(p,s)"));
    }
}
