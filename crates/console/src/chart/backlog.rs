//! The chart of a backlog: how long the oldest undelivered event had waited.

use std::time::Duration;

use domain::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::{HEIGHT, LEAST, STEP, WIDTHS, grid, step_of, tenth, ticks};
use crate::answer::Look;
use crate::time::{clock, span};
use crate::words::number;

/// Maximum number of rows of the table.
const MOST_ROWS: usize = 24;

/// A backlog over time; steps in which all events were delivered in time are left out.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Backlog {
    from: Timestamp,
    /// Number of steps.
    of: usize,
    /// Ascending.
    peaks: Vec<Peak>,
}

/// The highest values of one step, or of the twelve of an hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Peak {
    index: usize,
    steps: usize,
    /// Seconds.
    oldest: u64,
    waiting: u64,
    at_least: bool,
}

impl Peak {
    fn waiting(self) -> String {
        format!("{}{}", if self.at_least { "≥ " } else { "" }, number(self.waiting))
    }

    /// The higher values of both.
    fn raise(&mut self, other: Peak) {
        self.oldest = self.oldest.max(other.oldest);
        self.waiting = self.waiting.max(other.waiting);
        self.at_least |= other.at_least;
    }
}

impl Backlog {
    /// The backlog as the API sends it, as far as it is within the time until now.
    pub(crate) fn until(now: Timestamp, covers: Duration, backlog: &[Value]) -> Backlog {
        let of = (covers.as_secs() / STEP.as_secs()).max(1) as usize;
        let last = step_of(now, STEP);
        let from = Timestamp::from_micros((last - (of as i64 - 1)) * STEP.as_micros() as i64);
        let first = step_of(from, STEP);
        let peak = |step: &Value| {
            let begins = step_of(Timestamp::parse(step.text("/from"))?, STEP) - first;
            let ends = begins.saturating_add((step.count("/seconds") / STEP.as_secs()).max(1) as i64);
            let within = begins.max(0)..ends.min(of as i64);
            (!within.is_empty()).then(|| Peak {
                index: within.start as usize,
                steps: (within.end - within.start) as usize,
                oldest: step.count("/oldest_seconds"),
                waiting: step.count("/waiting"),
                at_least: step.flag("/waiting_is_at_least"),
            })
        };
        Backlog { from, of, peaks: backlog.iter().filter_map(peak).collect() }
    }

    fn start(&self, index: usize) -> Timestamp {
        self.from + STEP * index as u32
    }

    /// The chart, with an id that is unique on its page.
    pub(crate) fn chart(&self, id: &str, title: &str) -> Markup {
        let highest = self.peaks.iter().map(|peak| peak.oldest).max().unwrap_or_default();
        let most = self.peaks.iter().copied().reduce(|mut all, peak| {
            all.raise(peak);
            all
        });
        let words = most.map_or("no backlog".to_owned(), |most| {
            format!(
                "the oldest undelivered event waited for up to {}, with up to {} waiting",
                span(highest),
                most.waiting()
            )
        });
        html! {
            figure.chart data-from=(self.from) data-step=(STEP.as_secs()) data-of=(self.of) data-none="no backlog"
                data-steps=(self.tips()) {
                figcaption {
                    b { (title) }
                    span { i class="backlog" {} "age of the oldest undelivered event" }
                    span.scale { @if highest > 0 { "highest: " (span(highest)) } @else { "no backlog" } }
                }
                svg viewBox={ "0 0 " (self.of * WIDTHS.0) " " (HEIGHT) } role="img"
                    aria-labelledby={ (id) "-title " (id) "-words" } preserveAspectRatio="none" {
                    title id={ (id) "-title" } { (title) }
                    desc id={ (id) "-words" } { (words) }
                    (grid(self.of * WIDTHS.0))
                    @if highest > 0 { path.backlog d=(self.bars(highest)) {} }
                }
                (ticks(|part| self.start(self.of * part / 4)))
                (self.table())
            }
        }
    }

    fn bars(&self, highest: u64) -> String {
        let scale = (HEIGHT - 4.0) / highest as f64;
        let bar = |peak: &Peak| {
            let tall = tenth((peak.oldest as f64 * scale).max(LEAST));
            let width = peak.steps * WIDTHS.0 - (WIDTHS.0 - WIDTHS.1);
            format!("M{} {}h{width}v{tall}h-{width}z", peak.index * WIDTHS.0, tenth(HEIGHT - tall))
        };
        self.peaks.iter().map(bar).collect()
    }

