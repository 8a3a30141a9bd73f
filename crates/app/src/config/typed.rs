//! Step one, "as typed": values with their layer and place, before any validation.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A typed value and its place.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

/// Syntactic kind of a typed value.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A TOML string.
    Text(String),
    /// From an environment variable or a flag: text of any meaning.
    Bare(String),
    /// A TOML integer or float, as spelled.
    Number(String),
    Boolean(bool),
    List(Vec<Typed>),
    Table(Members),
    /// A TOML date or time; no setting has one.
    Moment(String),
}

/// Members of a table, in file order: key, place of the key, value.
pub(super) type Members = Vec<(String, Place, Typed)>;

/// Place of a typed value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The default.
    Default,
    /// In the file; columns count characters, both start at 1.
    File { path: PathBuf, line: usize, column: usize },
    /// In an environment variable.
    Environment(String),
    /// In a flag.
    Flag(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Environment(name) => write!(f, "environment variable {name}"),
            Place::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl Typed {
    /// Text of an environment variable, a flag, or a default of the table of settings.
    pub(super) fn bare(text: &str, place: Place) -> Typed {
        Typed { kind: Kind::Bare(text.to_owned()), place }
    }

    /// As a list: bare text is split at commas.
    pub(super) fn items(&self) -> Option<Vec<Typed>> {
        match &self.kind {
            Kind::List(items) => Some(items.clone()),
            Kind::Bare(text) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Typed::bare(item, self.place.clone()))
                    .collect(),
            ),
            Kind::Text(_) | Kind::Number(_) | Kind::Boolean(_) | Kind::Table(_) | Kind::Moment(_) => None,
        }
    }

    /// As text, if it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) | Kind::Bare(text) => Some(text),
            Kind::Number(_) | Kind::Boolean(_) | Kind::List(_) | Kind::Table(_) | Kind::Moment(_) => None,
        }
    }

    /// The value found, for a message.
    pub(super) fn found(&self) -> String {
        match &self.kind {
            Kind::Text(text) | Kind::Bare(text) => format!("{text:?}"),
            Kind::Number(text) | Kind::Moment(text) => text.clone(),
            Kind::Boolean(value) => value.to_string(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
        }
    }
}

/// Parses a file. The error is the first invalid place, and the cause.
pub(super) fn parse_file(path: &Path, text: &str) -> Result<Members, (Place, String)> {
    let reader = Reader { path, text };
    match DeTable::parse(text) {
        Ok(table) => Ok(reader.table(table.get_ref())),
        Err(error) => {
            let place = reader.place(error.span().unwrap_or(0..0));
            Err((place, error.message().to_owned()))
        }
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn table(&self, table: &DeTable<'_>) -> Members {
        let mut members: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                (key.span().start, key.get_ref().to_string(), self.place(key.span()), self.value(value))
            })
            .collect();
        members.sort_by_key(|(start, ..)| *start);
        members.into_iter().map(|(_, key, place, value)| (key, place, value)).collect()
    }

    fn value(&self, value: &Spanned<DeValue<'_>>) -> Typed {
        let kind = match value.get_ref() {
            DeValue::String(text) => Kind::Text(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Kind::Number(number.as_str().to_owned()),
            DeValue::Integer(number) => Kind::Number(
                i128::from_str_radix(number.as_str(), number.radix())
                    .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
            ),
            DeValue::Float(number) => Kind::Number(number.as_str().to_owned()),
            DeValue::Boolean(value) => Kind::Boolean(*value),
            DeValue::Datetime(moment) => Kind::Moment(moment.to_string()),
            DeValue::Array(items) => Kind::List(items.iter().map(|item| self.value(item)).collect()),
            DeValue::Table(table) => Kind::Table(self.table(table)),
        };
        Typed { kind, place: self.place(value.span()) }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
        Place::File { path: self.path.to_owned(), line, column }
    }
}
