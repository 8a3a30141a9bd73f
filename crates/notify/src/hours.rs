//! Hourly limit of emails per address, over all tenants; further emails are merged into one summary at the end of the
//! hour. Decides without IO or clock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Maximum number of emails that join a summary in one step.
const JOIN_AT_ONCE: usize = 256;

/// Emails of the current hours, identified by their numbers in the outbox.
#[derive(Debug)]
pub(crate) struct Hours {
    at_most: usize,
    hour: Duration,
    addresses: HashMap<String, Address>,
    /// Times at which a sent email leaves the hour.
    ends: BTreeSet<(Instant, u64, String)>,
}

#[derive(Debug, Default)]
struct Address {
    /// Emails being sent, and those of the last hour.
    places: BTreeSet<u64>,
    /// Emails that are to join the summary.
    held: VecDeque<u64>,
    /// Whether a merge is in progress.
    joining: bool,
    /// The pending summary.
    summary: Option<u64>,
    /// Pending confirmation questions. Never part of the summary, and sent before it.
    questions: VecDeque<u64>,
}

/// Decision on an email.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Send it.
    Goes,
    /// Merge it into the summary.
    Held,
}

/// Due work.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Due {
    /// Emails sent an hour ago, to be forgotten.
    pub(crate) forgotten: Vec<u64>,
    /// Questions and summaries to be sent.
    pub(crate) going: Vec<u64>,
}

impl Hours {
    pub(crate) fn new(at_most: usize, hour: Duration) -> Hours {
        Hours { at_most: at_most.max(1), hour, addresses: HashMap::new(), ends: BTreeSet::new() }
    }

    /// Registers an email to be sent.
    pub(crate) fn arrives(&mut self, address: &str, number: u64) -> Turn {
        let at_most = self.at_most;
        let known = self.addresses.entry(address.to_owned()).or_default();
        // While a summary is pending, everything joins it, to keep the order.
        let summed_up = known.summary.is_some() || known.joining || !known.held.is_empty();
        if known.places.len() < at_most && !summed_up {
            known.places.insert(number);
            return Turn::Goes;
        }
        known.held.push_back(number);
        Turn::Held
    }

    /// Registers a confirmation question: whether to send it now. Otherwise [`Hours::next`] returns it later.
    pub(crate) fn question_arrives(&mut self, address: &str, number: u64) -> bool {
        let at_most = self.at_most;
        let known = self.addresses.entry(address.to_owned()).or_default();
        let goes = known.places.len() < at_most;
        if goes {
            known.places.insert(number);
        } else {
            known.questions.push_back(number);
        }
        goes
    }

    /// Registers a summary stored before a restart.
    pub(crate) fn summary_kept(&mut self, address: &str, number: u64) {
        self.addresses.entry(address.to_owned()).or_default().summary = Some(number);
    }

    /// Records a sent email; `ago` if it was sent before a restart.
    pub(crate) fn sent(&mut self, address: &str, number: u64, ago: Duration, now: Instant) {
        self.addresses.entry(address.to_owned()).or_default().places.insert(number);
        let left = self.hour.saturating_sub(ago);
        self.ends.insert((now + left, number, address.to_owned()));
    }

    /// Records an email that was given up without being sent.
    pub(crate) fn given_up(&mut self, address: &str, number: u64) {
        if let Some(known) = self.addresses.get_mut(address) {
            known.places.remove(&number);
            self.forget_if_idle(address);
        }
    }

    /// Emails that are to join the summary of an address, and the summary if there is one. [`Hours::joined`] follows.
    pub(crate) fn join(&mut self, address: &str) -> Option<(Vec<u64>, Option<u64>)> {
        let known = self.addresses.get_mut(address)?;
        if known.joining || known.held.is_empty() {
            return None;
        }
        known.joining = true;
        let some = known.held.len().min(JOIN_AT_ONCE);
        Some((known.held.drain(..some).collect(), known.summary.take()))
    }

    /// Records that emails have joined a summary.
    pub(crate) fn joined(&mut self, address: &str, summary: Option<u64>) {
        if let Some(known) = self.addresses.get_mut(address) {
            known.joining = false;
            known.summary = summary;
        }
    }

