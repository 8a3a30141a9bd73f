//! What follows from an outcome by the contract's table (page 4).

use std::time::Duration;

use domain::Timestamp;
use domain::outcome::{ErrorReason, Outcome, SuspensionReason};

use super::{Lane, Oracle, State, minute};

impl Oracle {
    /// The engine is told how an attempt ended; gives the suspension that has to follow, if any. A second answer finds nothing.
    pub fn ended(
        &mut self,
        index: usize,
        position: u64,
        attempt: u64,
        lane_number: u32,
        outcome: &Outcome,
        (now, true_now): (Timestamp, u64),
    ) -> Option<SuspensionReason> {
        let settings = self.settings.clone();
        let lane = &mut self.lanes[index];
        let same_lane = lane.number == lane_number;
        let item = lane.items.get_mut(&position)?;
        if item.in_flight != Some(attempt) {
            return None;
        }
        item.in_flight = None;
        item.told_at = true_now;
        if same_lane {
            lane.in_flight -= 1;
        }
        if item.late || !same_lane || lane.stopped {
            let delivered = *outcome == Outcome::Delivered;
            item.state = if delivered { State::Delivered } else { State::Failed };
            lane.failures_told += u64::from(!delivered);
            return None;
        }
        let first_tried_at = item.first_tried_at.unwrap_or(now);
        let mut reason = None;
        match outcome {
            Outcome::Delivered => {
                item.state = State::Delivered;
                lane.window.push((minute(now), true));
                return None;
            }
            Outcome::Throttled { retry_after } => {
                if now.since(first_tried_at) <= settings.undelivered_at_most {
                    item.state = State::Throttled;
                    if let Some(asked) = retry_after.filter(|_| lane.respects_retry_after()) {
                        let asked = asked.min(settings.undelivered_at_most).saturating_sub(Duration::from_micros(1));
                        lane.pause_until = lane.pause_until.max(now + asked);
                    }
                    return None;
                }
                item.state = State::Failed;
            }
            Outcome::Failed(_) => match settings.retry_delays.get(usize::from(item.failures)) {
                Some(delay) => {
                    item.state = State::Retry;
                    item.failures += 1;
                    item.due_at = now + *delay;
                }
                None => item.state = State::Failed,
            },
            Outcome::Refused(_) => item.state = State::Failed,
            Outcome::Broken(failure) => {
                item.state = State::Failed;
                reason = Some(SuspensionReason::Destination(failure.reason));
            }
            Outcome::Abandoned => {
                item.state = State::Throttled;
                return None;
            }
        }
        lane.failures_told += 1;
        if reason != Some(SuspensionReason::Destination(ErrorReason::DestinationForbidden)) {
            lane.window.push((minute(now), false));
        }
        let runs = !lane.halted && lane.known.as_ref().is_some_and(|known| known.status.is_active());
        let (good, bad) = self.window(index, now);
        if reason.is_none()
            && good + bad >= settings.judged_from
            && good * 100 < (good + bad) * settings.success_percent
        {
            reason = Some(SuspensionReason::SuccessRate);
        }
        reason.filter(|_| runs)
    }
}

impl Lane {
    fn respects_retry_after(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.options.respect_retry_after)
    }
}
