//! Trying a filter on the latest events of a subscription.

use axum::extract::Path;
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{Ids, destination, page_of, path_of};
use crate::answer::{Look, Refused};
use crate::layout::{self, Page, Place};
use crate::query::encoded;
use crate::table;
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words::{self, number};

/// Number of events that a filter is tried on.
const EVENTS: usize = 1000;
/// Number of those that are listed.
const LISTED: usize = 50;

/// The page.
pub(crate) async fn show(visit: Visit, Path((id, sid)): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let subscription = visit.get(&format!("/api/v1{}", path_of(&id, &sid))).await?;
    let stored = subscription.text("/filter");
    let text = if visit.query().has("filter") { visit.query().get("filter") } else { stored };
    let question = json!({"filter": text, "recent": {"events": EVENTS, "types": subscription.get("events")}});
    let check = visit.ask(Method::POST, "/api/v1/filters/check", Some(&question)).await?;
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
            section aria-labelledby="events" { h2 id="events" { "On the latest events" } (result(&check)) }
        }
    }))
}

fn result(check: &Value) -> Markup {
    let items = check.list("/recent/items");
    html! {
        @if items.is_empty() {
            (table::empty("No recent events of the subscription's types.", html! {
                "Kept events of these types appear here; until then, the meaning above is all there is."
            }))
        } @else {
            p {
                strong { (number(check.count("/recent/matching"))) " of " (number(check.count("/recent/tested"))) }
                " pass, of those accepted since " (moment(check.text("/recent/since"))) "."
                @if check.count("/recent/tested") > LISTED as u64 { " The latest " (LISTED) ":" }
            }
            div.scroll tabindex="0" role="region" aria-label="The latest events and whether they pass" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Passes" } th scope="col" { "Accepted" } th scope="col" { "Type" }
                            th scope="col" { "Entity" } th scope="col" { "Author" } th scope="col" { "Id" }
                        }
                    }
                    tbody { @for one in items.iter().take(LISTED) { (line(one)) } }
                }
            }
        }
    }
}

fn line(one: &Value) -> Markup {
    let id = one.text("/event/id");
    html! {
        tr {
            td { @if one.flag("/matches") { span.badge.good { "passes" } } @else { span.badge { "filtered out" } } }
            td { (moment(one.text("/event/accepted_at"))) }
            td { (words::short_type(one.text("/event/type"))) }
            td.id { code { (one.text("/event/entity")) } }
            td { (one.text("/event/author")) }
            td.id { a href={ "/console/events/" (encoded(id)) } { code { (id) } } }
        }
    }
}
