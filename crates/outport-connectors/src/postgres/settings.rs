//! Where and as whom to connect: the configuration, the URL and the environment in one.

use std::path::PathBuf;
use std::time::Duration;

use outport_core::secret::Secret;
use outport_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;

use super::config::{PostgresConfig, SslMode};

/// Everything a connection is opened with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) dbname: String,
    pub(super) sslmode: SslMode,
    pub(super) sslrootcert: Option<String>,
    pub(super) options: Option<String>,
    pub(super) application_name: String,
    pub(super) connect_timeout: Duration,
}

impl Settings {
    /// Resolves a configuration; `environment` gives the value of a variable.
    pub(super) fn resolve(config: &PostgresConfig, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let url = config.url.as_ref().map(|url| UrlParts::parse(url.expose())).transpose()?.unwrap_or_default();
        let environment = |name: &str| environment(name).filter(|v| !v.is_empty());
        let text = |given: &Option<String>, from_url: &Option<String>, variable: &str| {
            given.clone().or_else(|| from_url.clone()).or_else(|| environment(variable))
        };

        let host = text(&config.host, &url.host, "PGHOST").unwrap_or_else(|| "localhost".to_owned());
        let port = match config.port.or(url.port) {
            Some(port) => port,
            None => environment("PGPORT").map_or(Ok(5432), |p| number(&p, "PGPORT"))?,
        };
        let user = text(&config.user, &url.user, "PGUSER").unwrap_or_else(|| "postgres".to_owned());
        let dbname = text(&config.dbname, &url.dbname, "PGDATABASE").unwrap_or_else(|| user.clone());
        let sslmode = match (config.sslmode, url.sslmode.clone().or_else(|| environment("PGSSLMODE"))) {
            (Some(mode), _) => mode,
            (None, Some(text)) => parse_sslmode(&text)?,
            (None, None) => SslMode::default(),
        };
        let connect_timeout =
            match (config.connect_timeout, url.connect_timeout.clone().or_else(|| environment("PGCONNECT_TIMEOUT"))) {
                (Some(seconds), _) => seconds,
                (None, Some(text)) => number(&text, "connect_timeout")?,
                (None, None) => 10,
            };
        let password = config
            .password
            .clone()
            .or_else(|| url.password.clone())
            .or_else(|| environment("PGPASSWORD").map(Secret::new))
            .or_else(|| {
                password_file(&environment)
                    .and_then(|file| from_password_file(&file, [&host, &port.to_string(), &dbname, &user]))
            });
        Ok(Self {
            sslrootcert: text(&config.sslrootcert, &url.sslrootcert, "PGSSLROOTCERT"),
            options: text(&config.options, &url.options, "PGOPTIONS"),
            application_name: text(&config.application_name, &url.application_name, "PGAPPNAME")
                .unwrap_or_else(|| "outport".to_owned()),
            connect_timeout: Duration::from_secs(connect_timeout.max(1)),
            host,
            port,
            user,
            password,
            dbname,
            sslmode,
        })
    }

    /// How messages name the server.
    pub(super) fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

#[derive(Default)]
struct UrlParts {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    dbname: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    options: Option<String>,
    application_name: Option<String>,
    connect_timeout: Option<String>,
}

impl UrlParts {
    fn parse(text: &str) -> Result<Self> {
        // Neither the text nor the parser's message is shown: either may hold the password.
        let wrong = |what: &str| {
            Error::new(ErrorKind::Config, format!("the PostgreSQL url is not valid: {what}"))
                .hint("expected postgres://user:password@host:port/database; characters such as @ / : # % in a password are written as %40 %2F %3A %23 %25")
        };
        let url = url::Url::parse(text).map_err(|_| wrong("it cannot be parsed"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong(&format!("expected the scheme postgres, found {}", url.scheme())));
        }
        let decode = |part: &str| {
            percent_decode_str(part)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| wrong("it is not UTF-8"))
        };
        let some = |part: &str| if part.is_empty() { Ok(None) } else { decode(part).map(Some) };
        let mut parts = Self {
            host: some(url.host_str().unwrap_or_default().trim_matches(['[', ']']))?,
            port: url.port(),
            user: some(url.username())?,
            password: url.password().map(decode).transpose()?.map(Secret::new),
            dbname: some(url.path().trim_start_matches('/'))?,
            ..Self::default()
        };
        for (key, value) in url.query_pairs() {
            let value = value.into_owned();
            match key.as_ref() {
                "host" => parts.host = Some(value),
                "port" => parts.port = Some(number(&value, "port")?),
                "user" => parts.user = Some(value),
                "password" => parts.password = Some(Secret::new(value)),
                "dbname" => parts.dbname = Some(value),
                "sslmode" => parts.sslmode = Some(value),
                "sslrootcert" => parts.sslrootcert = Some(value),
                "options" => parts.options = Some(value),
                "application_name" => parts.application_name = Some(value),
                "connect_timeout" => parts.connect_timeout = Some(value),
                other => {
                    const KNOWN: [&str; 10] = [
                        "host",
                        "port",
                        "user",
                        "password",
                        "dbname",
                        "sslmode",
                        "sslrootcert",
                        "options",
                        "application_name",
                        "connect_timeout",
                    ];
                    return Err(Error::new(
                        ErrorKind::Config,
                        format!("the PostgreSQL url has an unknown parameter \"{other}\""),
                    )
                    .hint(outport_core::error::suggestion(other, KNOWN)));
                }
            }
        }
        Ok(parts)
    }
}

fn number<T: std::str::FromStr>(text: &str, name: &str) -> Result<T> {
    text.parse().map_err(|_| Error::new(ErrorKind::Config, format!("{name}: expected a number, found \"{text}\"")))
}

fn parse_sslmode(text: &str) -> Result<SslMode> {
    match text {
        "disable" => Ok(SslMode::Disable),
        // libpq's `allow` tries without encryption first; `prefer` reaches the same servers and encrypts where it can.
        "allow" | "prefer" => Ok(SslMode::Prefer),
        "require" => Ok(SslMode::Require),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-full" => Ok(SslMode::VerifyFull),
        other => Err(Error::new(ErrorKind::Config, format!("sslmode: unknown mode \"{other}\""))
            .hint("valid modes: disable, prefer, require, verify-ca, verify-full")),
    }
}

fn password_file(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let path = environment("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".pgpass")))?;
    std::fs::read_to_string(path).ok()
}

/// The password of the first line `host:port:database:user:password` that matches; `*` matches all, `\` escapes.
fn from_password_file(file: &str, wanted: [&str; 4]) -> Option<Secret> {
    file.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = split_escaped(line).into_iter();
        let matches = wanted.iter().all(|w| fields.next().is_some_and(|f| f == "*" || f == *w));
        fields.next().filter(|_| matches).map(Secret::new)
    })
}

fn split_escaped(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let field = match c {
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => chars.next(),
            other => Some(other),
        };
        if let (Some(c), Some(last)) = (field, fields.last_mut()) {
            last.push(c);
        }
    }
    fields
}

#[cfg(test)]
mod tests;
