//! The list of subscriptions: of a client, with their status; of all tenants, for the operator.

use axum::response::{IntoResponse, Redirect, Response};
use domain::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::owned::{self, Owned};
use super::{destination, operated, page_of, subscribers};
use crate::answer::Look;
use crate::layout::{Page, Place};
use crate::query::Pairs;
use crate::table::{self, Paged, cursor_links, sortable, sortable_number};
use crate::time::{age, moment};
use crate::visit::{Problem, Visit};
use crate::words::{self, number};

const PATH: &str = "/console/subscriptions";

/// The list.
pub(crate) async fn list(visit: Visit) -> Result<Response, Problem> {
    if visit.is_operator() { of_all(&visit).await } else { of_client(&visit).await }
}

/// A subscription with its status and the name of its subscriber.
struct Row {
    subscriber: String,
    subscription: Value,
    status: Value,
}

async fn of_client(visit: &Visit) -> Result<Response, Problem> {
    let all = owned::all(visit).await?;
    let query = visit.query().only(&["q", "status", "type", "sort", "page"]);
    let mut types: Vec<String> =
        all.iter().flat_map(|owned| &owned.subscriptions).map(|one| one.text("/type").to_owned()).collect();
    types.sort_unstable();
    types.dedup();
    let rows = sorted(filtered(&all, &query), query.get("sort"));
    let paged = Paged::of(rows, &query);
    let none_at_all = all.iter().all(|owned| owned.subscriptions.is_empty());
    let head = |name: &str, label: &str| sortable(PATH, &query, name, label);
    let number_head = |name: &str, label: &str| sortable_number(PATH, &query, name, label);
    Ok(Page::new(visit, Place::Subscriptions, "Subscriptions").show(html! {
        (create(visit, &all))
        div id="list" {
        @if none_at_all {
            (table::empty("No subscriptions yet.", html! {
                "A subscription sends events of some types to one destination. "
                @if all.is_empty() { "Create a subscriber first; it holds the technical contact." }
                @else { "Create one at a subscriber below, or by " code { "POST /api/v1/subscribers/{id}/subscriptions"
                    } "." }
            }))
        } @else {
            (filters(&query, &types))
            @if paged.rows.is_empty() {
                (table::empty("No subscription matches.", html! { a href=(PATH) { "Show all subscriptions" } }))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Subscriptions" {
                    table {
                        thead {
                            tr {
                                (head("destination", "Destination")) (head("subscriber", "Subscriber"))
                                (head("type", "Type")) (head("status", "Status"))
                                (number_head("backlog", "Backlog")) (number_head("rate", "Rate and limit"))
                                (number_head("success", "Success, 1 h")) (head("failure", "Last failure"))
                            }
                        }
                        tbody {
                            @for row in &paged.rows { (line(visit, row)) }
                        }
                    }
                }
                (paged.links(PATH, &query, "list"))
                p.help { "Rate: deliveries per second in the last full minute, of the current limit. A backlog with ≥ \
                    has more events in the log; the subscription's page counts them." }
            }
        }
        }
        (subscribers::section(visit, &all))
    }))
}

/// Leads to the form, or to the subscribers if there are several to choose from.
fn create(visit: &Visit, all: &[Owned]) -> Markup {
    let active: Vec<&Value> =
        all.iter().map(|owned| &owned.subscriber).filter(|one| one.text("/status") == "active").collect();
    let to = match active[..] {
        [] => return html! {},
        [one] => format!("/console/subscribers/{}/subscriptions/new", one.text("/id")),
        _ => "#subscribers".to_owned(),
    };
    html! { @if visit.may_change() { div.actions { a.button.primary href=(to) { "New subscription" } } } }
}

fn filters(query: &Pairs, types: &[String]) -> Markup {
    let option = |name: &str, value: &str| {
        html! {
            option value=(value) selected[query.get(name) == value] { (value) }
        }
    };
    html! {
        form.filters method="get" role="search" aria-label="Filter subscriptions" {
            label { "Search " input type="search" name="q" value=(query.get("q"))
                placeholder="destination, id, event type"; }
            label { "Status " select name="status" {
                option value="" { "all" }
                @for status in ["active", "suspended", "revoked"] { (option("status", status)) }
            } }
            label { "Type " select name="type" {
                option value="" { "all" }
                @for name in types { (option("type", name)) }
            } }
            @if query.has("sort") { input type="hidden" name="sort" value=(query.get("sort")); }
            button { "Filter" }
        }
    }
}

