//! One PIM, for the operator: its keys and clients.

use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::pims::{bridge_state, client_line};
use super::subscription;
use crate::answer::Look;
use crate::chart::Series;
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::{Pairs, encoded};
use crate::table::{self, cursor_links};
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words::number;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const PIMS: (&str, &str) = ("/console/pims", "PIMs");

/// Path of a PIM's page.
pub(super) fn pim_page(name: &str) -> String {
    format!("/console/pims/{}", encoded(name))
}

/// Path of a client's page.
pub(super) fn client_page(name: &str, client: &str) -> String {
    format!("{}/clients/{}", pim_page(name), encoded(client))
}

fn api(name: &str) -> String {
    format!("/api/v1/admin/pims/{}", encoded(name))
}

/// The page.
pub(crate) async fn show(visit: Visit, Path(name): Path<String>) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let query = visit.query().only(&["q", "after"]);
    let of_pim = query.with("pim", &name);
    let (pim_at, clients_at, traffic_at) = (
        api(&name),
        format!("/api/v1/admin/clients{}", of_pim.query()),
        format!("/api/v1/admin/traffic{}", of_pim.only(&["pim"]).query()),
    );
    let (pim, clients, traffic) =
        join!(visit.get(&pim_at), visit.get_or_null(&clients_at), visit.get_or_null(&traffic_at));
    let pim = pim?;
    let mut series = Series::until(visit.now(), DAY, HOUR);
    series.add(traffic.list("/counts"));
    let path = pim_page(&name);
    let next = clients.present("/next").and_then(Value::as_str);
    Ok(Page::new(&visit, Place::Pims, &name).under(PIMS.0, PIMS.1).show(html! {
        @if !pim.text("/withdrawn_at").is_empty() {
            p.notice.bad { "No longer in the configuration file: locked out and paused since "
                (moment(pim.text("/withdrawn_at"))) "." }
        }
        dl.settings {
            dt { "URL" } dd { (pim.text("/url")) }
            dt { "Token check" } dd { (pim.text("/token_check")) @if pim.flag("/trust_client_id") {
                "; any token of this PIM can act as any of its clients" } }
            dt { "Static tokens" } dd { @if pim.list("/static_tokens").is_empty() { "none" }
                @else { "for " (names(pim.list("/static_tokens"))) } }
            dt { "Events API" } dd { @if pim.flag("/events_api") { (bridge_state(&pim)) } @else { "not ingested" } }
            dt { "Last event" } dd {
                @if pim.text("/last_event_at").is_empty() { "none that is still kept" }
                @else { (moment(pim.text("/last_event_at"))) }
            }
            dt { "Registered" } dd { (moment(pim.text("/created_at"))) " by " (pim.text("/origin")) }
        }
        section aria-labelledby="traffic" {
            h2 id="traffic" { "Traffic" }
            @if traffic.is_null() { (subscription::unknown()) }
            @else {
                div.charts { (series.chart("day", "Last 24 hours", true)) }
                p.help { "By hour, since the platform's start." }
            }
        }
        (subscription::backlog(&visit, traffic.list("/backlog"), "Of the PIM's active subscriptions together"))
        @if let Some(bridge) = pim.present("/bridge") { (bridge_section(bridge)) }
        section aria-labelledby="keys" {
            h2 id="keys" { "Producer keys" }
            p.help { "To rotate a key: create another one, give it to the producer, then revoke the old one." }
            @if pim.list("/keys").is_empty() { (table::empty("None.", html! {
                "Without a key, the PIM cannot send events." })) }
            ul.plain {
                @for key in pim.list("/keys") {
                    li {
                        code { (key.text("/prefix")) "…" }
                            " since " (moment(key.text("/created_at"))) " by " (key.text("/origin")) " "
                        a.button.danger href={ (path) "/keys/" (encoded(key.text("/prefix"))) "/revoke" } { "Revoke" }
                    }
                }
            }
            (layout::button(&visit, &format!("{path}/keys"), "Create a key", "primary"))
        }
        section aria-labelledby="clients" {
            h2 id="clients" { "Clients" }
            form.filters method="get" role="search" aria-label="Filter clients" {
                label { "Search " input type="search" name="q" value=(query.get("q")) placeholder="client id"; }
                button { "Filter" }
            }
            @if clients.list("/items").is_empty() {
                (table::empty("None yet.", html! {
                    "A connection or app appears here once it has a subscriber, a permission or a token." }))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Clients with their permissions" {
                    table {
                        thead { tr { th scope="col" { "Client id" } th scope="col" { "Permission" }
                            th scope="col" { "Removal" } } }
                        tbody { @for client in clients.list("/items") { (client_line(&name, client)) } }
                    }
                }
            }
            (cursor_links(&path, &query, "after", next))
        }
        div.actions role="group" aria-label="Actions" {
            a.button href={ "/console/subscriptions" (Pairs::default().with("pim", &name).query()) } { "Subscriptions" }
            a.button.danger href={ (path) "/remove" } { "Remove this PIM" }
        }
    }))
}

