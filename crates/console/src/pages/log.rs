//! The log: actions and errors of a client, with the filters of the API.

use std::collections::HashMap;

use axum::response::Response;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::Value;

use super::owned::{self, Owned};
use super::{destination, local_input, path_of, utc};
use crate::answer::Look;
use crate::layout::{self, Page, Place};
use crate::query::{Pairs, encoded};
use crate::table::{self, cursor_links};
use crate::time::{moment, within};
use crate::visit::{Problem, Visit};
use crate::words;

const PATH: &str = "/console/log";
/// Parameters of the API.
const PARAMETERS: [&str; 9] = [
    "log_type",
    "operation",
    "error_reason",
    "subscriber_id",
    "subscription_id",
    "start_time",
    "end_time",
    "order",
    "cursor",
];

/// The log.
pub(crate) async fn list(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let query = visit.query().only(&PARAMETERS);
    let asked = query.with("start_time", &utc(query.get("start_time"))).with("end_time", &utc(query.get("end_time")));
    let asked = format!("/api/v1/logs{}", asked.query());
    let (answer, description, all) = tokio::join!(
        visit.ask(Method::GET, &asked, None),
        visit.console.forms.description(&visit),
        owned::all(&visit),
    );
    let (page, refused) = match answer {
        Ok(page) => (page, Vec::new()),
        Err(refused) if refused.status == StatusCode::UNPROCESSABLE_ENTITY => (Value::Null, refused.faults),
        Err(refused) => return Err(refused.into()),
    };
    let operations = operations(&*description?);
    // Without their names, entries are about ids.
    let names = Names::of(&all.unwrap_or_default());
    let filtered = !query.only(&PARAMETERS[..7]).query().is_empty();
    let next = page.present("/next").and_then(Value::as_str);
    Ok(Page::new(&visit, Place::Log, "Log").show(html! {
        (layout::faults(&refused))
        (filters(&query, &operations))
        @if page.list("/items").is_empty() && refused.is_empty() {
            @if filtered { (table::empty("No entry matches.", html! { a href=(PATH) { "Show all" } })) }
            @else {
                (table::empty("No entries yet.", html! {
                    "Changes of your subscribers and subscriptions, failed deliveries and refused requests appear here."
                }))
            }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Log entries" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Time" } th scope="col" { "Operation" } th scope="col" { "Reason" }
                            th scope="col" { "Message" } th scope="col" { "About" }
                        }
                    }
                    tbody { @for entry in page.list("/items") { (line(entry, &names)) } }
                }
            }
        }
        (cursor_links(PATH, &query, "cursor", next))
    }))
}

/// The operations that the description names.
fn operations(description: &Value) -> Vec<String> {
    let paths = description.pointer("/paths/~1api~1v1~1logs/get/parameters").and_then(Value::as_array);
    let operation = paths.into_iter().flatten().find(|parameter| parameter.text("/name") == "operation");
    let names = operation.map(|parameter| parameter.list("/schema/enum")).unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn filters(query: &Pairs, operations: &[String]) -> Markup {
    let chosen = |name: &str, value: &str| query.get(name) == value;
    html! {
        form.filters method="get" role="search" aria-label="Filter the log" {
            label { "Kind " select name="log_type" {
                option value="" { "all" }
                option value="action" selected[chosen("log_type", "action")] { "actions" }
                option value="error" selected[chosen("log_type", "error")] { "errors" }
            } }
            label { "Operation " select name="operation" {
                option value="" { "all" }
                @for name in operations {
                    option value=(name) selected[chosen("operation", name)] { (words::operation(name)) }
                }
            } }
            label { "Error reason " input name="error_reason" value=(query.get("error_reason")); }
            label { "Subscription " input name="subscription_id" value=(query.get("subscription_id")) placeholder="id";
                }
            label { "Subscriber " input name="subscriber_id" value=(query.get("subscriber_id")) placeholder="id"; }
            label { "From (UTC) " input type="datetime-local" step="1" name="start_time"
                value=(local_input(query.get("start_time"))); }
            label { "To (UTC) " input type="datetime-local" step="1" name="end_time"
                value=(local_input(query.get("end_time"))); }
            label { "Order " select name="order" {
                option value="" { "newest first" }
                option value="asc" selected[chosen("order", "asc")] { "oldest first" }
            } }
            button { "Filter" }
        }
    }
}

/// Names of subscribers and subscriptions by their ids.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn of(all: &[Owned]) -> Names {
        let subscribers = all.iter().map(|one| (one.subscriber.text("/id"), one.subscriber.text("/name").to_owned()));
        let subscriptions =
            all.iter().flat_map(|one| &one.subscriptions).map(|one| (one.text("/id"), destination(one)));
        Names(subscribers.chain(subscriptions).map(|(id, name)| (id.to_owned(), name)).collect())
    }

    /// The name, or what it is if it was deleted.
    fn get<'n>(&'n self, id: &str, what: &'n str) -> &'n str {
        self.0.get(id).map_or(what, String::as_str)
    }
}

