//! Variables of a configuration: texts that its queries, filters, paths and names hold as `{var:NAME}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::suggestion;
use crate::{Error, ErrorKind, Result};

/// Variables by name, each with its value where it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vars(BTreeMap<String, Option<String>>);

impl Vars {
    /// Whether `name` can be that of a variable: letters, digits and underscores that do not begin with a digit.
    pub fn is_name(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }

    /// Adds a variable; one without a default needs a value in every call.
    pub fn declare(&mut self, name: impl Into<String>, default: Option<String>) {
        self.0.insert(name.into(), default);
    }

    /// Gives a variable its value for this call.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for one that was not declared, with the nearest name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<()> {
        match self.0.get_mut(name) {
            Some(slot) => *slot = Some(value.into()),
            None => {
                return Err(Error::new(ErrorKind::Usage, format!("--vars: there is no variable \"{name}\""))
                    .hint(self.declared(name)));
            }
        }
        Ok(())
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for one that was not declared, [`ErrorKind::Usage`] for one without a value.
    pub fn get(&self, name: &str) -> Result<&str> {
        self.check(name)?;
        self.0.get(name).and_then(Option::as_deref).ok_or_else(|| without_value(name))
    }

    /// Refuses a variable that was not declared, with the nearest name.
    pub fn check(&self, name: &str) -> Result<()> {
        if self.0.contains_key(name) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, format!("there is no variable \"{name}\"")).hint(self.declared(name)))
    }

    /// Refuses variables without a value.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for the first of them.
    pub fn require(&self) -> Result<()> {
        self.0.iter().find(|(_, value)| value.is_none()).map_or(Ok(()), |(name, _)| Err(without_value(name)))
    }

    /// Whether there is a variable of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Those of the variables that have one of these names.
    pub fn only<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            names
                .into_iter()
                .filter_map(|name| self.0.get_key_value(name))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
        )
    }

    /// The variables that have a value.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.0.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
    }

    fn declared(&self, name: &str) -> String {
        if self.0.is_empty() {
            return "declare it under `vars:` at the top of the configuration".to_owned();
        }
        suggestion(name, self.0.keys().map(String::as_str))
    }
}

fn without_value(name: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("variable \"{name}\" has no value"))
        .hint(format!("pass --vars {name}=VALUE, or give it a default under `vars:`"))
}
