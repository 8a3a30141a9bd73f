//! The query of `GET /logs`: filters, order, and the position to continue from.

use domain::id::{SubscriberId, SubscriptionId};
use domain::log_entry::{Action, LogBody, LogOrder, LogQuery, LogType};

use super::query::{INSTANT, Kind, Parameter, Query, parameter};
use super::shape::Form;
use crate::fault::Fault;

/// Contract page 1, "Logs".
const DEFAULT_LIMIT: usize = 50;
/// Contract page 1, "Logs".
const MAX_LIMIT: u64 = 100;
/// Longer page numbers are never useful.
const MAX_PAGE: u64 = 1_000_000_000;

const ORDERS: [(&str, LogOrder); 2] = [("asc", LogOrder::Ascending), ("desc", LogOrder::Descending)];
const LOG_TYPES: [(&str, LogType); 2] = [("action", LogType::Action), ("error", LogType::Error)];

/// All operations of log entries.
pub const OPERATIONS: [&str; Action::ALL.len() + 2] = {
    let mut names = [LogBody::FAILED_DELIVERY; Action::ALL.len() + 2];
    let mut index = 0;
    while index < Action::ALL.len() {
        names[index] = Action::ALL[index].as_str();
        index += 1;
    }
    names[Action::ALL.len() + 1] = LogBody::REFUSED;
    names
};

/// Parameters of `GET /logs`.
pub const PARAMETERS: &[Parameter] = &[
    parameter("log_type", Kind::Name(&[LOG_TYPES[0].0, LOG_TYPES[1].0]), "Only entries of this type."),
    parameter("order", Kind::Name(&[ORDERS[0].0, ORDERS[1].0]), "Order of the entries; default `desc`, newest first."),
    parameter("limit", Kind::Number(1, MAX_LIMIT), "Maximum number of entries; default 50."),
    parameter(
        "page",
        Kind::Number(1, MAX_PAGE),
        "Page number, from 1. Pages shift while entries arrive; use `cursor` for stable paging. Not together with \
         `cursor`.",
    ),
    parameter(
        "cursor",
        Kind::Text(Form::of_format("log-cursor")),
        "The `next` of the previous response, unchanged, with the same other parameters.",
    ),
    parameter("subscriber_id", Kind::Text(Form::of_format("uuid")), "Only entries about this subscriber."),
    parameter("subscription_id", Kind::Text(Form::of_format("uuid")), "Only entries about this subscription."),
    parameter("operation", Kind::Name(&OPERATIONS), "Only entries of this operation."),
    parameter(
        "error_reason",
        Kind::Text(Form::of_pattern("^[a-z0-9_]{1,64}$").examples(&["destination_timeout"])),
        "Only errors with this reason.",
    ),
    parameter("start_time", Kind::Text(INSTANT), "Only entries from this time on."),
    parameter("end_time", Kind::Text(INSTANT), "Only entries before this time."),
];

/// A caller's request for log entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRequest {
    /// The query for the store.
    pub query: LogQuery,
    /// The requested page number; `None` after a cursor.
    pub page: Option<u64>,
}

impl LogRequest {
    /// Reads the query part of the URL, without `?`.
    pub fn parse(query: &str) -> Result<LogRequest, Vec<Fault>> {
        let mut parameters = Query::split(query, "the log", PARAMETERS);
        let request = read(&mut parameters);
        parameters.finish(request)
    }
}

fn read(query: &mut Query<'_>) -> LogRequest {
    let order = query.name("order", &ORDERS);
    let log_type = query.name("log_type", &LOG_TYPES);
    let limit = query.number("limit").map_or(DEFAULT_LIMIT, |limit| limit as usize);
    let page = query.number("page");
    let cursor = query.value("cursor", "the `next` of an earlier response, unchanged", cursor::read);
    if cursor.is_some() && page.is_some() {
        query.fault("page", "cannot be combined with cursor");
    }
    if let (Some((_, of_cursor)), Some(asked)) = (cursor, order)
        && of_cursor != asked
    {
        query.fault("order", "differs from the order of the cursor");
    }
    let subscriber_id = query.value("subscriber_id", "a UUID", SubscriberId::parse);
    let subscription_id = query.value("subscription_id", "a UUID", SubscriptionId::parse);
    let operation = query.name("operation", &OPERATIONS.map(|name| (name, name)));
    let reason = "a reason in lower case, such as destination_timeout";
    let error_reason = query.value("error_reason", reason, |text| {
        let snake_case = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        ((1..=64).contains(&text.len()) && snake_case).then(|| text.to_owned())
    });
    let (start_time, end_time) = query.time_span();
    let page = if cursor.is_some() { None } else { Some(page.unwrap_or(1)) };
    LogRequest {
        query: LogQuery {
            log_type,
            order: cursor.map(|(_, order)| order).or(order).unwrap_or_default(),
            limit,
            skip: usize::try_from(page.unwrap_or(1) - 1).unwrap_or(usize::MAX).saturating_mul(limit),
            after: cursor.map(|(last, _)| last),
            subscriber_id,
            subscription_id,
            operation: operation.map(str::to_owned),
            error_reason,
            start_time,
            end_time,
        },
        page,
    }
}

/// An opaque position between two entries: the reading order, and the id of the last entry read.
pub(super) mod cursor {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use domain::LogId;
    use domain::log_entry::LogOrder;

    pub(crate) fn write(last: LogId, order: LogOrder) -> String {
        let mut bytes = vec![if order == LogOrder::Ascending { b'a' } else { b'd' }];
        bytes.extend_from_slice(last.0.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn read(text: &str) -> Option<(LogId, LogOrder)> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (order, id) = bytes.split_first()?;
        let order = match order {
            b'a' => LogOrder::Ascending,
            b'd' => LogOrder::Descending,
            _ => return None,
        };
        let id: [u8; 16] = id.try_into().ok()?;
        LogId::parse(&hyphenated(id)).map(|id| (id, order))
    }

    fn hyphenated(id: [u8; 16]) -> String {
        let mut text = String::with_capacity(36);
        for (index, byte) in id.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

#[cfg(test)]
mod tests;
