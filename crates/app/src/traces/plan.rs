//! Destination of traces: from the settings, or else from OpenTelemetry's own environment variables.

use std::time::Duration;

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};

use crate::config::settings::Traces;

/// Maximum number of queued spans, about 1 KB each, unless `OTEL_BSP_MAX_QUEUE_SIZE` is set.
const QUEUE: usize = 8192;
/// Maximum number of spans per request, unless `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` is set.
const BATCH: usize = 1024;
/// Time to collect spans, unless `OTEL_BSP_SCHEDULE_DELAY` is set.
const DELAY: Duration = Duration::from_secs(1);
/// Time limit of the collector, unless `OTEL_EXPORTER_OTLP_TIMEOUT` is set.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Destination and sampling of traces.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The complete URL.
    pub(super) endpoint: String,
    /// `service.name`, unless the environment sets it.
    pub(super) service_name: Option<String>,
    pub(super) sampling: Sampling,
    pub(super) propagate: bool,
    pub(super) queue: usize,
    pub(super) batch: usize,
    pub(super) delay: Duration,
    pub(super) timeout: Duration,
}

impl Plan {
    /// The plan from settings and environment; `None`: no traces. Also returns warnings about invalid variables.
    pub(crate) fn of(settings: &Traces, variable: impl Fn(&str) -> Option<String>) -> (Option<Plan>, Vec<String>) {
        let mut warnings = Vec::new();
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is = |name: &str, value: &str| variable(name).is_some_and(|found| found.trim().eq_ignore_ascii_case(value));
        let base = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
        let endpoint = match &settings.endpoint {
            Some(url) => Some(base(&url.0)),
            None if is("OTEL_TRACES_EXPORTER", "none") => None,
            None => variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
                .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(|url| base(&url))),
        };
        let Some(endpoint) = endpoint.filter(|_| !is("OTEL_SDK_DISABLED", "true")) else { return (None, warnings) };
        let protocol =
            variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"));
        if let Some(protocol) = protocol.filter(|protocol| protocol != "http/protobuf")
            && settings.endpoint.is_none()
        {
            warnings.push(format!(
                "no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL requests {protocol}, but the platform only supports \
                 http/protobuf, \
                 which collectors accept on port 4318"
            ));
            return (None, warnings);
        }
        let sampling = match settings.sample {
            Some(share) => Sampling::share(share.0),
            None => Sampling::of_environment(&variable, &mut warnings),
        };
        let named = || {
            let attributes = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
            variable("OTEL_SERVICE_NAME").is_some()
                || attributes.split(',').any(|pair| pair.trim().starts_with("service.name="))
        };
        let service_name = match &settings.service_name {
            Some(name) => Some(name.clone()),
            None => (!named()).then(|| "postrider".to_owned()),
        };
        let mut count = |name: &str, usual: usize| read(&variable, name, usual as u64, &mut warnings) as usize;
        let queue = count("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE);
        let batch = count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH).min(queue);
        let mut millis = |name: &str, usual: Duration| {
            Duration::from_millis(read(&variable, name, usual.as_millis() as u64, &mut warnings))
        };
        let delay = millis("OTEL_BSP_SCHEDULE_DELAY", DELAY);
        let timeout = millis("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT);
        let timeout = millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", timeout);
        let propagate = settings.propagate;
        (Some(Plan { endpoint, service_name, sampling, propagate, queue, batch, delay, timeout }), warnings)
    }
}

/// A number above 0.
fn read(variable: &impl Fn(&str) -> Option<String>, name: &str, usual: u64, warnings: &mut Vec<String>) -> u64 {
    let Some(text) = variable(name) else { return usual };
    match text.trim().parse() {
        Ok(number) if number > 0 => number,
        Ok(_) | Err(_) => {
            warnings.push(format!("{name} is {text:?} but must be a whole number above 0; using {usual}"));
            usual
        }
    }
}

/// Sampling of events. It is decided per trace, so that a trace is recorded completely or not at all.
#[derive(Debug)]
pub(super) struct Sampling {
    /// Whether a producer's decision takes precedence.
    parent_based: bool,
    root: Sampler,
}

