//! One subscription: its delivery now, its latest attempts, and its settings in words.

use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio::join;

use super::{Ids, destination, page_of, path_of, stopped, subscriptions};
use crate::answer::Look;
use crate::chart::{Backlog, STEP, Series};
use crate::fields::{self, label};
use crate::layout::{self, Page, Place};
use crate::query::encoded;
use crate::table::{self, Paged};
use crate::time::{age, moment};
use crate::visit::{Problem, Visit};
use crate::words::{self, number};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Undelivered events shown on this page.
const FAILURES: usize = 10;

/// The page.
pub(crate) async fn show(visit: Visit, Path((id, sid)): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let api = format!("/api/v1{}", path_of(&id, &sid));
    let subscription = visit.get(&api).await?;
    let (status_at, attempts_at, failures_at, replays_at) = (
        format!("{api}/status"),
        format!("{api}/attempts"),
        format!("{api}/failures?limit={FAILURES}"),
        format!("{api}/replays"),
    );
    let question = json!({"filter": subscription.get("filter")});
    let (status, attempts, failures, replays, filter, description) = join!(
        visit.get_or_null(&status_at),
        visit.get_or_null(&attempts_at),
        visit.get_or_null(&failures_at),
        visit.get_or_null(&replays_at),
        visit.ask(Method::POST, "/api/v1/filters/check", Some(&question)),
        visit.console.forms.description(&visit),
    );
    let is_suspended = subscription.text("/status") == "suspended";
    let suspension = if is_suspended { stopped::last_suspension(&visit, &sid).await } else { Value::Null };
    let missed = match stopped::missed_span(&visit).filter(|_| !is_suspended) {
        Some(span) => {
            let count = stopped::accepted(&visit, &subscription, &span).await;
            Some((span, count))
        }
        None => None,
    };
    let title = destination(&subscription);
    let path = page_of(&subscription);
    let description = description?;
    Ok(Page::new(&visit, Place::Subscriptions, &title).under("/console/subscriptions", "Subscriptions").show(html! {
        (state(&subscription, &status, &suspension))
        @if let Some((span, count)) = &missed { (stopped::missed(span, *count, &path)) }
        (buttons(&visit, &subscription, &path))
        section aria-labelledby="now" {
            h2 id="now" { "Delivery" }
            (delivery(&visit, &status))
            @if stopped::holds(&subscription) {
                p.notice { "Events are held, uncounted and not listed below. They are delivered after the resume." }
            }
        }
        section aria-labelledby="outcomes" {
            h2 id="outcomes" { "Outcomes" }
            @if attempts.is_null() { (unknown()) } @else { (outcomes(&visit, &attempts)) }
        }
        (backlog(&visit, attempts.list("/backlog"), "While the subscription is active"))
        section aria-labelledby="undelivered" {
            h2 id="undelivered" { "Undelivered events" }
            @if failures.is_null() { (unknown()) }
            @else { (super::failures::listed(&failures, attempts.list("/items"), &path)) }
            @if failures.present("/next").is_some() { p { a href={ (path) "/failures" } { "All undelivered events" } } }
        }
        (running_replay(&replays, &path))
        section aria-labelledby="attempts" {
            h2 id="attempts" { "Latest attempts" }
            @if attempts.is_null() { (unknown()) } @else { (attempts_table(&visit, &attempts, &path)) }
        }
        section aria-labelledby="settings" {
            h2 id="settings" { "Settings" }
            (settings(&subscription, filter.ok().as_ref(), &description, &path))
        }
    }))
}

fn state(subscription: &Value, status: &Value, suspension: &Value) -> Markup {
    let lacks: Vec<&str> = status.list("/lacks").iter().filter_map(Value::as_str).collect();
    html! {
        p.state {
            (words::badge(subscription.text("/status"))) " " (stopped::why(status.text("/reason"), suspension))
        }
        @for warning in subscription.list("/warnings").iter().filter_map(Value::as_str) { p.notice { (warning) } }
        @if !lacks.is_empty() {
            p.notice {
                "The platform itself lacks " (lacks.join(", ").replace('_', " "))
                ". Meanwhile no retry is used up and nothing counts against the destination."
            }
        }
    }
}

