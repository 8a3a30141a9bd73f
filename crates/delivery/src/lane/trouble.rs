//! Trouble of the platform's own, or of unknown cause: one attempt at a time, and nothing counts.
//!
//! Everything else stays in place: in hand, waiting, in the log. Nothing is written per event; only events that were in
//! flight when the trouble began join the waiting events, because the cursor may have to pass them.

use std::time::Duration;

use domain::Timestamp;
use domain::exception::{Exception, ExceptionKind};
use domain::outcome::{ErrorReason, Failure, Lack, Outcome};

use super::{Flight, Lane, Phase, Ticket};

/// Pause before the first retry, and before a throttled event's next turn; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause. Fresh events continue while one is throttled, so an event that the endpoint never accepts holds up no
/// others.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Cause of a destination's silence, as far as known ([`Outcome::Silent`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// The destination: a failure. It suspends nothing before `suspends_from`.
    Theirs {
        /// Earliest time at which it may lead to a suspension.
        suspends_from: Timestamp,
    },
    /// The platform, or not yet known.
    Undecided {
        /// Start of silence at other destinations: silence counted since then is taken out of the window.
        since: Option<Timestamp>,
    },
}

impl Silence {
    /// The destination, unconditionally.
    pub const THEIRS: Silence = Silence::Theirs { suspends_from: Timestamp::EPOCH };
}

/// Trouble not known to be the destination's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trouble {
    lack: Lack,
    since: Timestamp,
    /// Attempts made during the trouble that failed with it.
    tries: u32,
    /// Ticket of the first attempt made during the trouble.
    first_try: u64,
    /// Time of the next attempt.
    pub(super) until: Timestamp,
    /// Failure of the attempt that began a silence.
    silent: Option<Failure>,
}

/// The pause after this many attempts.
pub(crate) fn pause(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE)
}

/// The trouble shown by an outcome, with the failure of the attempt.
fn trouble_of(outcome: &Outcome, silence: Silence) -> Option<(Lack, Option<&Failure>)> {
    match (outcome, silence) {
        (Outcome::Ours(lack), _) => Some((*lack, None)),
        (Outcome::Silent(failure), Silence::Undecided { .. }) => Some((Lack::Silence, Some(failure))),
        _ => None,
    }
}

/// Whether an outcome shows the cause of the trouble: the destination's own fault, or its response.
fn ends_trouble(outcome: &Outcome, silence: Silence) -> bool {
    trouble_of(outcome, silence).is_none() && *outcome != Outcome::Abandoned
}

impl Lane {
    /// What the lane lacks to deliver; none if only the destination can prevent deliveries.
    pub fn lack(&self) -> Option<Lack> {
        self.trouble.as_ref().map(|trouble| trouble.lack)
    }

    /// Time since which the lane lacks it.
    pub fn lacks_since(&self) -> Option<Timestamp> {
        self.trouble.as_ref().map(|trouble| trouble.since)
    }

    /// Applies the end of an attempt: the trouble begins, continues or ends. Returns its duration, and the outcomes as
    /// they count: a silence attributed to the destination counts once, as the attempt that began it.
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
            // The destination has responded.
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
                // Attempts in flight when the trouble began are not retries.
                if ticket.0 >= trouble.first_try {
                    trouble.tries = trouble.tries.saturating_add(1);
                    trouble.until = now + pause(trouble.tries);
                }
            }
        }
    }

    /// Allows the next retry at once.
    pub(super) fn try_now(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.until = self.now;
        }
    }

    /// The one attempt allowed in trouble: events tried before come first.
    pub(super) fn next_try(&mut self) -> Option<Flight> {
        if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
            return Some(self.again(taken));
        }
        self.next_one()
    }

    /// Time of the next retry; `None` outside trouble.
    pub(super) fn try_at(&self) -> Option<Timestamp> {
        self.trouble.as_ref().map(|trouble| trouble.until)
    }

    /// Undoes an attempt at an event: it is first in line again.
    pub(super) fn untried(&mut self, flight: Flight) {
        let running = self.phase == Phase::Running;
        if flight.waits {
            // Its waiting place is unchanged, in the ledger as well.
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

/// Failure shown by `status` for an attempt that lacked something.
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
