//! PIMs and their clients, for the operator.

use axum::extract::Path;
use axum::response::Response;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::edit::shown_in_form;
use super::operated;
use super::pim::{client_page, created_once, pim_page};
use crate::answer::{Fault, Look};
use crate::fields::{self, Field, Filled, created, inputs, rest};
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::{Pairs, encoded};
use crate::table::{self, cursor_links};
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words;

const PATH: &str = "/console/pims";

/// The list.
pub(crate) async fn list(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let query = visit.query().only(&["q", "after"]);
    let page = visit.get(&format!("/api/v1/admin/pims{}", query.query())).await?;
    let next = page.present("/next").and_then(Value::as_str);
    Ok(Page::new(&visit, Place::Pims, "PIMs").show(html! {
        div.head {
            form.filters method="get" role="search" aria-label="Filter PIMs" {
                label { "Search " input type="search" name="q" value=(query.get("q")) placeholder="name or URL"; }
                button { "Filter" }
            }
            a.button.primary href="/console/pims/new" { "Add a PIM" }
        }
        @if page.list("/items").is_empty() && query.has("q") {
            (table::empty("No PIM matches.", html! { a href=(PATH) { "Show all" } }))
        } @else if page.list("/items").is_empty() {
            (table::empty("No PIM is registered.", html! {
                "A PIM sends events with a key. Add one here, with " code { "postrider pim add" }
                    ", or in the configuration file."
            }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Registered PIMs" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Name" } th scope="col" { "URL" } th scope="col" { "Last event" }
                            th scope="col" { "Token check" } th.number scope="col" { "Keys" }
                            th scope="col" { "Events API" } th scope="col" { "Registered" }
                        }
                    }
                    tbody { @for pim in page.list("/items") { (line(&visit, pim)) } }
                }
            }
        }
        (cursor_links(PATH, &query, "after", next))
    }))
}

fn line(visit: &Visit, pim: &Value) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href=(pim_page(pim.text("/name"))) { (pim.text("/name")) }
                @if !pim.text("/withdrawn_at").is_empty() { " " span.badge.bad { "withdrawn" } }
            }
            td { (pim.text("/url")) }
            td { (moment(pim.text("/last_event_at")))
                @if operated::is_silent(visit, pim) { " " span.badge.fair { "silent" } } }
            td {
                (pim.text("/token_check"))
                @if pim.flag("/trust_client_id") { " " span.badge.fair
                    title="Any token of this PIM can act as any of its clients" { "trusts client ids" } }
            }
            td.number { (pim.list("/keys").len()) }
            td { (bridge_state(pim)) }
            td { (moment(pim.text("/created_at"))) " by " (pim.text("/origin")) }
        }
    }
}

/// The state of the bridge in a word.
pub(super) fn bridge_state(pim: &Value) -> Markup {
    let Some(bridge) = pim.present("/bridge") else { return html! { span.none { "–" } } };
    let (verified, refused) = (bridge.text("/verified_at"), bridge.text("/refused_at"));
    html! {
        @if refused > verified { span.badge.bad { "refused" } }
        @else if verified.is_empty() { span.badge { "nothing yet" } }
        @else { span.badge.good { "works" } }
    }
}

async fn design(visit: &Visit) -> Result<Vec<Field>, Problem> {
    let description = visit.console.forms.description(visit).await?;
    let mut fields = fields::fields(&description, fields::schema(&description, "NewPim"), "", &[]);
    let first = ["name", "url", "token_check"];
    fields.sort_by_key(|field| first.iter().position(|name| *name == field.name).unwrap_or(first.len()));
    Ok(fields)
}

fn form_page(visit: &Visit, fields: &[Field], sent: Option<&Pairs>, faults: &[Fault], status: StatusCode) -> Response {
    let filled = Filled { stored: &Value::Null, sent, faults };
    Page::new(visit, Place::Pims, "Add a PIM").answered(status).under(PATH, "PIMs").show(html! {
        form.wide method="post" {
            (layout::csrf(visit))
            (layout::faults(&rest(fields, faults)))
            (inputs(fields, filled))
            p.buttons { button.primary { "Add" } " " a href=(PATH) { "Cancel" } }
        }
    })
}

/// The form for a new one.
pub(crate) async fn new(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    Ok(form_page(&visit, &design(&visit).await?, None, &[], StatusCode::OK))
}

/// Registers a PIM and shows its first key, once.
pub(crate) async fn create(visit: Visit, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let fields = design(&visit).await?;
    match visit.ask(Method::POST, "/api/v1/admin/pims", Some(&created(&fields, &form))).await {
        Ok(made) => Ok(created_once(&visit, made.text("/name"), "Producer key", made.text("/key"))),
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            Ok(form_page(&visit, &fields, Some(&form), &refused.faults, refused.status))
        }
    }
}

/// Name of a PIM, and id of one of its clients.
type Ids = Path<(String, String)>;

