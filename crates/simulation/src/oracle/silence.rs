//! Whose silence it is (contract page 4): the destination's, unless another one was tried within a minute and none has
//! answered since the silence began. What proves to be the platform's is taken out of the window.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;
use domain::outcome::{Lack, Outcome};

use super::{Oracle, minute};
use crate::plan::SECOND;

/// Period in which a tried destination says something about the others.
const RECENTLY: u64 = 60 * SECOND;
/// With several destinations in use, none is suspended for silence this soon.
const FIRST: Duration = Duration::from_secs(60);

/// Books on tries and answers by receiver, in true time.
#[derive(Clone, Debug, Default)]
pub(super) struct Silences {
    tried: HashMap<usize, u64>,
    /// The last answer of any receiver.
    heard: Option<(u64, Timestamp)>,
    silent: HashMap<usize, Silent>,
}

/// A receiver that has not answered since its last silent attempt.
#[derive(Clone, Copy, Debug)]
struct Silent {
    began: Timestamp,
    /// The first answer of another receiver since.
    answered: Option<u64>,
    /// Its latest silent attempt is not its own fault, as far as known.
    excused: bool,
}

impl Silences {
    fn others_excused(&self, receiver: usize) -> bool {
        self.silent.iter().any(|(other, silent)| *other != receiver && silent.excused)
    }

    fn others_in_use(&self, receiver: usize, now: u64) -> bool {
        let tried = |(other, at): (&usize, &u64)| *other != receiver && now - *at <= RECENTLY;
        self.tried.iter().any(tried) || self.others_excused(receiver)
    }
}

impl Oracle {
    /// An attempt at a receiver begins.
    pub fn tried(&mut self, receiver: usize, true_now: u64) {
        self.silences.tried.insert(receiver, true_now);
    }

    /// The outcomes of an attempt that began at `started`, as they count: silence that is not the receiver's is the
    /// platform's. Covers neither restarts nor silence within silence.
    pub fn judge_silence(
        &mut self,
        index: usize,
        receiver: usize,
        outcomes: &[Outcome],
        started: u64,
        (now, true_now): (Timestamp, u64),
    ) -> Vec<Outcome> {
        let books = &mut self.silences;
        if !outcomes.iter().any(|outcome| matches!(outcome, Outcome::Silent(_))) {
            books.heard = Some((true_now, now));
            books.silent.remove(&receiver);
            for silent in books.silent.values_mut() {
                silent.answered.get_or_insert(true_now);
            }
            self.lanes[index].suspends_from = Timestamp::EPOCH;
            return outcomes.to_vec();
        }
        let (in_use, proven) = (books.others_in_use(receiver, true_now), books.others_excused(receiver));
        let silent = books.silent.entry(receiver).or_insert(Silent { began: now, answered: None, excused: false });
        // An answer during the attempt may have come before the network failed.
        let others_answer = silent.answered.is_some_and(|at| at <= started);
        silent.excused = in_use && !others_answer;
        if !silent.excused {
            let first = if in_use { silent.began + FIRST } else { Timestamp::EPOCH };
            self.lanes[index].suspends_from = first;
            return outcomes.to_vec();
        }
        if proven {
            let since = books.heard.map_or(i64::MIN, |(_, at)| minute(at));
            let lane = &mut self.lanes[index];
            for at in std::mem::take(&mut lane.silences).into_iter().filter(|at| minute(*at) >= since) {
                if let Some(place) = lane.window.iter().position(|counted| *counted == (at, false)) {
                    lane.window.swap_remove(place);
                }
            }
        }
        let ours = |outcome: &Outcome| match outcome {
            Outcome::Silent(_) => Outcome::Ours(Lack::Silence),
            outcome => outcome.clone(),
        };
        outcomes.iter().map(ours).collect()
    }
}
