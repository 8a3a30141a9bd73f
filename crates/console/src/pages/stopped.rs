//! Suspensions: why and since when, what is held, and what was missed.

use maud::{Markup, html};
use serde_json::Value;

use crate::answer::Look;
use crate::query::encoded;
use crate::time::{moment, within};
use crate::visit::Visit;
use crate::words::{self, number};

/// Entry of the log about the latest suspension: it has the operator's own words and its time, which the status lacks.
/// `null` if it is not among the latest actions any more.
pub(super) async fn last_suspension(visit: &Visit, id: &str) -> Value {
    let path = format!("/api/v1/logs?log_type=action&subscription_id={}&limit=100", encoded(id));
    let entries = visit.get_or_null(&path).await;
    let is_one = |entry: &&Value| entry.text("/operation").starts_with("subscription_suspended");
    entries.list("/items").iter().find(is_one).cloned().unwrap_or(Value::Null)
}

/// Why, and since when: by the log; if that has it no longer, only `otherwise`.
pub(super) fn why(otherwise: &str, suspension: &Value) -> Markup {
    let said = suspension.text("/message");
    because(if said.is_empty() { otherwise } else { said }, suspension.text("/timestamp"))
}

/// The reason of a suspension, and its time if it is known.
pub(super) fn because(reason: &str, since: &str) -> Markup {
    let reason = words::suspension(reason);
    html! {
        @if !reason.is_empty() { span { (within(&reason)) } }
        @if !since.is_empty() { " · since " (moment(since)) }
    }
}

/// Whether events are held for the resume.
pub(super) fn holds(subscription: &Value) -> bool {
    subscription.text("/status") == "suspended" && subscription.flag("/options/hold")
}

/// The time of a suspension that has ended, from the query of the page after the resume.
pub(super) fn missed_span(visit: &Visit) -> Option<(String, String)> {
    let (from, to) = (visit.query().get("missed_from"), visit.query().get("missed_to"));
    let known = |at: &str| domain::Timestamp::parse(at).map(|at| at.to_string());
    Some((known(from)?, known(to)?))
}

/// Number of events of a subscription's types that were accepted in a time span, and whether there are more.
pub(super) async fn accepted(visit: &Visit, subscription: &Value, (from, to): &(String, String)) -> (u64, bool) {
    let path = format!("/api/v1/events?limit=100&start_time={}&end_time={}", encoded(from), encoded(to));
    let events = visit.get_or_null(&path).await;
    let is_of = |one: &&Value| subscription.list("/events").iter().any(|name| name.as_str() == Some(one.text("/type")));
    (events.list("/items").iter().filter(is_of).count() as u64, events.present("/next").is_some())
}

/// What was missed during a suspension, with a way to a replay of its time.
pub(super) fn missed(span: &(String, String), (count, more): (u64, bool), path: &str) -> Markup {
    let (from, to) = span;
    html! {
        p.notice {
            @if count == 0 && !more { "No event of its types was accepted" }
            @else {
                @if more { "At least " } (number(count)) @if count == 1 { " event" } @else { " events" }
                " of its types, filter aside, went undelivered: accepted"
            }
            " during the suspension, from " (moment(from)) " to " (moment(to)) "."
            @if count > 0 || more {
                " " a href={ (path) "/replays?from=" (encoded(&second(from, 0))) "&to=" (encoded(&second(to, 1))) } {
                    "Replay that time" }
            }
        }
    }
}

/// The full second of a moment, `more` later: a form has no fractions.
fn second(at: &str, more: i64) -> String {
    let micros = domain::Timestamp::parse(at).map_or(0, domain::Timestamp::as_micros);
    domain::Timestamp::from_micros((micros.div_euclid(1_000_000) + more) * 1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_time_is_replayed_from_full_seconds() {
        let span = ("2026-11-29T10:00:00.700000Z".to_owned(), "2026-11-29T10:05:00.300000Z".to_owned());
        let shown = missed(&span, (2, true), "/console/x").into_string();
        let link = "from=2026-11-29T10%3A00%3A00.000000Z&amp;to=2026-11-29T10%3A05%3A01.000000Z";
        assert!(shown.contains("At least 2 events") && shown.contains(link), "{shown}");
        let none = missed(&span, (0, false), "/console/x").into_string();
        assert!(none.contains("No event of its types") && !none.contains("<a "), "{none}");
    }
}
