//! Rate limit shared by the subscriptions of one PIM to one host: lanes get turns at even intervals, in order.
//!
//! A turn is given only when an attempt can begin, so that no unused turn has to be undone by a suspension, a new
//! destination or a stop. Idle time earns no burst: no second has more attempts than the rate allows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use domain::destination::{Target, number_of};
use domain::subscription::Subscription;
use domain::{PimId, Timestamp};

/// Maximum age of turns missed by a late timer that are made up for. The interval is longer by the same share, so that
/// the total stays within the rate.
const SLACK: Duration = Duration::from_millis(10);

/// Number of hosts below which none is dropped.
const HOSTS: usize = 256;

/// A host and port used by a PIM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct HostOf(PimId, u64);

impl HostOf {
    /// The server that a subscription's events are POSTed to; topics have no shared rate.
    pub(super) fn subscription(subscription: &Subscription) -> Option<HostOf> {
        let Target::Server { host, port } = subscription.destination.target() else { return None };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        Some(HostOf(subscription.pim, number_of(&format!("{host} {port}"))))
    }
}

/// Rates and waiting lanes of all hosts.
#[derive(Debug)]
pub(super) struct HostRate {
    /// Nanoseconds between two turns.
    interval: i64,
    hosts: HashMap<HostOf, Host>,
    /// Next turns of hosts with waiting lanes.
    due: BTreeSet<(Timestamp, HostOf)>,
    /// Queue numbers of waiting lanes.
    places: HashMap<usize, (HostOf, u64)>,
    next_place: u64,
    /// Number of hosts at which idle ones are dropped.
    forget_at: usize,
}

#[derive(Debug)]
struct Host {
    /// The next turn at the even interval, in nanoseconds, so that high rates aren't rounded.
    next: i64,
    /// Waiting lanes by queue number.
    waiting: BTreeMap<u64, usize>,
}

impl Host {
    /// Time of the next turn, rounded up.
    fn next_at(&self) -> Timestamp {
        Timestamp::from_micros(self.next / 1_000 + i64::from(self.next % 1_000 > 0))
    }

    fn take(&mut self, now: Timestamp, interval: i64) {
        self.next = self.next.max(nanos(now - SLACK)).saturating_add(interval);
    }
}

fn nanos(at: Timestamp) -> i64 {
    at.as_micros().saturating_mul(1_000)
}

impl HostRate {
    /// A limit of this many attempts per second to each host.
    pub(super) fn new(rate: u32) -> HostRate {
        let second = 1_000_000_000 + SLACK.as_nanos() as i64;
        let rate = i64::from(rate.max(1));
        // Rounded up: slightly too slow rather than too fast.
        let interval = (second + rate - 1) / rate;
        HostRate {
            interval,
            hosts: HashMap::new(),
            due: BTreeSet::new(),
            places: HashMap::new(),
            next_place: 0,
            forget_at: HOSTS,
        }
    }

    /// Requests a turn for a lane; returns whether it has one now. Otherwise it joins the end of the queue.
    pub(super) fn turn(&mut self, slot: usize, of: HostOf, now: Timestamp) -> bool {
        if self.places.get(&slot).is_some_and(|(waits_for, _)| *waits_for == of) {
            return false;
        }
        self.leave(slot);
        self.forget_idle(now);
        let host = self.hosts.entry(of).or_insert(Host { next: i64::MIN, waiting: BTreeMap::new() });
        if host.waiting.is_empty() && host.next_at() <= now {
            host.take(now, self.interval);
            return true;
        }
        if host.waiting.is_empty() {
            self.due.insert((host.next_at(), of));
        }
        host.waiting.insert(self.next_place, slot);
        self.places.insert(slot, (of, self.next_place));
        self.next_place += 1;
        false
    }

