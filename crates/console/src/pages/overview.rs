//! The first page: what needs attention, and how deliveries go.

use std::time::Duration;

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::owned::{self, MOST_ASKED};
use super::{destination, operated, page_of, subscription, subscriptions};
use crate::answer::Look;
use crate::chart::{STEP, Series};
use crate::layout::{Page, Place};
use crate::query::encoded;
use crate::table;
use crate::time::{moment, within};
use crate::visit::{Problem, Visit};
use crate::words::{self, number};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Events of the last hour that are counted one by one: a page of the API.
const MOST_COUNTED: usize = 100;
/// A backlog is worth attention from this age on, in seconds.
const BEHIND: u64 = 60;
/// So is a success rate below this, which is shortly above the limit that suspends.
const FAILING: f64 = 0.95;

/// The page.
pub(crate) async fn show(visit: Visit) -> Result<Response, Problem> {
    if visit.is_operator() { operated::overview(&visit).await } else { of_client(&visit).await }
}

async fn of_client(visit: &Visit) -> Result<Response, Problem> {
    let all = owned::all(visit).await?;
    let every: Vec<&Value> = all.iter().flat_map(|owned| &owned.subscriptions).collect();
    let stopped: Vec<&Value> = every.iter().copied().filter(|one| one.text("/status") == "suspended").collect();
    let active: Vec<&Value> =
        every.iter().copied().filter(|one| one.text("/status") == "active").take(MOST_ASKED).collect();
    let shown_stopped: Vec<&Value> = stopped.iter().copied().take(MOST_ASKED).collect();
    let since = (visit.now() - HOUR).to_string();
    let events_at = format!("/api/v1/events?limit={MOST_COUNTED}&start_time={}", encoded(&since));
    let (statuses, attempts, reasons, arrived) = join!(
        owned::of_each(visit, &active, "/status"),
        owned::of_each(visit, &active, "/attempts"),
        owned::of_each(visit, &shown_stopped, "/status"),
        visit.get_or_null(&events_at),
    );
    let mut series = Series::until(visit.now(), DAY, STEP);
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
                div { dt { "Events in, 1 h" } dd { a href={ "/console/events?start_time=" (encoded(&since)) } {
                    @if arrived.present("/next").is_some() { "≥ " } (number(arrived.list("/items").len() as u64)) } } }
                div { dt { "Delivered, 1 h" } dd { (number(hour.sum().delivered)) } }
                div { dt { "Failed, 1 h" } dd { (number(hour.sum().failed)) } }
                div { dt { "Backlog" } dd { (number(backlog)) } }
            }
            section aria-labelledby="attention" {
                h2 id="attention" { "Needs attention" }
                @if stopped.is_empty() && worth.is_empty() { p { "Nothing: all active subscriptions keep up." } }
                @else {
                    ul.attention {
                        @for (one, status) in shown_stopped.iter().zip(&reasons) {
                            li {
                                (words::badge("suspended")) " " a href=(page_of(one)) { (destination(one)) }
                                @if !status.text("/reason").is_empty() { " · " (within(status.text("/reason"))) }
                                " · since " (moment(one.text("/updated_at")))
                            }
                        }
                        @for (one, why) in &worth { li { (why) " " a href=(page_of(one)) { (destination(one)) } } }
                    }
                    @if stopped.len() > MOST_ASKED {
                        p { a href="/console/subscriptions?status=suspended" { "All suspended subscriptions" } }
                    }
                }
            }
            section aria-labelledby="attempts" {
                h2 id="attempts" { "Attempts" }
                div.charts {
                    (hour.chart("hour", "Last hour", false))
                    (series.chart("day", "Last 24 hours", false))
                }
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
