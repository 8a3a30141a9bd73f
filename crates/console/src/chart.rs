//! Charts as inline SVG, made on the server. Colours come from the stylesheet. The numbers of each step are there three
//! times: for a module that shows them at the pointer, in words for those who don't see the chart, and as a table.

mod backlog;

use std::time::Duration;

use domain::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use crate::answer::Look;
use crate::time::clock;
use crate::words::number;

pub(crate) use backlog::Backlog;

/// Length of a step in the counts of attempts.
pub(crate) const STEP: Duration = Duration::from_secs(300);
/// Width of a step and of its bar, in the chart's own units.
const WIDTHS: (usize, usize) = (4, 3);
/// Height of a chart.
const HEIGHT: f64 = 120.0;
/// Minimum height of a bar's part: a single failure among thousands must be visible.
const LEAST: f64 = 1.5;
/// Maximum number of rows of the table.
const MOST_ROWS: usize = 24;

/// What happened within a step.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Counts {
    /// Events that arrived.
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) throttled: u64,
}

impl Counts {
    fn attempts(self) -> u64 {
        self.delivered + self.failed + self.throttled
    }

    fn is_zero(self) -> bool {
        self == Counts::default()
    }

    fn add(&mut self, other: Counts) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.throttled += other.throttled;
    }
}

/// Counts over time, in steps without gaps, oldest first.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Series {
    from: Timestamp,
    step: Duration,
    steps: Vec<Counts>,
}

impl Series {
    /// An empty series that covers the time until now.
    pub(crate) fn until(now: Timestamp, covers: Duration, step: Duration) -> Series {
        let steps = (covers.as_secs() / step.as_secs()).max(1);
        let first = step_of(now, step) - (steps as i64 - 1);
        let from = Timestamp::from_micros(first * step.as_micros() as i64);
        Series { from, step, steps: vec![Counts::default(); steps as usize] }
    }

    /// Adds `counts` as the API sends them; what is outside of the covered time is left out.
    pub(crate) fn add(&mut self, counts: &[Value]) {
        for count in counts {
            let Some(at) = Timestamp::parse(count.text("/from")) else { continue };
            let steps = at.as_micros().saturating_sub(self.from.as_micros()).div_euclid(self.step.as_micros() as i64);
            let place = usize::try_from(steps).ok().and_then(|index| self.steps.get_mut(index));
            if let Some(step) = place {
                step.add(Counts {
                    accepted: count.count("/accepted"),
                    delivered: count.count("/delivered"),
                    failed: count.count("/failed"),
                    throttled: count.count("/throttled"),
                });
            }
        }
    }

    /// The end of the series that covers this time.
    pub(crate) fn last(&self, covers: Duration) -> Series {
        let steps = ((covers.as_secs() / self.step.as_secs()) as usize).min(self.steps.len());
        let skipped = self.steps.len() - steps;
        Series { from: self.start(skipped), step: self.step, steps: self.steps.iter().skip(skipped).copied().collect() }
    }

