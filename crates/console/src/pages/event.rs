//! One event: its payload, and what became of it for each subscription.

use axum::extract::Path;
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::again;
use super::owned::{self, MOST_ASKED};
use super::{destination, page_of};
use crate::answer::{Look, Refused};
use crate::layout::{Page, Place};
use crate::query::encoded;
use crate::time::{moment, within};
use crate::visit::{Problem, Visit};
use crate::words;

/// The page.
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let text = visit.ask_text(Method::GET, &format!("/api/v1/events/{}", encoded(&id))).await?;
    let sent = event_of(&text).ok_or(Problem::Unavailable)?;
    // Numbers beyond those of a computer are no reason to show nothing.
    let event: Value = serde_json::from_str(sent).unwrap_or(Value::Null);
    let accepted_at = text.split_once("\"accepted_at\":\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or("");
    let author = event.text("/data/author/identifier");
    let all = owned::all(&visit).await?;
    let every: Vec<&Value> =
        all.iter().flat_map(|owned| &owned.subscriptions).filter(|one| one.text("/status") != "revoked").collect();
    let shown: Vec<&Value> = every.iter().copied().take(MOST_ASKED).collect();
    let fate_at = format!("/events/{}", encoded(&id));
    let (fates, replays) = join!(owned::of_each(&visit, &shown, &fate_at), owned::of_each(&visit, &shown, "/replays"));
    let of_each: Vec<Told> = shown
        .iter()
        .zip(fates)
        .zip(replays)
        .map(|((subscription, fate), replays)| Told { subscription, fate, replays })
        .collect();
    Ok(Page::new(&visit, Place::Events, &id).under("/console/events", "Events").show(html! {
        dl.settings {
            dt { "Type" } dd { (event.text("/type")) }
            dt { "Accepted" } dd { (moment(accepted_at)) }
            dt { "Time" } dd { (moment(event.text("/time"))) }
            dt { "Source" } dd { (event.text("/source")) }
            @if !author.is_empty() {
                dt { "Author" } dd { a href={ "/console/events?author=" (encoded(author)) } { (author) } }
            }
        }
        section aria-labelledby="fates" {
            h2 id="fates" { "What became of it" }
            (fates_table(&of_each, &id))
            @if every.len() > shown.len() {
                p.help { "Of the first " (shown.len())
                    " subscriptions; open the event from another subscription's page for its fate." }
            }
        }
        section aria-labelledby="payload" {
            h2 id="payload" { "Event" }
            p { button type="button" data-copy="sent" hidden { "Copy as sent" } }
            pre.json tabindex="0" { (indented(sent)) }
            details { summary { "As sent, without line breaks" } pre.json id="sent" tabindex="0" { (sent) } }
        }
    }))
}

/// What the API tells about the event for one subscription.
struct Told<'a> {
    subscription: &'a Value,
    fate: Value,
    replays: Value,
}

fn fates_table(of_each: &[Told<'_>], id: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Fate for each subscription" {
            table {
                thead { tr { th scope="col" { "Subscription" } th scope="col" { "Fate" } th scope="col" { "Why" } } }
                tbody {
                    @for Told { subscription: one, fate, replays } in of_each {
                        tr {
                            th scope="row" { a href={ (page_of(one)) "/events/" (encoded(id)) } { (destination(one)) } }
                            td { @if fate.is_null() { span.none { "unknown" } }
                                @else { (words::badge(fate.text("/fate"))) } }
                            td.text { (within(fate.text("/message"))) (again::beside(one, fate, replays, id)) }
                        }
                    }
                }
            }
        }
    }
}

impl Visit {
    /// Reads from the API what must be shown byte for byte.
    pub(super) async fn ask_text(&self, method: Method, path: &str) -> Result<String, Problem> {
        let (status, bytes) = self.ask_bytes(method, path).await?;
        if status.is_success() {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Err(Refused::read(status, &body, None).into())
    }
}

/// The event within `{"accepted_at":…,"event":{…}}`, untouched.
fn event_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("\"event\":")?;
    rest.trim_end().strip_suffix('}')
}

/// JSON with line breaks and indentation, every token as it is: a parser would change numbers.
fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut before = ' ';
    for c in text.chars() {
        if in_text {
            out.push(c);
            (in_text, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => in_text = true,
            c if c.is_whitespace() => continue,
            _ => {}
        }
        let opens = matches!(before, '{' | '[');
        let closes = matches!(c, '}' | ']');
        depth = if closes { depth.saturating_sub(1) } else { depth };
        if (opens != closes) || before == ',' {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        }
        out.push(c);
        match c {
            '{' | '[' => depth += 1,
            ':' => out.push(' '),
            _ => {}
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_shown_byte_for_byte() {
        let text =
            r#"{"accepted_at":"2026-11-29T12:00:00.000000Z","event":{"id":"a","data":{"n":1E400,"t":"\"event\":}"}}}"#;
        assert_eq!(event_of(text), Some(r#"{"id":"a","data":{"n":1E400,"t":"\"event\":}"}}"#));
        assert_eq!(event_of("{}"), None);
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(indented(text), expect);
    }

    #[test]
    fn json_is_indented_without_being_parsed() {
        check("{}", "{}");
        check("[]", "[]");
        check(r#"{"a":1E400,"b":[]}"#, "{\n  \"a\": 1E400,\n  \"b\": []\n}");
        check(r#"{"a":{"b":["x",2]}}"#, "{\n  \"a\": {\n    \"b\": [\n      \"x\",\n      2\n    ]\n  }\n}");
        check(r#"{"a":"{[,:\"\\"}"#, "{\n  \"a\": \"{[,:\\\"\\\\\"\n}");
        check("[[],{}]", "[\n  [],\n  {}\n]");
        check("9007199254740993", "9007199254740993");
    }
}
