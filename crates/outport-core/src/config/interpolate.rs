//! `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in the scalars of a configuration.

use super::node::{Node, Value};
use crate::environment::Environment;
use crate::error::suggestion;
use crate::{Error, ErrorKind, Result};

/// Secret stores that other tools read references to.
const STORES: &[&str] = &["vault", "gcp", "aws", "azure"];

/// Reads a file that a reference names; the program gives one over its file system.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

/// Replaces the references in every scalar under `node`.
///
/// # Errors
/// [`ErrorKind::Config`] at the scalar, for an unset variable without default, an unreadable file, an unknown kind of
/// reference. What a variable holds is never part of a message.
pub fn resolve(node: &mut Node, environment: &Environment, read: ReadFile<'_>) -> Result<()> {
    node.for_each_scalar(&mut |scalar| {
        let (Value::Plain(text) | Value::Text(text)) = &scalar.value else { return Ok(()) };
        if !text.contains("${") {
            return Ok(());
        }
        let resolved = replace(text, environment, read).map_err(|error| error.at(scalar.position.location()))?;
        // An unquoted reference stands for whatever it resolves to, so a number may come from the environment.
        scalar.value = match scalar.value {
            Value::Plain(_) => Value::Plain(resolved),
            _ => Value::Text(resolved),
        };
        Ok(())
    })
}

fn replace(text: &str, environment: &Environment, read: ReadFile<'_>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let body = &rest[start + 2..];
        let end = body.find('}').ok_or_else(|| Error::new(ErrorKind::Config, "a reference \"${\" has no end \"}\""))?;
        out.push_str(&one(&body[..end], environment, read)?);
        rest = &body[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn one(reference: &str, environment: &Environment, read: ReadFile<'_>) -> Result<String> {
    let (kind, rest) = reference.split_once(':').unwrap_or((reference, ""));
    let (name, default) = match rest.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (rest, None),
    };
    match kind {
        "env" => environment.get(name).or(default).map(str::to_owned).ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("environment variable {name} is not set"))
                .hint(format!("set it, or give a default: ${{env:{name}:-value}}"))
        }),
        "file" => match (read(name), default) {
            (Ok(text), _) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
            (Err(_), Some(default)) => Ok(default.to_owned()),
            (Err(error), None) => Err(Error::new(ErrorKind::Config, format!("cannot read {name}: {error}"))),
        },
        store if STORES.contains(&store) => Err(Error::new(
            ErrorKind::Config,
            format!("references \"${{{store}:…}}\" are not supported"),
        )
        .hint(
            "supported are ${env:NAME} and ${file:/path}; let an agent of the secret store set one or write the other",
        )),
        other => Err(Error::new(ErrorKind::Config, format!("unknown reference \"${{{other}:…}}\""))
            .hint(suggestion(other, ["env", "file"]))),
    }
}
