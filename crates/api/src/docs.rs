//! `GET /`: where to go from here. `GET /docs/errors/{reason}`: explains an error reason: symptom, checks,
//! reproduction. The target of `documentation_url`.

pub(crate) mod reasons;
#[cfg(test)]
mod reference_page;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::outcome::ErrorReason;
use wire::fault::code;

use crate::Api;
use crate::description::operation::{Operation, Shown};
use crate::description::page::{escaped, framed};
use crate::path::At;
use crate::refusal::{Refusal, because};

/// Content of a page.
pub(crate) struct Page {
    /// Observation of the platform.
    pub(crate) observed: &'static str,
    /// Consequence.
    pub(crate) then: &'static str,
    /// Checks, likeliest first.
    pub(crate) check: &'static [&'static str],
    /// Commands that reproduce the error; `$HOST`, `$URL` etc. stand for the destination's.
    pub(crate) reproduce: &'static [&'static str],
}

/// A request that reproduces a rejection.
const REPRODUCE: &str = "curl -i -X POST \"$PLATFORM/api/v1/subscribers\" \\\n  \
    -H \"X-PIM-URL: $PIM_URL\" -H \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\" \\\n  \
    -H 'Content-Type: application/json' -d @body.json";

/// The page at `/`. The guides are files of a release, not pages of the platform.
const HOME: &str = "<h1>Postrider</h1><p>An event platform for product information systems.</p><ul>\
    <li><a href=\"/console\">Console</a>: subscriptions, events and the log in a browser, unless the operator has \
    disabled it</li>\
    <li><a href=\"/docs\">API</a>: all calls with examples; <a href=\"/openapi.json\">OpenAPI 3.1</a></li>\
    <li><a href=\"/api/v1/event-types\">Event types</a> and their schemas</li>\
    <li><a href=\"/docs/errors\">Error reasons</a></li></ul>\
    <p>The guides for integrators, producers and operators are part of each release: <code>docs/README.md</code> in \
    the archive, <code>/usr/share/doc/postrider/docs</code> in the Debian package.</p>";

/// The way to the console, where there is one.
const CONSOLE: &str = " · <a href=\"/console\">The console</a>";

/// The syntax of filters, for those who came without the guides.
const FILTERS: &str = "<h2>Syntax</h2><pre>\
    condition  field=\"value\"   or   field in [\"value\", \"value\"]\n\
    combined   and, or, not, ( )     not binds closest, then and, then or\n\
    fields     user, user_type, attribute, scope, channel, locale</pre>\
    <p>Values are in double quotes; fields and keywords in lower case. <code>user_type</code> is <code>user</code>, \
    <code>api</code>, <code>job</code>, <code>system</code> or <code>unknown-user-type</code>. <code>attribute</code>, \
    <code>scope</code>, <code>channel</code> and <code>locale</code> are about changes, which only \
    <code>product.updated.delta</code> and <code>product-model.updated.delta</code> contain; on other events, \
    conditions on them are false. Each condition is about the whole event: <code>attribute=\"price\"</code> passes \
    an event that changed the price and something else, too.</p><h2>Examples</h2><pre>\
    attribute=\"price\"\n\
    attribute in [\"name\", \"description\"] and locale=\"fr_FR\"\n\
    not user_type=\"system\"\n\
    (channel=\"ecommerce\" or locale=\"en_US\") and not user=\"erp\"</pre>\
    <p><code>POST /api/v1/filters/check</code> explains a filter and names its faults.</p>";

/// Public description.
pub(crate) fn about_home() -> Operation {
    Operation::new("showHome", "Links", "For humans: where to find the console, this description and the guides.")
        .answers_with(200, "The page.", Some(("text/html", Shown::Text)))
}

/// The links.
pub(crate) async fn home(State(api): State<Arc<Api>>) -> Response {
    api.description().html(framed("Postrider", &plain(HOME)))
}

/// Public description.
pub(crate) fn about_index() -> Operation {
    Operation::new(
        "listErrorPages",
        "List the error pages",
        "A page for every reason of a failed delivery and every code of a rejected request.",
    )
    .answers_with(200, "The list.", Some(("text/html", Shown::Text)))
}

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showErrorPage",
        "Show an error page",
        "Meaning, checks and reproduction of an error; the target of `documentation_url` in log entries.",
    )
    .answers_with(200, "The page.", Some(("text/html", Shown::Text)))
    .refuses(&[because::NOT_FOUND])
}

