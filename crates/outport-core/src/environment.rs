//! The process environment as a value: only the program itself reads it, everything else is given it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Environment variables and the home folder, read once and handed down.
///
/// Debug output names the variables and hides their values, for any of them may be a secret.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// An environment with these variables; the home folder is `HOME`, or `USERPROFILE` where that is not set.
    pub fn from_variables<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables: BTreeMap<String, String> = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        let home = ["HOME", "USERPROFILE"].iter().find_map(|name| variables.get(*name)).map(PathBuf::from);
        Self { variables, home }
    }

    /// The value of a variable; one that is set to nothing counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The user's home folder.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// All variables whose name starts with `prefix`, by name.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("home", &self.home)
            .finish()
    }
}
