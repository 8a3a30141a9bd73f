//! Conversion of setting values from and to TOML. A constructed value is always valid.

mod choice;
mod network;
mod number;

use std::path::PathBuf;
use std::time::Duration;

use domain::Secret;
use domain::credential::without_line_break;

use super::typed::{Kind, Place, Typed};
use super::units;

pub(crate) use choice::{Backend, LogFormat, SchemaCheck, SmtpSecurity, TokenCheckWay, UnknownTypes};
pub(crate) use network::{BaseUrl, HostPort, Nat64Prefix, PimUrl, WebOrigin};
pub(crate) use number::{Amount, Connections, Count, HostRate, PerSecond, Port, Share, Size};

/// An invalid typed value: its place, and the value found.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) place: Place,
    pub(super) found: String,
}

/// Type of a setting's value.
pub(super) trait Value: Sized {
    /// Whether the value is masked when the configuration is printed.
    const SECRET: bool = false;

    /// Description of valid values, to follow "expected".
    fn expected() -> String;

    /// Parses a value; `None` if invalid.
    fn read(typed: &Typed) -> Option<Self>;

    /// Like [`Value::read`], with the innermost invalid place.
    fn read_or_point(typed: &Typed) -> Result<Self, Wrong> {
        Self::read(typed).ok_or_else(|| Wrong {
            place: typed.place.clone(),
            found: if Self::SECRET { "another value".to_owned() } else { typed.found() },
        })
    }

    /// Formats the value as TOML.
    fn show(&self) -> String;
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Value for Duration {
    fn expected() -> String {
        "a duration with its unit, such as \"500ms\", \"5s\", \"10m\", \"24h\" or \"30d\"".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        units::parse_duration(typed.text()?)
    }
    fn show(&self) -> String {
        quoted(&units::show_duration(*self))
    }
}

impl Value for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        match &typed.kind {
            Kind::Boolean(value) => Some(*value),
            Kind::Bare(text) => text.trim().parse().ok(),
            Kind::Text(_) | Kind::Number(_) | Kind::List(_) | Kind::Table(_) | Kind::Moment(_) => None,
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Non-empty text.
impl Value for String {
    fn expected() -> String {
        "text in quotes, not empty".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        typed.text().filter(|text| !text.trim().is_empty() && !text.contains(char::is_control)).map(str::to_owned)
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Value for PathBuf {
    fn expected() -> String {
        "a path in quotes".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        typed.text().filter(|text| !text.is_empty()).map(PathBuf::from)
    }
    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Value for Secret {
    const SECRET: bool = true;
    fn expected() -> String {
        "text in quotes, not empty, on one line".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        // Secret files and their contents read by a shell end in a line break that is not part of the secret.
        let text = without_line_break(typed.text()?);
        (!text.trim().is_empty() && !text.contains(char::is_control)).then(|| Secret::new(text))
    }
    fn show(&self) -> String {
        quoted(Secret::MASK)
    }
}

/// `""` means none.
impl<T: Value> Value for Option<T> {
    const SECRET: bool = T::SECRET;
    fn expected() -> String {
        format!("{}, or \"\" for none", T::expected())
    }
    fn read(typed: &Typed) -> Option<Self> {
        if typed.text().is_some_and(str::is_empty) { Some(None) } else { T::read(typed).map(Some) }
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), T::show)
    }
}

impl<T: Value> Value for Vec<T> {
    const SECRET: bool = T::SECRET;
    fn expected() -> String {
        format!("a list; each item {}", T::expected())
    }
    fn read(typed: &Typed) -> Option<Self> {
        typed.items()?.iter().map(T::read).collect()
    }
    fn read_or_point(typed: &Typed) -> Result<Self, Wrong> {
        let wrong = || Wrong { place: typed.place.clone(), found: typed.found() };
        typed.items().ok_or_else(wrong)?.iter().map(T::read_or_point).collect()
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(T::show).collect();
        format!("[{}]", items.join(", "))
    }
}