/// One client: permission, admission, tokens.
pub(crate) async fn client(visit: Visit, Path((name, client)): Ids) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    // There is no resource of a single client: `after` of the list begins behind a name, so the pages are searched.
    let record = find_client(&visit, &name, &client).await?;
    let tokens = visit.get(&format!("{}/tokens", api(&name, &client))).await?;
    let path = client_page(&name, &client);
    let permitted = record.as_ref().is_none_or(|record| record.flag("/permitted"));
    let revoked_at = record.as_ref().map_or("", |record| record.text("/revoked_at"));
    let page = Page::new(&visit, Place::Pims, &client).under(PATH, "PIMs").under(pim_page(&name), name.clone());
    Ok(page.show(html! {
        @if !revoked_at.is_empty() {
            div.notice.bad {
                p { "Removed from the PIM and locked out since " (moment(revoked_at)) "." }
                (layout::button(&visit, &format!("{path}/admission"), "Admit again", "primary"))
            }
        }
        section aria-labelledby="permission" {
            h2 id="permission" { "Permission" }
            p { @if permitted { "The client may use the platform." }
                @else { "The client may not use the platform: its active subscriptions were suspended." } }
            form.inline method="post" action={ (path) "/permission" } {
                (layout::csrf(&visit))
                @if permitted { input type="hidden" name="permitted" value="no"; button { "Withdraw" } }
                @else { input type="hidden" name="permitted" value="yes"; button.primary { "Grant" } }
            }
        }
        section aria-labelledby="tokens" {
            h2 id="tokens" { "Platform tokens" }
            p.help { "They authenticate the client without asking its PIM." }
            @if tokens.list("/items").is_empty() { (table::empty("None.", html! {
                "Issue one if the PIM's own tokens don't identify the client." })) }
            ul.plain {
                @for token in tokens.list("/items") {
                    li {
                        code { (token.text("/prefix")) "…" } " since " (moment(token.text("/created_at"))) " "
                        (layout::button(&visit, &format!("{path}/tokens/{}/revoke", encoded(token.text("/prefix"))),
                            "Revoke", "danger"))
                    }
                }
            }
            (layout::button(&visit, &format!("{path}/tokens"), "Issue a token", ""))
        }
        p { a href={ "/console/subscriptions?pim=" (encoded(&name)) "&client_id=" (encoded(&client)) }
            { "Subscriptions of this client" } }
    }))
}

fn api(name: &str, client: &str) -> String {
    format!("/api/v1/admin/pims/{}/clients/{}", encoded(name), encoded(client))
}

/// The record of a client; `None` if it has none yet. A PIM's pages hold 100 clients each.
async fn find_client(visit: &Visit, name: &str, client: &str) -> Result<Option<Value>, Problem> {
    const MOST_PAGES: usize = 20;
    let mut query = Pairs::default().with("pim", name);
    for _ in 0..MOST_PAGES {
        let page = visit.get(&format!("/api/v1/admin/clients{}", query.query())).await?;
        if let Some(found) = page.list("/items").iter().find(|one| one.text("/client_id") == client) {
            return Ok(Some(found.clone()));
        }
        match page.present("/next").and_then(Value::as_str) {
            Some(next) => query = query.with("after", next),
            None => break,
        }
    }
    Ok(None)
}

/// Grants or withdraws the permission.
pub(crate) async fn permission(visit: Visit, Path((name, client)): Ids, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let permitted = form.get("permitted") == "yes";
    let path = format!("/api/v1/admin/clients/{}/permission", encoded(&client));
    visit.ask(Method::POST, &path, Some(&json!({"pim": name, "permitted": permitted}))).await?;
    Ok(done(&client_page(&name, &client), if permitted { "permitted" } else { "forbidden" }))
}

/// Admits a removed client again.
pub(crate) async fn admission(visit: Visit, Path((name, client)): Ids, Form(_): Form) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let path = format!("/api/v1/admin/clients/{}/admission", encoded(&client));
    visit.ask(Method::POST, &path, Some(&json!({"pim": name}))).await?;
    Ok(done(&client_page(&name, &client), "admitted"))
}

/// Issues a platform token and shows it, once.
pub(crate) async fn add_token(visit: Visit, Path((name, client)): Ids, Form(_): Form) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let made = visit.ask(Method::POST, &format!("{}/tokens", api(&name, &client)), None).await?;
    Ok(created_once(&visit, &name, &format!("Platform token of {client}"), made.text("/token")))
}

/// Revokes a platform token.
pub(crate) async fn revoke_token(
    visit: Visit,
    Path((name, client, prefix)): Path<(String, String, String)>,
    Form(_): Form,
) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let path = format!("{}/tokens/{}", api(&name, &client), encoded(&prefix));
    visit.ask(Method::DELETE, &path, None).await?;
    Ok(done(&client_page(&name, &client), "revoked"))
}

/// A client in a list.
pub(super) fn client_line(name: &str, client: &Value) -> Markup {
    let id = client.text("/client_id");
    html! {
        tr {
            th scope="row" { a href=(client_page(name, id)) { (id) } }
            td { @if client.flag("/permitted") { "permitted" } @else { (words::badge("suspended")) " no permission" } }
            td { @if client.text("/revoked_at").is_empty() { span.none { "–" } }
                @else { "removed " (moment(client.text("/revoked_at"))) } }
        }
    }
}