fn filtered(all: &[Owned], query: &Pairs) -> Vec<Row> {
    let wanted = query.get("q").trim().to_lowercase();
    let rows = all.iter().flat_map(|owned| {
        let subscriber = owned.subscriber.text("/name");
        owned.subscriptions.iter().zip(&owned.statuses).map(move |(one, status)| Row {
            subscriber: subscriber.to_owned(),
            subscription: one.clone(),
            status: status.clone(),
        })
    });
    let matches = |row: &Row| {
        let one = &row.subscription;
        let is = |name: &str| query.get(name).is_empty() || one.text(&format!("/{name}")) == query.get(name);
        let texts = [&row.subscriber, &destination(one), one.text("/id"), one.text("/filter")].map(str::to_lowercase);
        let events = || one.list("/events").iter().filter_map(Value::as_str).any(|name| name.contains(&wanted));
        is("status") && is("type") && (texts.iter().any(|text| text.contains(&wanted)) || events())
    };
    rows.filter(matches).collect()
}

fn sorted(mut rows: Vec<Row>, by: &str) -> Vec<Row> {
    let (name, down) = by.strip_prefix('-').map_or((by, false), |name| (name, true));
    let padded = |number: f64| format!("{number:020.4}");
    let key = |row: &Row| match name {
        "backlog" => {
            let (delivery, of) = (&row.status, |name: &str| format!("/delivery/{name}"));
            // With those that are behind, the age says more than the number of events in memory.
            let oldest = Timestamp::parse(delivery.text(&of("oldest_accepted_at")));
            let age = oldest.map_or(0, |oldest| i64::MAX - oldest.as_micros());
            format!("{age:020}{:020}", delivery.count(&of("backlog")))
        }
        "rate" => padded(row.status.pointer("/delivery/delivered_per_second").and_then(Value::as_f64).unwrap_or(-0.1)),
        "success" => {
            padded(row.status.pointer("/delivery/last_hour/success_rate").and_then(Value::as_f64).unwrap_or(2.0))
        }
        "failure" => row.status.text("/delivery/last_failure/timestamp").to_owned(),
        "destination" => destination(&row.subscription),
        "subscriber" => row.subscriber.to_lowercase(),
        "type" | "status" => row.subscription.text(&format!("/{name}")).to_owned(),
        _ => String::new(),
    };
    rows.sort_by_cached_key(key);
    if down {
        rows.reverse();
    }
    rows
}

fn line(visit: &Visit, Row { subscriber, subscription: one, status }: &Row) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(page_of(one)) { (destination(one)) } }
            td { (subscriber) }
            td { (one.text("/type")) }
            td { (words::badge(one.text("/status"))) }
            td.number { (backlog(visit, status)) }
            td.number { (rate(status)) }
            td.number { (success(status)) }
            td { (last_failure(status)) }
        }
    }
}

/// The backlog of a status, with its age.
pub(crate) fn backlog(visit: &Visit, status: &Value) -> Markup {
    let waits = age(status.text("/delivery/oldest_accepted_at"), visit.now());
    html! {
        @match status.present("/delivery/backlog") {
            None => { span.none { "–" } }
            Some(count) => {
                @if status.flag("/delivery/backlog_is_at_least") { "≥ " }
                (number(count.as_u64().unwrap_or_default()))
                @if !waits.is_empty() && count.as_u64() != Some(0) { small { " oldest " (waits) } }
            }
        }
    }
}

/// The rate of a status, and its limit unless it has none.
pub(crate) fn rate(status: &Value) -> Markup {
    let per_second = |name: &str| status.present(&format!("/delivery/{name}")).and_then(Value::as_f64);
    html! {
        @match (per_second("delivered_per_second"), per_second("events_per_second")) {
            (None, _) => { span.none { "–" } }
            (Some(rate), None) => { (words::rate(rate)) " /s" }
            (Some(rate), Some(limit)) => { (words::rate(rate)) " of " (words::rate(limit)) " /s" }
        }
    }
}

/// The success rate of the last hour.
pub(crate) fn success(status: &Value) -> Markup {
    html! {
        @match status.present("/delivery/last_hour/success_rate").and_then(Value::as_f64) {
            None => { span.none { "–" } }
            Some(share) => { span.bad[share < 0.95] { (words::percent(share)) } }
        }
    }
}

/// The last failure of a status.
pub(crate) fn last_failure(status: &Value) -> Markup {
    html! {
        @match status.present("/delivery/last_failure") {
            None => { span.none { "–" } }
            Some(failure) => { (words::reason(failure.text("/error_reason"))) " " (moment(failure.text("/timestamp"))) }
        }
    }
}

/// The event types of a subscription.
pub(super) fn types(subscription: &Value) -> Markup {
    html! {
        ul.types {
            @for name in subscription.list("/events").iter().filter_map(Value::as_str) {
                li title=(name) { (words::short_type(name)) }
            }
        }
    }
}

