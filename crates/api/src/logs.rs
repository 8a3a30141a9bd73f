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
use crate::refusal::Refusal;

/// A page of the caller's own entries.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let request = LogRequest::parse(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let page = api.catalog().entries(&caller.owner, &request.query).await?;
    let own = || format!("{}/docs/errors", api.settings.public_url);
    let documentation = api.settings.documentation_url.clone().unwrap_or_else(own);
    Ok(json(StatusCode::OK, log_page::render(&page.entries, page.more, &request, &documentation)))
}
