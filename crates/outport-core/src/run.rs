//! The states of a run, and the steps between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// The documented `export_state` of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It is in the log, and waits for its turn.
    Pending,
    /// It holds the lease of its export, and works.
    Running,
    /// It published everything.
    Success,
    /// It published everything, and something was clamped, excluded or left undone on the way.
    Warning,
    /// It published nothing, or its books could not be closed; a cancelled run ends here too, with the class `Cancelled`.
    Error,
}

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// It got the lease of its export.
    Started,
    /// It published everything; `warnings` says how often something was let through by policy.
    Succeeded {
        /// The number of warnings.
        warnings: u64,
    },
    /// It failed, was cancelled, or its process died.
    Failed,
    /// A later run found that it had published everything before it died or failed to close its books.
    Adopted,
}

impl RunState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`ErrorKind::State`] if the event cannot happen in this state.
    pub fn apply(self, event: &RunEvent) -> Result<Self> {
        match (self, event) {
            (Self::Pending, RunEvent::Started) => Ok(Self::Running),
            (Self::Running, RunEvent::Succeeded { warnings: 0 }) => Ok(Self::Success),
            (Self::Running, RunEvent::Succeeded { .. }) => Ok(Self::Warning),
            (Self::Pending | Self::Running, RunEvent::Failed) => Ok(Self::Error),
            (Self::Running | Self::Error, RunEvent::Adopted) => Ok(Self::Success),
            (state, event) => {
                let step = match event {
                    RunEvent::Started => "started",
                    RunEvent::Succeeded { .. } => "marked a success",
                    RunEvent::Failed => "marked as failed",
                    RunEvent::Adopted => "adopted",
                };
                Err(Error::new(ErrorKind::State, format!("a run in state {state} cannot be {step}")))
            }
        }
    }

    /// Whether nothing more can happen to the run of its own accord.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Warning | Self::Error)
    }

    /// The documented name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RunState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Pending, Self::Running, Self::Success, Self::Warning, Self::Error]
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| {
                Error::new(ErrorKind::State, format!("\"{text}\" is no state of a run"))
                    .hint("the states are pending, running, success, warning and error")
            })
    }
}

#[cfg(test)]
mod tests;