/// The list of all pages.
pub(crate) async fn index(State(api): State<Arc<Api>>) -> Response {
    api.description().html(list(api.settings.console))
}

/// Page of a reason.
pub(crate) async fn show(State(api): State<Arc<Api>>, At(reason): At<String>) -> Result<Response, Refusal> {
    match page(&reason, api.settings.console) {
        Some(page) => Ok(api.description().html(page)),
        None => Err(Refusal::new(because::NOT_FOUND, "unknown reason; /docs/errors lists all reasons")),
    }
}

fn page(reason: &str, console: bool) -> Option<String> {
    let delivery = ErrorReason::ALL.iter().find(|known| known.as_str() == reason).map(|known| reasons::page(*known));
    let refusal = because::ALL.iter().find(|code| code.name == reason).map(|code| code.meaning);
    let fault = code::ALL.iter().find(|(name, _)| *name == reason).map(|(_, text)| *text);
    if delivery.is_none() && refusal.is_none() && fault.is_none() {
        return None;
    }
    let mut body = format!("<h1>{reason}</h1>");
    if let Some(page) = delivery {
        body.push_str(&format!(
            "<h2>Symptom</h2><p>{}</p><p>{}</p><h2>What to check</h2><ul>",
            escaped(page.observed),
            escaped(page.then)
        ));
        page.check.iter().for_each(|what| body.push_str(&format!("<li>{}</li>", escaped(what))));
        body.push_str("</ul><h2>How to reproduce it</h2><pre>");
        body.push_str(&escaped(&page.reproduce.join("\n")));
        body.push_str("</pre>");
    }
    if reason == code::INVALID_FILTER {
        body.push_str(FILTERS);
    }
    if let Some(text) = refusal.or(fault) {
        body.push_str(&format!(
            "<h2>In API responses</h2><p>{}</p><h2>What to check</h2><p>The log entry contains the rejected request: \
             method, URL and body, without secrets. <code>error_message</code> lists every fault, and the response \
             named the field of each.</p><h2>How to reproduce it</h2><pre>{}</pre>",
            escaped(text),
            escaped(REPRODUCE)
        ));
    }
    body.push_str("<p><a href=\"/docs/errors\">All reasons</a> · <a href=\"/docs\">The API</a>");
    body.push_str(if console { CONSOLE } else { "" });
    body.push_str("</p>");
    Some(framed(reason, &plain(&body)))
}

fn list(console: bool) -> String {
    let mut body = "<h1>Error reasons</h1>".to_owned();
    let mut section = |title: &str, names: &mut dyn Iterator<Item = &str>| {
        body.push_str(&format!("<h2>{title}</h2><ul>"));
        names.for_each(|name| body.push_str(&format!("<li><a href=\"/docs/errors/{name}\">{name}</a></li>")));
        body.push_str("</ul>");
    };
    section("Failed deliveries", &mut ErrorReason::ALL.iter().map(|reason| reason.as_str()));
    section("Rejected requests", &mut because::ALL.iter().map(|code| code.name));
    section("Faults in bodies, queries and events", &mut code::ALL.iter().map(|(name, _)| *name));
    body.push_str("<p><a href=\"/docs\">The API</a>");
    body.push_str(if console { CONSOLE } else { "" });
    body.push_str("</p>");
    framed("Error reasons", &plain(&body))
}

fn plain(body: &str) -> String {
    format!("<main class=\"plain\">{body}</main>")
}

#[cfg(test)]
mod tests {
    use domain::filter::Filter;

    use super::*;

    #[test]
    fn the_page_about_filters_has_valid_examples() {
        let page = page("invalid_filter", false).unwrap();
        let (_, examples) = page.split_once("<h2>Examples</h2><pre>").unwrap();
        let (examples, _) = examples.split_once("</pre>").unwrap();
        assert_eq!(examples.lines().count(), 4, "{examples}");
        for example in examples.lines() {
            assert!(Filter::parse(example).is_ok(), "{example}");
        }
    }

    #[test]
    fn pages_lead_to_the_console_where_there_is_one() {
        for console in [true, false] {
            for page in [page("invalid_filter", console).unwrap(), list(console)] {
                assert_eq!(page.contains("href=\"/console\""), console, "{page}");
            }
        }
    }
}
