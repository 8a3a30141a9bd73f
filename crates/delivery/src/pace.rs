//! The pace of a lane: its rate in events per second, found by trial (additive increase, multiplicative decrease),
//! spread evenly.
//!
//! The rise is quick far from the rate at which the endpoint last throttled and slow near it, so that the lane settles
//! slightly below the endpoint's capacity instead of oscillating around it.

use std::time::Duration;

use domain::Timestamp;

use crate::settings::Settings;

/// Rise of the rate per second, in events per second, while the endpoint's limit is unknown: from 10 to 100 in 30 s.
const QUICK_RISE: f64 = 3.0;

/// The same near the known limit, as a share of it: 0.6 % per second takes 10 s from the fall to the next try at the
/// limit.
const SLOW_RISE: f64 = 0.006;

/// Below this share of the known limit the rise is quick.
const NEAR: f64 = 0.85;

/// Above this share of the known limit the limit has evidently moved, and is forgotten.
const BEYOND: f64 = 1.08;

/// The first fall: usually the rate is only slightly too high.
const FIRST_FALL: f64 = 0.93;

/// Each further fall in a row: the capacity has shrunk, and is found again within a few seconds.
const FURTHER_FALL: f64 = 0.7;

/// Falls closer together than this are in a row.
const IN_A_ROW: Duration = Duration::from_secs(3);

/// Responses to requests sent before a fall say nothing about the rate after it. Minimum time for which a 429 is
/// attributed to them; at low rates it is the time of two events.
const SETTLING: Duration = Duration::from_millis(500);

/// Timer delay that does not slow the lane down, because missed sends are made up for: one event at 500 per second or
/// less.
const SLACK: Duration = Duration::from_millis(2);

/// The pace of one lane.
#[derive(Clone, PartialEq, Debug)]
pub struct Pace {
    rate: f64,
    /// Rate at which the endpoint last throttled.
    limit: Option<f64>,
    /// Time of the next event.
    next_at: Timestamp,
    last_fall: Option<Timestamp>,
}

impl Pace {
    /// The pace of a new or resumed subscription.
    pub fn new(settings: &Settings) -> Pace {
        Pace::at_rate(settings.first_rate, None, settings)
    }

    /// A saved pace.
    pub(crate) fn at_rate(rate: f64, limit: Option<f64>, settings: &Settings) -> Pace {
        let rate = if rate.is_finite() { rate } else { settings.first_rate };
        let limit = limit.filter(|limit| limit.is_finite() && *limit > 0.0);
        Pace {
            rate: rate.clamp(settings.lowest_rate, settings.highest_rate),
            limit,
            next_at: Timestamp::EPOCH,
            last_fall: None,
        }
    }

    /// Events per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Rate at which the endpoint last throttled, if known.
    pub(crate) fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Time of the next event.
    pub fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// Records a sent event.
    pub fn sent(&mut self, now: Timestamp) {
        let earliest = now - SLACK;
        self.next_at = self.next_at.max(earliest) + Duration::from_secs_f64(1.0 / self.rate);
    }

    /// Records a delivered event: one second of deliveries at the full rate raises the rate by one second's rise. A
    /// nearly idle lane keeps its rate, because it learns nothing about the endpoint's capacity.
    pub fn delivered(&mut self, settings: &Settings) {
        let rise = match self.limit {
            Some(limit) if self.rate > limit * BEYOND => {
                self.limit = None;
                QUICK_RISE
            }
            Some(limit) if self.rate > limit * NEAR => limit * SLOW_RISE,
            _ => QUICK_RISE,
        };
        self.rate = (self.rate + rise / self.rate.max(1.0)).min(settings.highest_rate);
    }

