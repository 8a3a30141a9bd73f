//! A set of samples, and its output formats.

use std::fmt;

use meter::Measured;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::families::{FAMILIES, Family, Kind, Metric};

/// Media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Value of a metric.
#[derive(Clone, Debug)]
enum Value {
    Count(u64),
    Number(f64),
    Histogram(Measured),
}

#[derive(Clone, Debug)]
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

/// Samples of all metrics.
#[derive(Debug)]
pub(super) struct Sheet {
    /// In the order of [`FAMILIES`].
    samples: Vec<Vec<Sample>>,
}

impl Sheet {
    pub(super) fn new() -> Sheet {
        Sheet { samples: FAMILIES.iter().map(|_| Vec::new()).collect() }
    }

    /// Adds a whole number. Label values are in the order of the list.
    pub(super) fn count(&mut self, metric: Metric, labels: &[&str], count: u64) {
        self.put(metric, labels, Value::Count(count));
    }

    /// Adds a number.
    pub(super) fn number(&mut self, metric: Metric, labels: &[&str], number: f64) {
        self.put(metric, labels, Value::Number(number));
    }

    /// Adds a histogram.
    pub(super) fn histogram(&mut self, metric: Metric, labels: &[&str], measured: Measured) {
        self.put(metric, labels, Value::Histogram(measured));
    }

    fn put(&mut self, metric: Metric, labels: &[&str], value: Value) {
        let place = metric as usize;
        let names = FAMILIES.get(place).map_or(&[][..], |family| family.labels);
        debug_assert_eq!(names.len(), labels.len(), "{metric:?}");
        let labels = names.iter().copied().zip(labels.iter().map(|label| (*label).to_owned())).collect();
        if let Some(samples) = self.samples.get_mut(place) {
            samples.push(Sample { labels, value });
        }
    }

    /// Formats the samples as OpenMetrics or in the older text format; returns the media type as well.
    pub(super) fn write(self, open_metrics: bool) -> (&'static str, String) {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string cannot fail.
        if open_metrics {
            text::encode(&mut text, &registry).unwrap_or_default();
            (OPEN_METRICS, text)
        } else {
            prometheus_text::encode(&mut text, &registry).unwrap_or_default();
            (prometheus_text::CONTENT_TYPE, text)
        }
    }
}

/// Whether a client with this `Accept` supports OpenMetrics.
pub(super) fn is_open_metrics(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| accept.contains("application/openmetrics-text"))
}

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (family, samples) in FAMILIES.iter().zip(&self.samples) {
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind(family))?;
            for sample in samples {
                if family.kind == Kind::Info {
                    metric.encode_info(&sample.labels)?;
                } else if sample.labels.is_empty() {
                    encode(family, &sample.value, &mut metric)?;
                } else {
                    encode(family, &sample.value, &mut metric.encode_family(&sample.labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn kind(family: &Family) -> MetricType {
    match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
        Kind::Info => MetricType::Info,
    }
}

fn encode(family: &Family, value: &Value, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    match (family.kind, value) {
        (Kind::Counter, Value::Count(count)) => metric.encode_counter::<NoLabelSet, _, u64>(count, None),
        (Kind::Counter, Value::Number(number)) => metric.encode_counter::<NoLabelSet, _, f64>(number, None),
        // A double represents all whole numbers that occur.
        (Kind::Gauge, Value::Count(count)) => metric.encode_gauge(&(*count as f64)),
        (Kind::Gauge, Value::Number(number)) => metric.encode_gauge(number),
        (Kind::Histogram, Value::Histogram(measured)) => {
            metric.encode_histogram::<NoLabelSet>(measured.sum, measured.count, &measured.buckets, None)
        }
        (Kind::Info, _) | (_, Value::Histogram(_)) | (Kind::Histogram, _) => {
            debug_assert!(false, "{} has no such value", family.name);
            Ok(())
        }
    }
}