    /// All counts together.
    pub(crate) fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        self.steps.iter().for_each(|step| sum.add(*step));
        sum
    }

    fn start(&self, index: usize) -> Timestamp {
        self.from + self.step * index as u32
    }

    /// The chart, with an id that is unique on its page; `arrivals`: with a line of the events that arrived.
    pub(crate) fn chart(&self, id: &str, title: &str, arrivals: bool) -> Markup {
        let highest = self.steps.iter().map(|step| step.attempts().max(if arrivals { step.accepted } else { 0 })).max();
        let highest = highest.unwrap_or_default();
        // Parts of the least height may come on top of the others.
        let scale = if highest == 0 { 0.0 } else { (HEIGHT - 2.0 * LEAST - 4.0) / highest as f64 };
        let bars = self.bars(scale);
        let width = self.steps.len() * WIDTHS.0;
        let sum = self.sum();
        let legend = [
            ("accepted", "events in", sum.accepted),
            ("delivered", "delivered", sum.delivered),
            ("failed", "failed", sum.failed),
            ("throttled", "throttled", sum.throttled),
        ];
        let shown: Vec<_> = legend.into_iter().filter(|(class, ..)| arrivals || *class != "accepted").collect();
        let words: Vec<_> = shown.iter().map(|(_, name, count)| format!("{} {name}", number(*count))).collect();
        let names: Vec<_> = shown.iter().map(|(_, name, _)| *name).collect();
        html! {
            figure.chart data-from=(self.from) data-step=(self.step.as_secs()) data-of=(self.steps.len())
                data-names=(names.join(",")) data-steps=(self.sparse(arrivals)) {
                figcaption {
                    b { (title) }
                    @for (class, name, count) in &shown { span { i class=(class) {} (number(*count)) " " (name) } }
                    @if highest > 0 { span.scale { "highest: " (number(highest)) " in " (crate::time::span(
                        self.step.as_secs())) } }
                }
                svg viewBox={ "0 0 " (width) " " (HEIGHT) } role="img" aria-labelledby={ (id) "-title " (id) "-words" }
                    preserveAspectRatio="none" {
                    title id={ (id) "-title" } { (title) }
                    desc id={ (id) "-words" } { (words.join(", ")) }
                    (grid(width))
                    @for (class, path) in bars { @if !path.is_empty() { path class=(class) d=(path) {} } }
                    @if arrivals && sum.accepted > 0 { path.accepted d=(self.line(scale)) {} }
                }
                (ticks(|part| self.start(self.steps.len() * part / 4)))
                (self.table(arrivals))
            }
        }
    }

    /// Paths of the bars: delivered at the bottom, then failed, then throttled.
    fn bars(&self, scale: f64) -> [(&'static str, String); 3] {
        let mut paths = [("delivered", String::new()), ("failed", String::new()), ("throttled", String::new())];
        for (index, step) in self.steps.iter().enumerate() {
            let mut below = 0.0;
            for ((_, path), count) in paths.iter_mut().zip([step.delivered, step.failed, step.throttled]) {
                if count > 0 {
                    let tall = tenth((count as f64 * scale).max(LEAST));
                    below = tenth(below + tall);
                    let (x, y) = (index * WIDTHS.0, tenth(HEIGHT - below));
                    path.push_str(&format!("M{x} {y}h{width}v{tall}h-{width}z", width = WIDTHS.1));
                }
            }
        }
        paths
    }

    /// Path of the arrivals: level within a step.
    fn line(&self, scale: f64) -> String {
        let mut path = String::new();
        let mut level = None;
        for (index, step) in self.steps.iter().enumerate() {
            let y = tenth(HEIGHT - 1.0 - step.accepted as f64 * scale);
            match level {
                Some(known) if known == y => {}
                Some(_) => path.push_str(&format!("H{}V{y}", index * WIDTHS.0)),
                None => path.push_str(&format!("M0 {y}")),
            }
            level = Some(y);
        }
        path.push_str(&format!("H{}", self.steps.len() * WIDTHS.0));
        path
    }

    /// Steps with their numbers, as the module reads them; empty steps are left out.
    fn sparse(&self, arrivals: bool) -> String {
        let one = |(index, step): (usize, &Counts)| {
            let numbers = [step.accepted, step.delivered, step.failed, step.throttled];
            let shown = numbers.iter().skip(usize::from(!arrivals)).map(u64::to_string).collect::<Vec<_>>();
            format!("{index}:{}", shown.join(","))
        };
        let steps = self.steps.iter().enumerate().filter(|(_, step)| !step.is_zero());
        steps.map(one).collect::<Vec<_>>().join(";")
    }

    /// The numbers as a table, by hour if there are many steps.
    fn table(&self, arrivals: bool) -> Markup {
        let each = self.steps.len().div_ceil(MOST_ROWS);
        let rows = self.steps.chunks(each).enumerate().map(|(index, steps)| {
            let mut sum = Counts::default();
            steps.iter().for_each(|step| sum.add(*step));
            (self.start(index * each), sum)
        });
        let rows: Vec<_> = rows.filter(|(_, sum)| !sum.is_zero()).collect();
        html! {
            @if !rows.is_empty() {
                details {
                    summary { "Numbers" }
                    table {
                        thead {
                            tr {
                                th scope="col" { "From" }
                                @if arrivals { th.number scope="col" { "Events in" } }
                                th.number scope="col" { "Delivered" } th.number scope="col" { "Failed" }
                                th.number scope="col" { "Throttled" }
                            }
                        }
                        tbody {
                            @for (from, sum) in rows {
                                tr {
                                    td { (clock(&from.to_string())) }
                                    @if arrivals { td.number { (number(sum.accepted)) } }
                                    td.number { (number(sum.delivered)) } td.number { (number(sum.failed)) }
                                    td.number { (number(sum.throttled)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Number of a moment's step since the epoch.
fn step_of(at: Timestamp, step: Duration) -> i64 {
    at.as_micros().div_euclid(step.as_micros() as i64)
}

fn grid(width: usize) -> Markup {
    html! {
        path.grid d={ "M0 60H" (width) "M" (width / 4) " 0V120M" (width / 2) " 0V120M" (width * 3 / 4) " 0V120" } {}
    }
}

/// Times of day below a chart, at its quarters.
fn ticks(at: impl Fn(usize) -> Timestamp) -> Markup {
    html! { div.ticks aria-hidden="true" { @for part in 0..=4 { (clock(&at(part).to_string())) } } }
}

/// A decimal is finer than a pixel.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
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
        let mut series = Series::until(now(), HOUR, STEP);
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
        let outcomes = |delivered, failed, throttled| Counts { accepted: 0, delivered, failed, throttled };
        assert_eq!(series.steps[11], outcomes(6, 1, 0));
        assert_eq!(series.sum(), outcomes(8, 1, 3));
        let last = series.last(STEP);
        assert_eq!((last.sum(), last.from), (outcomes(6, 1, 0), Timestamp::parse("2026-11-29T12:00:00Z").unwrap()));
    }

    #[test]
    fn a_chart_has_a_bar_for_each_outcome_and_its_numbers_in_words() {
        let mut series = Series::until(now(), HOUR, STEP);
        series.add(&[count("2026-11-29T12:00:00Z", 10_000, 1, 0)]);
        let chart = series.chart("day", "Outcomes", false).into_string();
        assert_eq!(chart.matches("<path class=\"").count(), 3, "grid, delivered, failed: {chart}");
        assert!(chart.contains("class=\"failed\" d=\"M44 5.5h3v1.5h-3z\""), "{chart}");
        assert!(chart.contains("data-steps=\"11:10000,1,0\" data-of") || chart.contains("11:10000,1,0"), "{chart}");
        assert!(chart.contains("<desc id=\"day-words\">10,000 delivered, 1 failed, 0 throttled</desc>"), "{chart}");
        assert!(chart.contains("aria-labelledby=\"day-title day-words\""), "{chart}");
        assert!(!chart.contains("style="), "the policy forbids inline style");
    }

    #[test]
    fn arrivals_are_a_line_of_their_own() {
        let mut series = Series::until(now(), HOUR, STEP);
        series.add(&[json!({"from": "2026-11-29T11:10:00Z", "accepted": 10})]);
        let chart = series.chart("day", "Traffic", true).into_string();
        assert!(chart.contains("class=\"accepted\" d=\"M0 119H4V6H8V119H48\""), "{chart}");
        assert!(chart.contains("10 events in, 0 delivered") && chart.contains("1:10,0,0,0"), "{chart}");
        assert!(!series.chart("day", "Outcomes", false).into_string().contains("accepted"));
    }

    #[test]
    fn a_full_day_is_light() {
        let mut series = Series::until(now(), 24 * HOUR, STEP);
        for step in &mut series.steps {
            *step = Counts { accepted: 12_345, delivered: 12_345, failed: 678, throttled: 90 };
        }
        let chart = series.chart("day", "Outcomes", false).into_string();
        assert_eq!(chart.matches("<tr>").count(), 1 + MOST_ROWS);
        assert!(chart.len() < 30_000, "{} bytes", chart.len());
    }

    #[test]
    fn an_empty_chart_has_no_bars() {
        let chart = Series::until(now(), 24 * HOUR, STEP).chart("day", "Outcomes", false).into_string();
        assert!(!chart.contains("class=\"delivered\" d") && chart.contains("0 delivered"), "{chart}");
        assert!(!chart.contains("<details"), "{chart}");
    }
}
