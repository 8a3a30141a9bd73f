//! Samples, schemas and verification code; sending a test event.

use axum::response::Response;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value};
use tokio::join;

use super::{destination, owned, page_of, path_of};
use crate::answer::{Fault, Look};
use crate::form::Form;
use crate::layout::{self, Page, Place};
use crate::pages::edit::shown_in_form;
use crate::query::{Pairs, encoded};
use crate::table;
use crate::visit::{Problem, Visit};
use crate::words;

/// Receivers that verify signatures, tested with real deliveries: name, language, command and program.
const RECEIVERS: [(&str, &str, &str, &str); 6] = [
    ("node", "Node.js", "SECRET=… node receiver.mjs", include_str!("../../../../examples/signatures/receiver.mjs")),
    ("python", "Python", "SECRET=… python3 receiver.py", include_str!("../../../../examples/signatures/receiver.py")),
    (
        "php",
        "PHP",
        "SECRET=… php -S 127.0.0.1:4000 receiver.php",
        include_str!("../../../../examples/signatures/receiver.php"),
    ),
    ("go", "Go", "SECRET=… go run receiver.go", include_str!("../../../../examples/signatures/receiver.go")),
    ("java", "Java", "SECRET=… java Receiver.java", include_str!("../../../../examples/signatures/Receiver.java")),
    ("rust", "Rust", "SECRET=… cargo run", include_str!("../../../../examples/signatures/receiver.rs")),
];

/// The page.
pub(crate) async fn show(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let chosen = visit.query().only(&["type", "subscriber", "subscription", "language"]);
    page(&visit, &chosen, None, &[], StatusCode::OK).await
}

/// `sent`: the form as sent; with its outcome, unless it was refused.
async fn page(
    visit: &Visit,
    chosen: &Pairs,
    sent: Option<(&Pairs, Option<&Value>)>,
    faults: &[Fault],
    status: StatusCode,
) -> Result<Response, Problem> {
    let (types, all) = join!(visit.get("/api/v1/event-types"), owned::all(visit));
    let (types, all) = (types?, all?);
    let every: Vec<&Value> =
        all.iter().flat_map(|owned| &owned.subscriptions).filter(|one| one.text("/status") != "revoked").collect();
    let subscription =
        every.iter().find(|one| one.text("/id") == chosen.get("subscription")).or(every.first()).copied();
    let known = |name: &str| types.list("").iter().any(|one| one.text("/type") == name);
    let first = subscription.map_or("", |one| one.text("/events/0"));
    let wanted = [chosen.get("type"), first, types.text("/0/type")].into_iter().find(|name| known(name));
    let wanted = wanted.unwrap_or_default();
    let schema = visit.get_or_null(&format!("/spec/{}.schema.json", encoded(wanted))).await;
    let example = schema.pointer("/properties/data/examples/0").cloned().unwrap_or(Value::Object(Map::new()));
    let example = serde_json::to_string_pretty(&example).unwrap_or_default();
    let data = sent.map_or(example.as_str(), |(form, _)| form.get("data"));
    Ok(Page::new(visit, Place::Try, "Test event").answered(status).show(html! {
        (choice(&types, &every, wanted, subscription, chosen))
        @if let Some((_, Some(outcome))) = sent { (told(outcome, subscription)) }
        section aria-labelledby="send" {
            h2 id="send" { "Send a test event" }
            (layout::faults(faults))
            @match subscription {
                None => { (table::empty("No subscription to send to.", html! {
                    "Create one at " a href="/console/subscriptions" { "Subscriptions" } "."
                })) }
                Some(one) => { (form(visit, one, wanted, data)) }
            }
        }
        section aria-labelledby="sample" {
            h2 id="sample" { "Sample of " (words::short_type(wanted)) }
            p { a href={ "/spec/" (encoded(wanted)) ".schema.json" } { "JSON Schema" } }
            details { summary { "Schema" } pre.json tabindex="0" {
                (serde_json::to_string_pretty(&schema).unwrap_or_default()) } }
        }
        (code(chosen, subscription))
    }))
}

