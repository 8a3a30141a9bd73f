//! The operator API, `/api/v1/admin`, with a key of its own: PIMs and their keys, client permissions and re-admission,
//! subscriptions across tenants, nodes, statistics.

pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod keys;
pub(crate) mod pims;
pub(crate) mod statistics;
pub(crate) mod subscriptions;
pub(crate) mod tokens;
pub(crate) mod traffic;

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

/// Authenticates the operator and reads the [`Sent`] body.
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
            "the operator API is disabled; enable it with the setting `api.operator_key`",
        ));
    };
    match key_sent(headers) {
        Some(key) if known.is(key) => Ok(()),
        Some(_) => Err(Refusal::new(because::INVALID_OPERATOR_KEY, "invalid operator key")),
        None => Err(Refusal::new(
            because::MISSING_OPERATOR_KEY,
            "send the operator key exactly once, as `Authorization: Bearer <operator key>`",
        )),
    }
}

/// A JSON response.
fn answer(status: StatusCode, value: &impl Serialize) -> Result<Response, Refusal> {
    let text = serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "could not serialise a response to the operator");
        Refusal::new(because::INTERNAL_ERROR, "could not write the response")
    })?;
    Ok(body::json(status, text))
}

fn no_random_numbers() -> Refusal {
    tracing::error!("the system provides no random numbers");
    Refusal::new(because::INTERNAL_ERROR, "the system provides no random numbers; nothing was created")
}

/// Items per page of a list.
const PAGE: usize = 100;

fn at(field: &str, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::invalid(vec![Fault::at(field, code, message.into())])
}

/// The client named in a path, known to its PIM or not. Ids that no request can carry are rejected, because they could
/// never have an effect.
fn owner_of(pim: &Pim, client_id: String) -> Result<Owner, Refusal> {
    match check_client_id(&client_id) {
        Ok(()) => Ok(Owner { pim: pim.id, client_id: ClientId(client_id) }),
        Err(problem) => Err(at("client_id", code::INVALID_VALUE, format!("the client id {problem}"))),
    }
}

/// The PIM with this name. Read from the store, because the operator may just have changed it.
async fn pim_named(api: &Api, name: &str) -> Result<Pim, Refusal> {
    api.store().pim_named(name).await?.ok_or_else(|| Refusal::not_found("PIM"))
}
