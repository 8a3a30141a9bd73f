//! The operator's pages of the whole platform and of any subscription: figures and names, no payloads.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::owned::MOST_ASKED;
use super::pim::pim_page;
use super::{destination, subscription, subscriptions};
use crate::answer::Look;
use crate::chart::{STEP, Series};
use crate::layout::{Page, Place};
use crate::query::encoded;
use crate::time::{age, moment};
use crate::visit::{Problem, Visit};
use crate::words::{self, number};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Silent PIMs shown; the list of PIMs has all.
const MOST_SILENT: usize = 10;

/// Path of a subscription's page.
pub(super) fn page_path(id: &str) -> String {
    format!("/console/subscriptions/{}", encoded(id))
}

/// Whether a PIM that can send events has sent none for a day.
pub(super) fn is_silent(visit: &Visit, pim: &Value) -> bool {
    let sends = !pim.list("/keys").is_empty() || pim.flag("/events_api");
    let last = domain::Timestamp::parse(pim.text("/last_event_at"));
    sends && last.is_none_or(|last| visit.now().since(last) >= DAY)
}

/// What has to be looked at.
struct Attention {
    lacks: Vec<String>,
    /// Shards whose node did not answer.
    missing: Vec<String>,
    is_ready: bool,
    troubled: Vec<Value>,
    suspended: Vec<Value>,
    withdrawn: Vec<Value>,
    silent: Vec<Value>,
    notifications: u64,
    oldest_notification: String,
}

/// The first page.
pub(super) async fn overview(visit: &Visit) -> Result<Response, Problem> {
    let (numbers, traffic, troubled, suspended, pims, ready) = join!(
        visit.get("/api/v1/admin/statistics"),
        visit.get_or_null("/api/v1/admin/traffic"),
        visit.get_or_null("/api/v1/admin/troubled-subscriptions"),
        visit.get("/api/v1/admin/subscriptions?status=suspended"),
        visit.get("/api/v1/admin/pims"),
        visit.get_or_null("/health/ready"),
    );
    let (numbers, suspended, pims) = (numbers?, suspended?, pims?);
    let of_pims =
        |picked: &dyn Fn(&Value) -> bool| pims.list("/items").iter().filter(|pim| picked(pim)).cloned().collect();
    let attention = Attention {
        lacks: ready.list("/lacks").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        missing: missing(&traffic, &troubled),
        is_ready: ready.text("/status") == "ready",
        troubled: troubled.list("/items").to_vec(),
        suspended: suspended.list("/items").to_vec(),
        withdrawn: of_pims(&|pim| !pim.text("/withdrawn_at").is_empty()),
        silent: of_pims(&|pim| pim.text("/withdrawn_at").is_empty() && is_silent(visit, pim)),
        notifications: numbers.count("/notifications/waiting"),
        oldest_notification: numbers.text("/notifications/oldest").to_owned(),
    };
    let mut series = Series::until(visit.now(), DAY, STEP);
    series.add(traffic.list("/counts"));
    let hour = series.last(HOUR);
    let sum = hour.sum();
    Ok(Page::new(visit, Place::Overview, "Overview").show(html! {
        dl.figures {
            div { dt { "PIMs" } dd { a href="/console/pims" { (number(numbers.count("/pims"))) } } }
            div { dt { "Clients" } dd { (number(numbers.count("/clients"))) } }
            div { dt { "Active" } dd { a href="/console/subscriptions?status=active" {
                (number(numbers.count("/subscriptions/active"))) } } }
            div { dt { "Suspended" } dd { a href="/console/subscriptions?status=suspended" {
                (number(numbers.count("/subscriptions/suspended"))) } } }
            div { dt { "Events in, 1 h" } dd { (number(sum.accepted)) } }
            div { dt { "Delivered, 1 h" } dd { (number(sum.delivered)) } }
            div { dt { "Failed, 1 h" } dd { (number(sum.failed)) } }
            div { dt { "Refused requests" } dd { (number(numbers.count("/events_since_start/requests_refused"))) } }
        }
        section aria-labelledby="attention" {
            h2 id="attention" { "Needs attention" }
            (attention.shown(visit))
        }
        section aria-labelledby="traffic" {
            h2 id="traffic" { "Traffic" }
            div.charts {
                (hour.chart("hour", "Last hour", true))
                (series.chart("day", "Last 24 hours", true))
            }
            p.help { "Of all PIMs, since the platform's start." }
        }
        (subscription::backlog(visit, traffic.list("/backlog"), "Of all active subscriptions together"))
    }))
}

/// Shards that are missing in either answer, or what is missing if there is none.
fn missing(traffic: &Value, troubled: &Value) -> Vec<String> {
    if traffic.is_null() || troubled.is_null() {
        return vec!["all".to_owned()];
    }
    let shards = [traffic, troubled].into_iter().flat_map(|answer| answer.list("/missing_shards"));
    let shards: BTreeSet<u64> = shards.filter_map(Value::as_u64).collect();
    shards.into_iter().map(|shard| shard.to_string()).collect()
}

impl Attention {
    fn is_empty(&self) -> bool {
        let lists = [&self.troubled, &self.suspended, &self.withdrawn, &self.silent];
        self.is_ready
            && self.lacks.is_empty()
            && self.missing.is_empty()
            && self.notifications == 0
            && lists.iter().all(|list| list.is_empty())
    }