    /// Records a throttled event.
    pub fn throttled(&mut self, now: Timestamp, settings: &Settings) {
        let since_fall = self.last_fall.map(|fall| now.since(fall));
        let settling = SETTLING.max(Duration::from_secs_f64(2.0 / self.rate));
        let fall = match since_fall {
            Some(since) if since < settling => return,
            Some(since) if since < IN_A_ROW.max(2 * settling) => FURTHER_FALL,
            _ => {
                self.limit = Some(self.rate);
                FIRST_FALL
            }
        };
        if fall == FURTHER_FALL {
            // The endpoint accepts far less than assumed: do not linger near an outdated limit.
            self.limit = Some(self.rate.max(settings.lowest_rate));
        }
        self.rate = (self.rate * fall).max(settings.lowest_rate);
        self.last_fall = Some(now);
    }

    /// Pauses until `until`.
    pub fn pause(&mut self, until: Timestamp) {
        self.next_at = self.next_at.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends for `seconds` to an endpoint with a capacity of `capacity` events per second; returns (delivered,
    /// throttled, final rate).
    fn run(pace: &mut Pace, settings: &Settings, from: Timestamp, seconds: u64, capacity: u64) -> (u64, u64, f64) {
        let (mut delivered, mut throttled) = (0, 0);
        let end = from + Duration::from_secs(seconds);
        let (mut second, mut taken) = (i64::MIN, 0);
        let mut now = from;
        while now < end {
            now = now.max(pace.next_at());
            pace.sent(now);
            if now.as_micros() / 1_000_000 != second {
                (second, taken) = (now.as_micros() / 1_000_000, 0);
            }
            if taken < capacity {
                taken += 1;
                delivered += 1;
                pace.delivered(settings);
            } else {
                throttled += 1;
                pace.throttled(now, settings);
            }
        }
        (delivered, throttled, pace.rate())
    }

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn rises_to_the_highest_rate_within_a_minute_and_not_beyond() {
        let settings = Settings::default();
        let mut pace = Pace::new(&settings);
        let (.., rate) = run(&mut pace, &settings, START, 60, 1000);
        assert_eq!(rate, 100.0);
    }

    #[test]
    fn finds_a_capacity_of_25_and_uses_it() {
        let settings = Settings::default();
        let mut pace = Pace::new(&settings);
        let (.., rate) = run(&mut pace, &settings, START, 60, 25);
        assert!((20.0..=30.0).contains(&rate), "rate {rate} after a minute");
        let (delivered, throttled, _) = run(&mut pace, &settings, START + Duration::from_secs(60), 600, 25);
        assert!(delivered >= 600 * 25 * 9 / 10, "only {delivered} of {} delivered", 600 * 25);
        assert!(throttled * 20 < delivered + throttled, "{throttled} throttled beside {delivered} delivered");
    }

    #[test]
    fn follows_a_capacity_down_and_up() {
        let settings = Settings::default();
        let mut pace = Pace::new(&settings);
        run(&mut pace, &settings, START, 120, 80);
        let (.., rate) = run(&mut pace, &settings, START + Duration::from_secs(120), 30, 5);
        assert!(rate < 8.0, "rate {rate} half a minute after the capacity fell to 5");
        let (.., rate) = run(&mut pace, &settings, START + Duration::from_secs(150), 120, 80);
        assert!(rate > 65.0, "rate {rate} two minutes after the capacity rose to 80");
    }

    #[test]
    fn never_falls_below_the_lowest_rate() {
        let settings = Settings::default();
        let mut pace = Pace::new(&settings);
        let (.., rate) = run(&mut pace, &settings, START, 600, 0);
        assert_eq!(rate, 1.0);
    }

    #[test]
    fn spreads_events_evenly() {
        let settings = Settings::default();
        let mut pace = Pace::at_rate(100.0, None, &settings);
        let mut now = START;
        let mut sent = Vec::new();
        // Polled only every 3 ms, as by a coarse timer, and after a long silence.
        for _ in 0..1000 {
            now = now + Duration::from_millis(3);
            if pace.next_at() <= now {
                pace.sent(now);
                sent.push(now);
            }
        }
        let gap = sent.windows(2).map(|pair| pair[1].since(pair[0])).min().unwrap();
        assert!(gap >= Duration::from_millis(6), "two events within {gap:?}");
        assert!((295..=301).contains(&sent.len()), "{} events in 3 s", sent.len());
    }
}
