//! The errors of object stores as ours.

use object_store::client::{HttpError, HttpErrorKind};
use outport_core::{Error, ErrorKind};

/// Turns an error of an object store into ours; `url` says what was being accessed, without secrets.
///
/// What the server said stays as the cause; its request URLs may hold signatures and are cut out.
pub(crate) fn from_object_store(error: object_store::Error, url: &str) -> Error {
    explained(&error, url)
}

/// As [`from_object_store`], where the error is needed as it is as well.
pub(super) fn explained(error: &object_store::Error, url: &str) -> Error {
    use object_store::Error as E;
    let text = chain(error);
    let code = code(&text);
    let missing = matches!(code.as_deref(), Some("NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName"));
    let (kind, message, hint) = match (error, code.as_deref()) {
        _ if missing => (
            // The connection leads nowhere, whatever is asked of it.
            ErrorKind::Connection,
            format!("the bucket of {url} does not exist"),
            "check the name, the region and the endpoint; outport does not create buckets",
        ),
        // Before the refusals: one of the machine's own metadata service is none of the bucket's.
        _ if no_credentials(&text) => (
            ErrorKind::Auth,
            format!("no credentials were found for {url}"),
            "set the store's options, its environment variables or a profile; `skip_signature: true` for a public bucket",
        ),
        (
            E::Generic { .. },
            Some("SignatureDoesNotMatch" | "InvalidAccessKeyId" | "ExpiredToken" | "AuthorizationHeaderMalformed"),
        )
        | (E::Unauthenticated { .. } | E::PermissionDenied { .. }, _) => refused(url, code.as_deref()),
        // Of Azure's lists the library tells the status in words alone.
        (E::Generic { .. }, _) if ["401 Unauthorized", "403 Forbidden"].iter().any(|status| text.contains(status)) => {
            refused(url, code.as_deref())
        }
        (E::NotFound { .. }, _) => {
            (ErrorKind::NotFound, format!("{url} does not exist"), "check the bucket and the path")
        }
        (E::AlreadyExists { .. } | E::Precondition { .. }, _) => (
            ErrorKind::Contract,
            format!("{url} already exists"),
            "set if_exists: overwrite or version, or choose another name",
        ),
        (E::InvalidPath { .. }, _) => {
            (ErrorKind::Config, format!("{url} is not a valid path"), "use names without control characters")
        }
        (E::NotSupported { .. } | E::NotImplemented { .. }, _) => (
            ErrorKind::Unsupported,
            format!("the store of {url} cannot do this"),
            "use another store, or if_exists: overwrite",
        ),
        (E::UnknownConfigurationKey { key, .. }, _) => (
            ErrorKind::Config,
            format!("the store of {url} has no option \"{key}\""),
            "see the manual for the store's options",
        ),
        _ => match http_kind(error) {
            Some(HttpErrorKind::Connect) => (
                ErrorKind::Connection,
                format!("cannot reach the server of {url}"),
                "check endpoint, network and proxy; `allow_http: true` is needed for an endpoint without TLS",
            ),
            Some(HttpErrorKind::Timeout) => (
                ErrorKind::Connection,
                format!("the server of {url} did not answer in time"),
                "try again, or set `timeout`",
            ),
            Some(_) => (
                ErrorKind::Connection,
                format!("the connection to {url} broke"),
                "try again; nothing half-written is visible",
            ),
            None if text.contains("Server returned") => (
                ErrorKind::Connection,
                format!("the server of {url} answered with an error"),
                "try again; if it stays, see the cause",
            ),
            None => (ErrorKind::Write, format!("{url}: {}", without_urls(&text)), "see the cause"),
        },
    };
    let retryable = kind == ErrorKind::Connection && !missing;
    Error::new(kind, message).hint(hint).retryable(retryable).with_source(without_urls(&text))
}

fn refused(url: &str, code: Option<&str>) -> (ErrorKind, String, &'static str) {
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let hint = "check the credentials and what they permit: reading needs get and list, writing put, and delete for its clean-up";
    (ErrorKind::Auth, format!("access to {url} was refused{code}"), hint)
}

/// The messages of an error and its causes, the longest of them alone where they contain each other.
fn chain(error: &object_store::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|t| t.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

/// The `<Code>` that S3, GCS and Azure answer with.
fn code(text: &str) -> Option<String> {
    let start = text.find("<Code>")? + "<Code>".len();
    let end = text[start..].find("</Code>")?;
    Some(text[start..start + end].to_owned())
}

fn no_credentials(text: &str) -> bool {
    ["169.254.169.254", "metadata.google.internal", "MissingRegion", "Missing credentials", "metadata/identity"]
        .iter()
        .any(|sign| text.contains(sign))
}

fn http_kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        next = error.source();
    }
    None
}

/// The text without the query part of any URL: a signature may stand there.
fn without_urls(text: &str) -> String {
    text.split(' ')
        .map(|word| match (word.contains("://"), word.find('?')) {
            (true, Some(at)) => &word[..at],
            _ => word,
        })
        .collect::<Vec<_>>()
        .join(" ")
}
