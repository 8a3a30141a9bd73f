//! End of a world: everything is healed, all subscriptions are resumed, and once it has settled the books are closed.
//! Also the checks of `status` on the way.

use domain::log_entry::{Action, LogBody, LogEntry, LogOrder, LogQuery};
use domain::notification::NotificationKind;
use domain::subscription::SubscriptionStatus;
use store::{Entries, EventLog, Outbox, Shard};

use super::World;
use super::saving::drop_count;
use crate::oracle::{Item, State, is_topic};
use crate::plan::{Incident, MINUTE, SECOND};
use crate::property::{Check, Property, hold};
use crate::receiver::Behaviour;
use crate::storage::{Health, at_once};

/// Time by which an event's last retry is over.
const ALL_RETRIES: u64 = 36 * MINUTE;

/// Covers all retries (35 minutes), the longest pause of a `Retry-After`, and a backlog at a low rate.
const SETTLES_WITHIN: u64 = 180 * MINUTE;

impl World {
    /// Heals the world, waits until it has settled, and closes the books.
    pub fn settle(&mut self) -> Check {
        let healed = self.time;
        for receiver in &mut self.receivers {
            receiver.schedule.push((healed, Behaviour::Good(1)));
        }
        self.storage.schedule.push((healed, Health::Good));
        self.note(|| "healed".to_owned());
        if !self.is_up() || self.stopping_since.is_some() {
            self.until(healed + 20 * MINUTE, |world| world.is_up() && world.stopping_since.is_none())?;
        }
        // Pending suspensions are carried out; then all subscriptions are resumed, to send their held events.
        self.play_until(self.time + 10 * SECOND)?;
        self.happen(Incident::ResumeAll)?;
        let resumed = self.time;
        let quiet = |world: &World| world.driver.as_ref().is_some_and(|driver| driver.core().is_quiet());
        let settled = |world: &World| {
            !world.owes() && world.producers.rest() && world.oracle.running_replays().is_empty() && quiet(world)
        };
        while self.time < resumed + SETTLES_WITHIN && !settled(self) {
            self.until(resumed + SETTLES_WITHIN, settled)?;
            // An earlier failure may have suspended it: its held events are sent now.
            self.happen(Incident::ResumeAll)?;
        }
        // Deliveries left open by the contract may still be tried; then counts of dropped events, and two rounds of
        // trimming.
        let optional = self.oracle.lanes.iter().any(|lane| lane.items.values().any(|item| item.optional));
        let pause = if optional { ALL_RETRIES } else { 10 * SECOND };
        let trims = 2 * self.plan.settings.trim_every.as_micros() as u64;
        self.play_until(self.time + pause + trims)?;
        self.every_event_ends()?;
        self.oracle.replays_have_ended()?;
        self.retries_are_on_time(resumed)?;
        self.owners_are_notified()?;
        self.unneeded_is_freed()?;
        self.fates_are_true()?;
        for index in 0..self.oracle.lanes.len() {
            self.status_is_true(index)?;
        }
        Ok(())
    }

    fn every_event_ends(&self) -> Check {
        for (index, lane) in self.oracle.lanes.iter().enumerate() {
            if !lane.stored.status.counts() {
                continue;
            }
            for (position, item) in &lane.items {
                hold(Property::EveryEventEnds, item.state.is_settled() || item.optional, || {
                    format!("subscription {index}: event {position} has not ended: {item:?}")
                })?;
                let taken = item.state != State::Delivered || item.taken > 0;
                hold(Property::EveryEventEnds, taken, || {
                    format!("subscription {index}: event {position} counts as delivered, and nobody took it")
                })?;
            }
        }
        Ok(())
    }

    /// With everything healed, nothing waits longer than for its last retry.
    fn retries_are_on_time(&self, resumed: u64) -> Check {
        let held_up = self.time.saturating_sub(resumed) > SETTLES_WITHIN;
        hold(Property::RetriesAreOnTime, !held_up, || "the world did not settle".to_owned())
    }

    fn owners_are_notified(&self) -> Check {
        let waiting = at_once(self.store.notifications(Shard::FIRST, None, usize::MAX)).unwrap_or_default();
        for (index, lane) in self.oracle.lanes.iter().enumerate() {
            let entries = self.entries(index);
            let suspended =
                |entry: &&LogEntry| entry.body == LogBody::Action(Action::SubscriptionSuspendedByThePlatform);
            let logged = entries.iter().filter(suspended).count() as u64;
            let of_it = waiting.iter().map(|one| &one.notification).filter(|one| one.subscription_id == lane.stored.id);
            let notified = of_it.filter(|one| one.kind == NotificationKind::SuspendedBySystem).count() as u64;
            let once = logged == lane.suspensions && notified == lane.suspensions;
            hold(Property::SuspensionsAreToldOnce, once, || {
                format!("subscription {index}: {} suspensions, {logged} logged, {notified} notified", lane.suspensions)
            })?;
            if lane.stored.status == SubscriptionStatus::Deleted {
                continue;
            }
            let failures = entries.iter().filter(|entry| matches!(entry.body, LogBody::FailedDelivery(_)));
            let (dropped, failures): (Vec<&LogEntry>, Vec<&LogEntry>) =
                failures.partition(|entry| drop_count(&entry.body).is_some());
            let reported: u64 = failures.iter().map(|entry| entry.count).sum();
            let most = lane.failures_reported + lane.failures_lost;
            hold(Property::FailuresAreReported, (lane.failures_reported..=most).contains(&reported), || {
                format!("subscription {index}: {} to {most} failures, {reported} told", lane.failures_reported)
            })?;
            let counted: u64 =
                dropped.iter().filter_map(|entry| drop_count(&entry.body).map(|dropped| dropped * entry.count)).sum();
            let gone = |item: &&Item| matches!(item.state, State::Dropped | State::Expired);
            let must = lane.items.values().filter(gone).filter(|item| !item.optional).count() as u64;
            let most = must + lane.may_count;
            hold(Property::DropsAreTold, (must..=most).contains(&counted), || {
                format!("subscription {index}: {must} to {most} events were dropped, {counted} told")
            })?;
        }
        Ok(())
    }

