//! The two databases that hold the state, and the little in which they differ.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::BoxFuture;
use outport_core::error::from_io;
use outport_core::secret::redact_url;
use outport_core::{Error, ErrorKind, Result};
use sqlx::any::{Any, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row, Transaction};

/// How long a transaction waits for another process to end its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of the lock that keeps two processes from upgrading one PostgreSQL state at once; chosen once, at random.
const MIGRATION_LOCK: i64 = 7_163_402_985_114_027;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

/// The steps from an empty database to the present tables, oldest first; a step that was released is never changed.
const MIGRATIONS: &[(&str, &str)] = &[
    (include_str!("migrations/sqlite/0001_state.sql"), include_str!("migrations/postgres/0001_state.sql")),
    (include_str!("migrations/sqlite/0002_vars.sql"), include_str!("migrations/postgres/0002_vars.sql")),
];

#[derive(Debug)]
pub(super) struct Database {
    pub(super) pool: AnyPool,
    backend: Backend,
    /// What errors call it.
    name: String,
}

impl Database {
    pub(super) async fn open(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let database = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url).await?
        } else {
            let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
            Self::open_sqlite(Path::new(path)).await?
        };
        database.migrate().await?;
        Ok(database)
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let name = format!("state database {}", redact_url(url));
        let pool = connect(url, |_| Box::pin(async { Ok(()) })).await.map_err(|e| failed(&name, e))?;
        Ok(Self { pool, backend: Backend::Postgres, name })
    }

    async fn open_sqlite(path: &Path) -> Result<Self> {
        let name = format!("state database {}", path.display());
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| from_io(ErrorKind::State, e).context(name.clone()))?;
        }
        let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        let url = format!("sqlite://{escaped}?mode=rwc");
        let pool = connect(&url, |connection| {
            Box::pin(async move {
                // The write-ahead log lets readers and one writer work at once, in as many processes as there are;
                // FULL makes a commit survive a power cut.
                let pragmas = format!(
                    "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
                    BUSY_TIMEOUT.as_millis()
                );
                connection.execute(sqlx::raw_sql(AssertSqlSafe(pragmas))).await.map(drop)
            })
        })
        .await
        .map_err(|e| failed(&name, e))?;
        Ok(Self { pool, backend: Backend::Sqlite, name })
    }

    /// Begins a transaction that may write. SQLite takes its write lock at once, since a lock that is asked for later is
    /// refused where another process has written in between.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>> {
        let statement = match self.backend {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        self.pool.begin_with(statement).await.map_err(|e| self.failed(e))
    }

    pub(super) async fn commit(&self, transaction: Transaction<'static, Any>) -> Result<()> {
        transaction.commit().await.map_err(|e| self.failed(e))
    }

    /// Turns an error of the database into ours.
    pub(super) fn failed(&self, error: sqlx::Error) -> Error {
        failed(&self.name, error)
    }

    /// An error about what is in the database.
    pub(super) fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::State, format!("{}: {what}", self.name))
    }

    /// A query whose text is of our own making. `$n::ts`, `$n::civil` and `$n::json` are parameters that are text here and
    /// instants, civil times and JSON in PostgreSQL; `@ts(column)`, `@civil(column)` and `@json(column)` are columns of these
    /// types as text; `@now_ms` is the database's clock in milliseconds.
    pub(super) fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        let replacements = match self.backend {
            Backend::Sqlite => [
                ("@now_ms", "CAST(unixepoch('subsec') * 1000 AS INTEGER)"),
                ("@ts(", "("),
                ("@civil(", "("),
                ("@json(", "("),
                ("::ts", ""),
                ("::civil", ""),
                ("::json", ""),
            ],
            Backend::Postgres => [
                ("@now_ms", "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"),
                ("@ts(", "outport_ts("),
                ("@civil(", "outport_civil("),
                ("@json(", "outport_json("),
                ("::ts", "::TIMESTAMPTZ"),
                ("::civil", "::TIMESTAMP"),
                ("::json", "::JSONB"),
            ],
        };
        AssertSqlSafe(replacements.iter().fold(text.to_owned(), |sql, (from, to)| sql.replace(from, to)))
    }

    async fn migrate(&self) -> Result<()> {
        let mut transaction = self.begin().await?;
        self.migrate_in(&mut transaction).await.map_err(|e| e.context("preparing the tables"))?;
        self.commit(transaction).await
    }

    async fn migrate_in(&self, connection: &mut AnyConnection) -> Result<()> {
        if self.backend == Backend::Postgres {
            let lock = sqlx::query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)").bind(MIGRATION_LOCK);
            lock.execute(&mut *connection).await.map_err(|e| self.failed(e))?;
        }
        let create =
            "CREATE TABLE IF NOT EXISTS outport_schema_version (version BIGINT PRIMARY KEY, applied_at TEXT NOT NULL)";
        sqlx::query(create).execute(&mut *connection).await.map_err(|e| self.failed(e))?;
        let row = sqlx::query("SELECT coalesce(max(version), 0) FROM outport_schema_version")
            .fetch_one(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        let present = usize::try_from(row.try_get::<i64, _>(0).map_err(|e| self.failed(e))?).unwrap_or(usize::MAX);
        if present > MIGRATIONS.len() {
            let what = format!("its tables have version {present}, expected at most {}", MIGRATIONS.len());
            return Err(self.wrong(what).hint("use the outport version that upgraded it, or a newer one"));
        }
        for (version, (sqlite, postgres)) in MIGRATIONS.iter().enumerate().skip(present) {
            let script = match self.backend {
                Backend::Sqlite => *sqlite,
                Backend::Postgres => *postgres,
            };
            connection.execute(sqlx::raw_sql(script)).await.map_err(|e| self.failed(e))?;
            sqlx::query("INSERT INTO outport_schema_version (version, applied_at) VALUES ($1, $2)")
                .bind(version as i64 + 1)
                .bind(now())
                .execute(&mut *connection)
                .await
                .map_err(|e| self.failed(e))?;
        }
        Ok(())
    }
}

