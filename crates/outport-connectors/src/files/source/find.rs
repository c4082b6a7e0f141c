//! Which files a name stands for.

use outport_core::{Error, ErrorKind, Result};

use crate::files::store::{Found, Store};

/// The files that `name` stands for, sorted by path: a file, all files below a folder, or those that a glob matches.
///
/// In a glob `*` and `?` stop at slashes and `**` does not. Files and folders that start with `.` or `_` are hidden.
///
/// # Errors
/// [`ErrorKind::NotFound`] with the nearest file where there is none.
pub(super) async fn files(store: &Store, name: &str) -> Result<Vec<Found>> {
    let name = name.trim_matches('/');
    if let Some(at) = name.find(['*', '?']) {
        let folder = name[..at].rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut found = store.list(folder, true).await?;
        found.retain(|file| matches(name.as_bytes(), file.path.as_bytes()) && !hidden(&file.path[folder.len()..]));
        if found.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, format!("no file matches {}", store.url(name)))
                .hint("`*` stops at slashes; `**` goes into folders"));
        }
        return Ok(found);
    }
    if let Some(file) = store.head(name).await? {
        return Ok(vec![file]);
    }
    let mut found = store.list(name, true).await?;
    found.retain(|file| !hidden(&file.path[name.len()..]));
    if found.is_empty() { Err(store.not_found(name).await) } else { Ok(found) }
}

/// Whether a path has a segment that starts with `.` or `_`: temporary files, manifests, logs.
pub(super) fn hidden(path: &str) -> bool {
    path.split('/').any(|segment| segment.starts_with(['.', '_']))
}

fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, path)
                || path.iter().enumerate().any(|(at, byte)| *byte == b'/' && matches(rest, &path[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|at| matches(rest, &path[at..])),
        [b'*', rest @ ..] => {
            let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (0..=end).any(|at| matches(rest, &path[at..]))
        }
        [b'?', rest @ ..] => path.first().is_some_and(|byte| *byte != b'/') && matches(rest, &path[1..]),
        [byte, rest @ ..] => path.first() == Some(byte) && matches(rest, &path[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::{hidden, matches};

    #[test]
    fn globs_match_what_they_say() {
        let is = |pattern: &str, path: &str| matches(pattern.as_bytes(), path.as_bytes());
        assert!(is("a/*.csv", "a/b.csv"));
        assert!(!is("a/*.csv", "a/b/c.csv"));
        assert!(is("a/**/*.csv", "a/c.csv") && is("a/**/*.csv", "a/b/b/c.csv"));
        assert!(is("part-????.csv", "part-0001.csv") && !is("part-????.csv", "part-001.csv"));
        assert!(is("**", "a/b"));
    }

    #[test]
    fn manifests_and_temporary_files_are_hidden() {
        assert!(hidden("a/_manifest.json") && hidden(".outport-1-0001.tmp") && hidden("/_delta_log/1.json"));
        assert!(!hidden("a/b_c.csv"));
    }
}
