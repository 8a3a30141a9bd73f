//! The tree of a filter expression, and its normal form as text.

use std::fmt;

use super::facets::Facets;

/// A filter expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expr {
    /// At least one of them is true; two or more.
    Or(Vec<Expr>),
    /// All of them are true; two or more.
    And(Vec<Expr>),
    /// Negation.
    Not(Box<Expr>),
    /// A test of the event.
    Condition(Condition),
}

/// A test of the whole event: whether the field has one of these values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// The field.
    pub field: Field,
    /// The values, unescaped.
    pub values: Values,
}

/// Values compared with a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Values {
    /// `= "…"`
    Equals(String),
    /// `in ["…", …]`, not empty.
    In(Vec<String>),
}

impl Values {
    /// One or more values, in the order given.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Values::Equals(value) => std::slice::from_ref(value),
            Values::In(values) => values,
        }
    }
}

/// Fields available to conditions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The author's identifier.
    User,
    /// The author's type.
    UserType,
    /// The codes of the changed attributes.
    Attribute,
    /// The scopes of the changed values.
    Scope,
    /// Alias of [`Field::Scope`].
    Channel,
    /// The locales of the changed values.
    Locale,
}

impl Field {
    /// All fields, in the contract's order.
    pub const ALL: [Field; 6] =
        [Field::User, Field::UserType, Field::Attribute, Field::Scope, Field::Channel, Field::Locale];

    /// Name in the filter language.
    pub fn name(self) -> &'static str {
        match self {
            Field::User => "user",
            Field::UserType => "user_type",
            Field::Attribute => "attribute",
            Field::Scope => "scope",
            Field::Channel => "channel",
            Field::Locale => "locale",
        }
    }

    /// The field with this name, exactly as written.
    pub fn named(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Whether only the two delta types have it.
    pub fn is_delta_field(self) -> bool {
        !matches!(self, Field::User | Field::UserType)
    }
}

impl Condition {
    /// Whether an event with these facets meets it.
    fn holds(&self, facets: &Facets<'_>) -> bool {
        let values = self.values.as_slice();
        let is = |facet: Option<&str>| facet.is_some_and(|facet| values.iter().any(|value| value == facet));
        match self.field {
            Field::User => is(facets.user()),
            Field::UserType => is(facets.user_type()),
            Field::Attribute => facets.attributes().has_one_of(values),
            Field::Scope | Field::Channel => facets.scopes().has_one_of(values),
            Field::Locale => facets.locales().has_one_of(values),
        }
    }
}

impl Expr {
    /// The conditions, from left to right.
    pub fn conditions(&self) -> Box<dyn Iterator<Item = &Condition> + '_> {
        match self {
            Expr::Or(parts) | Expr::And(parts) => Box::new(parts.iter().flat_map(Expr::conditions)),
            Expr::Not(inner) => inner.conditions(),
            Expr::Condition(condition) => Box::new(std::iter::once(condition)),
        }
    }

    /// The smallest part that alone makes the expression false; `None` if it is true.
    pub(super) fn unmet(&self, facets: &Facets<'_>) -> Option<&Expr> {
        match self {
            Expr::And(parts) => parts.iter().find_map(|part| part.unmet(facets)),
            Expr::Or(parts) => parts.iter().all(|part| part.unmet(facets).is_some()).then_some(self),
            Expr::Not(inner) => inner.unmet(facets).is_none().then_some(self),
            Expr::Condition(condition) => (!condition.holds(facets)).then_some(self),
        }
    }

    /// Operator precedence, which determines the parentheses.
    fn binding(&self) -> u8 {
        match self {
            Expr::Or(_) => 0,
            Expr::And(_) => 1,
            Expr::Not(_) | Expr::Condition(_) => 2,
        }
    }
}

/// The normal form: single spaces, only necessary parentheses. Parsing it yields an equal expression.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |part: &Expr, binding: u8, f: &mut fmt::Formatter<'_>| {
            if part.binding() > binding { write!(f, "{part}") } else { write!(f, "({part})") }
        };
        match self {
            Expr::Or(parts) | Expr::And(parts) => {
                let word = if self.binding() == 0 { " or " } else { " and " };
                for (index, part) in parts.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { word })?;
                    within(part, self.binding(), f)?;
                }
                Ok(())
            }
            Expr::Not(inner) => {
                f.write_str("not ")?;
                within(inner, 1, f)
            }
            Expr::Condition(condition) => write!(f, "{condition}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.name())?;
        match &self.values {
            Values::Equals(value) => write!(f, "={}", Quoted(value)),
            Values::In(values) => {
                f.write_str(" in [")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, Quoted(value))?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A value in filter syntax: in double quotes, `\` before `"` and `\`.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for part in self.0.split_inclusive(['"', '\\']) {
            match part.char_indices().last() {
                Some((at, last @ ('"' | '\\'))) => write!(f, "{}\\{last}", &part[..at])?,
                _ => f.write_str(part)?,
            }
        }
        f.write_str("\"")
    }
}
