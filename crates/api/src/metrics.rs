//! `/metrics`: what is measured, for whoever has the key for it or the operator's.

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

/// Writes down what is measured.
#[async_trait]
pub trait MetricsPage: Send + Sync + 'static {
    /// The page, in a format that suits the `Accept` header of the request.
    async fn page(&self, accept: Option<&str>) -> Page;
}

/// What is measured, as text.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its media type.
    pub content_type: &'static str,
    /// The text.
    pub text: Bytes,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, self.content_type)], self.text).into_response()
    }
}

/// What it is for those who call it.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showMetrics",
        "Metrics",
        "What comes in, goes out, waits and fails: in the text format of Prometheus or as OpenMetrics, as `Accept` asks. The setting \
         `metrics.listen` serves them at an address of their own.",
    )
    .answers_with(200, "The metrics now.", Some(("text/plain", Shown::Text)))
    .answers_with(200, "", Some(("application/openmetrics-text", Shown::Text)))
    .refuses(&[because::METRICS_OFF])
}

/// The page, for those who may see it.
pub(crate) async fn show(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Page, Refusal> {
    let keys: Vec<&OperatorKey> =
        [&api.settings.metrics_key, &api.settings.operator_key].into_iter().flatten().collect();
    let (Some(metrics), false) = (&api.metrics, keys.is_empty()) else {
        return Err(Refusal::new(
            because::METRICS_OFF,
            "metrics are not served here; the setting `metrics.key` switches that on, and `metrics.listen` serves them at an address of their own",
        ));
    };
    match key_sent(&headers) {
        Some(sent) if keys.iter().any(|key| key.is(sent)) => {}
        Some(_) => return Err(Refusal::new(because::INVALID_METRICS_KEY, "this is not the key for metrics")),
        None => {
            return Err(Refusal::new(
                because::MISSING_METRICS_KEY,
                "send the key for metrics, once: `Authorization: Bearer <key>`",
            ));
        }
    }
    Ok(metrics.page(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok())).await)
}
