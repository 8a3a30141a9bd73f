//! Saves of replays, and their end.

use std::collections::BTreeMap;

use domain::replay::ReplayStatus;
use domain::{ReplayId, Timestamp};
use store::ReplaySave;

use super::super::Oracle;
use super::{Book, Progress, Snapshot};
use crate::property::{Check, Property, hold};

impl Oracle {
    /// State of all replays at a save request.
    pub fn replays_asked(&self) -> BTreeMap<ReplayId, Snapshot> {
        let snapshot = |book: &Book| Snapshot { sent: book.sent.clone(), must: book.must.clone(), over: book.over };
        self.replays.iter().map(|(id, book)| (*id, snapshot(book))).collect()
    }

    /// The store has saved a replay's progress: nothing unsettled is passed, and each event is counted once.
    pub fn replay_saved(&mut self, save: &ReplaySave, asked: &BTreeMap<ReplayId, Snapshot>) -> Check {
        let (Some(book), Some(snapshot)) = (self.replays.get_mut(&save.id), asked.get(&save.id)) else { return Ok(()) };
        let progress = &save.progress;
        let count = |of: Progress| snapshot.sent.values().filter(|sent| sent.progress == of).count() as u64;
        let counted = (count(Progress::Delivered), count(Progress::Failed));
        hold(Property::ReplaysAreComplete, counted == (progress.delivered, progress.failed), || {
            format!("replay {}: {counted:?} events are delivered and failed, saved: {progress:?}", save.id)
        })?;
        let next = progress.next.0;
        for (position, sent) in snapshot.sent.range(..next).filter(|(_, sent)| sent.progress == Progress::Open) {
            let found = progress.open.iter().find(|(open, _)| open.0 == *position);
            let kept = found.is_some_and(|(_, failures)| *failures == sent.failures);
            hold(Property::ReplaysAreComplete, kept || book.loose, || {
                format!("replay {}: event {position} is {sent:?}, saved: {found:?}", save.id)
            })?;
        }
        let passed = snapshot.must.range(..next).find(|position| !snapshot.sent.contains_key(position));
        let parked = passed.is_some_and(|passed| progress.open.iter().any(|(open, _)| open.0 == *passed));
        hold(Property::ReplaysAreComplete, passed.is_none() || parked || book.loose, || {
            format!("replay {}: event {passed:?} was passed at {next} and never sent", save.id)
        })?;
        book.durable.clone_from(&snapshot.sent);
        let Some((status, reason)) = &save.end else { return Ok(()) };
        if book.ended.is_some() {
            return Ok(());
        }
        book.ended = Some(*status);
        let settled = |position: &u64| snapshot.sent.get(position).is_some_and(|sent| sent.progress != Progress::Open);
        let missing = snapshot.must.iter().find(|position| !settled(position));
        let follows = match status {
            ReplayStatus::Done => missing.is_none() && !snapshot.over,
            ReplayStatus::Failed => snapshot.over && reason.is_some(),
            ReplayStatus::Running | ReplayStatus::Cancelled => false,
        };
        // With a change of what matches, an event may have been passed before it matched.
        hold(Property::ReplaysAreComplete, follows || book.loose && *status == ReplayStatus::Done, || {
            format!("replay {} is {status:?} ({reason:?}); event {missing:?} is missing", save.id)
        })
    }

    /// The process is gone: replays go on at their saved progress.
    pub(in crate::oracle) fn replays_crashed(&mut self) {
        let mut books = std::mem::take(&mut self.replays);
        for book in books.values_mut() {
            let before = std::mem::replace(&mut book.sent, book.durable.clone());
            for (position, sent) in &mut book.sent {
                sent.in_flight = None;
                // The pause begins anew, or the attempt did not end.
                sent.due_at = Timestamp::EPOCH;
                sent.first_tried_at = None;
                sent.taken = before.get(position).map_or(sent.taken, |before| before.taken);
            }
            (book.in_flight, book.in_a_row, book.over) = (0, 0, false);
            // Events settled since the last save are not settled for the live lane any more: they are skipped.
            let lane = book.lane;
            book.must.retain(|position| self.is_certainly_settled(lane, *position));
        }
        self.replays = books;
        self.lanes.iter_mut().for_each(|lane| lane.replayed_last = None);
    }

    /// At the end, no replay is running, and what counts as delivered was taken.
    pub fn replays_have_ended(&self) -> Check {
        for (id, book) in &self.replays {
            hold(Property::ReplaysEnd, book.ended.is_some(), || format!("replay {id} is still running: {book:?}"))?;
            let untaken = book.sent.iter().find(|(_, sent)| sent.progress == Progress::Delivered && sent.taken == 0);
            hold(Property::EveryEventEnds, untaken.is_none(), || {
                format!("replay {id}: nobody took event {untaken:?}, which counts as delivered")
            })?;
        }
        Ok(())
    }
}
