//! Chooses what to send next: the outbox in due order, shared fairly between PIMs, with the hourly limits of addresses.
//! Decides without IO; time is an argument.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use domain::Timestamp;
use domain::notification::{Channel, Outgoing};
use fair::{Asked, Holder, Queue, Waiter};
use tokio::time::Instant;
use uuid::Uuid;

use crate::hours::{Hours, Turn};
use crate::meters::Way;
use crate::settings::Settings;

/// Maximum pause before retrying a webhook that failed because of the platform's own problems.
pub(crate) const LONGEST_OURS: Duration = Duration::from_secs(60);

/// A notification by position and id.
pub(crate) type Name = (u64, Uuid);

/// Work to be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    /// Try to send it; [`Plan::ended`] follows.
    Send(Name, Way),
    /// Merge these emails into the summary, or create one from them; [`Plan::joined`] follows.
    Join {
        /// The address.
        address: String,
        /// Emails to be merged, in order.
        emails: Vec<Name>,
        /// The summary.
        summary: Option<Name>,
    },
    /// Sent an hour ago: forget it.
    Forget(Name),
}

/// Result of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// Settled.
    Gone,
    /// An email that was sent, or permanently rejected by the SMTP server.
    Sent,
    /// To be retried after a pause.
    Again(Duration),
    /// A webhook notification that becomes an email.
    ByEmail,
}

#[derive(Debug)]
struct Item {
    id: Uuid,
    way: Way,
    /// Whether it is a confirmation question.
    question: bool,
    holder: Holder,
    /// The technical contact, in lower case.
    address: String,
}

/// All pending notifications.
#[derive(Debug)]
pub(crate) struct Plan {
    items: BTreeMap<u64, Item>,
    due: BTreeSet<(Instant, u64)>,
    webhooks: Line,
    emails: Line,
    hours: Hours,
    longest_pause: Duration,
    hour: Duration,
    /// Notifications with a slot.
    ready: Vec<u64>,
    /// Addresses with emails that are to join a summary.
    joins: BTreeSet<String>,
    /// Notifications being sent; each holds a slot.
    under_way: BTreeSet<u64>,
    /// Number of items from which items that the outbox has dropped are removed.
    look_at: usize,
}

/// Below this number of items, dropped ones are not looked for.
const FEW: usize = 4_096;

#[derive(Debug)]
struct Line {
    queue: Queue,
    waiting: HashMap<Waiter, u64>,
}

impl Line {
    fn new(places: usize) -> Line {
        Line { queue: Queue::new(places as u64), waiting: HashMap::new() }
    }

    fn ask(&mut self, holder: Holder, number: u64, ready: &mut Vec<u64>) {
        match self.queue.ask(holder, 1) {
            Asked::Granted => ready.push(number),
            Asked::Waits(waiter) => {
                self.waiting.insert(waiter, number);
            }
        }
        self.serve(ready);
    }

    fn give_back(&mut self, holder: Holder, ready: &mut Vec<u64>) {
        self.queue.give_back(holder, 1);
        self.serve(ready);
    }

    fn serve(&mut self, ready: &mut Vec<u64>) {
        while let Some(waiter) = self.queue.serve() {
            ready.extend(self.waiting.remove(&waiter));
        }
    }
}

impl Plan {
    pub(crate) fn new(settings: &Settings) -> Plan {
        Plan {
            items: BTreeMap::new(),
            due: BTreeSet::new(),
            webhooks: Line::new(settings.webhooks_at_once),
            emails: Line::new(settings.emails_at_once),
            hours: Hours::new(settings.emails_an_hour, settings.hour),
            longest_pause: settings.email_longest_pause,
            hour: settings.hour,
            ready: Vec::new(),
            joins: BTreeSet::new(),
            under_way: BTreeSet::new(),
            look_at: FEW,
        }
    }

    /// The highest known position: new notifications come after it.
    pub(crate) fn last(&self) -> Option<u64> {
        self.items.last_key_value().map(|(number, _)| *number)
    }

    /// Adds the outbox's content at start. `wall` is the time base of its due times; a pause never exceeds the maximum,
    /// whatever happened to the clock.
    pub(crate) fn restore(&mut self, mut kept: Vec<Outgoing>, now: Instant, wall: Timestamp) {
        // Sent emails and summaries first: they determine the rest.
        let order = |one: &Outgoing| match (one.sent_at, &one.channel) {
            (Some(_), _) => 0,
            (None, Channel::Summary { .. }) => 1,
            (None, Channel::Email { .. } | Channel::Webhook { .. } | Channel::Question { .. }) => 2,
        };
        kept.sort_by_key(|one| (order(one), one.number));
        for outgoing in kept {
            let tried = outgoing.attempts > 0 || outgoing.waited_ms > 0;
            let longest = if Item::way(&outgoing) == Way::Webhook { LONGEST_OURS } else { self.longest_pause };
            let pause = outgoing.due_at.since(wall).min(longest);
            let at = if tried { now + pause } else { now };
            let (number, address) = (outgoing.number, address(&outgoing.email));
            self.items.insert(number, Item::of(&outgoing));
            match (outgoing.sent_at, &outgoing.channel) {
                (Some(sent_at), _) => self.hours.sent(&address, number, wall.since(sent_at).min(self.hour), now),
                (None, Channel::Summary { .. }) => {
                    self.hours.summary_kept(&address, number);
                    self.next_may_go(&address, at);
                }
                (None, Channel::Email { .. } | Channel::Webhook { .. } | Channel::Question { .. }) => {
                    self.arrives(number, at);
                }
            }
        }
    }

    /// Adds a new notification.
    pub(crate) fn add(&mut self, outgoing: &Outgoing, now: Instant) {
        self.items.insert(outgoing.number, Item::of(outgoing));
        self.arrives(outgoing.number, now);
    }

