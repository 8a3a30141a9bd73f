//! OpenTelemetry traces of events: the list of spans ([`spans`]), where they are sent ([`plan`]), how they are built
//! ([`tracer`]) and exported ([`export`]).
//!
//! The crates know nothing of OpenTelemetry: the store's users and the engine report events to an observer, implemented
//! here.

mod export;
mod plan;
mod spans;
mod tracer;

#[cfg(test)]
mod reference_page;

use std::sync::Arc;

use domain::Clock;
use meter::Counters;
use sinks::client::HttpClient;
use store::NodeId;

use export::Export;
pub(crate) use export::Fate;
#[cfg(test)]
pub(crate) use export::STOP_AT_MOST;
use plan::Plan;
pub(crate) use tracer::Tracer;

use crate::config::settings::Traces as Settings;
use crate::failure::{Exit, Failure};

/// Traces, or none.
pub(crate) struct Traces {
    tracer: Option<Arc<Tracer>>,
    export: Option<Export>,
    /// Counters of span results.
    pub(crate) fates: Arc<Counters<Fate>>,
}

impl Traces {
    /// Starts tracing as configured by settings and environment. `client` must be able to reach any host the operator
    /// names.
    pub(crate) fn start(
        settings: &Settings,
        node: NodeId,
        client: HttpClient,
        clock: Clock,
    ) -> Result<Traces, Failure> {
        let fates = Arc::new(Counters::default());
        let (plan, warnings) = Plan::of(settings, |name| std::env::var(name).ok());
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let Some(plan) = plan else { return Ok(Traces { tracer: None, export: None, fates }) };
        tracing::info!(endpoint = plan.endpoint, "tracing events");
        let (spans, export) = Export::start(&plan, node, client, Arc::clone(&fates)).map_err(|error| {
            Failure::new(Exit::Configuration, error).hint("`traces.endpoint` is a URL such as http://127.0.0.1:4318")
        })?;
        let tracer = Tracer::new(plan.sampling, plan.propagate, spans, clock);
        Ok(Traces { tracer: Some(Arc::new(tracer)), export: Some(export), fates })
    }

    /// The tracer, if enabled.
    pub(crate) fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.tracer.as_ref()
    }

    /// Sends the last spans.
    pub(crate) async fn stop(self) {
        if let Some(export) = self.export {
            export.stop().await;
        }
    }
}
