//! The first page: what needs attention, and how deliveries go.

use std::time::Duration;

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::owned::{self, Listed, MOST_ASKED as MOST_NAMED};
use super::{destination, operated, page_of, stopped, subscription};
use crate::answer::Look;
use crate::chart::{STEP, Series};
use crate::layout::{Page, Place};
use crate::query::encoded;
use crate::table;
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words::{self, number};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A backlog is worth attention from this age on, in seconds.
const BEHIND: u64 = 60;
/// So is a success rate below this, which is shortly above the limit that suspends.
const FAILING: f64 = 0.95;
/// Events given up are counted up to this number.
const MOST_COUNTED: u64 = 1_000;

/// The page.
pub(crate) async fn show(visit: Visit) -> Result<Response, Problem> {
    if visit.is_operator() { operated::overview(&visit).await } else { of_client(&visit).await }
}

async fn of_client(visit: &Visit) -> Result<Response, Problem> {
    let (all, traffic) = join!(owned::listed(visit), visit.get_or_null("/api/v1/traffic"));
    let all = all?;
    let with = |status: &'static str| all.iter().filter(move |one| one.subscription.text("/status") == status);
    let (active, suspended) = (with("active").count(), with("suspended").count());
    let attention = Attention {
        suspended: with("suspended").take(MOST_NAMED).collect(),
        troubled: with("active")
            .filter_map(|one| Some((&one.subscription, trouble(visit, &one.status)?)))
            .take(MOST_NAMED)
            .collect(),
        lost: all.iter().filter(|one| one.status.count("/given_up") > 0).take(MOST_NAMED).collect(),
    };
    let since = (visit.now() - HOUR).to_string();
    let mut series = Series::until(visit.now(), DAY, STEP);
    series.add(traffic.list("/counts"));
    let backlog: u64 = all.iter().map(|one| one.status.count("/delivery/backlog")).sum();
    let at_least = all.iter().any(|one| one.status.flag("/delivery/backlog_is_at_least"));
    let holding = all.iter().any(|one| stopped::holds(&one.subscription));
    let hour = series.last(HOUR);
    let sum = hour.sum();
    Ok(Page::new(visit, Place::Overview, "Overview").show(html! {
        @if all.is_empty() {
            (table::empty("Nothing is subscribed yet.", html! {
                "Create a subscriber and a subscription at " a href="/console/subscriptions" { "Subscriptions" }
                "; then events and deliveries appear here."
            }))
        } @else {
            dl.figures {
                div { dt { "Active" } dd { a href="/console/subscriptions?status=active" { (active) } } }
                div { dt { "Suspended" } dd { a href="/console/subscriptions?status=suspended" { (suspended) } } }
                div { dt { "Events in, 1 h" } dd { a href={ "/console/events?start_time=" (encoded(&since)) } {
                    (number(sum.accepted)) } } }
                div { dt { "Delivered, 1 h" } dd { (number(sum.delivered)) } }
                div { dt { "Failed, 1 h" } dd {
                    a href={ "/console/log?log_type=error&start_time=" (encoded(&since)) } { (number(sum.failed)) } } }
                div { dt { "Backlog" } dd {
                    a href="/console/subscriptions?sort=-backlog" { @if at_least { "≥ " } (number(backlog)) }
                    @if holding { small { ", and what is held" } } } }
            }
            section aria-labelledby="attention" {
                h2 id="attention" { "Needs attention" }
                (attention.shown())
                @if suspended > MOST_NAMED {
                    p { a href="/console/subscriptions?status=suspended" { "All suspended subscriptions" } }
                }
            }
            section aria-labelledby="traffic" {
                h2 id="traffic" { "Traffic" }
                div.charts {
                    (hour.chart("hour", "Last hour", true))
                    (series.chart("day", "Last 24 hours", true))
                }
                p.help {
                    "Events in: events of your subscriptions' types, whether a filter excluded them or not, since the \
                     platform's start. Outcomes: of all subscriptions together, without replays and test events."
                }
            }
            (subscription::backlog(visit, traffic.list("/backlog"), "Of active subscriptions together"))
            p { a href="/console/log" { "Log of actions and errors" } }
        }
    }))
}

/// What has to be looked at.
struct Attention<'a> {
    suspended: Vec<&'a Listed>,
    troubled: Vec<(&'a Value, Markup)>,
    /// With events that were given up.
    lost: Vec<&'a Listed>,
}

impl Attention<'_> {
    fn shown(&self) -> Markup {
        html! {
            @if self.suspended.is_empty() && self.troubled.is_empty() && self.lost.is_empty() {
                p { "Nothing: all active subscriptions keep up." }
            } @else {
                ul.attention {
                    @for Listed { subscription: one, status } in &self.suspended {
                        li {
                            (words::badge("suspended")) " " a href=(page_of(one)) { (destination(one)) }
                            " · " (stopped::because(status.text("/reason"), status.text("/suspended_at")))
                            @if stopped::holds(one) { " · holds its events for the resume" }
                        }
                    }
                    @for (one, why) in &self.troubled {
                        li { (why) " " a href=(page_of(one)) { (destination(one)) } }
                    }
                    @for Listed { subscription: one, status } in &self.lost {
                        li { (words::badge("given_up")) " " a href={ (page_of(one)) "/failures" } {
                            (given_up(status.count("/given_up"))) }
                            " of " a href=(page_of(one)) { (destination(one)) } }
                    }
                }
            }
        }
    }
}

/// A number of events as the API counts them.
fn given_up(count: u64) -> String {
    match count {
        1 => "1 event".to_owned(),
        0..MOST_COUNTED => format!("{} events", number(count)),
        _ => format!("≥ {} events", number(count)),
    }
}

/// What is worth attention about an active subscription.
fn trouble(visit: &Visit, status: &Value) -> Option<Markup> {
    let delivery = status.present("/delivery")?;
    let share = delivery.pointer("/last_hour/success_rate").and_then(Value::as_f64);
    if let Some(share) = share.filter(|share| *share < FAILING) {
        // A topic is not suspended for its success rate.
        let is_judged = delivery.present("/events_per_second").is_some();
        return Some(html! {
            span.badge.bad { "failing" } " " (words::percent(share)) " success in the last hour"
            @if is_judged { " (below 90 %, it is suspended)" }
        });
    }
    if !delivery.text("/taking_nothing_since").is_empty() {
        return Some(
            html! { span.badge.bad { "accepts nothing" } " since " (moment(delivery.text("/taking_nothing_since"))) },
        );
    }
    let oldest = domain::Timestamp::parse(delivery.text("/oldest_accepted_at"))?;
    let behind = visit.now().since(oldest).as_secs() >= BEHIND && delivery.count("/backlog") > 0;
    behind.then(|| {
        html! { span.badge.fair { "behind" } " "
            @if delivery.flag("/backlog_is_at_least") { "≥ " }
            (number(delivery.count("/backlog"))) " waiting, for up to "
        (subscription::waits(visit, status)) }
    })
}
