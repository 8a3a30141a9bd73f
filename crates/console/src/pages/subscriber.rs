//! One subscriber: its contact and its subscriptions.

use axum::extract::Path;
use axum::response::Response;
use http::{Method, StatusCode};
use maud::html;
use serde_json::Value;

use super::edit::shown_in_form;
use super::{destination, page_of};
use crate::answer::{Fault, Look};
use crate::fields::{self, Field, Filled, changes, created, inputs, rest};
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::{Pairs, encoded};
use crate::table;
use crate::time::moment;
use crate::visit::{Problem, Visit};
use crate::words;

fn api(id: &str) -> String {
    format!("/api/v1/subscribers/{}", encoded(id))
}

fn page_path(id: &str) -> String {
    format!("/console/subscribers/{}", encoded(id))
}

async fn design(visit: &Visit) -> Result<Vec<Field>, Problem> {
    let description = visit.console.forms.description(visit).await?;
    Ok(fields::fields(&description, fields::schema(&description, "NewSubscriber"), "", &["subject"]))
}

/// The page.
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let subscriber = visit.get(&api(&id)).await?;
    let subscriptions = visit.get(&format!("{}/subscriptions", api(&id))).await?;
    let name = subscriber.text("/name");
    let path = page_path(&id);
    let contact = subscriber.get("contact").and_then(Value::as_object);
    Ok(Page::new(&visit, Place::Subscriptions, name).under("/console/subscriptions", "Subscriptions").show(html! {
        p.state { (words::badge(subscriber.text("/status"))) }
        div.actions role="group" aria-label="Actions" {
            @if visit.may_change() { a.button.primary href={ (path) "/subscriptions/new" } { "New subscription" } }
            @if visit.may_manage() {
                a.button href={ (path) "/edit" } { "Edit" }
                a.button.danger href={ (path) "/delete" } { "Delete" }
            }
            a.button href={ "/console/log?subscriber_id=" (encoded(&id)) } { "Log" }
        }
        section aria-labelledby="subscriptions" {
            h2 id="subscriptions" { "Subscriptions" }
            @if subscriptions.list("").is_empty() {
                (table::empty("No subscriptions yet.", html! { "A subscription sends events to one destination." }))
            }
            ul.plain {
                @for one in subscriptions.list("") {
                    li { a href=(page_of(one)) { (destination(one)) } " " (words::badge(one.text("/status"))) }
                }
            }
        }
        section aria-labelledby="contact" {
            h2 id="contact" { "Technical contact" }
            dl.settings {
                @for (name, value) in contact.into_iter().flatten() {
                    dt { (fields::label(name)) }
                    dd { (shown(value)) }
                }
                dt { "Id" } dd { code { (subscriber.text("/id")) } }
                dt { "Created" } dd { (moment(subscriber.text("/created_at"))) }
                dt { "Changed" } dd { (moment(subscriber.text("/updated_at"))) }
            }
        }
    }))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Null => "none".to_owned(),
        Value::Bool(set) => if *set { "on" } else { "off" }.to_owned(),
        other => other.to_string(),
    }
}

fn form_page(
    visit: &Visit,
    stored: &Value,
    fields: &[Field],
    sent: Option<&Pairs>,
    faults: &[Fault],
    status: StatusCode,
) -> Response {
    let is_new = stored.is_null();
    let back = if is_new { "/console/subscriptions".to_owned() } else { page_path(stored.text("/id")) };
    let title = if is_new { "New subscriber" } else { "Edit a subscriber" };
    let filled = Filled { stored, sent, faults };
    let mut page = Page::new(visit, Place::Subscriptions, title).answered(status);
    page = page.under("/console/subscriptions", "Subscriptions");
    if !is_new {
        page = page.under(back.clone(), stored.text("/name"));
    }
    page.show(html! {
        form.wide method="post" {
            (layout::csrf(visit))
            (layout::faults(&rest(fields, faults)))
            (inputs(fields, filled))
            p.buttons { button.primary { @if is_new { "Create" } @else { "Save" } } " " a href=(back) { "Cancel" } }
        }
    })
}

/// The form for a new one.
pub(crate) async fn new(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_client()?;
    Ok(form_page(&visit, &Value::Null, &design(&visit).await?, None, &[], StatusCode::OK))
}

/// Creates one.
pub(crate) async fn create(visit: Visit, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let fields = design(&visit).await?;
    match visit.ask(Method::POST, "/api/v1/subscribers", Some(&created(&fields, &form))).await {
        Ok(made) => Ok(done(&page_path(made.text("/id")), "created")),
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            Ok(form_page(&visit, &Value::Null, &fields, Some(&form), &refused.faults, refused.status))
        }
    }
}

/// The form for an existing one.
pub(crate) async fn edit(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let stored = visit.get(&api(&id)).await?;
    Ok(form_page(&visit, &stored, &design(&visit).await?, None, &[], StatusCode::OK))
}

/// Saves the changed fields.
pub(crate) async fn update(visit: Visit, Path(id): Path<String>, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let stored = visit.get(&api(&id)).await?;
    let fields = design(&visit).await?;
    match visit.ask(Method::PATCH, &api(&id), Some(&changes(&fields, &form, &stored))).await {
        Ok(_) => Ok(done(&page_path(&id), "saved")),
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            Ok(form_page(&visit, &stored, &fields, Some(&form), &refused.faults, refused.status))
        }
    }
}

/// Asks before it is deleted.
pub(crate) async fn ask_delete(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let subscriber = visit.get(&api(&id)).await?;
    let name = subscriber.text("/name");
    let page = Page::new(&visit, Place::Subscriptions, "Delete a subscriber").under(page_path(&id), name);
    Ok(page.show(layout::confirm(
        &visit,
        html! { "Delete the subscriber " strong { (name) } " with all its subscriptions? This is final." },
        "Delete",
        &page_path(&id),
    )))
}

/// Deletes it.
pub(crate) async fn delete(visit: Visit, Path(id): Path<String>, Form(_): Form) -> Result<Response, Problem> {
    visit.ask(Method::DELETE, &api(&id), None).await?;
    Ok(done("/console/subscriptions", "deleted"))
}
