//! Opens a database: settings, locks, files that are missing or are something else.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};
use outport_core::engine::Dialect;
use outport_core::error::{from_io, suggestion};
use outport_core::{Error, ErrorKind, Result};
use tempfile::TempDir;

use crate::config::{AccessMode, DuckDbConfig};
use crate::error::from_duckdb;

/// An open database; connections to it are clones of `root`.
pub(crate) struct Database {
    root: Connection,
    /// Settings that DuckDB keeps per connection.
    session: String,
    /// The folder of the copy that is read in place of a locked file; gone with the database.
    _copy: Option<TempDir>,
    /// What the file was when it was opened, for the manifest.
    pub(crate) snapshot: String,
}

impl Database {
    /// Opens what `config` names. `memory_limit` in bytes is for a configuration that gives none.
    pub(crate) fn open(config: &DuckDbConfig, access: AccessMode, memory_limit: usize) -> Result<Self> {
        if config.is_memory() {
            let (root, session) = connect(Path::new(":memory:"), config, AccessMode::ReadWrite, memory_limit)?;
            return Ok(Self { root, session, _copy: None, snapshot: "memory".to_owned() });
        }
        let path = Path::new(&config.path);
        check_file(path, access)?;
        let opened = connect(path, config, access, memory_limit);
        let ((root, session), copy) = match opened {
            Err(error) if error.kind() == ErrorKind::Busy && config.snapshot_copy && access == AccessMode::ReadOnly => {
                let (folder, copy) = copy_file(path)?;
                (connect(&copy, config, access, memory_limit)?, Some(folder))
            }
            other => (other?, None),
        };
        Ok(Self { root, session, _copy: copy, snapshot: snapshot_of(path)? })
    }

    /// One more connection, for one more query.
    pub(crate) fn connection(&self) -> Result<Connection> {
        let connection = self.root.try_clone().map_err(from_duckdb)?;
        connection.execute_batch(&self.session).map_err(from_duckdb)?;
        Ok(connection)
    }
}

/// The first connection, and the statements that every further one starts with.
fn connect(
    path: &Path,
    config: &DuckDbConfig,
    access: AccessMode,
    memory_limit: usize,
) -> Result<(Connection, String)> {
    let mode = match access {
        AccessMode::ReadOnly => duckdb::AccessMode::ReadOnly,
        AccessMode::ReadWrite => duckdb::AccessMode::ReadWrite,
    };
    let mut flags = Config::default().access_mode(mode).map_err(from_duckdb)?;
    // These can be set only before the database is open.
    for (name, value) in [
        ("autoinstall_known_extensions", "false"),
        ("arrow_lossless_conversion", "true"),
        ("custom_user_agent", "outport"),
    ] {
        flags = flags.with(name, value).map_err(from_duckdb)?;
    }
    if config.settings.contains_key("allow_unsigned_extensions") {
        flags = flags.allow_unsigned_extensions().map_err(from_duckdb)?;
    }
    let root = Connection::open_with_flags(path, flags).map_err(|e| open_error(path, e))?;
    let session = configure(&root, config, memory_limit)?;
    Ok((root, session))
}

fn configure(root: &Connection, config: &DuckDbConfig, memory_limit: usize) -> Result<String> {
    let temp = config.temp_directory.clone().unwrap_or_else(|| std::env::temp_dir().join("outport-duckdb"));
    let memory = config.memory_limit.clone().unwrap_or_else(|| format!("{memory_limit}B"));
    // Results must not depend on the machine: text made of a TIMESTAMPTZ is in UTC unless `settings` says otherwise.
    set(root, "TimeZone", "UTC")?;
    if memory != "auto" {
        set(root, "memory_limit", &memory)?;
    }
    set(root, "temp_directory", &temp.to_string_lossy())?;
    if let Some(threads) = config.threads {
        set(root, "threads", &threads.to_string())?;
    }
    for extension in &config.extensions {
        root.execute_batch(&format!("LOAD {}", Dialect::DuckDb.text(extension)))
            .map_err(|e| from_duckdb(e).context(format!("loading extension {extension}")))?;
    }
    let mut session = String::new();
    for (name, value) in &config.settings {
        if name == "access_mode" {
            return Err(Error::new(ErrorKind::Config, "`access_mode` cannot be set for a connection")
                .hint("sources are read-only; the warehouse opens its file for writing"));
        }
        if name != "allow_unsigned_extensions" {
            session.extend(set(root, name, &value.to_string())?);
        }
    }
    Ok(session)
}