/// What arrived from the PIM's Events API.
fn bridge_section(bridge: &Value) -> Markup {
    let row = |name: &str, count: &str, at: &str, why: &str| {
        html! {
            dt { (name) }
            dd {
                (number(bridge.count(count)))
                @if !bridge.text(at).is_empty() { ", the latest " (moment(bridge.text(at))) }
                @if !bridge.text(why).is_empty() { ": " (bridge.text(why)) }
            }
        }
    };
    html! {
        section aria-labelledby="bridge" {
            h2 id="bridge" { "Events API" }
            dl.settings {
                (row("Requests with a valid signature", "/verified", "/verified_at", ""))
                (row("Requests refused", "/refused", "/refused_at", "/refusal"))
                (row("Events", "/events", "/events_at", ""))
                (row("Events not recognised", "/unrecognised", "", "/unrecognised_because"))
                (row("Events without a delta", "/uncompared", "", "/uncompared_because"))
                (row("Created by reconciliation", "/reconciled", "/reconciled_at", ""))
            }
        }
    }
}

fn names(list: &[Value]) -> String {
    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// A secret that is shown only now.
pub(super) fn created_once(visit: &Visit, name: &str, what: &str, secret: &str) -> Response {
    let page = Page::new(visit, Place::Pims, "Created").under(PIMS.0, PIMS.1).under(pim_page(name), name);
    page.show(html! {
        div.notice.good role="status" {
            p { (what) ". It is shown only now:" }
            pre id="secret" tabindex="0" { (secret) }
            p { button type="button" data-copy="secret" hidden { "Copy" } }
        }
        p { a href=(pim_page(name)) { "To the PIM" } }
    })
}

/// Creates another key and shows it, once.
pub(crate) async fn add_key(visit: Visit, Path(name): Path<String>, Form(_): Form) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let made = visit.ask(Method::POST, &format!("{}/keys", api(&name)), None).await?;
    Ok(created_once(&visit, &name, "Producer key", made.text("/key")))
}

/// Asks before a key is revoked.
pub(crate) async fn ask_revoke_key(
    visit: Visit,
    Path((name, prefix)): Path<(String, String)>,
) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let page =
        Page::new(&visit, Place::Pims, "Revoke a key").under(PIMS.0, PIMS.1).under(pim_page(&name), name.clone());
    let text =
        html! { "Revoke all keys that begin with " code { (prefix) } "? Producers that use them get 401 at once." };
    Ok(page.show(layout::confirm(&visit, text, "Revoke", &pim_page(&name))))
}

/// Revokes a key.
pub(crate) async fn revoke_key(
    visit: Visit,
    Path((name, prefix)): Path<(String, String)>,
    Form(_): Form,
) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    visit.ask(Method::DELETE, &format!("{}/keys/{}", api(&name), encoded(&prefix)), None).await?;
    Ok(done(&pim_page(&name), "revoked"))
}

/// Asks before a PIM is removed.
pub(crate) async fn ask_remove(visit: Visit, Path(name): Path<String>) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let page =
        Page::new(&visit, Place::Pims, "Remove a PIM").under(PIMS.0, PIMS.1).under(pim_page(&name), name.clone());
    let text =
        html! { "Remove " strong { (name) } "? Its keys, subscribers and subscriptions are revoked. This is final." };
    Ok(page.show(layout::confirm(&visit, text, "Remove", &pim_page(&name))))
}

/// Removes a PIM.
pub(crate) async fn remove(visit: Visit, Path(name): Path<String>, Form(_): Form) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    visit.ask(Method::DELETE, &api(&name), None).await?;
    Ok(done(PIMS.0, "removed"))
}
