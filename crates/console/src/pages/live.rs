//! What arrived and went out in the last minute. The page polls its data with a module.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use maud::html;
use serde_json::{Value, json};
use tokio::join;

use super::{destination, owned, page_of};
use crate::answer::Look;
use crate::layout::{Page, Place};
use crate::query::encoded;
use crate::visit::{Problem, Visit};
use crate::words;

/// Time span of the page.
const SPAN: Duration = Duration::from_secs(60);
/// Subscriptions whose attempts are shown together: each is a request of every poll.
const MOST: usize = 10;
/// Attempts of all these together.
const SHOWN: usize = 100;
/// Attempts of a subscription that the API remembers at most.
const REMEMBERED: usize = 100;

/// The page.
pub(crate) async fn show(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let all = owned::all(&visit).await?;
    let every: Vec<&Value> = all.iter().flat_map(|owned| &owned.subscriptions).collect();
    let chosen = visit.query().get("subscription");
    let page = Page { modules: &["live.js"], ..Page::new(&visit, Place::Live, "Live") };
    let data = format!("/console/live/data{}", visit.query().only(&["subscription"]).query());
    Ok(page.show(html! {
        p.notice id="live-needs" { "This page needs JavaScript. " a href="/console/events" { "Events" }
            " shows the same without it." }
        form.filters method="get" role="search" aria-label="Filter" {
            label { "Subscription " select name="subscription" {
                option value="" { "the first " (MOST) " active ones" }
                (owned::options(&every, chosen))
            } }
            button { "Choose" }
            label { "Show only " input type="search" id="live-filter" placeholder="type, id or outcome"; }
            button type="button" id="live-pause" aria-pressed="false" { "Pause" }
        }
        div id="live" data-source=(data) data-every="2000" {
            p id="live-state" role="status" {}
            section aria-labelledby="arrived" {
                h2 id="arrived" { "Events in the last minute" }
                div.scroll tabindex="0" role="region" aria-label="Events accepted in the last minute" { table {
                    thead { tr { th scope="col" { "Accepted" } th scope="col" { "Type" } th scope="col" { "Id" } } }
                    tbody id="live-events" {}
                } }
            }
            section aria-labelledby="sent" {
                h2 id="sent" { "Attempts in the last minute" }
                div.scroll tabindex="0" role="region" aria-label="Attempts of the last minute" { table {
                    thead {
                        tr {
                            th scope="col" { "Time" } th scope="col" { "Destination" } th scope="col" { "Type" }
                            th scope="col" { "Id" } th scope="col" { "Outcome" } th.number scope="col" { "Duration" }
                        }
                    }
                    tbody id="live-attempts" {}
                } }
            }
        }
    }))
}

/// The data, polled.
pub(crate) async fn data(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let since = (visit.now() - SPAN).to_string();
    let listed = match visit.query().get("subscription") {
        "" => owned::first_active(&visit, MOST).await?,
        chosen => {
            let mut all = owned::listed(&visit).await?;
            all.retain(|one| one.subscription.text("/id") == chosen);
            all
        }
    };
    let shown: Vec<&Value> = listed.iter().map(|one| &one.subscription).collect();
    let events_at = format!("/api/v1/events?limit=50&start_time={}", encoded(&since));
    let (events, attempts) = join!(visit.get_or_null(&events_at), owned::of_each(&visit, &shown, "/attempts"));
    let mut sent: Vec<Value> = shown
        .iter()
        .zip(&attempts)
        .flat_map(|(one, attempts)| attempts.list("/items").iter().map(|attempt| sent(one, attempt)))
        .filter(|attempt| attempt.text("/at") >= since.as_str())
        .collect();
    let remembered = |attempts: &Value| {
        attempts.list("/items").len() >= REMEMBERED
            && attempts.list("/items").last().is_some_and(|oldest| oldest.text("/started_at") >= since.as_str())
    };
    let capped = [events.present("/next").is_some(), sent.len() > SHOWN || attempts.iter().any(remembered)];
    sent.sort_by(|one, other| other.text("/at").cmp(one.text("/at")));
    sent.truncate(SHOWN);
    let events: Vec<Value> = events.list("/items").iter().map(event).collect();
    let data = json!({"at": visit.now().to_string(), "events": events, "attempts": sent,
        "only_latest": {"events": capped[0], "attempts": capped[1]}});
    Ok(([(CONTENT_TYPE, "application/json")], data.to_string()).into_response())
}

fn event(one: &Value) -> Value {
    let id = one.text("/id");
    json!({"at": one.text("/accepted_at"), "type": words::short_type(one.text("/type")), "id": id,
        "page": format!("/console/events/{}", encoded(id))})
}

fn sent(subscription: &Value, attempt: &Value) -> Value {
    let id = attempt.text("/event_id");
    json!({"at": attempt.text("/started_at"), "to": destination(subscription), "to_page": page_of(subscription),
        "type": words::short_type(attempt.text("/event_type")), "id": id, "outcome": attempt.text("/outcome"),
        "page": format!("{}/events/{}", page_of(subscription), encoded(id)),
        "reason": attempt.text("/error_reason"), "ms": attempt.count("/duration_ms")})
}