fn line(entry: &Value, names: &Names) -> Markup {
    let (subscriber, subscription) = (entry.text("/subscriber_id"), entry.text("/subscription_id"));
    let event = entry.text("/event_id");
    let error = entry.text("/log_type") == "error";
    let message = if error { entry.text("/error_message") } else { entry.text("/message") };
    html! {
        tr.wrong[error] {
            td { (moment(entry.text("/timestamp"))) }
            td {
                (words::operation(entry.text("/operation")))
                @if entry.count("/count") > 1 { " " span.badge { "× " (entry.count("/count")) } }
            }
            td {
                @if error {
                    @match documentation(entry) {
                        Some(url) => { a.reason href=(url) { (entry.text("/error_reason")) } }
                        None => { (words::reason(entry.text("/error_reason"))) }
                    }
                }
            }
            td.text { (within(message)) (exchange(entry)) }
            td.id {
                @if !subscription.is_empty() { a href={ "/console" (path_of(subscriber, subscription)) }
                    { (names.get(subscription, "subscription")) } }
                @else if !subscriber.is_empty() { a href={ "/console/subscribers/" (encoded(subscriber)) }
                    { (names.get(subscriber, "subscriber")) } }
                @if !event.is_empty() {
                    br; "event " a href={ "/console" (path_of(subscriber, subscription)) "/events/" (encoded(event)) }
                        { code { (event) } }
                }
            }
        }
    }
}

/// The page about an error elsewhere, if the operator set one.
fn documentation(entry: &Value) -> Option<&str> {
    let url = entry.text("/documentation_url");
    let elsewhere = url.starts_with("https://") && !url.contains("/docs/errors/");
    elsewhere.then_some(url)
}

/// The request and the response of an entry.
fn exchange(entry: &Value) -> Markup {
    let Some(request) = entry.present("/request") else { return html! {} };
    let status = entry.pointer("/response/status");
    html! {
        details {
            summary { "Request" @if let Some(status) = status { ", response " (status) } }
            pre tabindex="0" { (request.text("/method")) " " (request.text("/url")) }
            @if !request.text("/body").is_empty() { pre tabindex="0" { (request.text("/body")) } }
            @if let Some(headers) = entry.pointer("/response/headers").and_then(Value::as_object) {
                pre tabindex="0" { @for (name, value) in headers { (name) ": " (value.as_str().unwrap_or_default()) "\n"
                    } }
            }
            @if !entry.text("/response/body").is_empty() { pre tabindex="0" { (entry.text("/response/body")) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_shows_hostile_texts_as_text() {
        let evil = "<script>alert(1)</script>";
        let entry = json!({"log_type": "error", "operation": evil, "error_reason": evil, "error_message": evil,
            "timestamp": evil, "subscriber_id": evil, "subscription_id": evil, "event_id": evil, "count": 2,
            "documentation_url": "javascript:alert(1)",
            "request": {"method": evil, "url": evil, "body": evil},
            "response": {"status": 500, "headers": {"server": evil}, "body": evil}});
        let shown = line(&entry, &Names::default()).into_string();
        assert!(!shown.contains("<script") && !shown.contains("javascript:"), "{shown}");
        assert!(shown.contains("response 500") && shown.contains("× 2"), "{shown}");
    }

    #[test]
    fn the_operators_own_pages_are_linked() {
        let check = |url: &str, expect: Option<&str>| {
            assert_eq!(documentation(&json!({"documentation_url": url})), expect);
        };
        check("https://help.example.com/timeout", Some("https://help.example.com/timeout"));
        check("https://events.example.com/docs/errors/timeout", None);
        check("javascript:alert(1)", None);
        check("", None);
    }
}
