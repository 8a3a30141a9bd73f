//! Creating and editing a subscription, with the fields that the API describes.

use axum::extract::Path;
use axum::response::Response;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{Ids, destination, page_of, path_of};
use crate::answer::{Fault, Look, Refused};
use crate::fields::{self, Field, Filled, changes, created, destination_types, inputs, rest, summary};
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::{Pairs, encoded};
use crate::visit::{Problem, Visit};

/// Fields of every type of destination, in the order of the form.
const ORDER: [&str; 5] = ["config", "events", "filter", "send_product_identifier", "options"];

/// A form for a type of destination.
struct Design {
    /// All types.
    types: Vec<String>,
    /// The type of this form.
    of_type: String,
    fields: Vec<Field>,
}

impl Design {
    async fn new(visit: &Visit, wanted: &str) -> Result<Design, Problem> {
        let description = visit.console.forms.description(visit).await?;
        let types = destination_types(&description);
        // The first type of the description's own list is the usual one.
        let usual = fields::schema(&description, "NewSubscription").text("/oneOf/0/$ref").to_owned();
        let is_usual = |schema: &Value| fields::schema(&description, usual.rsplit('/').next().unwrap_or("")) == schema;
        let chosen = types.iter().find(|(name, _)| *name == wanted);
        let chosen = chosen.or_else(|| types.iter().find(|(_, schema)| is_usual(schema))).or(types.first());
        let (name, schema) = chosen.ok_or(Problem::Unavailable)?;
        let mut fields = fields::fields(&description, schema, "", &["source", "subject"]);
        fields.sort_by_key(|field| ORDER.iter().position(|name| *name == field.name).unwrap_or(ORDER.len()));
        Ok(Design {
            types: types.iter().map(|(name, _)| (*name).to_owned()).collect(),
            of_type: (*name).to_owned(),
            fields,
        })
    }

    /// Links to the forms of the other types; no form of HTML can change its fields without a script.
    fn choice(&self, path: &str) -> Markup {
        html! {
            nav.tabs aria-label="Type of destination" {
                @for name in &self.types {
                    a href={ (path) "?type=" (encoded(name)) }
                        aria-current=[(*name == self.of_type).then_some("true")] {
                        (name)
                    }
                }
            }
        }
    }

    fn form(&self, visit: &Visit, filled: Filled<'_>, label: &str, back: &str) -> Markup {
        html! {
            form.wide method="post" action={ (visit.path()) "?type=" (encoded(&self.of_type)) } {
                (layout::csrf(visit))
                (summary(&self.fields, filled.faults))
                (layout::faults(&rest(&self.fields, filled.faults)))
                (inputs(&self.fields, filled))
                p.buttons { button.primary { (label) } " " a href=(back) { "Cancel" } }
            }
        }
    }
}

/// The form for a new one.
pub(crate) async fn new(visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let design = Design::new(&visit, visit.query().get("type")).await?;
    new_page(&visit, &id, &design, None, &[], StatusCode::OK).await
}

async fn new_page(
    visit: &Visit,
    id: &str,
    design: &Design,
    sent: Option<&Pairs>,
    faults: &[Fault],
    status: StatusCode,
) -> Result<Response, Problem> {
    let subscriber = visit.get(&format!("/api/v1/subscribers/{}", encoded(id))).await?;
    let back = format!("/console/subscribers/{}", encoded(id));
    let filled = Filled { stored: &Value::Null, sent, faults };
    let page = Page::new(visit, Place::Subscriptions, "New subscription").answered(status);
    let page = page.under("/console/subscriptions", "Subscriptions").under(back.clone(), subscriber.text("/name"));
    Ok(page.show(html! {
        (design.choice(visit.path()))
        (design.form(visit, filled, "Create", &back))
    }))
}

/// Creates one.
pub(crate) async fn create(visit: Visit, Path(id): Path<String>, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let design = Design::new(&visit, visit.query().get("type")).await?;
    let mut body = created(&design.fields, &form);
    body["type"] = json!(design.of_type);
    let path = format!("/api/v1/subscribers/{}/subscriptions", encoded(&id));
    match visit.ask(Method::POST, &path, Some(&body)).await {
        Ok(subscription) => Ok(done(&page_of(&subscription), "created")),
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            new_page(&visit, &id, &design, Some(&form), &refused.faults, refused.status).await
        }
    }
}

/// A refusal that the form shows; others are pages of their own.
pub(super) fn shown_in_form(refused: Refused) -> Result<Refused, Problem> {
    match refused.status {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
            Ok(refused)
        }
        _ => Err(refused.into()),
    }
}

/// The form for an existing one.
pub(crate) async fn edit(visit: Visit, Path(ids): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let subscription = visit.get(&format!("/api/v1{}", path_of(&ids.0, &ids.1))).await?;
    let design = design_for(&visit, &subscription).await?;
    Ok(edit_page(&visit, &subscription, &design, None, &[], StatusCode::OK))
}

/// The form of the type in the query, or else of the subscription's type.
async fn design_for(visit: &Visit, subscription: &Value) -> Result<Design, Problem> {
    let wanted = visit.query().get("type");
    Design::new(visit, if wanted.is_empty() { subscription.text("/type") } else { wanted }).await
}

/// What the form is filled with: with another type of destination, the configuration begins anew.
fn stored_for(design: &Design, subscription: &Value) -> Value {
    let mut stored = subscription.clone();
    if subscription.text("/type") != design.of_type
        && let Some(members) = stored.as_object_mut()
    {
        members.remove("config");
    }
    stored
}

fn edit_page(
    visit: &Visit,
    subscription: &Value,
    design: &Design,
    sent: Option<&Pairs>,
    faults: &[Fault],
    status: StatusCode,
) -> Response {
    let path = page_of(subscription);
    let stored = stored_for(design, subscription);
    let filled = Filled { stored: &stored, sent, faults };
    let page = Page::new(visit, Place::Subscriptions, "Edit").answered(status);
    page.under("/console/subscriptions", "Subscriptions").under(path.clone(), destination(subscription)).show(html! {
        (design.choice(visit.path()))
        @if subscription.text("/type") != design.of_type {
            p.notice { "The subscription moves to another type of destination. Its backlog goes there, too." }
        }
        (design.form(visit, filled, "Save", &path))
    })
}

/// Saves the changed fields.
pub(crate) async fn update(visit: Visit, Path(ids): Ids, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let api = format!("/api/v1{}", path_of(&ids.0, &ids.1));
    let subscription = visit.get(&api).await?;
    let design = design_for(&visit, &subscription).await?;
    let stored = stored_for(&design, &subscription);
    let mut patch = changes(&design.fields, &form, &stored);
    if subscription.text("/type") != design.of_type {
        patch["type"] = json!(design.of_type);
        // With another type, the configuration is complete.
        patch["config"] = created(&design.fields, &form)["config"].clone();
    }
    match visit.ask(Method::PATCH, &api, Some(&patch)).await {
        Ok(_) => Ok(done(&page_of(&subscription), "saved")),
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            Ok(edit_page(&visit, &subscription, &design, Some(&form), &refused.faults, refused.status))
        }
    }
}
