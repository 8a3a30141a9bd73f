//! Queries of the operator's lists.

use std::fmt;

use domain::id::{ClientId, PimId, SubscriptionId};
use domain::pim;

use crate::api::query::{Kind, Parameter, Query};
use crate::api::shape::Form;
use crate::fault::Fault;

/// Searches names in a list.
const SEARCH: Parameter =
    Parameter { name: "q", kind: Kind::Text(Form::ANY), about: "Only those that contain this text, in any case." };

/// Parameters of `GET /admin/traffic`.
pub const TRAFFIC_QUERY: &[Parameter] = &[Parameter {
    name: "pim",
    kind: Kind::Text(Form::of_pattern(pim::NAME_PATTERN)),
    about: "Only the PIM with this name, by hour.",
}];

/// Parameters of `GET /admin/clients`.
pub const CLIENTS_QUERY: &[Parameter] = &[
    Parameter {
        name: "pim",
        kind: Kind::Text(Form::of_pattern(pim::NAME_PATTERN)),
        about: "Only clients of the PIM with this name.",
    },
    SEARCH,
    Parameter {
        name: "after",
        kind: Kind::Text(Form::of_pattern("^[0-9]{1,10}:[!-~]([ -~]*[!-~])?$")),
        about: "Only those after this one: the `next` of the previous page.",
    },
];

/// Parameters of `GET /admin/pims`.
pub const PIMS_QUERY: &[Parameter] = &[
    SEARCH,
    Parameter {
        name: "after",
        kind: Kind::Number(0, u32::MAX as u64),
        about: "Only those after this one: the `next` of the previous page.",
    },
];

/// Parameters of `GET /admin/subscriptions`.
pub const SUBSCRIPTIONS_QUERY: &[Parameter] = &[
    Parameter {
        name: "pim",
        kind: Kind::Text(Form::of_pattern(pim::NAME_PATTERN)),
        about: "Only subscriptions of the PIM with this name.",
    },
    Parameter { name: "client_id", kind: Kind::Text(Form::ANY), about: "Only subscriptions of clients with this id." },
    Parameter {
        name: "status",
        kind: Kind::Name(&STATUSES),
        about: "Only subscriptions with this status; deleted ones are listed only on request.",
    },
    SEARCH,
    Parameter {
        name: "after",
        kind: Kind::Text(Form::of_format("uuid")),
        about: "Only subscriptions after this one: the `next` of the previous page.",
    },
];

const STATUSES: [&str; 4] = ["active", "suspended", "revoked", "deleted"];

/// Subscriptions selected by the operator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubscriptionsQuery {
    /// Of the PIM with this name.
    pub pim: Option<String>,
    /// Of clients with this id.
    pub client_id: Option<String>,
    /// With this status.
    pub status: Option<&'static str>,
    /// With this text in their ids or destinations.
    pub text: Option<String>,
    /// After this one.
    pub after: Option<SubscriptionId>,
}

fn pim_name(query: &mut Query<'_>) -> Option<String> {
    query.value("pim", "the name of a PIM", |name| pim::is_name(name).then(|| name.to_owned()))
}

/// A position in the list of clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientPlace {
    /// The PIM.
    pub pim: PimId,
    /// The client.
    pub client_id: ClientId,
}

impl ClientPlace {
    fn parse(text: &str) -> Option<ClientPlace> {
        let (pim, client_id) = text.split_once(':')?;
        let is_number = (1..=10).contains(&pim.len()) && pim.bytes().all(|byte| byte.is_ascii_digit());
        let is_client_id = client_id.trim() == client_id && client_id.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_number || !is_client_id || client_id.is_empty() {
            return None;
        }
        // Larger than any PIM's number: behind all of them.
        let pim = u32::try_from(pim.parse::<u64>().ok()?).unwrap_or(u32::MAX);
        Some(ClientPlace { pim: PimId(pim), client_id: ClientId(client_id.to_owned()) })
    }
}

impl fmt::Display for ClientPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pim, self.client_id)
    }
}

/// Clients selected by the operator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientsQuery {
    /// Of the PIM with this name.
    pub pim: Option<String>,
    /// With this text in their ids.
    pub text: Option<String>,
    /// After this one.
    pub after: Option<ClientPlace>,
}

/// Reads the query of `GET /admin/clients`.
pub fn parse_clients_query(query: &str) -> Result<ClientsQuery, Vec<Fault>> {
    let mut query = Query::split(query, "the list of clients", CLIENTS_QUERY);
    let asked = ClientsQuery {
        pim: pim_name(&mut query),
        text: query.text("q"),
        after: query.value("after", "the `next` of the previous page", ClientPlace::parse),
    };
    query.finish(asked)
}

/// PIMs selected by the operator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PimsQuery {
    /// With this text in their names or URLs.
    pub text: Option<String>,
    /// After this one.
    pub after: Option<PimId>,
}

/// Reads the query of `GET /admin/pims`.
pub fn parse_pims_query(query: &str) -> Result<PimsQuery, Vec<Fault>> {
    let mut query = Query::split(query, "the list of PIMs", PIMS_QUERY);
    let asked = PimsQuery {
        text: query.text("q"),
        after: query.number("after").and_then(|number| u32::try_from(number).ok()).map(PimId),
    };
    query.finish(asked)
}

/// Reads the query of `GET /admin/traffic`: the name of a PIM, if given.
pub fn parse_traffic_query(query: &str) -> Result<Option<String>, Vec<Fault>> {
    let mut query = Query::split(query, "the traffic", TRAFFIC_QUERY);
    let pim = pim_name(&mut query);
    query.finish(pim)
}

/// Reads the query of `GET /admin/subscriptions`.
pub fn parse_subscriptions_query(query: &str) -> Result<SubscriptionsQuery, Vec<Fault>> {
    let mut query = Query::split(query, "the list of subscriptions", SUBSCRIPTIONS_QUERY);
    let asked = SubscriptionsQuery {
        pim: pim_name(&mut query),
        client_id: query.text("client_id"),
        status: query.name("status", &STATUSES.map(|name| (name, name))),
        text: query.text("q"),
        after: query.value("after", "the `next` of the previous page, a UUID", SubscriptionId::parse),
    };
    query.finish(asked)
}
