//! What DataFusion, Delta, Iceberg and the stores report, as errors of ours: one short sentence, its kind, a way out.

use std::any::Any;
use std::error::Error as StdError;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use outport_core::error::{from_io, suggestion};
use outport_core::{Error, ErrorKind};
use parquet::errors::ParquetError;

/// An error of the engine. The chain of wrappers is searched for the innermost error that says what happened.
pub(crate) fn from_datafusion(error: DataFusionError) -> Error {
    match error {
        DataFusionError::Context(text, inner) => context(text, from_datafusion(*inner)),
        DataFusionError::Diagnostic(_, inner) => from_datafusion(*inner),
        DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
            Ok(inner) => from_datafusion(inner),
            Err(shared) => from_shared(&shared),
        },
        DataFusionError::Collection(mut errors) if !errors.is_empty() => from_datafusion(errors.swap_remove(0)),
        DataFusionError::External(inner) => from_external(inner),
        DataFusionError::ObjectStore(inner) => from_store(*inner),
        DataFusionError::ParquetError(inner) => from_parquet(*inner),
        DataFusionError::ArrowError(inner, _) => match *inner {
            arrow::error::ArrowError::ExternalError(inner) => from_external(inner),
            arrow::error::ArrowError::ParquetError(text) => by_text(ErrorKind::Data, &text),
            inner => Error::from(inner),
        },
        DataFusionError::IoError(inner) => from_io(ErrorKind::SourceRead, inner),
        DataFusionError::SchemaError(inner, _) => from_schema(&inner),
        DataFusionError::SQL(inner, _) => {
            let text = first_line(&inner.to_string());
            let text = text.strip_prefix("sql parser error: ").unwrap_or(&text);
            Error::new(ErrorKind::Config, format!("the query is not valid SQL: {text}"))
        }
        DataFusionError::Execution(text) => by_text(ErrorKind::SourceRead, &text),
        DataFusionError::NotImplemented(text) => Error::new(ErrorKind::Unsupported, first_line(&text)),
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) => unsupported_or(ErrorKind::Config, &text),
        DataFusionError::ResourcesExhausted(text) => Error::new(
            ErrorKind::SourceRead,
            format!("the query needs more memory than the run's budget: {}", first_line(&text)),
        )
        .hint("raise the byte budget, lower the number of threads, or filter before joining and sorting"),
        DataFusionError::Internal(text) => Error::new(ErrorKind::Internal, first_line(&text)),
        other => Error::new(ErrorKind::SourceRead, first_line(&other.strip_backtrace())),
    }
}

/// An error of Delta Lake. `table` is named because delta-rs speaks of files only.
pub(crate) fn from_delta(table: &str, error: DeltaTableError) -> Error {
    let named = |kind, text: String| Error::new(kind, format!("delta table \"{table}\": {text}"));
    match error {
        DeltaTableError::ObjectStore { source } => from_store(source).context(format!("delta table \"{table}\"")),
        DeltaTableError::Parquet { source } => from_parquet(source).context(format!("delta table \"{table}\"")),
        DeltaTableError::Io { source } => {
            from_io(ErrorKind::SourceRead, source).context(format!("delta table \"{table}\""))
        }
        DeltaTableError::GenericError { source } => context(format!("delta table \"{table}\""), from_external(source)),
        DeltaTableError::KernelError(inner) => match ours(&inner) {
            Some(ours) => copy(ours).context(format!("delta table \"{table}\"")),
            None => from_kernel(table, &strip(&inner.to_string())),
        },
        DeltaTableError::InvalidVersion(version) => named(ErrorKind::NotFound, format!("has no version {version}"))
            .hint("older versions go when the log is cleaned up; leave `version` out to read the latest"),
        DeltaTableError::NotATable(text) => named(ErrorKind::NotFound, format!("is no Delta table: {}", strip(&text))),
        other => from_kernel(table, &strip(&other.to_string())),
    }
}

