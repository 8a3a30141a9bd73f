//! How a command ends when it does not end well: `error: …`, its causes, `hint: …`, and an exit code that says what kind it was.

use std::fmt;
use std::process::ExitCode;

use crate::config::fault::Refused;
use crate::terminal;

/// What the exit codes say; `postrider --help` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// It did not work.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The configuration is refused.
    Configuration = 3,
    /// The data folder cannot be used: in use by another process, its key is missing, made by a newer version.
    Data = 4,
}

/// A failure with advice.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// A failure of a kind.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), hint: None, exit }
    }

    /// A failure that is a sentence.
    pub(crate) fn message(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure::new(exit, anyhow::anyhow!("{message}"))
    }

    /// With advice what would be right.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// Writes it on standard error, and gives its exit code.
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
            "`postrider config` shows where each setting comes from, `postrider config --reference` what there is",
        )
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::new(Exit::Failed, error)
    }
}