    fn entries(&self, index: usize) -> Vec<LogEntry> {
        let lane = &self.oracle.lanes[index];
        let query = LogQuery {
            log_type: None,
            order: LogOrder::Ascending,
            limit: usize::MAX - 1,
            skip: 0,
            after: None,
            subscriber_id: None,
            subscription_id: Some(lane.stored.id),
            operation: None,
            error_reason: None,
            start_time: None,
            end_time: None,
        };
        at_once(self.store.entries(&lane.stored.owner(), &query)).map(|page| page.entries).unwrap_or_default()
    }

    fn unneeded_is_freed(&self) -> Check {
        let left = self.store.backlog().total();
        let keeps = self.oracle.lanes.iter().any(|lane| {
            let open = |item: &Item| item.optional && !item.state.is_settled();
            matches!(lane.stored.status, SubscriptionStatus::Suspended(_)) || lane.items.values().any(open)
        });
        hold(Property::UnneededIsFreed, left == 0 || keeps, || {
            let floors = self.driver.as_ref().map(|driver| driver.core().floors());
            format!("{left} bytes of events are kept for nobody: {floors:?}")
        })
    }

    /// Checks one lane's status.
    pub(super) fn look_at_status(&mut self) -> Check {
        let lanes = self.oracle.lanes.len() as u64;
        if lanes == 0 || !self.is_up() {
            return Ok(());
        }
        let index = ((self.totals.steps / 16) % lanes) as usize;
        self.status_is_true(index)
    }

    fn status_is_true(&mut self, index: usize) -> Check {
        let now = self.steady();
        let lane = &self.oracle.lanes[index];
        let current = lane.known.as_ref().is_some_and(|known| known.revision == lane.stored.revision);
        let asked = self.driver.as_mut().and_then(|driver| {
            let routed = driver.core().routed();
            driver.status(lane.stored.id, now).map(|(status, reach, _)| (status, reach, routed))
        });
        let Some((status, reach, routed)) = asked else { return Ok(()) };
        let settings = &self.plan.settings.delivery;
        let topic = lane.known.as_ref().is_some_and(is_topic);
        let fits = |rate| (settings.lowest_rate..=settings.highest_rate).contains(&rate);
        hold(Property::RateStaysWithin, status.rate.is_none_or(fits), || {
            format!("subscription {index}: rate {:?}", status.rate)
        })?;
        let has_rate = status.rate.is_none() == topic || lane.stopped;
        hold(Property::StatusIsTrue, has_rate, || format!("subscription {index}: rate {:?}", status.rate))?;
        // A lane reads on when half of its events are gone, and gets at most its capacity; events rejected by a topic
        // return to their place on top of that.
        let batches = if self.plan.topics.contains(&true) { 3 * settings.batch_events } else { 0 };
        let in_hand = settings.max_in_hand + settings.max_in_hand.div_ceil(2) + batches;
        let most = (in_hand + settings.max_waiting + 2 * settings.max_in_flight) as u64;
        hold(Property::MemoryIsBounded, status.backlog <= most, || {
            format!("subscription {index}: {} events in memory, at most {most}", status.backlog)
        })?;
        let waiting = status.waiting_retries + status.throttled;
        let most = (settings.max_waiting + settings.max_in_flight + batches) as u64;
        hold(Property::MemoryIsBounded, waiting <= most, || {
            format!("subscription {index}: {waiting} events wait, at most {most}")
        })?;
        if !current || !lane.stored.status.is_active() {
            return Ok(());
        }
        let overdue = self.oracle.is_overdue(index, now, std::time::Duration::from_secs(2));
        let unsure = lane.halted || self.oracle.stepped_back || self.stopping_since.is_some();
        hold(Property::SuspendsByTheRule, !overdue || unsure, || {
            format!("subscription {index} is still not suspended, below the success rate for long enough")
        })?;
        hold(Property::StatusIsTrue, status.in_flight == lane.in_flight as u64, || {
            format!("subscription {index}: {} attempts under way, status says {}", lane.in_flight, status.in_flight)
        })?;
        if !self.oracle.stepped_back {
            let (good, bad) = self.oracle.window(index, now);
            let seen = (status.delivered_in_window, status.failed_in_window);
            hold(Property::SuccessRateIsTrue, (good, bad) == seen, || {
                format!("subscription {index}: {good} delivered and {bad} failed within the hour, status says {seen:?}")
            })?;
        }
        if reach.is_none() {
            let open = |(position, item): (&u64, &Item)| {
                !item.state.is_settled() && *position < routed.0 && !item.late && !item.optional
            };
            let open = lane.items.iter().filter(|(position, item)| open((position, item))).count() as u64;
            // After a crash, a settled event may be open again.
            let may_be = |item: &&Item| item.optional && (!item.state.is_settled() || self.oracle.crashes > 0);
            let optional = lane.items.values().filter(may_be).count() as u64;
            let fits = (open..=open + optional).contains(&status.backlog);
            hold(Property::StatusIsTrue, fits, || {
                format!("subscription {index}: {open} events are open, status says {}", status.backlog)
            })?;
        }
        Ok(())
    }
}
