//! The query of `GET /logs`: filters, order, and the place to go on from.

use std::borrow::Cow;

use domain::id::{SubscriberId, SubscriptionId};
use domain::log_entry::{Action, LogBody, LogOrder, LogQuery, LogType};
use domain::time::Timestamp;

use super::reader::{one_of, shortened};
use crate::fault::{Fault, code};
use domain::nearest::nearest;

/// Contract page 1, "Logs".
const DEFAULT_LIMIT: usize = 50;
/// Contract page 1, "Logs".
const MAX_LIMIT: usize = 100;
/// Page numbers of more digits than this are no place that anybody reads at.
const MAX_PAGE: u64 = 1_000_000_000;

const PARAMETERS: [&str; 11] = [
    "log_type",
    "order",
    "limit",
    "page",
    "cursor",
    "subscriber_id",
    "subscription_id",
    "operation",
    "error_reason",
    "start_time",
    "end_time",
];

/// What a caller asks of its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRequest {
    /// For the store.
    pub query: LogQuery,
    /// The number of the page asked for; `None` behind a cursor.
    pub page: Option<u64>,
}

impl LogRequest {
    /// Reads the query part of the URL, without `?`.
    pub fn parse(query: &str) -> Result<LogRequest, Vec<Fault>> {
        let mut parameters = Parameters::split(query);
        let request = parameters.read();
        if parameters.faults.is_empty() { Ok(request) } else { Err(parameters.faults) }
    }
}

struct Parameters<'q> {
    given: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    faults: Vec<Fault>,
}

impl<'q> Parameters<'q> {
    fn split(query: &'q str) -> Parameters<'q> {
        let mut parameters = Parameters { given: Vec::new(), faults: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                let message = format!("the query has a broken percent-encoding in `{}`", shortened(pair));
                parameters.faults.push(Fault::new(code::INVALID_PARAMETER, message));
                continue;
            };
            if !PARAMETERS.contains(&&*name) {
                let name = shortened(&name);
                let hint = nearest(&name, PARAMETERS.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
                let message = format!("{name} is not a parameter of the log{}", hint.unwrap_or_default());
                parameters.faults.push(Fault::at(name, code::UNKNOWN_PARAMETER, message));
            } else if parameters.given.iter().any(|(other, _)| *other == name) {
                let message = format!("{name} is there twice");
                parameters.faults.push(Fault::at(name, code::REPEATED_PARAMETER, message));
            } else {
                parameters.given.push((name, value));
            }
        }
        parameters
    }

    fn read(&mut self) -> LogRequest {
        let order = self.name("order", &[("asc", LogOrder::Ascending), ("desc", LogOrder::Descending)]);
        let log_type = self.name("log_type", &[("action", LogType::Action), ("error", LogType::Error)]);
        let limit = self.value("limit", "a number from 1 to 100", |text| {
            whole_number(text).filter(|limit| (1..=MAX_LIMIT as u64).contains(limit))
        });
        let limit = limit.map_or(DEFAULT_LIMIT, |limit| limit as usize);
        let page = self
            .value("page", "a number from 1", |text| whole_number(text).filter(|page| (1..=MAX_PAGE).contains(page)));
        let cursor = self.value("cursor", "the `next` of an earlier answer, unchanged", cursor::read);
        if cursor.is_some() && page.is_some() {
            self.fault("page", "cannot be given together with cursor");
        }
        if let (Some((_, of_cursor)), Some(asked)) = (cursor, order)
            && of_cursor != asked
        {
            self.fault("order", "is not the order that the cursor was made in");
        }
        let subscriber_id = self.value("subscriber_id", "a UUID", SubscriberId::parse);
        let subscription_id = self.value("subscription_id", "a UUID", SubscriptionId::parse);
        let operations = Action::ALL.map(|action| (action.as_str(), action.as_str()));
        let other = [LogBody::FAILED_DELIVERY, LogBody::REFUSED].map(|name| (name, name));
        let operation = self.name("operation", &[&operations[..], &other].concat());
        let reason = "a reason in lower case, such as destination_timeout";
        let error_reason = self.value("error_reason", reason, |text| {
            let snake_case =
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            ((1..=64).contains(&text.len()) && snake_case).then(|| text.to_owned())
        });
        let time = "an RFC 3339 time such as 2026-11-02T08:00:00Z (a + must be written as %2B)";
        let start_time = self.value("start_time", time, instant);
        let end_time = self.value("end_time", time, instant);
        if let (Some(start), Some(end)) = (start_time, end_time)
            && end < start
        {
            self.fault("end_time", "lies before start_time");
        }
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

    fn fault(&mut self, name: &'static str, message: &str) {
        self.faults.push(Fault::at(name, code::INVALID_PARAMETER, format!("{name} {message}")));
    }

    fn value<T>(&mut self, name: &'static str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let (_, text) = self.given.iter().find(|(given, _)| given == name)?;
        let value = read(text);
        if value.is_none() {
            let message = format!("must be {expected}, not `{}`", shortened(text));
            self.fault(name, &message);
        }
        value
    }

    fn name<T: Copy>(&mut self, name: &'static str, names: &[(&'static str, T)]) -> Option<T> {
        let (_, text) = self.given.iter().find(|(given, _)| given == name)?;
        let found = names.iter().find(|(known, _)| known == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let all: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
            let message = one_of(text, &all);
            self.fault(name, &message);
        }
        found
    }
}

/// A whole number in digits alone: no sign, no blanks.
fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// An instant with a date, a time and an offset.
fn instant(text: &str) -> Option<Timestamp> {
    // RFC 3339 asks for the offset in full, which jiff does not (`+01`), and knows no blanks or brackets.
    let offset = text.ends_with(['Z', 'z']) || {
        let tail = text.len().checked_sub(6).and_then(|start| text.get(start..)).unwrap_or_default();
        tail.starts_with(['+', '-']) && tail.as_bytes().get(3) == Some(&b':')
    };
    let date_and_time = text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'));
    (offset && date_and_time).then(|| Timestamp::parse(text)).flatten()
}

/// Undoes percent-encoding; `+` means a blank, as in forms.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The opaque place between two entries: the order of the reading, and the id of the last entry read.
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
