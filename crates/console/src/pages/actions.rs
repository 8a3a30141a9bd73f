//! Actions on one subscription.

use axum::extract::Path;
use axum::response::Response;
use http::Method;
use maud::html;

use super::{Ids, destination, page_of, path_of, stopped};
use crate::answer::Look;
use crate::form::Form;
use crate::layout::{self, Page, Place, done};
use crate::query::Pairs;
use crate::visit::{Problem, Visit};

/// Suspends it.
pub(crate) async fn suspend(visit: Visit, Path((id, sid)): Ids, Form(_): Form) -> Result<Response, Problem> {
    let path = path_of(&id, &sid);
    visit.ask(Method::POST, &format!("/api/v1{path}/suspend"), None).await?;
    Ok(done(&format!("/console{path}"), "suspended"))
}

/// Resumes it.
pub(crate) async fn resume(visit: Visit, Path((id, sid)): Ids, Form(_): Form) -> Result<Response, Problem> {
    let path = path_of(&id, &sid);
    // Before: afterwards it may be one of an earlier time.
    let suspension = stopped::last_suspension(&visit, &sid).await;
    let resumed = visit.ask(Method::POST, &format!("/api/v1{path}/resume"), None).await?;
    let page = format!("/console{path}");
    if resumed.flag("/options/hold") {
        return Ok(done(&page, "resumed-held"));
    }
    let missed = Pairs::default()
        .with("missed_from", suspension.text("/timestamp"))
        .with("missed_to", resumed.text("/updated_at"));
    Ok(done(&format!("{page}{}", missed.query()), "resumed"))
}

/// Asks before it is deleted.
pub(crate) async fn ask_delete(visit: Visit, Path((id, sid)): Ids) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let subscription = visit.get(&format!("/api/v1{}", path_of(&id, &sid))).await?;
    let (path, name) = (page_of(&subscription), destination(&subscription));
    let page = Page::new(&visit, Place::Subscriptions, "Delete a subscription").under(path.clone(), name.clone());
    Ok(page.show(layout::confirm(
        &visit,
        html! { "Delete the subscription to " strong { (name) } "? Its backlog is dropped. This is final." },
        "Delete",
        &path,
    )))
}

/// Deletes it.
pub(crate) async fn delete(visit: Visit, Path((id, sid)): Ids, Form(_): Form) -> Result<Response, Problem> {
    visit.ask(Method::DELETE, &format!("/api/v1{}", path_of(&id, &sid)), None).await?;
    Ok(done("/console/subscriptions", "deleted"))
}
