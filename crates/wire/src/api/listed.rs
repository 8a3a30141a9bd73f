//! The query of `GET /subscriptions`.

use domain::id::SubscriptionId;

use super::query::{Kind, Parameter, Query, parameter};
use super::shape::Form;
use crate::fault::Fault;

const DEFAULT_LIMIT: usize = 100;
/// As many as the subscriptions that a client may have, and some revoked ones.
const MAX_LIMIT: u64 = 500;

const STATUSES: [&str; 3] = ["active", "suspended", "revoked"];

/// Parameters of `GET /subscriptions`.
pub const LISTED_QUERY: &[Parameter] = &[
    parameter("status", Kind::Name(&STATUSES), "Only subscriptions with this status."),
    parameter("limit", Kind::Number(1, MAX_LIMIT), "Maximum number of subscriptions; default 100."),
    parameter(
        "after",
        Kind::Text(Form::of_format("uuid")),
        "Only those after this one: the `next` of the previous page.",
    ),
];

/// A caller's request for its subscriptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Only with this status.
    pub status: Option<&'static str>,
    /// Maximum number of subscriptions.
    pub limit: usize,
    /// After this one.
    pub after: Option<SubscriptionId>,
}

/// Reads the query of `GET /subscriptions`.
pub fn parse_listed(query: &str) -> Result<Listed, Vec<Fault>> {
    let mut query = Query::split(query, "the list of subscriptions", LISTED_QUERY);
    let asked = Listed {
        status: query.name("status", &STATUSES.map(|name| (name, name))),
        limit: query.number("limit").map_or(DEFAULT_LIMIT, |limit| limit as usize),
        after: query.value("after", "the `next` of the previous page, a UUID", SubscriptionId::parse),
    };
    query.finish(asked)
}