    /// Takes the next turn that is due, and returns its lane.
    pub(super) fn next_turn(&mut self, now: Timestamp) -> Option<usize> {
        let (at, of) = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, of));
        let host = self.hosts.get_mut(&of)?;
        let (_, slot) = host.waiting.pop_first()?;
        self.places.remove(&slot);
        host.take(now, self.interval);
        if !host.waiting.is_empty() {
            self.due.insert((host.next_at(), of));
        }
        Some(slot)
    }

    /// Cancels a lane's request.
    pub(super) fn leave(&mut self, slot: usize) {
        // The usual case, without a hash.
        if self.places.is_empty() {
            return;
        }
        let Some((of, place)) = self.places.remove(&slot) else { return };
        let Some(host) = self.hosts.get_mut(&of) else { return };
        host.waiting.remove(&place);
        if host.waiting.is_empty() {
            self.due.remove(&(host.next_at(), of));
        }
    }

    /// Whether a lane waits only for this rate.
    pub(super) fn slows(&self, slot: usize) -> bool {
        self.places.contains_key(&slot)
    }

    /// Time of the next turn.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Drops hosts whose last turn is long ago, which are equivalent to unused ones.
    fn forget_idle(&mut self, now: Timestamp) {
        if self.hosts.len() >= self.forget_at {
            let idle_before = nanos(now - SLACK);
            self.hosts.retain(|_, host| !host.waiting.is_empty() || host.next > idle_before);
            self.forget_at = HOSTS.max(2 * self.hosts.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn host(number: u64) -> HostOf {
        HostOf(PimId(1), number)
    }

    /// Maximum number of turns within any second.
    fn most_in_a_second(turns: &[Timestamp]) -> usize {
        let within = |from: &Timestamp| turns.iter().filter(|at| *from <= **at && at.since(*from) < SECOND).count();
        turns.iter().map(within).max().unwrap_or(0)
    }

    /// Turns of a lane that always wants one and asks at this interval, after a pause.
    fn turns(rate: u32, every: Duration, time: Duration) -> Vec<Timestamp> {
        let mut rates = HostRate::new(rate);
        let mut turns = Vec::new();
        let mut now = START;
        while now < START + time {
            while rates.turn(1, host(1), now) {
                turns.push(now);
            }
            now = now + every;
            while rates.next_turn(now).is_some() {
                turns.push(now);
                while rates.turn(1, host(1), now) {
                    turns.push(now);
                }
            }
        }
        turns
    }

    #[test]
    fn no_second_has_more_turns_than_the_rate_and_few_are_lost() {
        for rate in [1, 7, 400, 3_000] {
            for every in [Duration::from_micros(100), Duration::from_millis(1), Duration::from_millis(7)] {
                let turns = turns(rate, every, 3 * SECOND);
                let most = most_in_a_second(&turns);
                assert!(most <= rate as usize, "{most} in a second at {rate}, asked every {every:?}");
                let least = 3 * rate as usize * 98 / 100;
                assert!(turns.len() >= least, "{} in 3 s at {rate}, asked every {every:?}", turns.len());
            }
        }
    }

    #[test]
    fn the_quickest_rate_is_not_rounded_away() {
        let turns = turns(100_000, Duration::from_millis(1), SECOND);
        let in_the_second = turns.iter().filter(|at| **at < START + SECOND).count();
        assert!((98_000..=100_000).contains(&in_the_second), "{in_the_second}");
    }

    #[test]
    fn a_late_timer_and_a_long_rest_earn_no_burst() {
        let mut rates = HostRate::new(400);
        for rest in [SECOND / 2, 3_600 * SECOND] {
            let now = START + rest;
            let mut at_once = 0;
            while rates.turn(1, host(1), now) {
                at_once += 1;
            }
            assert!((1..=5).contains(&at_once), "{at_once} after {rest:?}");
            rates.leave(1);
        }
    }

    #[test]
    fn lanes_have_turns_one_after_another() {
        let mut rates = HostRate::new(10);
        let mut now = START;
        assert!(rates.turn(0, host(1), now));
        for lane in 0..3 {
            assert!(!rates.turn(lane, host(1), now));
        }
        assert!(rates.turn(9, host(2), now), "another host");
        let mut order = Vec::new();
        while order.len() < 7 {
            now = rates.due_at().unwrap_or(now);
            let Some(lane) = rates.next_turn(now) else { panic!("a turn was due") };
            order.push(lane);
            assert!(!rates.turn(lane, host(1), now));
            if order.len() == 4 {
                rates.leave(2);
            }
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 0, 1]);
        assert!(rates.slows(0) && !rates.slows(2));
        (0..3).for_each(|lane| rates.leave(lane));
        assert_eq!(rates.due_at(), None);
    }

    #[test]
    fn a_lane_whose_destination_changes_waits_only_for_the_new_host() {
        let mut rates = HostRate::new(10);
        assert!(rates.turn(0, host(1), START));
        assert!(!rates.turn(1, host(1), START));
        assert!(rates.turn(1, host(2), START));
        assert_eq!((rates.due_at(), rates.slows(1)), (None, false));
    }

    #[test]
    fn idle_hosts_are_forgotten() {
        let mut rates = HostRate::new(400);
        for number in 0..100_000 {
            assert!(rates.turn(1, host(number), START + Duration::from_millis(number)));
        }
        assert!(rates.hosts.len() <= HOSTS, "{} hosts", rates.hosts.len());
    }
}
