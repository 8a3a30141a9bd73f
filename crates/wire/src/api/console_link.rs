//! Console links: the body that asks for one.

use super::reader::{Reader, read};
use super::shape::{Field, Form, Object, Shape};
use crate::fault::Fault;
use crate::json::Value;

/// Contract page 8, "Attempts and test events".
const DEFAULT_MINUTES: u64 = 15;

/// The fields of a new link.
pub(super) const FIELDS: Object = Object::new(&[
    Field::required("subscriber_id", Shape::Text(Form::ANY), "The only subscriber that the link gives access to."),
    Field::optional(
        "read_only",
        Shape::Truth,
        "Whether nothing can be changed; default true. Otherwise subscriptions can be created, changed, tested and \
         deleted.",
    ),
    Field::optional(
        "minutes",
        Shape::Count(1, 60),
        "Validity of the link and of the session that it begins; default 15.",
    ),
]);

/// A validated request for a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewConsoleLink {
    /// As sent.
    pub subscriber_id: String,
    /// Whether its bearer can change nothing.
    pub read_only: bool,
    /// Validity, from 1 to 60.
    pub minutes: u64,
}

/// Reads the body of `POST /console-links`.
pub fn parse_new(body: &Value) -> Result<NewConsoleLink, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", FIELDS.fields, faults)?;
        let subscriber_id = fields.required_string("subscriber_id").map(str::to_owned);
        let read_only = fields.truth("read_only").unwrap_or(true);
        let minutes = fields.count("minutes").unwrap_or(DEFAULT_MINUTES);
        fields.finish();
        Some(NewConsoleLink { subscriber_id: subscriber_id?, read_only, minutes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn read(body: &str) -> Result<NewConsoleLink, Vec<Fault>> {
        parse_new(&parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn a_link_is_read_only_for_15_minutes_unless_asked_otherwise() {
        let link = |read_only, minutes| Ok(NewConsoleLink { subscriber_id: "s".to_owned(), read_only, minutes });
        assert_eq!(read(r#"{"subscriber_id":"s"}"#), link(true, 15));
        assert_eq!(read(r#"{"subscriber_id":"s","read_only":null,"minutes":null}"#), link(true, 15));
        // JSON Schema: a number without a fraction is an integer.
        assert_eq!(read(r#"{"subscriber_id":"s","read_only":false,"minutes":29.0}"#), link(false, 29));
    }

    #[test]
    fn faults_name_their_field() {
        let body = r#"{"read_only":"no","minutes":61,"minute":1}"#;
        let faults: Vec<String> = read(body).unwrap_err().into_iter().map(|fault| fault.message).collect();
        let expect = [
            "subscriber_id is required",
            "read_only must be true or false, not a string",
            "minutes must be a whole number from 1 to 60, not 61",
            "minute is an unknown field; did you mean `minutes`?",
        ];
        assert_eq!(faults, expect);
        let fraction = read(r#"{"subscriber_id":"s","minutes":1.5}"#).unwrap_err();
        assert_eq!(fraction[0].message, "minutes must be a whole number from 1 to 60, not 1.5");
    }
}