fn choice(types: &Value, every: &[&Value], wanted: &str, subscription: Option<&Value>, chosen: &Pairs) -> Markup {
    let id = subscription.map_or("", |one| one.text("/id"));
    html! {
        form.filters method="get" aria-label="Choose" {
            label { "Subscription " select name="subscription" {
                (owned::options(every, id))
            } }
            label { "Event type " select name="type" {
                @for name in types.list("").iter().map(|known| known.text("/type")) {
                    option value=(name) selected[name == wanted] { (words::short_type(name)) }
                }
            } }
            @if chosen.has("language") { input type="hidden" name="language" value=(chosen.get("language")); }
            button { "Choose" }
        }
    }
}

fn form(visit: &Visit, subscription: &Value, wanted: &str, data: &str) -> Markup {
    html! {
        p {
            "Makes one attempt to " strong { (destination(subscription)) }
                ", signed like any event. It appears in no figure, \
             ignores the filter, and works while the subscription is suspended."
        }
        form.wide method="post" {
            (layout::csrf(visit))
            input type="hidden" name="subscriber" value=(subscription.text("/subscriber_id"));
            input type="hidden" name="subscription" value=(subscription.text("/id"));
            input type="hidden" name="type" value=(wanted);
            div.field {
                label for="data" { "Data of a " (words::short_type(wanted)) " event" }
                textarea id="data" name="data" rows="12" spellcheck="false" { (data) }
            }
            p.buttons {
                @if visit.may_change() { button.primary { "Send" } } @else { "A read-only link cannot send." }
            }
        }
    }
}

fn told(outcome: &Value, subscription: Option<&Value>) -> Markup {
    let class = if outcome.text("/outcome") == "delivered" { "notice good" } else { "notice bad" };
    html! {
        div class=(class) role="status" {
            p {
                (words::badge(outcome.text("/outcome"))) " in " (outcome.count("/duration_ms")) " ms"
                @if let Some(status) = outcome.present("/status") { ", status " (status) }
                " " (words::reason(outcome.text("/error_reason")))
            }
            @if !outcome.text("/message").is_empty() { p { (outcome.text("/message")) } }
            @if !outcome.text("/body").is_empty() { pre tabindex="0" { (outcome.text("/body")) } }
            p {
                "Event id " code { (outcome.text("/event_id")) }
                @if let Some(one) = subscription { " · " a href=(page_of(one)) { "To the subscription" } }
            }
        }
    }
}

fn code(chosen: &Pairs, subscription: Option<&Value>) -> Markup {
    let wanted = chosen.get("language");
    let (name, _, command, program) = RECEIVERS.iter().find(|(name, ..)| *name == wanted).unwrap_or(&RECEIVERS[0]);
    let signed = subscription.is_none_or(|one| one.pointer("/config/secret").is_some());
    html! {
        section aria-labelledby="verify" {
            h2 id="verify" { "Verify signatures" }
            @if !signed { p.notice { "Deliveries of this subscription are not signed: its destination authenticates \
                the platform itself." } }
            p {
                "A complete receiver for the secret of " @match subscription { Some(one) => { (destination(one)) }
                    None => { "your subscription" } }
                ". The platform never shows a secret again: set " code { "SECRET" }
                    " to the one you chose. Start it with "
                code { (command) } "."
            }
            nav.tabs aria-label="Language" {
                @for (known, language, ..) in &RECEIVERS {
                    a href={ "/console/try" (chosen.with("language", known).query()) "#verify" }
                        aria-current=[(known == name).then_some("true")] { (language) }
                }
            }
            p { button type="button" data-copy="receiver" hidden { "Copy" } }
            pre.code id="receiver" tabindex="0" { (program) }
        }
    }
}

/// Sends a test event.
pub(crate) async fn send(visit: Visit, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let chosen = form.only(&["type", "subscriber", "subscription"]);
    let path = format!("/api/v1{}/test", path_of(form.get("subscriber"), form.get("subscription")));
    let mut body = Map::new();
    body.insert("type".to_owned(), form.get("type").into());
    // What is no JSON goes as text, so that the API says so.
    let data = form.get("data");
    body.insert("data".to_owned(), serde_json::from_str(data).unwrap_or_else(|_| data.into()));
    match visit.ask(Method::POST, &path, Some(&Value::Object(body))).await {
        Ok(outcome) => page(&visit, &chosen, Some((&form, Some(&outcome))), &[], StatusCode::OK).await,
        Err(refused) if refused.status == StatusCode::TOO_MANY_REQUESTS => {
            page(&visit, &chosen, Some((&form, None)), &refused.faults, refused.status).await
        }
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            page(&visit, &chosen, Some((&form, None)), &refused.faults, refused.status).await
        }
    }
}
