//! Settings with a few named values.

use super::{Typed, Value, quoted};

/// A setting with a few named values.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name { $($(#[$vdoc])* $variant,)* }

        impl Value for $name {
            fn expected() -> String {
                format!("one of {}", [$(concat!("\"", $text, "\"")),*].join(", "))
            }
            fn read(typed: &Typed) -> Option<Self> {
                match typed.text()? {
                    $($text => Some($name::$variant),)*
                    _ => None,
                }
            }
            fn show(&self) -> String {
                quoted(match self { $($name::$variant => $text,)* })
            }
        }
    };
}

choice! {
    /// Where the platform stores its data.
    Backend {
        /// One file in the data folder.
        Sqlite = "sqlite",
        /// A PostgreSQL database.
        Postgres = "postgres",
    }
}

choice! {
    /// Handling of unknown event types.
    UnknownTypes {
        /// Stores, counts and reports them in the response.
        Accept = "accept",
        /// Rejects them, with the nearest known name.
        Reject = "reject",
    }
}

choice! {
    /// Validation of the payload of known types.
    SchemaCheck {
        /// Disabled.
        Off = "off",
        /// Logs deviations.
        Warn = "warn",
        /// Rejects deviations.
        Reject = "reject",
    }
}

choice! {
    /// Security of the connection to an SMTP server.
    SmtpSecurity {
        /// Starts in plain text and requires an upgrade to TLS.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// None.
        None = "none",
    }
}

choice! {
    /// Log format.
    LogFormat {
        /// Human-readable on a terminal, JSON otherwise.
        Auto = "auto",
        /// Human-readable lines.
        Human = "human",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// How tokens of a PIM's API clients are checked.
    TokenCheckWay {
        /// `GET /api/rest/v1/token-info` of hosted PIMs.
        TokenInfo = "token-info",
        /// `GET /api/rest/v1/system-information`, PIM 6.0 and later.
        SystemInformation = "system-information",
        /// `GET /api/rest/v1/measurement-families`, PIM 5.0 and later.
        MeasurementFamilies = "measurement-families",
        /// Static tokens only; the PIM is not asked.
        Static = "static",
    }
}
