//! A suspension by the operator.

use axum::extract::Path;
use axum::response::Response;
use http::{Method, StatusCode};
use maud::html;
use serde_json::{Value, json};

use super::destination;
use super::edit::shown_in_form;
use super::operated::{of_whom, page_path};
use crate::answer::{Fault, Look};
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::encoded;
use crate::visit::{Problem, Visit};

async fn page(
    visit: &Visit,
    sid: &str,
    reason: &str,
    faults: &[Fault],
    status: StatusCode,
) -> Result<Response, Problem> {
    let found = visit.get(&format!("/api/v1/admin/subscriptions/{}", encoded(sid))).await?;
    let one = found.present("/subscription").unwrap_or(&Value::Null);
    let name = destination(one);
    let back = page_path(sid);
    let page = Page::new(visit, Place::Subscriptions, "Suspend").answered(status);
    Ok(page.under("/console/subscriptions", "Subscriptions").under(back.clone(), name.clone()).show(html! {
        p { "Suspends the delivery to " strong { (name) } " of " (of_whom(one)) "." }
        form.wide method="post" {
            (layout::csrf(visit))
            (layout::faults(faults))
            div.field {
                label for="reason" { "Reason" }
                input id="reason" name="reason" value=(reason) maxlength="500" required aria-describedby="reason-help";
                p.help id="reason-help" {
                    "One line. The owner is notified with it, and can resume the subscription. Its backlog is dropped, \
                     unless its option " code { "hold" } " is on; dropped events can be replayed while they are kept."
                }
            }
            p.buttons { button.danger { "Suspend" } " " a href=(back) { "Cancel" } }
        }
    }))
}

/// Asks for the reason.
pub(crate) async fn ask(visit: Visit, Path(sid): Path<String>) -> Result<Response, Problem> {
    visit.must_be_operator()?;
    page(&visit, &sid, "", &[], StatusCode::OK).await
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
            page(&visit, &sid, reason, &refused.faults, refused.status).await
        }
    }
}
