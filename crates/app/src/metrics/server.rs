//! The listener for scrapers: only `/metrics`, without authentication, for loopback or a private network.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::{MetricsPage, ServerBounds};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;

use super::Metrics;
use crate::failure::{Exit, Failure};

/// Scrapers are few.
const CONNECTIONS: usize = 16;

/// Starts listening; the returned future serves until `stop` completes.
pub(crate) async fn listen<S>(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: S,
) -> Result<(SocketAddr, impl Future<Output = ()> + use<S>), Failure>
where
    S: Future<Output = ()>,
{
    let cannot = |error: std::io::Error| {
        let error = anyhow::Error::from(error).context(format!("cannot listen on {address} for metrics"));
        Failure::new(Exit::Failed, error)
            .hint("choose another address with --metrics-listen; port 0 chooses a free port")
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let router = Router::new().route("/metrics", get(show)).fallback(not_found).with_state(metrics);
    let bounds = ServerBounds {
        connections: CONNECTIONS,
        header_timeout: Duration::from_secs(30),
        drain: Duration::from_secs(1),
        ..ServerBounds::default()
    };
    Ok((address, api::serve_router(listener, router, bounds, stop)))
}

async fn show(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    metrics.page(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok())).await.into_response()
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "not found; see /metrics\n")
}
