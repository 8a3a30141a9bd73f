//! A suspension by the operator.

use axum::extract::Path;
use axum::response::Response;
use http::{Method, StatusCode};
use maud::html;
use serde_json::json;

use super::edit::shown_in_form;
use crate::answer::Fault;
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::encoded;
use crate::visit::{Problem, Visit};

fn page(visit: &Visit, reason: &str, faults: &[Fault], status: StatusCode) -> Response {
    let page = Page::new(visit, Place::Subscriptions, "Suspend a subscription").answered(status);
    page.under("/console/subscriptions", "Subscriptions").show(html! {
        form.wide method="post" {
            (layout::csrf(visit))
            (layout::faults(faults))
            div.field {
                label for="reason" { "Reason" }
                input id="reason" name="reason" value=(reason) maxlength="500" required aria-describedby="reason-help";
                p.help id="reason-help" { "One line. The owner is notified with it, and can resume the subscription." }
            }
            p.buttons { button.danger { "Suspend" } " " a href="/console/subscriptions" { "Cancel" } }
        }
    })
}

/// Asks for the reason.
pub(crate) async fn ask(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    Ok(page(&visit, "", &[], StatusCode::OK))
}

/// Suspends it.
pub(crate) async fn suspend(visit: Visit, Path(sid): Path<String>, Form(form): Form) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    let reason = form.get("reason");
    let path = format!("/api/v1/admin/subscriptions/{}/suspend", encoded(&sid));
    match visit.ask(Method::POST, &path, Some(&json!({"reason": reason}))).await {
        Ok(_) => Ok(done("/console/subscriptions?status=suspended", "suspended")),
        Err(refused) => {
            let refused = shown_in_form(refused)?;
            Ok(page(&visit, reason, &refused.faults, refused.status))
        }
    }
}
