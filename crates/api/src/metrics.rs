//! `/metrics`, with the metrics key or the operator key.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

use crate::Api;
use crate::auth::operator::{OperatorKey, key_sent};
use crate::description::operation::{Operation, Shown};
use crate::refusal::{Refusal, because};

/// Formats metrics.
#[async_trait]
pub trait MetricsPage: Send + Sync + 'static {
    /// The metrics, in a format that matches the request's `Accept` header.
    async fn page(&self, accept: Option<&str>) -> Page;
}

/// Formatted metrics.
#[derive(Clone, Debug)]
pub struct Page {
    /// Media type.
    pub content_type: &'static str,
    /// The text.
    pub text: Bytes,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, self.content_type)], self.text).into_response()
    }
}

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showMetrics",
        "Metrics",
        "In the Prometheus text format or as OpenMetrics, depending on `Accept`. The setting `metrics.listen` serves \
         them on a \
         separate address.",
    )
    .answers_with(200, "The current metrics.", Some(("text/plain", Shown::Text)))
    .answers_with(200, "", Some(("application/openmetrics-text", Shown::Text)))
    .refuses(&[because::METRICS_OFF])
}

/// The metrics, for authorised callers.
pub(crate) async fn show(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Page, Refusal> {
    let keys: Vec<&OperatorKey> =
        [&api.settings.metrics_key, &api.settings.operator_key].into_iter().flatten().collect();
    let (Some(metrics), false) = (&api.metrics, keys.is_empty()) else {
        return Err(Refusal::new(
            because::METRICS_OFF,
            "metrics are not served here; enable them with the setting `metrics.key`, or with `metrics.listen` on a \
             separate address",
        ));
    };
    match key_sent(&headers) {
        Some(sent) if keys.iter().any(|key| key.is(sent)) => {}
        Some(_) => return Err(Refusal::new(because::INVALID_METRICS_KEY, "invalid metrics key")),
        None => {
            return Err(Refusal::new(
                because::MISSING_METRICS_KEY,
                "send the metrics key exactly once, as `Authorization: Bearer <key>`",
            ));
        }
    }
    Ok(metrics.page(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok())).await)
}
