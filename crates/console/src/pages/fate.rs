//! One event for one subscription: what became of it and why; sending it again.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio::join;

use super::{again, destination, page_of, path_of};
use crate::answer::Look;
use crate::form::Form;
use crate::layout::{self, Page, Place};
use crate::query::encoded;
use crate::time::{moment, within};
use crate::visit::{Problem, Visit};
use crate::words;

/// Ids of subscriber, subscription and event.
type Ids = Path<(String, String, String)>;

/// The page.
pub(crate) async fn show(visit: Visit, Path((id, sid, event)): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let api = format!("/api/v1{}", path_of(&id, &sid));
    let subscription = visit.get(&api).await?;
    let fate = visit.get(&format!("{api}/events/{}", encoded(&event))).await?;
    let own = visit.query().get("replay");
    let (replays_at, own_at) = (format!("{api}/replays"), format!("{api}/replays/{}", encoded(own)));
    let (replays, own) = join!(visit.get_or_null(&replays_at), async {
        if own.is_empty() { Value::Null } else { visit.get_or_null(&own_at).await }
    });
    let here = format!("{}{}", visit.path(), visit.query().only(&["replay"]).query());
    let name = destination(&subscription);
    let path = page_of(&subscription);
    let page = Page::new(&visit, Place::Events, &event);
    Ok(page.under("/console/subscriptions", "Subscriptions").under(path.clone(), name).show(html! {
        p.state { (words::badge(fate.text("/fate"))) " " (words::fate(fate.text("/fate"))) }
        @if !fate.text("/message").is_empty() { p.fate { (within(fate.text("/message"))) } }
        (again::beside(&subscription, &fate, &replays, &event))
        (again::outcome(&own, &here))
        @if !fate.text("/next_attempt_at").is_empty() { p { "Next attempt: " (moment(fate.text("/next_attempt_at"))) } }
        div.actions role="group" aria-label="Actions" {
            @if visit.may_change() && subscription.text("/status") == "active" {
                form.inline method="post" { (layout::csrf(&visit))
                    button.primary { @if was_sent(&fate) { "Send again" } @else { "Send" } } }
            }
            @if visit.may_change() && subscription.text("/status") == "suspended" {
                (layout::button(&visit, &format!("{path}/resume"), "Resume the subscription", "primary"))
            }
            a.button href={ "/console/events/" (encoded(&event)) } { "Show the event" }
            @if fate.text("/fate") == "filtered_out" { a.button href={ (path) "/filter" } { "Test the filter" } }
            a.button href={ "/console/log?subscription_id=" (encoded(&sid)) } { "Log" }
        }
        @if visit.may_change() { (limits(subscription.text("/status"), fate.text("/fate"))) }
        section aria-labelledby="attempts" {
            h2 id="attempts" { "Attempts" }
            @if fate.list("/attempts").is_empty() {
                p { "No attempts recorded. The last 100 per subscription are kept until a restart." }
            }
            ol.attempts {
                @for one in fate.list("/attempts") {
                    li {
                        (moment(one.text("/started_at"))) " " (words::badge(one.text("/outcome"))) " "
                        (words::reason(one.text("/error_reason")))
                        @if let Some(status) = one.present("/status") { " · status " (status) }
                        " · " (one.count("/duration_ms")) " ms"
                        @if !one.text("/body").is_empty() { pre tabindex="0" { (one.text("/body")) } }
                    }
                }
            }
        }
    }))
}

/// Sends the event again: a replay of one event.
pub(crate) async fn send_again(visit: Visit, Path((id, sid, event)): Ids, Form(_): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let path = path_of(&id, &sid);
    let body = json!({"event_ids": [event]});
    let replay = visit.ask(Method::POST, &format!("/api/v1{path}/replay"), Some(&body)).await?;
    let here = format!("/console{path}/events/{}?replay={}", encoded(&event), encoded(replay.text("/id")));
    Ok(Redirect::to(&here).into_response())
}

/// Whether the event is known to have been sent.
fn was_sent(fate: &Value) -> bool {
    let settled = ["delivered", "given_up", "in_flight", "waiting_for_retry"].contains(&fate.text("/fate"));
    settled || !fate.list("/attempts").is_empty()
}

/// What stands in the way of sending it, and what sending would do.
fn limits(status: &str, fate: &str) -> Markup {
    let is_open = ["waiting", "in_flight", "waiting_for_retry"].contains(&fate);
    html! {
        @match (status, fate) {
            ("suspended", _) if is_open => { p.help { "It is delivered once the subscription is resumed." } }
            ("suspended", _) => { p.help { "It can be sent once the subscription is active." } }
            ("active", "filtered_out" | "not_subscribed") => { p.help {
                "The current types and filter of the subscription decide: nothing is sent while they exclude it." } }
            ("active", _) if is_open => { p.help {
                "It is delivered without further action. Until then, a replay leaves it out." } }
            ("active", _) => {}
            _ => { p.help { "Only an active subscription can send it." } }
        }
    }
}