/// The operator's list, page by page as the API gives it.
async fn of_all(visit: &Visit) -> Result<Response, Problem> {
    let query = visit.query().only(&["q", "pim", "client_id", "status", "after"]);
    // An id leads to its subscription.
    if let Some(id) = domain::SubscriptionId::parse(query.get("q").trim()) {
        return Ok(Redirect::to(&operated::page_path(&id.to_string())).into_response());
    }
    let page = visit.get(&format!("/api/v1/admin/subscriptions{}", query.query())).await?;
    let next = page.present("/next").and_then(Value::as_str);
    Ok(Page::new(visit, Place::Subscriptions, "Subscriptions").show(html! {
        form.filters method="get" role="search" aria-label="Filter subscriptions" {
            label { "Search " input type="search" name="q" value=(query.get("q"))
                placeholder="id or subscriber"; }
            label { "PIM " input name="pim" value=(query.get("pim")); }
            label { "Client id " input name="client_id" value=(query.get("client_id")); }
            label { "Status " select name="status" {
                option value="" { "all but deleted" }
                @for status in ["active", "suspended", "revoked", "deleted"] {
                    option value=(status) selected[query.get("status") == status] { (status) }
                }
            } }
            button { "Filter" }
        }
        @if page.list("/items").is_empty() {
            (table::empty("No subscriptions.", html! {
                "Integrations create them with their PIM's token, by the API or here."
            }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Subscriptions of all tenants" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Destination" } th scope="col" { "PIM" } th scope="col" { "Client" }
                            th scope="col" { "Type" } th scope="col" { "Status" } th scope="col" { "Changed" }
                            th scope="col" { span.hidden { "Action" } }
                        }
                    }
                    tbody { @for one in page.list("/items") { (operator_line(one)) } }
                }
            }
        }
        (cursor_links(PATH, &query, "after", next))
    }))
}

fn operator_line(one: &Value) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(operated::page_path(one.text("/id"))) { (destination(one)) } }
            td { @if one.text("/pim").is_empty() { span.none { "removed" } }
                 @else { a href={ "/console/pims/" (one.text("/pim")) } { (one.text("/pim")) } } }
            td { (one.text("/client_id")) }
            td { (one.text("/type")) }
            td { (words::badge(one.text("/status"))) @if !one.text("/reason").is_empty() { br;
                small { (one.text("/reason")) } } }
            td { (moment(one.text("/updated_at"))) }
            td { @if one.text("/status") == "active" {
                a href={ "/console/subscriptions/" (one.text("/id")) "/suspend" } { "Suspend" }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(oldest: Option<&str>, success: f64, backlog: u64) -> Value {
        json!({"delivery": {"oldest_accepted_at": oldest, "backlog": backlog, "delivered_per_second": success,
            "last_hour": {"success_rate": success}}})
    }

    fn all() -> Vec<Owned> {
        let one = |id: &str, url: &str, status: &str, events: &[&str]| {
            json!({"id": id, "type": "web", "status": status,
            "events": events, "filter": null, "config": {"url": url}})
        };
        vec![
            Owned {
                subscriber: json!({"name": "Search"}),
                subscriptions: vec![
                    one("1", "https://b.example", "active", &["product.created"]),
                    one("2", "https://a.example", "suspended", &["family.updated"]),
                ],
                statuses: vec![status(Some("2026-11-29T12:00:00Z"), 0.99, 5), Value::Null],
            },
            Owned {
                subscriber: json!({"name": "Shop"}),
                subscriptions: vec![one("3", "https://c.example", "active", &[])],
                statuses: vec![status(Some("2026-11-29T10:00:00Z"), 1.0, 1)],
            },
        ]
    }

    #[track_caller]
    fn check(query: &str, expect: &[&str]) {
        let query = Pairs::parse(query);
        let rows = sorted(filtered(&all(), &query), query.get("sort"));
        let ids: Vec<_> = rows.iter().map(|row| row.subscription.text("/id")).collect();
        assert_eq!(ids, expect, "{query:?}");
    }

    #[test]
    fn subscriptions_are_filtered_searched_and_sorted() {
        check("", &["1", "2", "3"]);
        check("status=active", &["1", "3"]);
        // The oldest backlog last; unknown values at an end.
        check("sort=backlog", &["2", "1", "3"]);
        check("sort=-backlog", &["3", "1", "2"]);
        check("sort=rate", &["2", "1", "3"]);
        check("sort=success", &["1", "3", "2"]);
        check("type=other", &[]);
        check("q=A.EXAMPLE", &["2"]);
        check("q=shop", &["3"]);
        check("q=family", &["2"]);
        check("sort=destination", &["2", "1", "3"]);
        check("sort=-destination", &["3", "1", "2"]);
        check("sort=status", &["1", "3", "2"]);
        check("sort=nonsense", &["1", "2", "3"]);
    }
}
