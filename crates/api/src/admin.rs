//! The operator's API, `/api/v1/admin`, with a key of its own: PIMs and their keys, clients' permissions and
//! re-admission, subscriptions across tenants, statistics.

pub(crate) mod clients;
pub(crate) mod keys;
pub(crate) mod pims;
pub(crate) mod statistics;
pub(crate) mod subscriptions;
pub(crate) mod tokens;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ClientId;
use domain::credential::check_client_id;
use domain::pim::Pim;
use domain::subscriber::Owner;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use wire::Fault;
use wire::fault::code;

use crate::Api;
use crate::auth::operator::key_sent;
use crate::body::{self, Whole};
use crate::management::{Sent, check_media_type};
use crate::refusal::{Refusal, because};

/// Lets the operator in, with the [`Sent`] body.
pub(crate) async fn admit(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let bounds = api.settings.server;
    let (mut parts, unread) = request.into_parts();
    if let Err(refusal) = is_operator(&api, &parts.headers) {
        body::discard(&parts.headers, unread, bounds.management_body).await;
        return refusal.into_response();
    }
    let room = api.bodies.of_operator();
    let read = body::read(&parts.headers, unread, bounds.management_body, bounds.body_timeout, room).await;
    match read.and_then(|sent| check_media_type(&parts.method, &parts.headers, &sent.bytes).map(|()| sent)) {
        Ok(Whole { bytes, held }) => {
            parts.extensions.insert(Sent::of(bytes));
            let response = next.run(Request::from_parts(parts, axum::body::Body::empty())).await;
            drop(held);
            response
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn is_operator(api: &Api, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(known) = &api.settings.operator_key else {
        return Err(Refusal::new(
            because::OPERATOR_API_OFF,
            "the operator's API is switched off; the setting `api.operator_key` switches it on",
        ));
    };
    match key_sent(headers) {
        Some(key) if known.is(key) => Ok(()),
        Some(_) => Err(Refusal::new(because::INVALID_OPERATOR_KEY, "this is not the operator's key")),
        None => Err(Refusal::new(
            because::MISSING_OPERATOR_KEY,
            "send the operator's key, once: `Authorization: Bearer <operator key>`",
        )),
    }
}

/// The answer in JSON.
fn answer(status: StatusCode, value: &impl Serialize) -> Result<Response, Refusal> {
    let text = serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer to the operator could not be written as JSON");
        Refusal::new(because::INTERNAL_ERROR, "the answer could not be written")
    })?;
    Ok(body::json(status, text))
}

fn no_random_numbers() -> Refusal {
    tracing::error!("the system gives no random numbers");
    Refusal::new(because::INTERNAL_ERROR, "the system gives no random numbers; nothing was made")
}

/// Items of a page of a list.
const PAGE: usize = 100;

fn at(field: &str, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::invalid(vec![Fault::at(field, code, message.into())])
}

/// The client that a path names, known to its PIM or not. One that no request can name is refused: what is said of it
/// could never matter.
fn owner_of(pim: &Pim, client_id: String) -> Result<Owner, Refusal> {
    match check_client_id(&client_id) {
        Ok(()) => Ok(Owner { pim: pim.id, client_id: ClientId(client_id) }),
        Err(problem) => Err(at("client_id", code::INVALID_VALUE, format!("the client id {problem}"))),
    }
}

/// The PIM with this name. Read now, not from memory: the operator has just changed it, perhaps.
async fn pim_named(api: &Api, name: &str) -> Result<Pim, Refusal> {
    api.store().pim_named(name).await?.ok_or_else(|| Refusal::not_found("PIM"))
}