/// A message of the Delta kernel, whose kind is in its words only.
fn from_kernel(table: &str, text: &str) -> Error {
    let lower = text.to_lowercase();
    let unsupported = ["unsupported", "not supported", "feature"].iter().any(|word| lower.contains(word));
    let missing = ["not found", "no files in log segment", "no table version", "end version"]
        .iter()
        .any(|word| lower.contains(word));
    let kind = match (unsupported, missing) {
        (true, _) => ErrorKind::Unsupported,
        (false, true) => ErrorKind::NotFound,
        (false, false) => ErrorKind::Data,
    };
    Error::new(kind, format!("delta table \"{table}\": {text}"))
}

/// An error of Iceberg.
pub(crate) fn from_iceberg(table: &str, error: iceberg::Error) -> Error {
    // What our own storage reported comes back as the source of theirs.
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(store) = inner.downcast_ref::<object_store::Error>() {
            return from_store_ref(store).context(format!("iceberg table \"{table}\""));
        }
        source = inner.source();
    }
    let kind = match error.kind() {
        iceberg::ErrorKind::FeatureUnsupported => ErrorKind::Unsupported,
        iceberg::ErrorKind::DataInvalid => ErrorKind::Data,
        iceberg::ErrorKind::TableNotFound | iceberg::ErrorKind::NamespaceNotFound => ErrorKind::NotFound,
        _ => ErrorKind::SourceRead,
    };
    Error::new(kind, format!("iceberg table \"{table}\": {}", strip(error.message()))).with_source(error)
}

/// An error of an object store.
pub(crate) fn from_store(error: object_store::Error) -> Error {
    from_store_ref(&error)
}

fn from_store_ref(error: &object_store::Error) -> Error {
    use object_store::Error as S;
    if let Some(ours) = ours(error) {
        return copy(ours);
    }
    match error {
        S::NotFound { path, .. } => missing_file(path),
        S::PermissionDenied { path, .. } => Error::new(ErrorKind::Auth, format!("permission denied for {path}")),
        S::Unauthenticated { path, .. } => Error::new(ErrorKind::Auth, format!("credentials were refused for {path}")),
        S::InvalidPath { source } => Error::new(ErrorKind::Config, format!("invalid path: {source}")),
        S::NotSupported { source } => Error::new(ErrorKind::Unsupported, first_line(&source.to_string())),
        S::Generic { store, source } => {
            let text = first_line(&source.to_string());
            // A file that is shorter than its footer or log says is broken; a local disk has no connection to lose.
            let kind = match *store {
                _ if text.to_lowercase().contains("range") => ErrorKind::Data,
                "LocalFileSystem" => ErrorKind::SourceRead,
                _ => ErrorKind::Connection,
            };
            Error::new(kind, format!("{store} store: {text}"))
        }
        other => Error::new(ErrorKind::SourceRead, first_line(&other.to_string())),
    }
}

/// A panic inside a decoder: the input is broken in a way that its author did not foresee.
pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Error::new(ErrorKind::Data, format!("the decoder gave up on malformed input: {}", first_line(text)))
}

fn from_parquet(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => from_external(inner),
        ParquetError::NYI(text) => Error::new(ErrorKind::Unsupported, first_line(&text)),
        other => by_text(ErrorKind::Data, &other.to_string()),
    }
}

