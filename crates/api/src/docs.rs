//! `GET /docs/errors/{reason}`: what a reason in a log entry means: what was observed, what to check, how to reproduce
//! it. It is where `documentation_url` points.

mod reasons;
#[cfg(test)]
mod reference_page;

use axum::response::{Html, IntoResponse, Response};
use domain::outcome::ErrorReason;
use wire::fault::code;

use crate::path::At;
use crate::refusal::{Refusal, because};

/// What a page says.
pub(super) struct Page {
    /// What the platform saw.
    observed: &'static str,
    /// What the platform does then.
    then: &'static str,
    /// What to look at, likeliest first.
    check: &'static [&'static str],
    /// Commands that show the same; `$HOST`, `$URL` and the like stand for the destination's.
    reproduce: &'static [&'static str],
}

/// A request that shows a refusal to the person who makes it.
const REPRODUCE: &str = "curl -i -X POST \"$PLATFORM/api/v1/subscribers\" \\\n  \
    -H \"X-PIM-URL: $PIM_URL\" -H \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\" \\\n  \
    -H 'Content-Type: application/json' -d @body.json";

/// The list of all pages.
pub(crate) async fn index() -> impl IntoResponse {
    Html(list())
}

/// The page of a reason.
pub(crate) async fn show(At(reason): At<String>) -> Result<Response, Refusal> {
    match page(&reason) {
        Some(page) => Ok(Html(page).into_response()),
        None => {
            Err(Refusal::new(because::NOT_FOUND, "there is no such reason; /docs/errors lists those that there are"))
        }
    }
}

fn page(reason: &str) -> Option<String> {
    let delivery = ErrorReason::ALL.iter().find(|known| known.as_str() == reason).map(|known| reasons::page(*known));
    let refusal = because::ALL.iter().find(|code| code.name == reason).map(|code| code.meaning);
    let fault = code::ALL.iter().find(|(name, _)| *name == reason).map(|(_, text)| *text);
    if delivery.is_none() && refusal.is_none() && fault.is_none() {
        return None;
    }
    let mut body = format!("<h1>{reason}</h1>");
    if let Some(page) = delivery {
        body.push_str(&format!(
            "<h2>What was observed</h2><p>{}</p><p>{}</p><h2>What to check</h2><ul>",
            escaped(page.observed),
            escaped(page.then)
        ));
        page.check.iter().for_each(|what| body.push_str(&format!("<li>{}</li>", escaped(what))));
        body.push_str("</ul><h2>How to reproduce it</h2><pre>");
        body.push_str(&escaped(&page.reproduce.join("\n")));
        body.push_str("</pre>");
    }
    if let Some(text) = refusal.or(fault) {
        body.push_str(&format!(
            "<h2>In answers to requests</h2><p>{}</p><h2>What to check</h2><p>The log entry has the request that was \
             refused: method, address and body, without secrets. <code>error_message</code> names every fault, and \
             the answer to the request had the field of each.</p><h2>How to reproduce it</h2><pre>{}</pre>",
            escaped(text),
            escaped(REPRODUCE)
        ));
    }
    body.push_str("<p><a href=\"/docs/errors\">All reasons</a></p>");
    Some(framed(reason, &body))
}

fn list() -> String {
    let mut body = "<h1>Reasons of errors</h1>".to_owned();
    let mut section = |title: &str, names: &mut dyn Iterator<Item = &str>| {
        body.push_str(&format!("<h2>{title}</h2><ul>"));
        names.for_each(|name| body.push_str(&format!("<li><a href=\"/docs/errors/{name}\">{name}</a></li>")));
        body.push_str("</ul>");
    };
    section("Failed deliveries", &mut ErrorReason::ALL.iter().map(|reason| reason.as_str()));
    section("Refused requests", &mut because::ALL.iter().map(|code| code.name));
    section("Faults in bodies, queries and events", &mut code::ALL.iter().map(|(name, _)| *name));
    framed("Reasons of errors", &body)
}

fn framed(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>body{{font:16px/1.5 sans-serif;max-width:46em;\
         margin:2em auto;padding:0 1em}}pre{{background:#eee;padding:1em;overflow-x:auto}}</style></head>\
         <body>{body}</body></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