impl Sampling {
    /// Whether the trace is recorded; `parent` is the producer's decision.
    pub(super) fn takes(&self, parent: Option<bool>, trace: [u8; 16]) -> bool {
        match parent.filter(|_| self.parent_based) {
            Some(sampled) => sampled,
            None => {
                let trace = TraceId::from_bytes(trace);
                let result = self.root.should_sample(None, trace, "", &SpanKind::Internal, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            }
        }
    }

    fn share(share: f64) -> Sampling {
        Sampling { parent_based: true, root: Sampler::TraceIdRatioBased(share) }
    }

    fn of_environment(variable: &impl Fn(&str) -> Option<String>, warnings: &mut Vec<String>) -> Sampling {
        let name = variable("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
        let (parent_based, root) = match name.trim().strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name.trim()),
        };
        let root = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => {
                let text = variable("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".to_owned());
                let share = text.trim().parse().ok().filter(|share| (0.0..=1.0).contains(share));
                if share.is_none() {
                    warnings.push(format!(
                        "OTEL_TRACES_SAMPLER_ARG is {text:?} but must be a number from 0 to 1; tracing all events"
                    ));
                }
                Sampler::TraceIdRatioBased(share.unwrap_or(1.0))
            }
            _ => {
                warnings.push(format!("unknown OTEL_TRACES_SAMPLER {name:?}; tracing all events"));
                return Sampling { parent_based: true, root: Sampler::AlwaysOn };
            }
        };
        Sampling { parent_based, root }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BaseUrl, Share};

    fn plan(settings: &Traces, environment: &[(&str, &str)]) -> (Option<Plan>, Vec<String>) {
        Plan::of(settings, |name| {
            environment.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn nothing() -> Traces {
        Traces { endpoint: None, sample: None, service_name: None, propagate: true }
    }

    fn endpoint(url: &str) -> Traces {
        Traces { endpoint: BaseUrl::parse(url), ..nothing() }
    }

    #[track_caller]
    fn check_endpoint(settings: &Traces, environment: &[(&str, &str)], expect: Option<&str>) {
        let (plan, _) = plan(settings, environment);
        assert_eq!(plan.map(|plan| plan.endpoint).as_deref(), expect, "{environment:?}");
    }

    #[test]
    fn traces_need_an_endpoint() {
        check_endpoint(&nothing(), &[], None);
        check_endpoint(&endpoint("http://c:4318"), &[], Some("http://c:4318/v1/traces"));
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://g:4318/");
        let special = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://s/my/path");
        check_endpoint(&nothing(), &[general], Some("http://g:4318/v1/traces"));
        check_endpoint(&nothing(), &[general, special], Some("http://s/my/path"));
        check_endpoint(&endpoint("http://c:4318"), &[general, special], Some("http://c:4318/v1/traces"));
        check_endpoint(&nothing(), &[general, ("OTEL_TRACES_EXPORTER", "none")], None);
        check_endpoint(&endpoint("http://c:4318"), &[("OTEL_SDK_DISABLED", "TRUE")], None);
        let (none, warnings) = plan(&nothing(), &[general, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert!(none.is_none() && warnings[0].contains("http/protobuf"), "{warnings:?}");
    }

    #[test]
    fn the_service_is_named_by_the_setting_else_by_the_environment() {
        let name =
            |settings: &Traces, environment: &[(&str, &str)]| plan(settings, environment).0.unwrap().service_name;
        let unnamed = endpoint("http://c");
        assert_eq!(name(&unnamed, &[]).as_deref(), Some("postrider"));
        assert_eq!(name(&unnamed, &[("OTEL_SERVICE_NAME", "x")]), None);
        assert_eq!(name(&unnamed, &[("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=x")]), None);
        let named = Traces { service_name: Some("mine".to_owned()), ..endpoint("http://c") };
        assert_eq!(name(&named, &[("OTEL_SERVICE_NAME", "x")]).as_deref(), Some("mine"));
    }

    /// Recorded: no parent, a recorded parent, an unrecorded parent; for traces with low and high ids.
    #[track_caller]
    fn check_sampling(settings: &Traces, environment: &[(&str, &str)], expect: [bool; 4]) {
        let (plan, _) = plan(settings, environment);
        let sampling = plan.unwrap().sampling;
        let (low, high) = ([0x01; 16], [0xff; 16]);
        let takes = [(None, low), (None, high), (Some(true), high), (Some(false), low)];
        assert_eq!(takes.map(|(parent, trace)| sampling.takes(parent, trace)), expect, "{environment:?}");
    }

    #[test]
    fn sampling_is_that_of_the_setting_else_that_of_the_environment() {
        let settings = endpoint("http://c");
        check_sampling(&settings, &[], [true, true, true, false]);
        let sampler = |name| ("OTEL_TRACES_SAMPLER", name);
        check_sampling(&settings, &[sampler("always_on")], [true; 4]);
        check_sampling(&settings, &[sampler("always_off")], [false; 4]);
        check_sampling(&settings, &[sampler("parentbased_always_off")], [false, false, true, false]);
        let half = ("OTEL_TRACES_SAMPLER_ARG", "0.5");
        check_sampling(&settings, &[sampler("traceidratio"), half], [true, false, false, true]);
        check_sampling(&settings, &[sampler("parentbased_traceidratio"), half], [true, false, true, false]);
        check_sampling(&settings, &[sampler("xray")], [true, true, true, false]);
        let set = Traces { sample: Some(Share(0.5)), ..endpoint("http://c") };
        check_sampling(&set, &[sampler("always_on")], [true, false, true, false]);
    }

    #[test]
    fn invalid_bounds_are_reported_and_ignored() {
        let (wanted, warnings) =
            plan(&endpoint("http://c"), &[("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")]);
        let wanted = wanted.unwrap();
        assert_eq!((wanted.queue, wanted.batch, wanted.timeout), (10, 10, TIMEOUT));
        assert!(warnings[0].contains("OTEL_EXPORTER_OTLP_TIMEOUT"), "{warnings:?}");
    }
}