fn from_external(inner: Box<dyn StdError + Send + Sync>) -> Error {
    let inner = match inner.downcast::<Error>() {
        Ok(ours) => return *ours,
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<DataFusionError>() {
        Ok(error) => return from_datafusion(*error),
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<object_store::Error>() {
        Ok(error) => return from_store(*error),
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<ParquetError>() {
        Ok(error) => return from_parquet(*error),
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<arrow::error::ArrowError>() {
        Ok(error) => return from_datafusion(DataFusionError::ArrowError(error, None)),
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<iceberg::Error>() {
        Ok(error) => return from_iceberg_unnamed(*error),
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<DeltaTableError>() {
        Ok(error) => return from_delta_unnamed(&error),
        Err(inner) => inner,
    };
    match inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::NotFound) => Error::new(ErrorKind::NotFound, strip(&inner.to_string())),
        _ => by_text(ErrorKind::SourceRead, &inner.to_string()),
    }
}

fn from_iceberg_unnamed(error: iceberg::Error) -> Error {
    let kind = match error.kind() {
        iceberg::ErrorKind::FeatureUnsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Data,
    };
    Error::new(kind, strip(error.message())).with_source(error)
}

fn from_delta_unnamed(error: &DeltaTableError) -> Error {
    match error {
        DeltaTableError::ObjectStore { source } => from_store_ref(source),
        other => unsupported_or(ErrorKind::SourceRead, &strip(&other.to_string())),
    }
}

/// An error of which only a text is left. Readers of footers hide in theirs that the file is missing.
fn by_text(kind: ErrorKind, text: &str) -> Error {
    let missing = text.split_once("Object at location ").and_then(|(_, rest)| rest.split_once(" not found"));
    match missing {
        Some((path, _)) => missing_file(path),
        None => unsupported_or(kind, &strip(text)),
    }
}

fn missing_file(path: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("file {path} does not exist"))
        .hint("a table's log may name files that were vacuumed or not copied along")
}

fn unsupported_or(kind: ErrorKind, text: &str) -> Error {
    let lower = text.to_lowercase();
    // The last is what a NOT NULL field inside a struct comes to when its statistics are NULL.
    let unsupported = lower.contains("unsupported") || lower.contains("cannot cast nullable struct field");
    Error::new(if unsupported { ErrorKind::Unsupported } else { kind }, first_line(text))
}

/// A shared error cannot be taken apart; its innermost cause tells enough.
fn from_shared(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ObjectStore(inner) => from_store_ref(inner),
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(ours) => copy(ours),
            None => unsupported_or(ErrorKind::SourceRead, &strip(&inner.to_string())),
        },
        DataFusionError::ParquetError(inner) => Error::new(ErrorKind::Data, first_line(&inner.to_string())),
        other => Error::new(ErrorKind::SourceRead, first_line(&other.strip_backtrace())),
    }
}

/// The error of ours that stands at the end of a chain of causes: a store says in it what it refused.
fn ours<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| StdError::source(*error)).find_map(|error| error.downcast_ref())
}

/// What can be had of an error that is shared with others.
fn copy(error: &Error) -> Error {
    let mut new = Error::new(error.kind(), error.message()).retryable(error.is_retryable());
    if let Some(cause) = error.causes().first() {
        new = new.with_source(cause.as_str());
    }
    for context in error.contexts() {
        new = new.context(context.clone());
    }
    if let Some(hint) = error.hint_text() {
        new = new.hint(hint);
    }
    match error.location() {
        Some(location) => new.at(location.clone()),
        None => new,
    }
}

fn from_schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
            Error::new(ErrorKind::NotFound, format!("column \"{}\" does not exist", field.name))
                .hint(suggestion(&field.name, names))
        }
        SchemaError::AmbiguousReference { field } => Error::new(
            ErrorKind::Config,
            format!("column \"{}\" exists in more than one table of the query", field.name),
        )
        .hint("put the table's name or alias before it"),
        other => Error::new(ErrorKind::Config, first_line(&other.to_string())),
    }
}

/// Context that says nothing a user could use is left out.
fn context(text: String, error: Error) -> Error {
    if error.to_string().contains(&text) || text.contains("optimizer") || text.contains("type_coercion") {
        error
    } else {
        error.context(first_line(&text))
    }
}

/// The text without the names of the layers that it passed through.
fn strip(text: &str) -> String {
    let mut text = first_line(text);
    const LAYERS: [&str; 9] = [
        "DataFusion error: ",
        "External error: ",
        "External: ",
        "Kernel error: ",
        "Parquet error: ",
        "Arrow error: ",
        "Generic error: ",
        "Generic delta kernel error: ",
        "Transaction failed: ",
    ];
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest.to_owned();
    }
    text
}

/// The first line without a full stop: what follows are backtraces.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().trim_end_matches('.').to_owned()
}
