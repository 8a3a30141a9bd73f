//! While the trouble is the platform's, or nobody knows yet whose it is: one attempt at a time, and nothing counts.
//!
//! The rest stays where it is: in hand, among the waiting, in the log. Nothing is written per event; only what was
//! under way when the trouble began gets a place among the waiting, for the cursor may have to pass it.

use std::time::Duration;

use domain::Timestamp;
use domain::exception::{Exception, ExceptionKind};
use domain::outcome::{ErrorReason, Failure, Lack, Outcome};

use super::{Flight, Lane, Phase, Ticket};

/// The pause before the first try again, and before a throttled event's next turn; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is longer. Throttled: fresh events go on meanwhile, so one that the endpoint never wants holds up nobody.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whose the silence of an attempt's destination is, as far as that is known ([`Outcome::Silent`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// The destination's: a failure. It suspends nobody before `suspends_from`.
    Theirs {
        /// When it may lead to a suspension.
        suspends_from: Timestamp,
    },
    /// The platform's, or not known yet.
    Undecided {
        /// Since when others have been silent as well: what counted as silence from then on is taken out of the window.
        since: Option<Timestamp>,
    },
}

impl Silence {
    /// The destination's, without further ado.
    pub const THEIRS: Silence = Silence::Theirs { suspends_from: Timestamp::EPOCH };
}

/// Trouble that is not the destination's, or not known to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trouble {
    lack: Lack,
    since: Timestamp,
    /// Attempts made in it that ended in it.
    tries: u32,
    /// The first attempt that was made in it, by its ticket.
    first_try: u64,
    /// When the next one may be made.
    pub(super) until: Timestamp,
    /// What the attempt failed with that began a silence.
    silent: Option<Failure>,
}

/// The pause after so many tries before this one.
pub(super) fn pause(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE)
}

/// The trouble that an outcome tells of, with what the attempt failed with.
fn trouble_of(outcome: &Outcome, silence: Silence) -> Option<(Lack, Option<&Failure>)> {
    match (outcome, silence) {
        (Outcome::Ours(lack), _) => Some((*lack, None)),
        (Outcome::Silent(failure), Silence::Undecided { .. }) => Some((Lack::Silence, Some(failure))),
        _ => None,
    }
}

/// Whether an outcome settles whose trouble it is: the destination's own doing, or its answer.
fn ends_trouble(outcome: &Outcome, silence: Silence) -> bool {
    trouble_of(outcome, silence).is_none() && *outcome != Outcome::Abandoned
}

impl Lane {
    /// What the lane lacks to deliver; none where nothing is in its way but the destination.
    pub fn lack(&self) -> Option<Lack> {
        self.trouble.as_ref().map(|trouble| trouble.lack)
    }

    /// Since when the lane lacks what it lacks.
    pub fn lacks_since(&self) -> Option<Timestamp> {
        self.trouble.as_ref().map(|trouble| trouble.since)
    }

    /// An attempt has ended: the trouble begins, goes on, or is over. Gives for how long it lasted, and the outcomes as
    /// they count: a silence that turns out to be the destination's counts once, as the attempt that began it.
    pub(super) fn weigh(&mut self, ticket: Ticket, outcomes: &mut [Outcome], silence: Silence) -> Duration {
        let silent = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Silent(_)));
        if let Silence::Undecided { since: Some(since) } = silence
            && silent
            && self.window.take_out_silence(since)
        {
            self.unsaved.memory = true;
        }
        let ends = outcomes.iter().any(|outcome| ends_trouble(outcome, silence));
        match silence {
            Silence::Theirs { suspends_from } if silent => self.suspends_from = suspends_from,
            // It has answered.
            _ if ends => self.suspends_from = Timestamp::EPOCH,
            _ => {}
        }
        let mut lasted = Duration::ZERO;
        if ends && let Some(trouble) = self.trouble.take() {
            lasted = self.now.since(trouble.since);
            self.waiting.put_off_first_tries(lasted);
            if let Some(began) = trouble.silent {
                for outcome in outcomes.iter_mut() {
                    if let Outcome::Silent(failure) = outcome {
                        *failure = began.clone();
                    }
                }
            }
        }
        if let Some((lack, failure)) = outcomes.iter().find_map(|outcome| trouble_of(outcome, silence)) {
            let failure = failure.cloned();
            self.last_failure = Some((self.now, failure.clone().unwrap_or_else(|| lacking(lack))));
            if self.phase == Phase::Running {
                self.in_trouble(ticket, lack, failure);
            }
        }
        lasted
    }

    fn in_trouble(&mut self, ticket: Ticket, lack: Lack, silent: Option<Failure>) {
        if let Some(unfed) = &mut self.unfed {
            unfed.interrupted();
        }
        let (now, first_try) = (self.now, self.next_ticket + 1);
        match &mut self.trouble {
            None => {
                let until = now + pause(0);
                self.trouble = Some(Trouble { lack, since: now, tries: 0, first_try, until, silent });
            }
            Some(trouble) => {
                trouble.lack = lack;
                trouble.silent = trouble.silent.take().or(silent);
                // What was under way when the trouble began was no try.
                if ticket.0 >= trouble.first_try {
                    trouble.tries = trouble.tries.saturating_add(1);
                    trouble.until = now + pause(trouble.tries);
                }
            }
        }
    }

    /// The next try may be made at once.
    pub(super) fn try_now(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.until = self.now;
        }
    }

    /// The one attempt that may be made in trouble: what was tried before goes first.
    pub(super) fn next_try(&mut self) -> Option<Flight> {
        if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
            return Some(self.again(taken));
        }
        self.next_one()
    }

    /// When the next try may be made; `None` outside of trouble.
    pub(super) fn try_at(&self) -> Option<Timestamp> {
        self.trouble.as_ref().map(|trouble| trouble.until)
    }

    /// The attempt at an event is as if it had not been made: it is first in line again.
    pub(super) fn untried(&mut self, flight: Flight) {
        let running = self.phase == Phase::Running;
        if flight.waits {
            // Its place among the waiting is as it was, in the ledger as well.
            if running {
                self.waiting.give_back(flight.event);
            } else {
                self.waiting.back_to_sleep(flight.event.position);
            }
            return;
        }
        let exception = Exception {
            position: flight.event.position,
            kind: ExceptionKind::Throttled,
            failures: flight.failures,
            due_at: self.now,
            first_tried_at: Timestamp::EPOCH,
            entity: flight.entity,
        };
        self.unsaved.changed(exception.position);
        self.waiting.put(exception, 0);
        if running {
            self.waiting.at_hand_again(flight.event);
        }
    }
}

/// What `status` shows of an attempt that failed for want of something.
fn lacking(lack: Lack) -> Failure {
    let reason = match lack {
        Lack::NameServers => ErrorReason::DnsLookupFailure,
        Lack::Silence => ErrorReason::DestinationTimeout,
        Lack::Proxy => ErrorReason::NetworkUnreachable,
        _ => ErrorReason::ClientClosedConnection,
    };
    let message = format!(
        "The platform itself lacked a resource for the attempt ({lack}). It doesn't count against the destination; \
        the event is sent again."
    );
    Failure::without_status(reason, message)
}