/// Sets `name` for the whole database; returns the statement to repeat where the setting belongs to a connection.
fn set(root: &Connection, name: &str, value: &str) -> Result<Option<String>> {
    let assignment = format!("{} = {};", Dialect::DuckDb.ident(name), Dialect::DuckDb.text(value));
    let (statement, done) = match root.execute_batch(&format!("SET GLOBAL {assignment}")) {
        Err(e) if e.to_string().contains("cannot be set globally") => {
            let statement = format!("SET SESSION {assignment}");
            let done = root.execute_batch(&statement);
            (Some(statement), done)
        }
        done => (None, done),
    };
    done.map(|()| statement).map_err(|error| {
        let found = from_duckdb(error);
        if found.message().starts_with("unrecognized configuration parameter") {
            return Error::new(ErrorKind::Config, format!("DuckDB has no setting \"{name}\""))
                .hint(suggestion(name, setting_names(root).iter().map(String::as_str)));
        }
        Error::new(ErrorKind::Config, format!("setting {name} to \"{value}\": {}", found.message())).with_source(found)
    })
}

fn setting_names(root: &Connection) -> Vec<String> {
    let read = || -> duckdb::Result<Vec<String>> {
        let mut statement = root.prepare("SELECT name FROM duckdb_settings() ORDER BY name")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    // Without the names the error still says what is wrong, only not what would be right.
    read().unwrap_or_default()
}

/// Says what is wrong with a file before DuckDB is asked, where the file itself tells.
fn check_file(path: &Path, access: AccessMode) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(Error::new(
            ErrorKind::Config,
            format!("{} is a folder, expected a DuckDB database file", path.display()),
        )),
        Ok(_) => check_magic(path, access),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match (access, folder_of(path).is_dir()) {
            (AccessMode::ReadWrite, true) => Ok(()),
            (_, true) => Err(Error::new(ErrorKind::NotFound, format!("DuckDB file {} does not exist", path.display()))
                .hint(nearest_file(path))),
            (_, false) => Err(Error::new(
                ErrorKind::NotFound,
                format!("DuckDB file {} does not exist, nor does its folder", path.display()),
            )
            .hint(format!("relative paths start at {}", current_dir()))),
        },
        Err(error) => Err(from_io(ErrorKind::SourceRead, error).context(format!("DuckDB file {}", path.display()))),
    }
}

fn current_dir() -> String {
    std::env::current_dir().map_or_else(|_| "the working directory".to_owned(), |d| d.display().to_string())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn nearest_file(path: &Path) -> String {
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut names: Vec<String> = std::fs::read_dir(folder_of(path))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|t| t.is_file()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| [".duckdb", ".ddb", ".db"].iter().any(|extension| name.to_lowercase().ends_with(extension)))
        .collect();
    names.sort();
    suggestion(&wanted, names.iter().map(String::as_str))
}

/// Where DuckDB's main header has its magic bytes, and the version of the library that wrote it.
const MAGIC: std::ops::Range<usize> = 8..12;
const LIBRARY: std::ops::Range<usize> = 52..84;

fn read_header(path: &Path) -> Result<Vec<u8>> {
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIBRARY.end as u64).read_to_end(&mut header))
        .map_err(|e| from_io(ErrorKind::SourceRead, e).context(format!("DuckDB file {}", path.display())))?;
    Ok(header)
}

fn check_magic(path: &Path, access: AccessMode) -> Result<()> {
    let header = read_header(path)?;
    if header.get(MAGIC) == Some(b"DUCK") || (header.is_empty() && access == AccessMode::ReadWrite) {
        return Ok(());
    }
    let found = match header.as_slice() {
        [] => "an empty file",
        h if h.starts_with(b"PAR1") => "a Parquet file",
        h if h.starts_with(b"SQLite format 3\0") => "an SQLite database",
        h if h.starts_with(b"ARROW1") => "an Arrow file",
        h if h.starts_with(b"PK\x03\x04") => "a ZIP archive or workbook",
        h if h.starts_with(b"\x1f\x8b") => "a gzip file",
        h if h.starts_with(b"\x28\xb5\x2f\xfd") => "a zstd file",
        h if std::str::from_utf8(h).is_ok_and(|t| !t.contains('\0')) => "text",
        _ => "other bytes",
    };
    let error = Error::new(ErrorKind::Data, format!("{} is not a DuckDB database: found {found}", path.display()));
    Err(match found {
        "a Parquet file" | "an Arrow file" | "text" => error.hint("read files with a connection of type `lakehouse`"),
        _ => error,
    })
}

