//! One error for the whole program: what was expected, what was found, where, and the way out.

use std::fmt;

/// The result of everything in Outport that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is. The kind alone decides the exit code, the HTTP status and whether a retry makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command line or a request was not understood.
    Usage,
    /// The configuration is wrong.
    Config,
    /// A system could not be reached.
    Connection,
    /// A system refused the credentials or the permission.
    Auth,
    /// A table, column, file or connection that was named does not exist.
    NotFound,
    /// What exists differs from what was agreed: schema, fingerprint or constraint.
    Contract,
    /// The source could not be read (`SourceReadError` of the export contract).
    SourceRead,
    /// A value does not fit the type or format it is meant for.
    Data,
    /// A feature or type that the named system or format does not have.
    Unsupported,
    /// Bytes could not be compressed or decompressed.
    Compression,
    /// The target could not be written.
    Write,
    /// No space is left where the output or its staging goes.
    DiskFull,
    /// Something else holds the lock or lease.
    Busy,
    /// The work was cancelled.
    Cancelled,
    /// The state database failed.
    State,
    /// A bug in Outport.
    Internal,
}

impl ErrorKind {
    /// The exit code of a process that ends with this error.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Config => 2,
            Self::Connection | Self::Auth => 3,
            Self::Contract => 4,
            Self::Cancelled => 130,
            _ => 1,
        }
    }

    /// The class name of the export contract, as logged in `log_resource_export.error_message`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Usage => "UsageError",
            Self::Config => "ConfigValidationError",
            Self::Connection => "ConnectionError",
            Self::Auth => "AuthError",
            Self::NotFound | Self::SourceRead => "SourceReadError",
            Self::Contract => "ContractError",
            Self::Data => "DataError",
            Self::Unsupported => "UnsupportedError",
            Self::Compression => "CompressionError",
            Self::Write | Self::DiskFull => "WriteError",
            Self::Busy => "BusyError",
            Self::Cancelled => "Cancelled",
            Self::State => "StateError",
            Self::Internal => "InternalError",
        }
    }
}

/// Where in a file an error is: `path:line:column` and the text of that line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Location {
    /// The file, or the table that stands in for one.
    pub file: String,
    /// 1-based line; 0 when unknown.
    pub line: u64,
    /// 1-based column; 0 when unknown.
    pub column: u64,
    /// The line itself, if it may be shown.
    pub text: Option<String>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<String>,
    hint: Option<String>,
    location: Option<Location>,
    retryable: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    others: Vec<Error>,
}

/// An error with its kind, its context from the inside out, and a hint how to get on.
///
/// Messages are lowercase, have no full stop, name the object, and say what was expected and what was found.
#[derive(Debug)]
pub struct Error(Box<Inner>);

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            location: None,
            retryable: matches!(kind, ErrorKind::Connection),
            source: None,
            others: Vec::new(),
        }))
    }

    /// Several errors as one, so that all that is wrong is reported at once.
    ///
    /// Returns the error itself where there is but one; `errors` must not be empty.
    pub fn many(mut errors: Vec<Error>, summary: impl Into<String>) -> Self {
        if errors.len() == 1 {
            return errors.remove(0);
        }
        let kind = errors.first().map_or(ErrorKind::Internal, Error::kind);
        let mut all = Self::new(kind, summary);
        all.0.others = errors;
        all
    }

    /// What the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds what was being done, innermost first: `export sales/orders`, `reading table orders`.
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// Says where in a file the error is.
    pub fn at(mut self, location: Location) -> Self {
        self.0.location = Some(location);
        self
    }

    /// Keeps the error that caused this one.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says whether the same call may succeed when it is made again.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without context, cause and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What was being done, innermost first.
    pub fn contexts(&self) -> &[String] {
        &self.0.context
    }

    /// The way out, if there is one to name.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where in a file the error is.
    pub fn location(&self) -> Option<&Location> {
        self.0.location.as_ref()
    }

    /// Whether the same call may succeed when it is made again.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The single errors that this one stands for; empty where it stands for itself.
    pub fn others(&self) -> &[Error] {
        &self.0.others
    }

    /// The messages of the causes, outermost first, each said once.
    pub fn causes(&self) -> Vec<String> {
        let mut seen = vec![self.0.message.clone()];
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            let text = error.to_string();
            if !seen.iter().any(|s| s.contains(&text)) {
                causes.push(text.clone());
                seen.push(text);
            }
            next = error.source();
        }
        causes
    }
}

impl fmt::Display for Error {
    /// Context from the outside in, then the message, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        if let Some(location) = &self.0.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError as A;
        match error {
            A::ExternalError(inner) => match inner.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(other) => Error::new(ErrorKind::SourceRead, other.to_string()).with_source(other),
            },
            A::NotYetImplemented(text) => Error::new(ErrorKind::Unsupported, text),
            A::IoError(text, source) => from_io(ErrorKind::SourceRead, source).context(text),
            other => Error::new(ErrorKind::Data, other.to_string()),
        }
    }
}

/// Turns an I/O error into ours: `kind` says what was being done, a full disk is recognised whatever it was.
pub fn from_io(kind: ErrorKind, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let ours = match error.kind() {
        Io::StorageFull | Io::QuotaExceeded => Error::new(ErrorKind::DiskFull, "no space left on the device")
            .hint("free some space, or set `temp_directory` and the target to a larger disk; nothing was published"),
        Io::NotFound => Error::new(ErrorKind::NotFound, "no such file or directory"),
        Io::PermissionDenied => {
            Error::new(kind, "permission denied").hint("check the owner and mode of the file and its folder")
        }
        Io::ReadOnlyFilesystem => Error::new(kind, "the file system is read-only"),
        _ => Error::new(kind, error.to_string()),
    };
    ours.with_source(error)
}

/// The candidate nearest to `name`, if one is near enough to be a slip of the finger.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&lower, &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= (name.len().max(c.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// `did you mean "orders"?`, or the list of what exists when nothing is near.
pub fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(name, candidates.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if candidates.is_empty() => "there is none".to_owned(),
        None => {
            let shown: Vec<&str> = candidates.iter().take(12).copied().collect();
            let more = candidates.len() - shown.len();
            let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("there are: {}{tail}", shown.join(", "))
        }
    }
}