    fn shown(&self, visit: &Visit) -> Markup {
        html! {
            @if self.is_empty() { p { "Nothing: all active subscriptions keep up, and every PIM sends events." } }
            ul.attention {
                @if !self.is_ready { li { span.badge.bad { "not ready" } " The platform cannot work; see its log." } }
                @for lack in &self.lacks { li { span.badge.bad { "lacks" } " " (lack.replace('_', " ")) } }
                @if !self.missing.is_empty() {
                    li { span.badge.bad { "no answer" } " from the nodes of some shards, whose PIMs are missing here: "
                        (self.missing.join(", ")) }
                }
                @for one in self.troubled.iter().take(MOST_ASKED) { (troubled(visit, one)) }
                @for pim in &self.withdrawn {
                    li { span.badge.fair { "withdrawn" } " " (pim_link(pim.text("/name")))
                        " is no longer in the configuration file: locked out and paused since "
                        (moment(pim.text("/withdrawn_at"))) }
                }
                @for pim in self.silent.iter().take(MOST_SILENT) {
                    li { span.badge.fair { "silent" } " " (pim_link(pim.text("/name")))
                        @match pim.present("/last_event_at").and_then(Value::as_str) {
                            Some(at) => { " has sent nothing since " (moment(at)) }
                            None => { " has sent no event that is still kept" }
                        }
                    }
                }
                @for one in self.suspended.iter().take(MOST_ASKED) {
                    li { (words::badge("suspended")) " " (subscription_link(one)) " · " (of_whom(one))
                        @if !one.text("/reason").is_empty() { " · " (one.text("/reason")) }
                        " · last changed " (moment(one.text("/updated_at"))) }
                }
                @if self.notifications > 0 {
                    li { span.badge.fair { "notifications" } " " (number(self.notifications))
                        " waiting, the oldest since " (moment(&self.oldest_notification)) }
                }
            }
            @if self.silent.len() > MOST_SILENT { p { a href="/console/pims" { "All silent PIMs" } } }
            @if self.suspended.len() > MOST_ASKED { p { a href="/console/subscriptions?status=suspended" {
                "All suspended subscriptions" } } }
        }
    }
}

fn troubled(visit: &Visit, one: &Value) -> Markup {
    let subscription = one.present("/subscription").unwrap_or(&Value::Null);
    let waits = age(one.text("/oldest_accepted_at"), visit.now());
    html! {
        li {
            @if one.flag("/failing") { span.badge.bad { "failing" } } @else { span.badge.fair { "behind" } }
            " " (subscription_link(subscription)) " · " (of_whom(subscription))
            @if one.flag("/failing") {
                " · " (number(one.count("/last_hour/failed"))) " failed and "
                (number(one.count("/last_hour/delivered"))) " delivered in the last hour"
            }
            @if one.count("/backlog") > 0 {
                " · backlog " @if one.flag("/backlog_is_at_least") { "≥ " } (number(one.count("/backlog")))
                @if !waits.is_empty() { ", the oldest for " (waits) }
            }
        }
    }
}

fn subscription_link(one: &Value) -> Markup {
    html! { a href=(page_path(one.text("/id"))) { (destination(one)) } }
}

fn pim_link(name: &str) -> Markup {
    html! { a href=(pim_page(name)) { (name) } }
}

/// PIM and client of a subscription.
pub(super) fn of_whom(one: &Value) -> Markup {
    html! {
        @if one.text("/pim").is_empty() { span.none { "removed PIM" } } @else { (pim_link(one.text("/pim"))) }
        " / " (one.text("/client_id"))
    }
}

/// One subscription of any tenant.
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let status = visit.get(&format!("/api/v1/admin/subscriptions/{}", encoded(&id))).await?;
    let one = status.present("/subscription").unwrap_or(&Value::Null);
    let title = destination(one);
    let mut series = Series::until(visit.now(), DAY, STEP);
    series.add(status.list("/counts"));
    Ok(Page::new(&visit, Place::Subscriptions, &title).under("/console/subscriptions", "Subscriptions").show(html! {
        p.state {
            (words::badge(one.text("/status"))) " "
            @if !one.text("/reason").is_empty() {
                (one.text("/reason")) " · last changed " (moment(one.text("/updated_at")))
            }
        }
        @if one.text("/status") == "active" {
            div.actions role="group" aria-label="Actions" {
                a.button.danger href={ (page_path(&id)) "/suspend" } { "Suspend" }
            }
        }
        section aria-labelledby="now" { h2 id="now" { "Delivery" } (subscription::delivery(&visit, &status)) }
        section aria-labelledby="outcomes" {
            h2 id="outcomes" { "Outcomes" }
            div.charts {
                (series.last(HOUR).chart("hour", "Last hour", false))
                (series.chart("day", "Last 24 hours", false))
            }
        }
        (subscription::backlog(&visit, status.list("/backlog"), "While the subscription is active"))
        section aria-labelledby="settings" {
            h2 id="settings" { "Settings" }
            dl.settings {
                dt { "Of" } dd { (of_whom(one)) }
                dt { "Destination" } dd { (one.text("/type")) ": " (title) }
                dt { "Events" } dd { (subscriptions::types(one)) }
                dt { "Id" } dd { code { (one.text("/id")) } }
                dt { "Subscriber" } dd { code { (one.text("/subscriber_id")) } }
                dt { "Created" } dd { (moment(one.text("/created_at"))) }
                dt { "Changed" } dd { (moment(one.text("/updated_at"))) }
            }
            p.help { "Filters, payloads and logs are shown to the owner only, who can also resume the subscription." }
        }
    }))
}
