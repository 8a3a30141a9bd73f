//! The first page: what needs attention, and how deliveries go.

use std::time::Duration;

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::owned::{self, MOST_ASKED};
use super::{destination, page_of, subscription, subscriptions};
use crate::answer::Look;
use crate::chart::Series;
use crate::layout::{Page, Place};
use crate::table;
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A backlog is worth attention from this age on, in seconds.
const BEHIND: u64 = 60;
/// So is a success rate below this, which is shortly above the limit that suspends.
const FAILING: f64 = 0.95;

/// The page.
pub(crate) async fn show(visit: Visit) -> Result<Response, Problem> {
    if visit.is_operator() { of_operator(&visit).await } else { of_client(&visit).await }
}

async fn of_client(visit: &Visit) -> Result<Response, Problem> {
    let all = owned::all(visit).await?;
    let every: Vec<&Value> = all.iter().flat_map(|owned| &owned.subscriptions).collect();
    let stopped: Vec<&Value> = every.iter().copied().filter(|one| one.text("/status") == "suspended").collect();
    let active: Vec<&Value> =
        every.iter().copied().filter(|one| one.text("/status") == "active").take(MOST_ASKED).collect();
    let (statuses, attempts) =
        join!(owned::of_each(visit, &active, "/status"), owned::of_each(visit, &active, "/attempts"));
    let mut series = Series::until(visit.now(), DAY);
    attempts.iter().for_each(|attempts| series.add(attempts.list("/counts")));
    let worth: Vec<(&Value, Markup)> =
        active.iter().zip(&statuses).filter_map(|(one, status)| Some((*one, trouble(visit, status)?))).collect();
    let active_in_all = every.iter().filter(|one| one.text("/status") == "active").count();
    let backlog: u64 = statuses.iter().map(|status| status.count("/delivery/backlog")).sum();
    let hour = series.last(HOUR);
    Ok(Page::new(visit, Place::Overview, "Overview").show(html! {
        @if every.is_empty() {
            (table::empty("Nothing is subscribed yet.", html! {
                "Create a subscriber and a subscription at " a href="/console/subscriptions" { "Subscriptions" }
                "; then events and deliveries appear here."
            }))
        } @else {
            dl.figures {
                div { dt { "Active" } dd { a href="/console/subscriptions?status=active" { (active_in_all) } } }
                div { dt { "Suspended" } dd { a href="/console/subscriptions?status=suspended" { (stopped.len()) } } }
                div { dt { "Delivered, 1 h" } dd { (hour.delivered) } }
                div { dt { "Failed, 1 h" } dd { (hour.failed) } }
                div { dt { "Backlog" } dd { (backlog) } }
            }
            section aria-labelledby="attention" {
                h2 id="attention" { "Needs attention" }
                @if stopped.is_empty() && worth.is_empty() { p { "Nothing: all active subscriptions keep up." } }
                @else {
                    ul.attention {
                        @for one in &stopped {
                            li { (words::badge("suspended")) " " a href=(page_of(one)) { (destination(one)) } }
                        }
                        @for (one, why) in &worth { li { (why) " " a href=(page_of(one)) { (destination(one)) } } }
                    }
                }
            }
            section aria-labelledby="day" {
                h2 id="day" { "Last 24 hours" }
                (series.chart("outcomes", "Outcomes of attempts in steps of five minutes"))
                @if active_in_all > MOST_ASKED {
                    p.help { "Of the first " (MOST_ASKED) " active subscriptions; each has its own chart on its page." }
                }
            }
            p { a href="/console/log" { "Log of actions and errors" } }
        }
    }))
}

