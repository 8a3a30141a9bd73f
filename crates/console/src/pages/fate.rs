//! One event for one subscription: what became of it and why; sending it again.

use axum::extract::Path;
use axum::response::Response;
use http::Method;
use maud::html;
use serde_json::json;

use super::{destination, page_of, path_of};
use crate::answer::Look;
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
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
    let name = destination(&subscription);
    let path = page_of(&subscription);
    let page = Page::new(&visit, Place::Events, &event);
    Ok(page.under("/console/subscriptions", "Subscriptions").under(path.clone(), name).show(html! {
        p.state { (words::badge(fate.text("/fate"))) " " (words::fate(fate.text("/fate"))) }
        @if !fate.text("/message").is_empty() { p.fate { (within(fate.text("/message"))) } }
        @if !fate.text("/next_attempt_at").is_empty() { p { "Next attempt: " (moment(fate.text("/next_attempt_at"))) } }
        div.actions role="group" aria-label="Actions" {
            @if visit.may_change() && subscription.text("/status") == "active" {
                form.inline method="post" { (layout::csrf(&visit)) button.primary { "Send again" } }
            }
            a.button href={ "/console/events/" (encoded(&event)) } { "Event" }
        }
        @if visit.may_change() && subscription.text("/status") != "active" {
            p.help { "It can be sent again once the subscription is active." }
        }
        section aria-labelledby="attempts" {
            h2 id="attempts" { "Attempts" }
            @if fate.list("/attempts").is_empty() {
                p { "None is remembered: the latest 100 attempts of a subscription are, until the platform restarts." }
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
    visit.ask(Method::POST, &format!("/api/v1{path}/replay"), Some(&json!({"event_ids": [event]}))).await?;
    Ok(done(&format!("/console{path}/replays"), "replaying"))
}
