//! Trying a filter on the latest events of a subscription, or of the types of a form; help with its syntax.

use axum::extract::Path;
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{Ids, destination, page_of, path_of};
use crate::answer::{Look, Refused};
use crate::form::Form;
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

/// Examples and what passes.
const EXAMPLES: [(&str, &str); 4] = [
    ("attribute=\"price\"", "the price was changed"),
    ("attribute in [\"name\", \"description\"] and locale=\"fr_FR\"", "one of both was changed, and a French value"),
    ("not user=\"erp\"", "the author is not erp"),
    ("user_type=\"api\" or channel=\"ecommerce\"", "by an API user, or a value of that channel was changed"),
];

/// The page.
pub(crate) async fn show(visit: Visit, Path((id, sid)): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let subscription = visit.get(&format!("/api/v1{}", path_of(&id, &sid))).await?;
    let stored = subscription.text("/filter");
    let text = if visit.query().has("filter") { visit.query().get("filter") } else { stored };
    let question = json!({"filter": text, "recent": {"events": EVENTS, "types": subscription.get("events")}});
    let check = visit.ask(Method::POST, "/api/v1/filters/check", Some(&question)).await?;
    let path = page_of(&subscription);
    let page = Page::new(&visit, Place::Subscriptions, "Test the filter");
    Ok(page.under("/console/subscriptions", "Subscriptions").under(path.clone(), destination(&subscription)).show(html!
        {
        form.wide method="get" {
            div.field {
                label for="filter" { "Filter" }
                textarea id="filter" name="filter" rows="3" spellcheck="false" aria-describedby="filter-help" { (text) }
                (syntax("filter"))
                p { "Trying changes nothing. A filter has effect once it is saved with "
                    a href={ (path) "/edit" } { "Edit" } "." }
            }
            p.buttons { button.primary { "Try" } }
        }
        (answer(&check))
    }))
}

/// Examples and the syntax, below the input with this id.
fn syntax(id: &str) -> Markup {
    html! {
        div.help id={ (id) "-help" } {
            "Empty: every event of these types. Values are in double quotes. Examples:"
            ul {
                @for (text, meaning) in EXAMPLES { li { code { (text) } " " (meaning) } }
            }
            "Conditions on " code { "attribute" } ", " code { "channel" } " and " code { "locale" } " need events of "
            "the types " code { "product.updated.delta" } " or " code { "product-model.updated.delta" } "; events of "
            "other types never fulfil them. " a href="/docs/errors/invalid_filter" target="_blank" { "Full syntax" }
        }
    }
}

/// Help with the filter of a form, and a button that tries it in a tab of its own, so that nothing typed is lost.
pub(crate) fn help(id: &str) -> Markup {
    html! {
        (syntax(id))
        p { button formaction="/console/filters/check" formtarget="_blank" formnovalidate { "Check the filter" } }
    }
}

/// What the API says about a filter.
fn answer(check: &Value) -> Markup {
    html! {
        (layout::faults(&Refused::read(http::StatusCode::OK, check, None).faults))
        @if check.flag("/valid") {
            section aria-labelledby="meaning" { h2 id="meaning" { "Meaning" } pre.words { (check.text("/explanation")) }
                }
            section aria-labelledby="events" { h2 id="events" { "On the latest events" } (result(check)) }
        }
    }
}

/// Tries the filter of a form on the latest events of the types chosen there.
pub(crate) async fn check(visit: Visit, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let types: Vec<&str> = form.all("events").collect();
    let mut question = json!({"filter": form.get("filter")});
    if !types.is_empty() {
        question["recent"] = json!({"events": EVENTS, "types": types});
    }
    let check = visit.ask(Method::POST, "/api/v1/filters/check", Some(&question)).await?;
    Ok(Page::new(&visit, Place::Subscriptions, "Check of a filter").show(html! {
        p { "The form is still open in the other tab. Nothing has been saved." }
        pre tabindex="0" { (form.get("filter")) }
        (answer(&check))
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