fn buttons(visit: &Visit, subscription: &Value, path: &str) -> Markup {
    let to = |name: &str| format!("{path}/{name}");
    let sid = encoded(subscription.text("/id"));
    let subscriber = encoded(subscription.text("/subscriber_id"));
    html! {
        div.actions role="group" aria-label="Actions" {
            @if visit.may_change() {
                @match subscription.text("/status") {
                    "active" => { (layout::button(visit, &to("suspend"), "Suspend", "")) }
                    "suspended" => { (layout::button(visit, &to("resume"), "Resume", "primary")) }
                    _ => {}
                }
                @if subscription.text("/status") != "revoked" { a.button href=(to("edit")) { "Edit" } }
                a.button href={ "/console/try?subscriber=" (subscriber) "&subscription=" (sid) } { "Send a test event" }
            }
            a.button href=(to("replays")) { "Replay" }
            a.button href=(to("filter")) { "Test the filter" }
            a.button href={ "/console/log?subscription_id=" (sid) } { "Log" }
            @if visit.may_change() { a.button.danger href=(to("delete")) { "Delete" } }
        }
    }
}

/// Instead of what could not be read, such as while the node that delivers does not answer.
pub(super) fn unknown() -> Markup {
    html! { p.notice { "Not known at the moment. Reload the page in a few seconds." } }
}

/// The figures of a lane.
pub(super) fn delivery(visit: &Visit, status: &Value) -> Markup {
    if status.is_null() {
        return unknown();
    }
    if status.present("/delivery").is_none() {
        return html! { p { "Nothing is delivered at present." } };
    }
    let now = |pointer: &str| status.text(&format!("/delivery{pointer}"));
    let count = |pointer: &str| status.count(&format!("/delivery{pointer}"));
    html! {
        dl.figures {
            div { dt { "Backlog" } dd { (subscriptions::backlog(visit, status)) } }
            div { dt { "Rate and limit" } dd { (subscriptions::rate(status)) } }
            div { dt { "In flight" } dd { (number(count("/in_flight"))) } }
            div { dt { "Success, 1 h" } dd { (subscriptions::success(status)) } }
            div { dt { "Waiting for retry" } dd { (number(count("/waiting_for_retry"))) } }
            div { dt { "Throttled" } dd { (number(count("/throttled"))) } }
            div { dt { "Filtered out" } dd { (number(count("/filtered_out"))) " of "
                (number(count("/filtered_out") + count("/matched"))) " events" } }
            div { dt { "Next attempt" } dd { (moment(now("/next_due_at"))) } }
            div { dt { "Last success" } dd { (moment(now("/last_success_at"))) } }
            div { dt { "Last failure" } dd { (subscriptions::last_failure(status)) } }
        }
        p.help { "Of regular deliveries, since the latest resume or the platform's start; replays and test events \
            count in none of them. Rate: deliveries per second in the last full minute, of the current limit." }
        @if !now("/last_failure/error_message").is_empty() {
            p { "Last failure: " (now("/last_failure/error_message")) }
        }
        @match now("/slowed_by") {
            "host_rate" => { p.notice { "Slowed down by the limit for all subscriptions of this PIM to the same host." }
                }
            "share" => { p.notice { "Slowed down by the fair share of the platform's resources." } }
            _ => {}
        }
        @if !now("/taking_nothing_since").is_empty() {
            p.notice { "The destination has accepted nothing since " (moment(now("/taking_nothing_since"))) "." }
        }
    }
}

fn outcomes(visit: &Visit, attempts: &Value) -> Markup {
    let mut series = Series::until(visit.now(), DAY, STEP);
    series.add(attempts.list("/counts"));
    html! {
        div.charts {
            (series.last(HOUR).chart("hour", "Last hour", false))
            (series.chart("day", "Last 24 hours", false))
        }
        p.help { "Of regular deliveries, also from before a suspension; without replays and test events." }
    }
}

/// The section with the charts of a backlog; `of`: which one.
pub(super) fn backlog(visit: &Visit, steps: &[Value], of: &str) -> Markup {
    html! {
        section aria-labelledby="backlog" {
            h2 id="backlog" { "Backlog" }
            div.charts {
                (Backlog::until(visit.now(), HOUR, steps).chart("backlog-hour", "Last hour"))
                (Backlog::until(visit.now(), DAY, steps).chart("backlog-day", "Last 24 hours"))
            }
            p.help { (of) ", since the platform's start. An event that waits for a retry is as old as its first \
                attempt. A backlog below 10 seconds counts as none; after an hour or two, the highest age of each hour \
                remains." }
        }
    }
}

