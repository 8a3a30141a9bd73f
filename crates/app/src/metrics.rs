//! Prometheus metrics: their list ([`families`]), collection and formatting, and the listener for scrapers.
//!
//! The crates count for themselves and know nothing of Prometheus. A scrape reads their counters and sends the engine
//! and the store a few bounded queries; the response is cached for one second.

mod families;
mod gather;
mod process;
mod server;
mod sheet;

#[cfg(test)]
mod reference_page;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{MetricsPage, Page};
use async_trait::async_trait;
use tokio::sync::Mutex;

pub(crate) use gather::Sources;
pub(crate) use server::listen;

/// Lifetime of a cached response: several or impatient scrapers cost no more than one.
const FRESH: Duration = Duration::from_secs(1);

/// All metrics.
pub(crate) struct Metrics {
    sources: Sources,
    /// Latest responses, by whether they are in the OpenMetrics format. Concurrent requests wait for one in
    /// preparation.
    latest: Mutex<HashMap<bool, (Instant, Page)>>,
}

impl Metrics {
    /// Creates metrics of these sources.
    pub(crate) fn new(sources: Sources) -> Arc<Metrics> {
        Arc::new(Metrics { sources, latest: Mutex::default() })
    }
}

#[async_trait]
impl MetricsPage for Metrics {
    async fn page(&self, accept: Option<&str>) -> Page {
        let open_metrics = sheet::is_open_metrics(accept);
        let mut latest = self.latest.lock().await;
        if let Some((made, page)) = latest.get(&open_metrics)
            && made.elapsed() < FRESH
        {
            return page.clone();
        }
        let (content_type, text) = gather::gather(&self.sources).await.write(open_metrics);
        let page = Page { content_type, text: text.into() };
        latest.insert(open_metrics, (Instant::now(), page.clone()));
        page
    }
}