fn open_error(path: &Path, error: duckdb::Error) -> Error {
    let text = error.to_string();
    if let Some(holder) = lock_holder(&text) {
        return Error::new(ErrorKind::Busy, format!("DuckDB file {} is locked by {holder}", path.display()))
            .hint("close it there, or set `snapshot_copy: true` on the connection to read a copy")
            .with_source(from_duckdb(error))
            .retryable(true);
    }
    if text.contains("version number") {
        let library = read_header(path).ok().and_then(|h| library_version(&h));
        let wrote = library.map_or_else(|| "another version of DuckDB".to_owned(), |v| format!("DuckDB {v}"));
        let range = version_range(&text)
            .map_or_else(String::new, |(found, range)| format!(": found storage version {found}, expected {range}"));
        return Error::new(ErrorKind::Data, format!("{} was written by {wrote}{range}", path.display()))
            .hint("write it with `ATTACH … (STORAGE_VERSION 'v1.0.0')`, or use an outport with a newer DuckDB")
            .with_source(from_duckdb(error));
    }
    let ours = from_duckdb(error);
    let kind = match ours.message() {
        m if m.contains("not a valid DuckDB database") || m.starts_with("corrupt database") => ErrorKind::Data,
        m if m.contains("Permission denied") => ErrorKind::Auth,
        _ => ours.kind(),
    };
    Error::new(kind, format!("DuckDB file {}: {}", path.display(), ours.message())).with_source(ours)
}

/// `process 4711 (python3)` out of DuckDB's message about a lock.
fn lock_holder(text: &str) -> Option<String> {
    if !text.contains("Could not set lock on file") {
        return None;
    }
    let pid: Option<u32> = text.split_once("(PID ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
    Some(match pid {
        None => "another process".to_owned(),
        Some(pid) => {
            let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
            let in_message = || {
                let program = text.split_once("held in ")?.1.split(" (PID").next()?;
                Some(Path::new(program).file_name()?.to_string_lossy().into_owned())
            };
            match command.map(|c| c.trim().to_owned()).or_else(in_message) {
                Some(command) => format!("process {pid} ({command})"),
                None => format!("process {pid}"),
            }
        }
    })
}

fn library_version(header: &[u8]) -> Option<String> {
    let bytes = header.get(LIBRARY)?;
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok().filter(|v| !v.is_empty()).map(str::to_owned)
}

/// The version found and the versions that can be read, out of DuckDB's message.
fn version_range(text: &str) -> Option<(String, String)> {
    let (found, rest) = text.split_once("version number ")?.1.split_once(',')?;
    let (low, rest) = rest.split_once("between ")?.1.split_once(" and ")?;
    let high: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((found.trim().to_owned(), format!("{low} to {high}")))
}

/// Copies a database that another process holds, with its write-ahead log.
fn copy_file(path: &Path) -> Result<(TempDir, PathBuf)> {
    const ATTEMPTS: usize = 5;
    let failed = |e: std::io::Error| from_io(ErrorKind::SourceRead, e).context(format!("copying {}", path.display()));
    let folder = tempfile::Builder::new().prefix("outport-duckdb-").tempdir().map_err(failed)?;
    let copy = folder.path().join("copy.duckdb");
    let log = PathBuf::from(format!("{}.wal", path.display()));
    let log_copy = folder.path().join("copy.duckdb.wal");
    for _ in 0..ATTEMPTS {
        let before = (stamp(path), stamp(&log));
        std::fs::copy(path, &copy).map_err(failed)?;
        match std::fs::copy(&log, &log_copy) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => drop(std::fs::remove_file(&log_copy)),
            Err(e) => return Err(failed(e)),
        }
        // A checkpoint in between would leave a file and a log that do not belong together.
        if before == (stamp(path), stamp(&log)) {
            return Ok((folder, copy));
        }
    }
    Err(Error::new(ErrorKind::Busy, format!("{} changed during each of {ATTEMPTS} copies", path.display()))
        .hint("try again when the process that writes it is quieter")
        .retryable(true))
}

fn stamp(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.len(), meta.modified().ok()?))
}

fn snapshot_of(path: &Path) -> Result<String> {
    let meta = std::fs::metadata(path).map_err(|e| from_io(ErrorKind::SourceRead, e))?;
    let modified = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(format!("{} bytes, modified {}", meta.len(), modified.map_or(0, |d| d.as_secs())))
}

#[cfg(test)]
mod tests;
