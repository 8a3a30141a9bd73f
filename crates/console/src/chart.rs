//! Charts as inline SVG, made on the server. Colours come from the stylesheet; each bar has its numbers as a tooltip
//! and
//! the chart has them in words for those who don't see it.

use std::time::Duration;

use domain::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use crate::answer::Look;
use crate::time::clock_face;

/// Length of a step.
const STEP: Duration = Duration::from_secs(300);
/// Width and height of a chart, in its own units.
const SIZE: (f64, f64) = (720.0, 120.0);
/// Minimum height of a bar's part: a single failure among thousands must be visible.
const LEAST: f64 = 1.5;

/// Outcomes within a step.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Outcomes {
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) throttled: u64,
}

impl Outcomes {
    fn sum(self) -> u64 {
        self.delivered + self.failed + self.throttled
    }

    fn add(&mut self, other: Outcomes) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.throttled += other.throttled;
    }
}

/// Outcomes over time, in steps without gaps, oldest first.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Series {
    from: Timestamp,
    steps: Vec<Outcomes>,
}

impl Series {
    /// An empty series that covers the time until now.
    pub(crate) fn until(now: Timestamp, covers: Duration) -> Series {
        let steps = (covers.as_secs() / STEP.as_secs()).max(1);
        let step = STEP.as_micros() as i64;
        let last = now.as_micros().div_euclid(step) * step;
        let from = Timestamp::from_micros(last - (steps as i64 - 1) * step);
        Series { from, steps: vec![Outcomes::default(); steps as usize] }
    }

    /// Adds `counts` as the API sends them; what is outside of the covered time is left out.
    pub(crate) fn add(&mut self, counts: &[Value]) {
        for count in counts {
            let Some(at) = Timestamp::parse(count.text("/from")) else { continue };
            let steps = at.as_micros().saturating_sub(self.from.as_micros()).div_euclid(STEP.as_micros() as i64);
            let place = usize::try_from(steps).ok().and_then(|index| self.steps.get_mut(index));
            let outcomes = Outcomes {
                delivered: count.count("/delivered"),
                failed: count.count("/failed"),
                throttled: count.count("/throttled"),
            };
            if let Some(step) = place {
                step.add(outcomes);
            }
        }
    }

    /// Sum of the steps of the last `covers`.
    pub(crate) fn last(&self, covers: Duration) -> Outcomes {
        let steps = (covers.as_secs() / STEP.as_secs()) as usize;
        let mut sum = Outcomes::default();
        self.steps.iter().rev().take(steps).for_each(|step| sum.add(*step));
        sum
    }

    /// The chart, with an id that is unique on its page.
    pub(crate) fn chart(&self, id: &str, title: &str) -> Markup {
        let highest = self.steps.iter().map(|step| step.sum()).max().unwrap_or_default();
        let all = self.last(STEP * self.steps.len() as u32);
        let (width, height) = SIZE;
        let bar = width / self.steps.len() as f64;
        // Parts of the least height may come on top of the others.
        let scale = if highest == 0 { 0.0 } else { (height - 2.0 * LEAST) / highest as f64 };
        let start = |index: usize| self.from + STEP * index as u32;
        html! {
            figure.chart {
                svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-labelledby={ (id) "-title " (id) "-words" }
                    preserveAspectRatio="none" {
                    title id={ (id) "-title" } { (title) }
                    desc id={ (id) "-words" } {
                        (all.delivered) " delivered, " (all.failed) " failed, " (all.throttled) " throttled"
                    }
                    @for (index, step) in self.steps.iter().enumerate().filter(|(_, step)| step.sum() > 0) {
                        (stack(*step, bar * index as f64, bar, scale, &start(index).to_string()))
                    }
                    line.axis x1="0" x2=(width) y1=(height) y2=(height) {}
                }
                figcaption {
                    span.key { i.delivered {} (all.delivered) " delivered" }
                    span.key { i.failed {} (all.failed) " failed" }
                    span.key { i.throttled {} (all.throttled) " throttled" }
                    span.scale { "highest: " (highest) " in 5 min · from " (clock_face(&self.from.to_string())) " UTC" }
                }
            }
        }
    }
}

/// One bar: delivered at the bottom, then failed, then throttled.
fn stack(step: Outcomes, x: f64, width: f64, scale: f64, at: &str) -> Markup {
    let Outcomes { delivered, failed, throttled } = step;
    let mut below = 0.0;
    let parts = [("delivered", delivered), ("failed", failed), ("throttled", throttled)].map(|(class, count)| {
        let tall = if count == 0 { 0.0 } else { (count as f64 * scale).max(LEAST) };
        below += tall;
        (class, SIZE.1 - below, tall)
    });
    html! {
        g {
            title { (clock_face(at)) " UTC: " (delivered) " delivered, " (failed) " failed, " (throttled) " throttled" }
            @for (class, y, tall) in parts.into_iter().filter(|(.., tall)| *tall > 0.0) {
                rect class=(class) x={ (round(x)) } y={ (round(y)) } width={ (round(width * 0.8)) }
                    height={ (round(tall)) } {}
            }
        }
    }
}

/// Two decimals are finer than a pixel.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-29T12:03:00Z").unwrap()
    }

    fn count(from: &str, delivered: u64, failed: u64, throttled: u64) -> Value {
        json!({"from": from, "delivered": delivered, "failed": failed, "throttled": throttled})
    }

    #[test]
    fn steps_have_no_gaps_and_end_now() {
        let mut series = Series::until(now(), HOUR);
        assert_eq!(series.steps.len(), 12);
        assert_eq!(series.from, Timestamp::parse("2026-11-29T11:05:00Z").unwrap());
        series.add(&[
            count("2026-11-29T12:00:00Z", 5, 1, 0),
            count("2026-11-29T11:05:00Z", 2, 0, 3),
            count("2026-11-29T11:00:00Z", 100, 0, 0),
            count("2026-11-29T12:05:00Z", 100, 0, 0),
            json!({"from": "nonsense"}),
        ]);
        series.add(&[count("2026-11-29T12:00:00Z", 1, 0, 0)]);
        assert_eq!(series.steps[11], Outcomes { delivered: 6, failed: 1, throttled: 0 });
        assert_eq!(series.last(HOUR), Outcomes { delivered: 8, failed: 1, throttled: 3 });
        assert_eq!(series.last(STEP), Outcomes { delivered: 6, failed: 1, throttled: 0 });
    }

    #[test]
    fn a_chart_has_a_bar_for_each_outcome_and_its_numbers_in_words() {
        let mut series = Series::until(now(), HOUR);
        series.add(&[count("2026-11-29T12:00:00Z", 10_000, 1, 0)]);
        let chart = series.chart("day", "Outcomes").into_string();
        assert_eq!(chart.matches("<rect").count(), 2, "{chart}");
        assert!(chart.contains("class=\"failed\" x=\"660\" y=\"1.51\" width=\"48\" height=\"1.5\""), "{chart}");
        assert!(chart.contains("12:00 UTC: 10000 delivered, 1 failed, 0 throttled"), "{chart}");
        assert!(chart.contains("aria-labelledby=\"day-title day-words\""), "{chart}");
        assert!(!chart.contains("style="), "the policy forbids inline style");
    }

    #[test]
    fn an_empty_chart_has_no_bars() {
        let chart = Series::until(now(), 24 * HOUR).chart("day", "Outcomes").into_string();
        assert!(!chart.contains("<rect") && chart.contains("0 delivered"), "{chart}");
    }
}