/// A pool whose every connection begins with `prepare`. The first one is made at once and not tried again, since a pool keeps
/// trying until its time is over, whatever the reason, and then says only that.
async fn connect(
    url: &str,
    prepare: impl for<'c> Fn(&'c mut AnyConnection) -> BoxFuture<'c, sqlx::Result<()>> + Copy + Send + Sync + 'static,
) -> sqlx::Result<AnyPool> {
    let mut first = AnyConnection::connect(url).await?;
    prepare(&mut first).await?;
    first.close().await?;
    AnyPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(BUSY_TIMEOUT)
        .after_connect(move |connection, _| prepare(connection))
        .connect_lazy(url)
}

/// The time as it is stored: UTC, ISO 8601, always with microseconds so that texts order as times do.
pub(super) fn now() -> String {
    stored(jiff::Timestamp::now())
}

pub(super) fn stored(time: jiff::Timestamp) -> String {
    format!("{time:.6}")
}

fn failed(name: &str, error: sqlx::Error) -> Error {
    let text = match &error {
        sqlx::Error::Database(e) => e.message().to_owned(),
        sqlx::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    };
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let ours = if matches!(error, sqlx::Error::PoolTimedOut) || says(&["database is locked", "database is busy"]) {
        Error::new(
            ErrorKind::State,
            format!("{name} is locked by another process for more than {} s", BUSY_TIMEOUT.as_secs()),
        )
        .hint("see who has it open, or use a PostgreSQL state where many processes write at once")
        .retryable(true)
    } else if says(&["file is not a database", "malformed"]) {
        Error::new(ErrorKind::State, format!("{name} is not an SQLite database, or is damaged"))
            .hint("restore it from a backup, or move it away to start with an empty state: watermarks are then lost")
    } else if says(&["readonly database", "unable to open database file"]) {
        Error::new(ErrorKind::State, format!("{name} cannot be written"))
            .hint("check owner and mode of the file and of its folder")
    } else if says(&["database or disk is full", "No space left"]) {
        Error::new(ErrorKind::DiskFull, format!("{name}: no space left on the device"))
            .hint("free some space and run again")
    } else if says(&["password authentication failed", "no pg_hba.conf entry", "permission denied"]) {
        Error::new(ErrorKind::Auth, format!("{name}: {text}"))
    } else {
        let retryable = matches!(error, sqlx::Error::Io(_));
        Error::new(ErrorKind::State, format!("{name}: {text}")).retryable(retryable)
    };
    ours.with_source(error)
}
