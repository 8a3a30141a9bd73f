//! Replays of a subscription: start, progress, cancel.

use axum::extract::Path;
use axum::response::Response;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::edit::shown_in_form;
use super::{Ids, destination, local_input, page_of, path_of, utc};
use crate::answer::{Fault, Look};
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::{Pairs, encoded};
use crate::table;
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words;

/// The page.
pub(crate) async fn list(visit: Visit, Path(ids): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let prefilled = visit.query().only(&["only", "from", "to"]);
    page(&visit, &ids, &prefilled, &[], StatusCode::OK).await
}

async fn page(
    visit: &Visit,
    (id, sid): &(String, String),
    sent: &Pairs,
    faults: &[Fault],
    status: StatusCode,
) -> Result<Response, Problem> {
    let api = format!("/api/v1{}", path_of(id, sid));
    let subscription = visit.get(&api).await?;
    let replays = visit.get(&format!("{api}/replays")).await?;
    let path = page_of(&subscription);
    let running = replays.list("").iter().any(|replay| replay.text("/status") == "running");
    let active = subscription.text("/status") == "active";
    let page = Page::new(visit, Place::Subscriptions, "Replays").answered(status);
    Ok(page.under("/console/subscriptions", "Subscriptions").under(path.clone(), destination(&subscription)).show(html!
        {
        @if visit.may_change() {
            section aria-labelledby="start" {
                h2 id="start" { "Start a replay" }
                (layout::faults(&named(faults)))
                @if running { p { "One is running. Another one can start once it has ended." } }
                @else if !active { p { "The subscription must be active. Resume it first." } }
                @else { (form(visit, sent)) }
            }
        }
        section aria-labelledby="replays" {
            h2 id="replays" { "Latest replays" }
            @if running { p data-refresh="3" { "Progress as of now. " a href=(visit.path()) { "Refresh" } } }
            @if replays.list("").is_empty() {
                (table::empty("None yet.", html! {
                    "A replay delivers kept events once more, to the current destination and with the current filter."
                }))
            } @else { (listed(visit, replays.list(""), &path)) }
        }
    }))
}

/// Faults with the labels of the form in place of the API's names.
fn named(faults: &[Fault]) -> Vec<Fault> {
    let named = |fault: &Fault| {
        let mut fault = fault.clone();
        if fault.field == "from" && fault.code == "required" {
            "Enter a start time, or event ids.".clone_into(&mut fault.message);
            fault.field.clear();
        }
        fault
    };
    faults.iter().map(named).collect()
}

fn form(visit: &Visit, sent: &Pairs) -> Markup {
    let only = |name: &str| sent.all("only").any(|chosen| chosen == name);
    html! {
        form.wide method="post" action=(visit.path()) {
            (layout::csrf(visit))
            div.columns {
                div.field { label for="from" { "Accepted from (UTC)" }
                    input id="from" name="from" type="datetime-local" step="1" value=(local_input(sent.get("from"))); }
                div.field { label for="to" { "to (UTC)" small { " empty: now" } }
                    input id="to" name="to" type="datetime-local" step="1" value=(local_input(sent.get("to"))); }
            }
            fieldset {
                legend { "Only" }
                label.check { input type="checkbox" name="only" value="given_up" checked[only("given_up")];
                    " events that were given up" }
                label.check { input type="checkbox" name="only" value="dropped" checked[only("dropped")];
                    " events dropped from the backlog by a suspension" }
                p.help { "Without a choice, all events of the time span are delivered again." }
            }
            div.field {
                label for="event_ids" { "Event ids" small { " instead of a time span; one per line" } }
                textarea id="event_ids" name="event_ids" rows="2" spellcheck="false" { (sent.get("event_ids")) }
            }
            div.field {
                label for="filter" { "Filter" small { " optional; besides that of the subscription" } }
                input id="filter" name="filter" value=(sent.get("filter")) spellcheck="false";
            }
            div.field {
                label for="rate" { "Maximum rate per second" small { " optional" } }
                input id="rate" name="rate" value=(sent.get("rate")) inputmode="decimal";
            }
            p.help { "Replayed events keep their ids and carry " code { "X-Postrider-Replay" }
                ". Receivers that skip known ids skip them." }
            p.buttons { button.primary { "Start" } }
        }
    }
}