/// What is worth attention about an active subscription.
fn trouble(visit: &Visit, status: &Value) -> Option<Markup> {
    let delivery = status.present("/delivery")?;
    let share = delivery.pointer("/last_hour/success_rate").and_then(Value::as_f64);
    if let Some(share) = share.filter(|share| *share < FAILING) {
        return Some(html! { span.badge.bad { "failing" } " " (words::percent(share)) " success" });
    }
    if !delivery.text("/taking_nothing_since").is_empty() {
        return Some(
            html! { span.badge.bad { "accepts nothing" } " since " (moment(delivery.text("/taking_nothing_since"))) },
        );
    }
    let oldest = domain::Timestamp::parse(delivery.text("/oldest_accepted_at"))?;
    let behind = visit.now().since(oldest).as_secs() >= BEHIND && delivery.count("/backlog") > 0;
    behind.then(|| {
        html! { span.badge.fair { "behind" } " " (subscriptions::backlog(visit, status)) " waiting, for up to "
        (subscription::waits(visit, status)) }
    })
}

async fn of_operator(visit: &Visit) -> Result<Response, Problem> {
    let (numbers, suspended, pims, ready) = join!(
        visit.get("/api/v1/admin/statistics"),
        visit.get("/api/v1/admin/subscriptions?status=suspended"),
        visit.get("/api/v1/admin/pims"),
        visit.get_or_null("/health/ready"),
    );
    let (numbers, suspended, pims) = (numbers?, suspended?, pims?);
    let lacks: Vec<&str> = ready.list("/lacks").iter().filter_map(Value::as_str).collect();
    let withdrawn: Vec<&Value> =
        pims.list("/items").iter().filter(|pim| !pim.text("/withdrawn_at").is_empty()).collect();
    let items = suspended.list("/items");
    let nothing = items.is_empty() && withdrawn.is_empty() && lacks.is_empty() && ready.text("/status") == "ready";
    let waiting = numbers.count("/notifications/waiting");
    Ok(Page::new(visit, Place::Overview, "Overview").show(html! {
        dl.figures {
            div { dt { "PIMs" } dd { a href="/console/pims" { (numbers.count("/pims")) } } }
            div { dt { "Clients" } dd { (numbers.count("/clients")) } }
            div { dt { "Active" } dd { a href="/console/subscriptions?status=active" {
                (numbers.count("/subscriptions/active")) } } }
            div { dt { "Suspended" } dd { a href="/console/subscriptions?status=suspended" {
                (numbers.count("/subscriptions/suspended")) } } }
            div { dt { "Events since the start" } dd { (numbers.count("/events_since_start/accepted")) } }
            div { dt { "Duplicates" } dd { (numbers.count("/events_since_start/duplicates")) } }
            div { dt { "Refused requests" } dd { (numbers.count("/events_since_start/requests_refused")) } }
            div { dt { "Notifications waiting" } dd { (waiting) } }
        }
        section aria-labelledby="attention" {
            h2 id="attention" { "Needs attention" }
            @if nothing { p { "Nothing: no subscription is suspended and no resource is lacking." } }
            ul.attention {
                @if ready.text("/status") != "ready" { li { span.badge.bad { "not ready" }
                    " The platform cannot work; see its log." } }
                @for lack in lacks { li { span.badge.bad { "lacks" } " " (lack.replace('_', " ")) } }
                @for pim in withdrawn {
                    li { span.badge.fair { "withdrawn" } " " a href={ "/console/pims/" (pim.text("/name")) }
                        { (pim.text("/name")) }
                        " is no longer in the configuration file: locked out and paused since "
                            (moment(pim.text("/withdrawn_at"))) }
                }
                @for one in items.iter().take(MOST_ASKED) {
                    li { (words::badge("suspended")) " " (one.text("/pim")) " · " (one.text("/client_id")) " · "
                        (destination(one))
                        ": " (one.text("/reason")) " · " (moment(one.text("/updated_at"))) }
                }
                @if waiting > 0 {
                    li { span.badge.fair { "notifications" }
                        " " (waiting) " waiting, the oldest since " (moment(numbers.text("/notifications/oldest"))) }
                }
            }
            @if items.len() > MOST_ASKED { p { a href="/console/subscriptions?status=suspended" {
                "All suspended subscriptions" } } }
        }
    }))
}