    /// What the module shows at the pointer, by step.
    fn tips(&self) -> String {
        let tips = self.peaks.iter().flat_map(|peak| {
            let hour = if peak.steps > 1 { ", the highest of the hour" } else { "" };
            let said = format!("oldest {}, {} waiting{hour}", span(peak.oldest), peak.waiting());
            (peak.index..peak.index + peak.steps).map(move |index| format!("{index}:{said}"))
        });
        tips.collect::<Vec<_>>().join(";")
    }

    /// The numbers as a table, by hour if there are many steps.
    fn table(&self) -> Markup {
        let each = self.of.div_ceil(MOST_ROWS);
        let mut rows: Vec<Peak> = Vec::new();
        for peak in &self.peaks {
            let index = peak.index / each * each;
            match rows.last_mut().filter(|row| row.index == index) {
                Some(row) => row.raise(*peak),
                None => rows.push(Peak { index, ..*peak }),
            }
        }
        html! {
            @if !rows.is_empty() {
                details {
                    summary { "Numbers" }
                    table {
                        thead { tr {
                            th scope="col" { "From" } th.number scope="col" { "Oldest event" }
                            th.number scope="col" { "Waiting" }
                        } }
                        tbody { @for row in rows { tr {
                            td { (clock(&self.start(row.index).to_string())) }
                            td.number { (span(row.oldest)) } td.number { (row.waiting()) }
                        } } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn step(from: &str, seconds: u64, oldest: u64, waiting: u64, at_least: bool) -> Value {
        json!({"from": from, "seconds": seconds, "oldest_seconds": oldest, "waiting": waiting,
            "waiting_is_at_least": at_least})
    }

    fn backlog(covers: Duration, steps: &[Value]) -> Backlog {
        Backlog::until(Timestamp::parse("2026-11-29T12:03:00Z").unwrap(), covers, steps)
    }

    #[test]
    fn a_chart_has_a_bar_for_each_step_and_says_its_age() {
        let steps = [
            step("2026-11-29T09:00:00Z", 3600, 9000, 1, false),
            step("2026-11-29T11:10:00Z", 300, 60, 3, false),
            step("2026-11-29T12:00:00Z", 300, 600, 1000, true),
        ];
        let chart = backlog(HOUR, &steps).chart("b", "Last hour").into_string();
        assert!(chart.contains("class=\"backlog\" d=\"M4 108.4h3v11.6h-3zM44 4h3v116h-3z\""), "{chart}");
        assert!(chart.contains("\"1:oldest 60 s, 3 waiting;11:oldest 10 min, ≥ 1,000 waiting\""), "{chart}");
        assert!(chart.contains("waited for up to 10 min, with up to ≥ 1,000 waiting</desc>"), "{chart}");
        assert!(chart.contains("highest: 10 min") && chart.matches("<tr>").count() == 3, "{chart}");
        assert!(!chart.contains("style="), "the policy forbids inline style");
    }

    #[test]
    fn an_hour_is_as_wide_as_its_steps_and_one_row() {
        let steps = [
            step("2026-11-28T12:00:00Z", 3600, 90, 1, false),
            step("2026-11-29T09:00:00Z", 3600, 900, 8, false),
            step("2026-11-29T11:10:00Z", 300, 60, 3, false),
            step("2026-11-29T11:15:00Z", 300, 90, 2, false),
        ];
        let chart = backlog(24 * HOUR, &steps).chart("b", "Last 24 hours").into_string();
        // The first one began before the chart.
        assert!(chart.contains("d=\"M0 108.4h43v11.6h-43z"), "{chart}");
        assert!(chart.contains("h47v116h-47z") && chart.contains("the highest of the hour;"), "{chart}");
        assert_eq!(chart.matches("<tr>").count(), 4, "{chart}");
        assert!(chart.contains("<td class=\"number\">90 s</td><td class=\"number\">3</td>"), "{chart}");
        assert!(chart.len() < 12_000, "{} bytes", chart.len());
    }

    #[test]
    fn without_a_backlog_the_chart_says_so() {
        let chart = backlog(HOUR, &[step("nonsense", 300, 1, 1, false)]).chart("b", "Last hour").into_string();
        assert!(chart.contains(">no backlog</desc>") && !chart.contains("<details"), "{chart}");
        assert!(!chart.contains("path class=\"backlog\""), "{chart}");
    }
}