fn listed(visit: &Visit, replays: &[Value], path: &str) -> Markup {
    html! {
        p.help {
            "Skipped: left to the regular delivery, which has not settled them. Gone: no longer kept, or not visible. \
             Has reached: all events accepted before are done."
        }
        div.scroll tabindex="0" role="region" aria-label="Replays, newest first" {
            table {
                thead {
                    tr {
                        th scope="col" { "Started" } th scope="col" { "Status" } th.number scope="col" { "Matched" }
                        th.number scope="col" { "Delivered" } th.number scope="col" { "Failed" }
                        th.number scope="col" { "Skipped" } th.number scope="col" { "Gone" }
                        th scope="col" { "Has reached" } th scope="col" { span.hidden { "Action" } }
                    }
                }
                tbody {
                    @for one in replays {
                        tr {
                            td {
                                (moment(one.text("/created_at"))) br; small { code { (one.text("/id")) } }
                                @if !one.text("/from").is_empty() {
                                    br; small { "events of " (moment(one.text("/from"))) " – "
                                        (moment(one.text("/to"))) }
                                }
                            }
                            td { (status_of(one)) @if !one.text("/reason").is_empty() { br;
                                small { (one.text("/reason")) } } }
                            td.number { (one.count("/matched")) }
                            td.number { (one.count("/delivered")) }
                            td.number { (one.count("/failed")) }
                            td.number { (one.count("/skipped")) }
                            td.number { (one.count("/gone")) }
                            td { (moment(one.text("/at"))) }
                            td { @if visit.may_change() && one.text("/status") == "running" {
                                (layout::button(visit, &format!("{path}/replays/{}/cancel", encoded(one.text("/id"))),
                                    "Cancel", ""))
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// The status; a replay that is done may have failed to deliver some, or have found none.
fn status_of(replay: &Value) -> Markup {
    let is_done = replay.text("/status") == "done";
    html! {
        @match (is_done, replay.count("/failed"), replay.count("/matched")) {
            (true, 1.., _) => { span.badge.bad { "done, " (words::number(replay.count("/failed"))) " failed" } }
            (true, _, 0) => { (words::badge("done")) " "
                small { "No event passed the current types and filter." } }
            _ => { (words::badge(replay.text("/status"))) }
        }
    }
}

/// The body of a request for a replay.
fn body(form: &Pairs) -> Value {
    let mut body = Map::new();
    let ids: Vec<&str> = form.get("event_ids").split_whitespace().collect();
    if !ids.is_empty() {
        body.insert("event_ids".to_owned(), json!(ids));
    }
    for name in ["from", "to"] {
        let at = utc(form.get(name));
        if !at.is_empty() {
            body.insert(name.to_owned(), at.into());
        }
    }
    let only: Vec<&str> = form.all("only").collect();
    if !only.is_empty() {
        body.insert("only".to_owned(), json!(only));
    }
    if !form.get("filter").trim().is_empty() {
        body.insert("filter".to_owned(), form.get("filter").into());
    }
    let rate = form.get("rate").trim();
    if !rate.is_empty() {
        // What is no number goes as text, so that the API says so.
        body.insert("rate".to_owned(), rate.parse::<f64>().map_or_else(|_| rate.into(), Value::from));
    }
    Value::Object(body)
}

/// Starts one.
pub(crate) async fn start(visit: Visit, Path(ids): Ids, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let path = path_of(&ids.0, &ids.1);
    match visit.ask(Method::POST, &format!("/api/v1{path}/replay"), Some(&body(&form))).await {
        Ok(_) => Ok(done(&format!("/console{path}/replays"), "replaying")),
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            page(&visit, &ids, &form, &refused.faults, refused.status).await
        }
    }
}

/// Cancels a running one.
pub(crate) async fn cancel(
    visit: Visit,
    Path((id, sid, rid)): Path<(String, String, String)>,
    Form(_): Form,
) -> Result<Response, Problem> {
    let path = path_of(&id, &sid);
    visit.ask(Method::DELETE, &format!("/api/v1{path}/replays/{}", encoded(&rid)), None).await?;
    Ok(done(&format!("/console{path}/replays"), "cancelled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: &str, expect: Value) {
        assert_eq!(body(&Pairs::parse(form)), expect, "{form}");
    }

    #[test]
    fn a_replay_that_is_done_says_what_failed_and_that_nothing_matched() {
        let check = |status: &str, matched: u64, failed: u64, expect: &str| {
            let shown = status_of(&json!({"status": status, "matched": matched, "failed": failed})).into_string();
            assert!(shown.contains(expect), "{shown}");
        };
        check("done", 3, 1, "badge bad\">done, 1 failed<");
        check("done", 0, 0, "No event passed");
        check("done", 3, 0, "badge good\">done<");
        check("running", 3, 1, ">running<");
    }

    #[test]
    fn a_replay_is_requested_as_typed() {
        check("", json!({}));
        check("from=2026-11-29T10%3A00&to=&rate=&filter=+", json!({"from": "2026-11-29T10:00:00Z"}));
        check("event_ids=a%0D%0Ab+&rate=2.5", json!({"event_ids": ["a", "b"], "rate": 2.5}));
        check("only=given_up&only=dropped&rate=fast", json!({"only": ["given_up", "dropped"], "rate": "fast"}));
    }
}
