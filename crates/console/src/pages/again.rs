//! What replays did with an event. A replay changes no fate: the page says beside it whether the event arrived.

use maud::{Markup, html};
use serde_json::Value;

use crate::answer::Look;
use crate::time::moment;
use crate::words;

/// Attempts of replays for an event, newest first.
fn of_replays<'a>(attempts: &'a [Value], event: &'a str) -> impl Iterator<Item = &'a Value> {
    attempts.iter().filter(move |one| one.text("/event_id") == event && !one.text("/replay_id").is_empty())
}

/// What is said beside the fate of an event.
pub(super) fn beside(subscription: &Value, fate: &Value, replays: &Value, event: &str) -> Markup {
    let said = [
        changed_since(subscription, fate),
        sent(fate.list("/attempts"), event),
        under_way(replays, fate.text("/accepted_at")),
    ];
    html! { @for one in said.iter().filter(|one| !one.0.is_empty()) { p { (one) } } }
}

/// What replays did with an event, by the attempts that are remembered; empty without any.
pub(super) fn sent(attempts: &[Value], event: &str) -> Markup {
    let delivered = of_replays(attempts, event).find(|one| one.text("/outcome") == "delivered");
    html! {
        @if let Some(one) = delivered.or_else(|| of_replays(attempts, event).next()) {
            "Sent again by a replay: " (words::badge(one.text("/outcome"))) " " (moment(one.text("/started_at")))
        }
    }
}

/// A replay under way that may send an event of this time; the API doesn't name the events of a replay.
fn under_way(replays: &Value, accepted_at: &str) -> Markup {
    let running = replays.list("").iter().find(|one| one.text("/status") == "running");
    html! {
        @match running.map(|one| (one.text("/from"), one.text("/to"))) {
            Some(("", _)) => { "A replay of single events is running; this one may be among them." }
            Some((from, to)) if from <= accepted_at && accepted_at < to => {
                "A replay is running of the time in which it was accepted." }
            _ => {}
        }
    }
}

/// Where an event was given up: whether the subscription was changed since. Then the failure may be that of another
/// destination than the page names.
fn changed_since(subscription: &Value, fate: &Value) -> Markup {
    let regular = fate.list("/attempts").iter().find(|one| one.text("/replay_id").is_empty());
    let failed_at = regular.map_or_else(|| fate.text("/accepted_at"), |one| one.text("/started_at"));
    let changed_at = subscription.text("/updated_at");
    html! {
        @if fate.text("/fate") == "given_up" && changed_at > failed_at {
            "The subscription has been changed since, at " (moment(changed_at))
            ": the failure may be that of an earlier destination."
        }
    }
}

/// What became of a single event's own replay.
pub(super) fn outcome(replay: &Value, here: &str) -> Markup {
    let any = |name: &str| replay.count(name) > 0;
    html! {
        @match replay.text("/status") {
            "running" => { p.notice data-refresh="3" { "It is being sent. " a href=(here) { "Refresh" } } }
            "done" if any("/delivered") => { p.notice.good role="status" { "Sent: delivered." } }
            "done" if any("/failed") => { p.notice.bad role="status" { "Sent: all attempts failed." } }
            "done" if any("/skipped") => { p.notice role="status" {
                "Nothing was sent: the regular delivery of the event has not ended yet." } }
            "done" if any("/gone") => { p.notice role="status" { "Nothing was sent: the event is no longer kept." } }
            "done" => { p.notice role="status" {
                "Nothing was sent: the subscription's current types and filter exclude the event." } }
            "cancelled" => { p.notice role="status" { "The replay was cancelled." } }
            "failed" => { p.notice.bad role="status" { "The replay ended early: " (replay.text("/reason")) } }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attempt(event: &str, outcome: &str, at: &str, replay: Option<&str>) -> Value {
        json!({"event_id": event, "outcome": outcome, "started_at": at, "replay_id": replay})
    }

    #[test]
    fn a_delivery_by_a_replay_is_named_whatever_came_after_it() {
        let attempts = [
            attempt("a", "failed", "2026-11-29T10:00:03Z", Some("r")),
            attempt("a", "delivered", "2026-11-29T10:00:02Z", Some("r")),
            attempt("b", "failed", "2026-11-29T10:00:01Z", Some("r")),
            attempt("c", "delivered", "2026-11-29T10:00:00Z", None),
        ];
        let said = |event| sent(&attempts, event).into_string();
        assert!(said("a").contains(">delivered<") && said("a").contains("10:00:02"), "{}", said("a"));
        assert!(said("b").contains(">failed<"), "{}", said("b"));
        assert_eq!(said("c"), "");
    }

    #[test]
    fn a_replay_under_way_is_named_only_where_it_may_reach_the_event() {
        let check = |status: &str, from: Value, expect: &str| {
            let replays = json!([{"status": status, "from": from, "to": "2026-11-29T11:00:00Z"}]);
            let shown = under_way(&replays, "2026-11-29T10:30:00Z").into_string();
            assert!(if expect.is_empty() { shown.is_empty() } else { shown.contains(expect) }, "{shown}");
        };
        check("running", json!("2026-11-29T10:00:00Z"), "of the time");
        check("running", json!("2026-11-29T10:45:00Z"), "");
        check("running", Value::Null, "single events");
        check("done", Value::Null, "");
    }

    #[test]
    fn only_a_failure_before_a_change_may_be_of_an_earlier_destination() {
        let check = |fate: &str, attempts: Value, expect: bool| {
            let fate = json!({"fate": fate, "accepted_at": "2026-11-29T10:00:00Z", "attempts": attempts});
            let subscription = json!({"updated_at": "2026-11-29T10:30:00Z"});
            assert_eq!(!changed_since(&subscription, &fate).into_string().is_empty(), expect, "{fate}");
        };
        check("given_up", json!([]), true);
        check("given_up", json!([attempt("a", "failed", "2026-11-29T10:20:00Z", None)]), true);
        check("given_up", json!([attempt("a", "failed", "2026-11-29T10:40:00Z", None)]), false);
        check("given_up", json!([attempt("a", "failed", "2026-11-29T10:40:00Z", Some("r"))]), true);
        check("delivered", json!([]), false);
    }

    #[test]
    fn the_end_of_a_single_events_replay_says_what_was_sent() {
        let check = |status: &str, name: &str, expect: &str| {
            let shown = outcome(&json!({"status": status, "reason": "why", name: 1}), "/console/x").into_string();
            assert!(shown.contains(expect), "{shown}");
        };
        check("running", "matched", "data-refresh");
        check("done", "delivered", "Sent: delivered.");
        check("done", "failed", "all attempts failed");
        check("done", "skipped", "has not ended yet");
        check("done", "gone", "no longer kept");
        check("done", "other", "current types and filter exclude");
        check("failed", "other", "why");
        check("cancelled", "other", "cancelled");
        assert!(outcome(&Value::Null, "/console/x").into_string().is_empty());
    }
}
