//! `GET /api/v1/logs`

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use wire::api::log_page;
use wire::api::log_query::LogRequest;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::refusal::Refusal;
use wire::api::QUERY_FAULTS;
use wire::api::log_query::PARAMETERS;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "listLogs",
        "Read the log",
        "Changes of the caller's subscribers and subscriptions, failed deliveries and rejected requests, kept for 30 \
         days. \
         Identical errors within 5 minutes are merged into one entry.",
    )
    .query(PARAMETERS)
    .answers(200, "A page of entries.", Shown::One("LogPage"))
    .invalid(QUERY_FAULTS)
}

/// A page of the caller's own entries.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut request = LogRequest::parse(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    if let Some(only) = caller.only()
        && request.query.subscriber_id.replace(only).is_some_and(|asked| asked != only)
    {
        return Err(Refusal::not_found("subscriber"));
    }
    let page = api.store().entries(&caller.owner, &request.query).await?;
    let own = || format!("{}/docs/errors", api.settings.public_url);
    let documentation = api.settings.documentation_url.clone().unwrap_or_else(own);
    Ok(json(StatusCode::OK, log_page::render(&page.entries, page.more, &request, &documentation)))
}
