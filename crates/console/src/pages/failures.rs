//! Undelivered events of a subscription: waiting for a retry, or given up.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::{Ids, again, destination, page_of, path_of};
use crate::answer::Look;
use crate::layout::{Page, Place};
use crate::query::encoded;
use crate::table::{self, cursor_links};
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words;

/// The list.
pub(crate) async fn list(visit: Visit, Path((id, sid)): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let api = format!("/api/v1{}", path_of(&id, &sid));
    let subscription = visit.get(&api).await?;
    let query = visit.query().only(&["cursor"]);
    let (failures_at, attempts_at) = (format!("{api}/failures{}", query.query()), format!("{api}/attempts"));
    let (failures, attempts) = join!(visit.get(&failures_at), visit.get_or_null(&attempts_at));
    let failures = failures?;
    let path = page_of(&subscription);
    let next = failures.present("/next").and_then(Value::as_str);
    let page = Page::new(&visit, Place::Subscriptions, "Undelivered events");
    Ok(page.under("/console/subscriptions", "Subscriptions").under(path.clone(), destination(&subscription)).show(
        html! {
            (listed(&failures, attempts.list("/items"), &path))
            (cursor_links(visit.path(), &query, "cursor", next))
            @if visit.may_change() {
                p { a.button href={ (path) "/replays?only=given_up" } { "Replay those that were given up" } }
            }
        },
    ))
}

/// The table. `attempts`: those that are remembered, for what replays did.
pub(super) fn listed(failures: &Value, attempts: &[Value], path: &str) -> Markup {
    let items = failures.list("/items");
    html! {
        @if items.is_empty() {
            (table::empty("None.", html! { "Events that wait for a retry or were given up appear here." }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Undelivered events, newest first" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Last attempt" } th scope="col" { "Event" } th scope="col" { "Type" }
                            th scope="col" { "State" } th scope="col" { "Reason" } th.number scope="col" { "Status" }
                            th.number scope="col" { "Attempts" } th scope="col" { "Next attempt" }
                        }
                    }
                    tbody {
                        @for one in items {
                            tr {
                                td { (moment(one.text("/at"))) }
                                td.id { a href={ (path) "/events/" (encoded(one.text("/event_id"))) }
                                    { code { (one.text("/event_id")) } } }
                                td { (words::short_type(one.text("/event_type"))) }
                                td { (words::badge(one.text("/state"))) " "
                                    small { (again::sent(attempts, one.text("/event_id"))) } }
                                td { (words::reason(one.text("/error_reason"))) }
                                td.number { @if let Some(status) = one.present("/status") { (status) } }
                                td.number { (one.count("/attempts")) }
                                td { (moment(one.text("/next_attempt_at"))) }
                            }
                        }
                    }
                }
            }
        }
    }
}
