//! Changes requested by lanes, retried until they are committed or there is nothing to change any more.

use domain::Timestamp;
use store::ChangeError;

/// Pending changes of one kind.
#[derive(Debug)]
pub(super) struct Commits<W> {
    pending: Vec<Pending<W>>,
    next_number: u64,
}

#[derive(Debug)]
struct Pending<W> {
    number: u64,
    wanted: W,
    /// Time of the next retry; none while in flight.
    again_at: Option<Timestamp>,
}

/// What follows from the result of a try.
#[derive(Debug)]
pub(super) enum Follows<W> {
    /// It is over; whether something was changed.
    Over(W, bool),
    /// It is tried again at once, under its number.
    AtOnce(u64, W),
    /// It is tried again later.
    Later(W, ChangeError),
    /// The shard has another owner.
    Fenced,
    /// It was over already.
    Nothing,
}

impl<W> Default for Commits<W> {
    fn default() -> Commits<W> {
        Commits { pending: Vec::new(), next_number: 0 }
    }
}

impl<W: Clone> Commits<W> {
    /// Adds one; returns its number.
    pub(super) fn begin(&mut self, wanted: W) -> u64 {
        self.next_number += 1;
        self.pending.push(Pending { number: self.next_number, wanted, again_at: None });
        self.next_number
    }

    pub(super) fn again_at(&self) -> Option<Timestamp> {
        self.pending.iter().filter_map(|pending| pending.again_at).min()
    }

    /// Those to be retried now.
    pub(super) fn again(&mut self, now: Timestamp) -> impl Iterator<Item = (u64, W)> {
        let due = self.pending.iter_mut().filter(move |pending| pending.again_at.is_some_and(|at| at <= now));
        due.map(|pending| {
            pending.again_at = None;
            (pending.number, pending.wanted.clone())
        })
    }

    /// Handles the result of a try.
    pub(super) fn tried(&mut self, number: u64, result: Result<bool, ChangeError>, again_at: Timestamp) -> Follows<W> {
        let Some(index) = self.pending.iter().position(|pending| pending.number == number) else {
            return Follows::Nothing;
        };
        match result {
            Ok(changed) => Follows::Over(self.pending.swap_remove(index).wanted, changed),
            Err(ChangeError::Fenced) => Follows::Fenced,
            // It was changed meanwhile: there may be nothing to change any more.
            Err(ChangeError::Conflict) => Follows::AtOnce(number, self.pending[index].wanted.clone()),
            Err(error) => {
                self.pending[index].again_at = Some(again_at);
                Follows::Later(self.pending[index].wanted.clone(), error)
            }
        }
    }
}