    /// Work due by now.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        while self.ends.first().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, number, address)) = self.ends.pop_first() else { break };
            if let Some(known) = self.addresses.get_mut(&address) {
                known.places.remove(&number);
            }
            due.forgotten.push(number);
            while let Some(next) = self.next(&address) {
                due.going.push(next);
            }
            self.forget_if_idle(&address);
        }
        due
    }

    /// The next question of an address, or its summary, if it may be sent now.
    pub(crate) fn next(&mut self, address: &str) -> Option<u64> {
        let at_most = self.at_most;
        let known = self.addresses.get_mut(address)?;
        if known.places.len() < at_most
            && let Some(question) = known.questions.pop_front()
        {
            known.places.insert(question);
            return Some(question);
        }
        if known.joining || !known.held.is_empty() || known.places.len() >= at_most {
            return None;
        }
        let summary = known.summary.take()?;
        known.places.insert(summary);
        Some(summary)
    }

    /// Time of the next due work.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.ends.first().map(|(at, ..)| *at)
    }

    fn forget_if_idle(&mut self, address: &str) {
        let idle = |known: &Address| {
            let waits = known.joining || known.summary.is_some() || !known.questions.is_empty();
            known.places.is_empty() && known.held.is_empty() && !waits
        };
        if self.addresses.get(address).is_some_and(idle) {
            self.addresses.remove(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const TO: &str = "ops@example.com";

    fn full(now: Instant) -> Hours {
        let mut hours = Hours::new(6, HOUR);
        for number in 1..=6 {
            assert_eq!(hours.arrives(TO, number), Turn::Goes);
            hours.sent(TO, number, Duration::ZERO, now);
        }
        hours
    }

    #[tokio::test(start_paused = true)]
    async fn the_seventh_waits_for_the_summary_at_the_end_of_the_hour() {
        let now = Instant::now();
        let mut hours = full(now);
        for number in 7..=500 {
            assert_eq!(hours.arrives(TO, number), Turn::Held);
        }
        assert_eq!(hours.arrives("dev@example.com", 501), Turn::Goes, "another address has its own hour");
        let (first, summary) = hours.join(TO).unwrap();
        assert_eq!((first.len(), summary), (256, None));
        assert_eq!(hours.join(TO), None, "one at a time");
        hours.joined(TO, Some(7));
        let (rest, summary) = hours.join(TO).unwrap();
        assert_eq!((rest.len(), summary), (494 - 256, Some(7)));
        hours.joined(TO, Some(7));
        assert_eq!(hours.next_at(), Some(now + HOUR));
        assert_eq!(hours.due(now + HOUR - Duration::from_millis(1)), Due::default());
        let due = hours.due(now + HOUR);
        assert_eq!((due.forgotten, due.going), ((1..=6).collect(), vec![7]));
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_six_within_any_hour() {
        let (start, mut hours) = (Instant::now(), Hours::new(6, HOUR));
        let mut sent: Vec<Instant> = Vec::new();
        for second in 0..4 * 3600 {
            let now = start + Duration::from_secs(second);
            let goes = hours.arrives(TO, 10 * second) == Turn::Goes;
            if let Some((joining, summary)) = hours.join(TO) {
                hours.joined(TO, summary.or(joining.first().copied()));
            }
            let mut going = hours.due(now).going;
            going.extend(hours.next(TO));
            going.extend(goes.then_some(10 * second));
            for number in going {
                hours.sent(TO, number, Duration::ZERO, now);
                sent.push(now);
            }
        }
        assert!(sent.len() >= 24, "six in each hour do go: {}", sent.len());
        assert!(sent.windows(7).all(|seven| seven[6] - seven[0] >= HOUR), "{sent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn emails_sent_before_a_restart_count() {
        let (now, mut hours) = (Instant::now(), Hours::new(6, HOUR));
        for number in 1..=6 {
            hours.sent(TO, number, Duration::from_secs(3000), now);
        }
        // Setting the clock forward in between shortens the hour, but nothing else.
        hours.sent("dev@example.com", 9, Duration::from_secs(40 * 86_400), now);
        hours.summary_kept(TO, 7);
        assert_eq!(hours.arrives(TO, 8), Turn::Held);
        hours.join(TO).unwrap();
        hours.joined(TO, Some(7));
        assert_eq!(hours.due(now), Due { forgotten: vec![9], going: vec![] });
        assert_eq!(hours.due(now + Duration::from_secs(600)).going, [7]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_forgotten_with_its_last_email() {
        let now = Instant::now();
        let mut hours = full(now);
        assert_eq!(hours.arrives("dev@example.com", 20), Turn::Goes);
        hours.given_up("dev@example.com", 20);
        hours.due(now + HOUR);
        assert!(hours.addresses.is_empty() && hours.ends.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_for_a_slot_and_joins_no_summary() {
        let now = Instant::now();
        let mut hours = full(now);
        assert_eq!(hours.arrives(TO, 7), Turn::Held);
        assert!(!hours.question_arrives(TO, 8));
        let (held, _) = hours.join(TO).unwrap();
        assert_eq!(held, [7]);
        hours.joined(TO, Some(7));
        assert_eq!(hours.due(now + HOUR).going, [8, 7]);
        let mut hours = Hours::new(6, HOUR);
        (1..=20).for_each(|number| _ = hours.arrives(TO, number));
        (1..=6).for_each(|number| hours.given_up(TO, number));
        assert!(hours.question_arrives(TO, 21), "what waits for a summary holds it up no more than it has to");
    }
}