    /// Work to be started now.
    pub(crate) fn start(&mut self, now: Instant) -> Vec<Start> {
        let mut starts = Vec::new();
        let of_hours = self.hours.due(now);
        for number in of_hours.forgotten {
            // Its slot is released once it is forgotten in the store as well.
            starts.extend(self.name(number).map(Start::Forget));
        }
        self.due.extend(of_hours.going.into_iter().map(|number| (now, number)));
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, number)) = self.due.pop_first() else { break };
            let Some(item) = self.items.get(&number) else { continue };
            let line = if item.way == Way::Webhook { &mut self.webhooks } else { &mut self.emails };
            line.ask(item.holder, number, &mut self.ready);
        }
        for number in std::mem::take(&mut self.ready) {
            if let Some(item) = self.items.get(&number) {
                self.under_way.insert(number);
                starts.push(Start::Send((number, item.id), item.way));
            }
        }
        for address in std::mem::take(&mut self.joins) {
            if let Some((emails, summary)) = self.hours.join(&address) {
                let emails = emails.into_iter().filter_map(|number| self.name(number)).collect();
                let summary = summary.and_then(|number| self.name(number));
                starts.push(Start::Join { address, emails, summary });
            }
        }
        starts
    }

    /// Time of the next due work without further input.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at).into_iter().chain(self.hours.next_at()).min()
    }

    /// Records the end of an attempt; `way` is its channel.
    pub(crate) fn ended(&mut self, number: u64, way: Way, ended: Ended, now: Instant) {
        self.under_way.remove(&number);
        let Some(item) = self.items.get_mut(&number) else { return };
        let (holder, address) = (item.holder, item.address.clone());
        let line = if way == Way::Webhook { &mut self.webhooks } else { &mut self.emails };
        line.give_back(holder, &mut self.ready);
        match ended {
            Ended::Again(pause) => {
                self.due.insert((now + pause, number));
            }
            Ended::Sent => self.hours.sent(&address, number, Duration::ZERO, now),
            Ended::ByEmail => {
                item.way = Way::Email;
                self.arrives(number, now);
            }
            Ended::Gone => {
                self.items.remove(&number);
                if way == Way::Email {
                    self.hours.given_up(&address, number);
                    self.next_may_go(&address, now);
                }
            }
        }
    }

    /// Records that emails have joined `summary`, possibly as its first.
    pub(crate) fn joined(&mut self, address: &str, emails: &[Name], summary: Option<u64>, now: Instant) {
        emails.iter().filter(|(number, _)| Some(*number) != summary).for_each(|(number, _)| {
            self.items.remove(number);
        });
        self.hours.joined(address, summary);
        self.joins.insert(address.to_owned());
        self.next_may_go(address, now);
    }

    /// Records that it is forgotten in the store.
    pub(crate) fn forgotten(&mut self, number: u64) {
        self.items.remove(&number);
    }

    /// Whether so much is in memory that it is time to see what the outbox has dropped of it.
    pub(crate) fn wants_look(&self) -> bool {
        self.items.len() >= self.look_at
    }

    /// Leaves out what the outbox has dropped, but for what holds a place; `kept` is all that it has, in order.
    pub(crate) fn retain(&mut self, kept: &[u64]) {
        let (items, under_way, ready) = (&mut self.items, &self.under_way, &self.ready);
        let has_place = |number: &u64| under_way.contains(number) || ready.contains(number);
        items.retain(|number, _| kept.binary_search(number).is_ok() || has_place(number));
        self.due.retain(|(_, number)| items.contains_key(number));
        for line in [&mut self.webhooks, &mut self.emails] {
            let Line { queue, waiting } = line;
            waiting.retain(|waiter, number| items.contains_key(number) || !queue.withdraw(*waiter));
        }
        self.look_at = FEW.max(2 * self.items.len());
    }

    fn name(&self, number: u64) -> Option<Name> {
        self.items.get(&number).map(|item| (number, item.id))
    }

    fn arrives(&mut self, number: u64, at: Instant) {
        let Some(item) = self.items.get(&number) else { return };
        let goes = match item.way {
            Way::Webhook => true,
            Way::Email if item.question => self.hours.question_arrives(&item.address, number),
            Way::Email if self.hours.arrives(&item.address, number) == Turn::Goes => true,
            Way::Email => {
                self.joins.insert(item.address.clone());
                false
            }
        };
        if goes {
            self.due.insert((at, number));
        }
    }

    fn next_may_go(&mut self, address: &str, at: Instant) {
        while let Some(number) = self.hours.next(address) {
            self.due.insert((at, number));
        }
    }
}

impl Item {
    fn way(outgoing: &Outgoing) -> Way {
        match outgoing.channel {
            Channel::Webhook { .. } => Way::Webhook,
            Channel::Email { .. } | Channel::Question { .. } | Channel::Summary { .. } => Way::Email,
        }
    }

    fn of(outgoing: &Outgoing) -> Item {
        let address = address(&outgoing.email);
        let question = matches!(outgoing.channel, Channel::Question { .. });
        Item { id: outgoing.id, way: Item::way(outgoing), question, holder: holder(outgoing), address }
    }
}

/// Holder of a notification's slot.
pub(crate) fn holder(outgoing: &Outgoing) -> Holder {
    // The URL identifies the PIM; old records contain nothing else of it.
    let mut pim = DefaultHasher::new();
    outgoing.notification.subject.hash(&mut pim);
    Holder { pim: pim.finish(), part: outgoing.notification.subscriber_id.0.as_u64_pair().1 }
}

/// Addresses that differ only in case are the same.
fn address(email: &str) -> String {
    email.to_lowercase()
}

#[cfg(test)]
mod tests;
