//! Failures of commands: `error: …`, causes, `hint: …`, and an exit code.

use std::fmt;
use std::process::ExitCode;

use crate::config::fault::Refused;
use crate::terminal;

/// Exit codes, as listed by `postrider --help`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Failed.
    Failed = 1,
    /// Invalid arguments.
    Usage = 2,
    /// Invalid configuration.
    Configuration = 3,
    /// Unusable data folder: in use by another process, missing key, created by a newer version.
    Data = 4,
}

/// An error with a hint.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// Creates a failure with an exit code.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), hint: None, exit }
    }

    /// Creates a failure from a message.
    pub(crate) fn message(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure::new(exit, anyhow::anyhow!("{message}"))
    }

    /// Adds a hint.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// Prints the failure to standard error and returns its exit code.
    pub(crate) fn report(self) -> ExitCode {
        terminal::error(&self.to_string());
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        let mut said = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            // Many errors repeat their cause in their own message.
            if !said.contains(&cause) {
                write!(f, "\n  caused by: {cause}")?;
                said.push_str(&cause);
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::new(Exit::Configuration, refused).hint(
            "`postrider config` shows the origin of each setting, `postrider config --reference` lists all settings",
        )
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::new(Exit::Failed, error)
    }
}
