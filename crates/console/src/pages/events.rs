//! The kept events.

use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::Value;

use super::{local_input, utc};
use crate::answer::Look;
use crate::layout::{self, Page, Place};
use crate::query::{Pairs, encoded};
use crate::table::{self, cursor_links};
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words;

const PATH: &str = "/console/events";
/// Parameters of the API.
const PARAMETERS: [&str; 7] = ["type", "entity", "id", "author", "start_time", "end_time", "cursor"];

/// The list.
pub(crate) async fn list(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let query = visit.query().only(&PARAMETERS);
    let asked = query.with("start_time", &utc(query.get("start_time"))).with("end_time", &utc(query.get("end_time")));
    let asked = format!("/api/v1/events{}", asked.query());
    let (answer, types) = tokio::join!(visit.ask(Method::GET, &asked, None), visit.get_or_null("/api/v1/event-types"),);
    let (page, refused) = match answer {
        Ok(page) => (page, Vec::new()),
        // What was typed wrong is explained above the filters.
        Err(refused) if refused.status == http::StatusCode::UNPROCESSABLE_ENTITY => (Value::Null, refused.faults),
        Err(refused) => return Err(refused.into()),
    };
    let filtered = !query.only(&PARAMETERS[..6]).query().is_empty();
    let next = page.present("/next").and_then(Value::as_str);
    Ok(Page::new(&visit, Place::Events, "Events").show(html! {
        (layout::faults(&refused))
        (filters(&query, &types))
        @if page.list("/items").is_empty() && refused.is_empty() {
            @if next.is_some() {
                (table::empty("None on this page.", html! { "Older events may match: go to the next page." }))
            } @else if filtered {
                (table::empty("No kept event matches.", html! { a href=(PATH) { "Show all" } }))
            } @else {
                (table::empty("No events yet.", html! {
                    "Events of your subscriptions' types appear here once the PIM sends them, and stay for as long as \
                        the \
                     operator's setting " code { "storage.keep_delivered" } " says (24 hours by default)."
                }))
            }
        } @else if !page.list("/items").is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Events, newest first" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Accepted" } th scope="col" { "Type" } th scope="col" { "Entity" }
                            th scope="col" { "Author" } th scope="col" { "Id" } th.number scope="col" { "Size" }
                        }
                    }
                    tbody { @for one in page.list("/items") { (line(one, &query)) } }
                }
            }
        }
        (cursor_links(PATH, &query, "cursor", next))
    }))
}

fn filters(query: &Pairs, types: &Value) -> Markup {
    html! {
        form.filters method="get" role="search" aria-label="Filter events" {
            label { "Type " select name="type" {
                option value="" { "all" }
                @for name in types.list("").iter().map(|known| known.text("/type")) {
                    option value=(name) selected[query.get("type") == name] { (words::short_type(name)) }
                }
            } }
            label { "Entity " input name="entity" value=(query.get("entity")) placeholder="uuid or code"; }
            label { "Event id " input name="id" value=(query.get("id")); }
            label { "Author " input name="author" value=(query.get("author")); }
            label { "From (UTC) " input type="datetime-local" step="1" name="start_time"
                value=(local_input(query.get("start_time"))); }
            label { "To (UTC) " input type="datetime-local" step="1" name="end_time"
                value=(local_input(query.get("end_time"))); }
            button { "Filter" }
        }
    }
}

fn line(one: &Value, query: &Pairs) -> Markup {
    let id = one.text("/id");
    let entity = one.text("/entity");
    html! {
        tr {
            td { (moment(one.text("/accepted_at"))) }
            td title=(one.text("/type")) { (words::short_type(one.text("/type"))) }
            td.id {
                @if entity.is_empty() { span.none { "–" } }
                @else { a href={ (PATH) (query.only(&[]).with("entity", entity).query()) } { code { (entity) } } }
            }
            td { @if one.text("/author").is_empty() { span.none { "–" } } @else { (one.text("/author")) } }
            td.id { a href={ (PATH) "/" (encoded(id)) } { code { (id) } } }
            td.number { (words::size(one.count("/size"))) }
        }
    }
}
