//! The names of published files: one that never changes its content, and one that always has the newest.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Digits of the hash in a name.
const HASH: usize = 12;
/// What stands in the path of a URL as it is.
const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'=').remove(b'/');
/// Extensions that come behind that of the format.
const COMPRESSIONS: &[&str] = &["gz", "zst", "bz2", "lz4", "xz", "br", "sz", "zip", "tgz"];

/// Where readers find the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Under a URL of HTTP, whose paths are percent-encoded.
    Public(String),
    /// In the store itself: a local folder or `s3://…`, whose paths are as they are.
    Store(String),
}

/// How files are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    base: Base,
    prefix: String,
    versions: bool,
}

impl Naming {
    /// Names below `prefix` in a store, with the hash of their content in them.
    pub fn published(base: Base, prefix: &str) -> Self {
        Self { base, prefix: prefix.trim_matches('/').to_owned(), versions: true }
    }

    /// The names that exports have in the folder they were written to.
    pub fn local(folder: String) -> Self {
        Self { base: Base::Store(folder), prefix: String::new(), versions: false }
    }

    /// The URL that readers were given, where there is one.
    pub fn public_url(&self) -> Option<&str> {
        match &self.base {
            Base::Public(url) => Some(url),
            Base::Store(_) => None,
        }
    }

    /// The path that always has the newest of an exported file.
    pub fn stable(&self, path: &str) -> String {
        if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) }
    }

    /// The path of an export with this content: `marts/x.parquet` as `data/marts/x.0123456789ab.parquet`, a folder likewise.
    pub fn versioned(&self, path: &str, sha256: &str, is_file: bool) -> String {
        let stable = self.stable(path.trim_end_matches('/'));
        if self.versions { with_content(&stable, sha256, is_file) } else { stable }
    }

    /// The name inside a published table of a file whose local name holds its content: the folder above it does that there.
    pub(crate) fn inside(&self, name: &str, sha256: &str) -> String {
        if self.versions { without_content(name, sha256) } else { name.to_owned() }
    }

    /// Where readers find a path of the store.
    pub fn url(&self, path: &str) -> String {
        match &self.base {
            Base::Public(url) => format!("{}/{}", url.trim_end_matches('/'), percent_encoded(path)),
            Base::Store(root) => format!("{}/{path}", root.trim_end_matches('/')),
        }
    }
}

/// A path with the content in the name: `x.parquet` as `x.0123456789ab.parquet`.
pub(crate) fn with_content(path: &str, sha256: &str, is_file: bool) -> String {
    let (stem, extension) = split(path, is_file);
    format!("{stem}.{}{extension}", digits(sha256))
}

/// What [`with_content`] was given; any other path as it is.
pub(crate) fn without_content(path: &str, sha256: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    format!("{}{}", &path[..name], path[name..].replacen(&format!(".{}", digits(sha256)), "", 1))
}

fn digits(sha256: &str) -> &str {
    &sha256[..HASH.min(sha256.len())]
}

/// A path as it stands in a URL.
pub(crate) fn percent_encoded(path: &str) -> String {
    utf8_percent_encode(path, IN_PATH).to_string()
}

/// Whether a path of the store is a version of the export at `stable`, or a file in one; returns the version.
pub(crate) fn is_version_of<'a>(stable: &str, is_file: bool, path: &'a str) -> Option<&'a str> {
    let (stem, extension) = split(stable, is_file);
    let rest = path.strip_prefix(stem)?.strip_prefix('.')?;
    let hash = rest.get(..HASH)?;
    let hexadecimal = hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let behind = &rest[HASH..];
    let fits = if is_file { behind == extension } else { behind.starts_with('/') };
    (hexadecimal && fits).then(|| &path[..stem.len() + 1 + HASH])
}

/// A path in front of its extensions, and these with their dots.
fn split(path: &str, is_file: bool) -> (&str, &str) {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let Some(mut dot) = path[start..].rfind('.').filter(|dot| *dot > 0 && is_file) else {
        return (path, "");
    };
    if COMPRESSIONS.contains(&&path[start + dot + 1..])
        && let Some(before) = path[start..start + dot].rfind('.').filter(|dot| *dot > 0)
    {
        dot = before;
    }
    path.split_at(start + dot)
}
