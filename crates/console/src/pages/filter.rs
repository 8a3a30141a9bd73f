//! Trying a filter on the latest events of a subscription.

use axum::extract::Path;
use axum::response::Response;
use futures_util::future::join_all;
use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::event::event_of;
use super::{Ids, destination, page_of, path_of};
use crate::answer::{Look, Refused};
use crate::layout::{self, Page, Place};
use crate::query::encoded;
use crate::table;
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words;

/// Number of events that a filter is tried on: each costs two requests within the client's limit.
const EVENTS: usize = 25;

/// An event, and whether the filter lets it pass.
struct Tried {
    summary: Value,
    matches: bool,
}

/// The page.
pub(crate) async fn show(visit: Visit, Path((id, sid)): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let subscription = visit.get(&format!("/api/v1{}", path_of(&id, &sid))).await?;
    let stored = subscription.text("/filter");
    let text = if visit.query().has("filter") { visit.query().get("filter") } else { stored };
    let check = visit.ask(Method::POST, "/api/v1/filters/check", Some(&json!({"filter": text}))).await?;
    let tried = if check.flag("/valid") { tried(&visit, &subscription, text).await? } else { Vec::new() };
    let path = page_of(&subscription);
    let page = Page::new(&visit, Place::Subscriptions, "Try a filter");
    Ok(page.under("/console/subscriptions", "Subscriptions").under(path.clone(), destination(&subscription)).show(html!
        {
        form.wide method="get" {
            div.field {
                label for="filter" { "Filter" }
                textarea id="filter" name="filter" rows="3" spellcheck="false" aria-describedby="filter-help" { (text) }
                p.help id="filter-help" {
                    "For example " code { "attribute in [\"price\"] and not user=\"erp\"" } ". Trying changes nothing. \
                     A filter has effect once it is saved with " a href={ (path) "/edit" } { "Edit" } "."
                }
            }
            p.buttons { button.primary { "Try" } }
        }
        (layout::faults(&Refused::read(http::StatusCode::OK, &check, None).faults))
        @if check.flag("/valid") {
            section aria-labelledby="meaning" { h2 id="meaning" { "Meaning" } pre.words { (check.text("/explanation")) }
                }
            section aria-labelledby="events" { h2 id="events" { "On the latest events" } (result(&tried)) }
        }
    }))
}

/// Tries the filter on the latest events of the subscription's types.
async fn tried(visit: &Visit, subscription: &Value, filter: &str) -> Result<Vec<Tried>, Problem> {
    let page = visit.get_or_null(&format!("/api/v1/events?limit={}", EVENTS * 2)).await;
    let types: Vec<&str> = subscription.list("/events").iter().filter_map(Value::as_str).collect();
    let of_type = |event: &&Value| types.contains(&event.text("/type"));
    let summaries: Vec<&Value> = page.list("/items").iter().filter(of_type).take(EVENTS).collect();
    let tries = summaries.iter().map(|summary| async move {
        let path = format!("/api/v1/events/{}", encoded(summary.text("/id")));
        let kept = visit.ask_text(Method::GET, &path).await.ok()?;
        // As sent: a parser would refuse some numbers.
        let question = format!("{{\"filter\":{},\"event\":{}}}", json!(filter), event_of(&kept)?);
        let answer = visit.post_text("/api/v1/filters/check", question).await.ok()?;
        Some(Tried { summary: (*summary).clone(), matches: answer.flag("/matches") })
    });
    Ok(join_all(tries).await.into_iter().flatten().collect())
}

fn result(tried: &[Tried]) -> Markup {
    let matching = tried.iter().filter(|one| one.matches).count();
    html! {
        @if tried.is_empty() {
            (table::empty("No recent events of the subscription's types.", html! {
                "Kept events of these types appear here; until then, the meaning above is all there is."
            }))
        } @else {
            p { strong { (matching) " of " (tried.len()) } " pass." }
            div.scroll {
                table {
                    caption.hidden { "The latest events and whether they pass" }
                    thead {
                        tr {
                            th scope="col" { "Passes" } th scope="col" { "Accepted" } th scope="col" { "Type" }
                            th scope="col" { "Entity" } th scope="col" { "Author" } th scope="col" { "Id" }
                        }
                    }
                    tbody {
                        @for Tried { summary, matches } in tried {
                            tr {
                                td { @if *matches { span.badge.good { "passes" } } @else { span.badge { "filtered out" }
                                    } }
                                td { (moment(summary.text("/accepted_at"))) }
                                td { (words::short_type(summary.text("/type"))) }
                                td.id { code { (summary.text("/entity")) } }
                                td { (summary.text("/author")) }
                                td.id { a href={ "/console/events/" (encoded(summary.text("/id"))) }
                                    { code { (summary.text("/id")) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}