fn attempts_table(visit: &Visit, attempts: &Value, path: &str) -> Markup {
    let items = attempts.list("/items");
    let query = visit.query().only(&["page"]);
    let paged = Paged::of(items.iter().collect(), &query);
    let since = attempts.text("/since");
    html! {
        @if items.is_empty() {
            (table::empty("No attempts recorded.", html! {
                "The last 100 per subscription are kept until a restart. Test events are not among them."
            }))
        } @else {
            @if !since.is_empty() { p.help {
                "The last 100 per subscription are kept until a restart. Complete since " (moment(since)) "."
            } }
            div.scroll tabindex="0" role="region" aria-label="Latest attempts, newest first" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Time" } th scope="col" { "Event" } th scope="col" { "Type" }
                            th scope="col" { "Outcome" } th.number scope="col" { "Status" }
                            th.number scope="col" { "Duration" } th scope="col" { "Response" }
                        }
                    }
                    tbody { @for one in &paged.rows { (attempt(one, path)) } }
                }
            }
            (paged.links(visit.path(), &query, "attempts"))
        }
    }
}

fn attempt(one: &Value, path: &str) -> Markup {
    let id = one.text("/event_id");
    html! {
        tr {
            td { (moment(one.text("/started_at"))) }
            td.id { a href={ (path) "/events/" (encoded(id)) } { code { (id) } } }
            td { (words::short_type(one.text("/event_type"))) }
            td {
                (words::badge(one.text("/outcome"))) " " (words::reason(one.text("/error_reason")))
                @if !one.text("/replay_id").is_empty() { " " span.badge { "replay" } }
            }
            td.number { @if let Some(status) = one.present("/status") { (status) } }
            td.number { (one.count("/duration_ms")) " ms" }
            td.body { @if !one.text("/body").is_empty() { code { (one.text("/body")) } } }
        }
    }
}

fn running_replay(replays: &Value, path: &str) -> Markup {
    let running = replays.list("").iter().find(|replay| replay.text("/status") == "running");
    html! {
        @if let Some(replay) = running {
            p.notice {
                "A replay is running: " (replay.count("/delivered")) " delivered. "
                a href={ (path) "/replays" } { "Progress" }
            }
        }
    }
}

fn settings(subscription: &Value, filter: Option<&Value>, description: &Value, path: &str) -> Markup {
    let types = fields::destination_types(description);
    let schema = types.iter().find(|(name, _)| *name == subscription.text("/type")).map(|(_, schema)| *schema);
    let about = |name: &str| {
        schema.map_or("", |schema| schema.text(&format!("/properties/options/properties/{name}/description")))
    };
    let options = subscription.get("options").and_then(Value::as_object);
    let text = subscription.text("/filter");
    html! {
        dl.settings {
            dt { "Destination" }
            dd { (destination(subscription)) small { " · type " (subscription.text("/type")) } }
            dt { "Events" }
            dd {
                (subscriptions::types(subscription))
            }
            dt { "Filter" }
            dd {
                @if text.is_empty() { "none: every event of these types" }
                @else {
                    code { (text) }
                    @if let Some(filter) = filter { pre.words { (filter.text("/explanation")) } }
                }
                " " a href={ (path) "/filter" } { "Try it on recent events" }
            }
            dt { "Custom headers" }
            dd { (headers(subscription)) }
            dt { "Product identifier" }
            dd { @if subscription.flag("/send_product_identifier") { "sent" } @else { "not sent" } }
            @for (name, value) in options.into_iter().flatten() {
                dt { (label(name)) }
                dd { (in_words(value)) @if !about(name).is_empty() { small { " · " (words::prose(about(name))) } } }
            }
            dt { "Id" }
            dd { code { (subscription.text("/id")) } }
            dt { "Created" }
            dd { (moment(subscription.text("/created_at"))) }
            dt { "Changed" }
            dd { (moment(subscription.text("/updated_at"))) }
        }
    }
}

fn headers(subscription: &Value) -> Markup {
    let headers = subscription.pointer("/config/headers").and_then(Value::as_object);
    let names: Vec<&str> = headers.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    html! { @if names.is_empty() { "none" } @else { (names.join(", ")) } }
}

/// The value of an option.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => "off".to_owned(),
        Value::Bool(set) => if *set { "on" } else { "off" }.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How long an event has waited, for the overview.
pub(crate) fn waits(visit: &Visit, status: &Value) -> String {
    age(status.text("/delivery/oldest_accepted_at"), visit.now())
}
