//! Calls of the store by processes, and their answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position};
use engine::core::{Floors, Read, ReadId, Suspend, Warn};
use engine::driver::Input;
use store::{Change, Chunk, Epoch, Lease, LedgerRecord, MemoryStore, ReadLimit, Roll, Save, Shard, StoreError, Tenure};
use uuid::Uuid;

use super::books;
use super::step::{At, Step};
use super::world::World;
use crate::mutation::Mutation;
use crate::property::Check;
use crate::storage::unavailable;

/// A call on its way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) at: At,
    /// The server that its connection leads to.
    pub(super) server: u64,
    /// The process' view of the store.
    pub(super) store: Arc<MemoryStore>,
    pub(super) what: What,
}

/// What a process asks of the store.
#[derive(Debug)]
pub(super) enum What {
    /// Sent at this time, and what was believed to be owned.
    Renew(Renewal),
    Enter(bool),
    Roll,
    Take(Lease),
    Give(u64, Tenure),
    /// Head and version of a shard that was taken, then all else that is stored.
    Begin(u64, Shard),
    Load(u64, Tenure),
    /// Heads and versions of some shards.
    Heads(Vec<Shard>),
    Frames(u64, Shard, Position, Position),
    /// A producer's request, with the number of the try. Some: ids were looked at already (a planted fault).
    Append(usize, u64, Option<bool>),
    Change(usize),
    /// Whether a change is in effect, asked at this time.
    InEffect(usize, Duration),
    Outbox(u64, Shard),
    Settle(u64, Uuid),
    /// A request of a driver, under a tenure.
    Of(u64, Tenure, Engine),
}

/// What a driver asks of the store.
#[derive(Debug)]
pub(super) enum Engine {
    Changes(u64),
    Replays,
    Apply(u64),
    Missed(Position, ReadLimit),
    Read(Read),
    Load(ReadId, PimId, Vec<Position>),
    Save(Box<(Save, books::Asked)>),
    Suspend(u64, Suspend),
    Commit(u64, Box<Change>),
    Warn(u64, Warn),
    Trim(Floors, Duration),
}

/// An answer of the store.
#[derive(Debug)]
pub(super) enum Answer {
    Renewed(Renewal, Result<Vec<(Shard, Epoch)>, StoreError>),
    Entered(bool, bool),
    Roll(Result<Roll, StoreError>),
    Taken(Shard, Result<Option<Tenure>, StoreError>),
    Given(u64),
    Begun(u64, Result<(Position, u64), StoreError>),
    Loaded(u64, Result<Loaded, StoreError>),
    Heads(Result<Vec<(Shard, Position, u64)>, StoreError>),
    Frames(u64, Result<Chunk, StoreError>),
    Appended(usize, Result<Appended, StoreError>),
    Changed(usize, Result<Made, StoreError>),
    InEffect(usize, Duration, Result<(u64, Option<Lease>), StoreError>),
    Outbox(u64, Result<Vec<Uuid>, StoreError>),
    Settled(u64, bool),
    Prepared(u64, u64, Box<Change>),
    Of(u64, Input),
}

/// A renewal of all leases.
#[derive(Clone, Debug)]
pub(super) struct Renewal {
    pub(super) sent: Duration,
    /// What the process believed to own.
    pub(super) before: BTreeMap<Shard, (Epoch, u64)>,
    /// Whether it is one of those that are made regularly.
    pub(super) is_regular: bool,
}

/// All that is stored of a shard.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) ledger: LedgerRecord,
    pub(super) version: u64,
    pub(super) subscriptions: Vec<Subscription>,
}

/// Events that were appended.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) shard: Shard,
    pub(super) first: Position,
    pub(super) events: Vec<Arc<LoggedEvent>>,
    pub(super) version: u64,
}

/// A change that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) shard: Shard,
    pub(super) version: u64,
    pub(super) lane: usize,
    pub(super) revision: u64,
}

/// What a process knows of a call that is not answered yet.
#[derive(Debug)]
pub(super) enum Asked {
    Renew(Renewal),
    Enter(bool),
    Roll,
    Take(Shard),
    Give(u64),
    Heads,
    Append(usize),
    Change(usize),
    InEffect(usize, Duration),
    /// Something for a shard that the process does not hold any more; an answer if it holds it nevertheless (a planted
    /// fault).
    ForHolding(Option<Box<Answer>>),
}

impl What {
    /// Whether it writes.
    pub(super) fn writes(&self) -> bool {
        use What::{Append, Change, Enter, Give, Of, Renew, Settle, Take};
        match self {
            Renew(..) | Enter(_) | Take(_) | Give(..) | Append(..) | Change(_) | Settle(..) => true,
            Of(.., engine) => {
                use Engine::{Apply, Commit, Save, Trim, Warn};
                matches!(engine, Apply(_) | Save(_) | Commit(..) | Warn(..) | Trim(..))
            }
            _ => false,
        }
    }

    fn asked(&self) -> Asked {
        match self {
            What::Renew(renewal) => Asked::Renew(renewal.clone()),
            What::Enter(is_fit) => Asked::Enter(*is_fit),
            What::Roll => Asked::Roll,
            What::Take(lease) => Asked::Take(lease.shard),
            What::Give(run, _) => Asked::Give(*run),
            What::Heads(_) => Asked::Heads,
            What::Append(request, ..) => Asked::Append(*request),
            What::Change(change) => Asked::Change(*change),
            What::InEffect(change, at) => Asked::InEffect(*change, *at),
            _ => Asked::ForHolding(None),
        }
    }

    /// The answer of a store that fails.
    pub(super) fn refused(&self) -> Answer {
        let error = unavailable();
        match self {
            What::Begin(run, _) => Answer::Begun(*run, Err(error)),
            What::Load(run, _) => Answer::Loaded(*run, Err(error)),
            What::Frames(run, ..) => Answer::Frames(*run, Err(error)),
            What::Outbox(run, _) => Answer::Outbox(*run, Err(error)),
            What::Settle(run, _) => Answer::Settled(*run, false),
            What::Of(run, _, engine) => Answer::Of(*run, engine.refused()),
            other => match other.asked().failed() {
                Some(answer) => answer,
                None => Answer::Entered(false, false),
            },
        }
    }
}

impl Asked {
    /// The same for a call whose connection was lost; `None` if its caller is gone.
    pub(super) fn failed(self) -> Option<Answer> {
        let error = unavailable();
        Some(match self {
            Asked::Renew(renewal) => Answer::Renewed(renewal, Err(error)),
            Asked::Enter(is_fit) => Answer::Entered(is_fit, false),
            Asked::Roll => Answer::Roll(Err(error)),
            Asked::Take(shard) => Answer::Taken(shard, Err(error)),
            Asked::Give(run) => Answer::Given(run),
            Asked::Heads => Answer::Heads(Err(error)),
            Asked::Append(request) => Answer::Appended(request, Err(error)),
            Asked::Change(change) => Answer::Changed(change, Err(error)),
            Asked::InEffect(change, at) => Answer::InEffect(change, at, Err(error)),
            Asked::ForHolding(answer) => return answer.map(|answer| *answer),
        })
    }
}

impl Engine {
    fn refused(&self) -> Input {
        use engine::core::Reply;
        let error = unavailable();
        match self {
            Engine::Changes(_) => Input::Changed { result: Err(error) },
            Engine::Replays => Input::Replays { result: Err(error) },
            Engine::Apply(_) => Input::Applied { result: Err(error.into()) },
            Engine::Missed(..) => Input::Missed { result: Err(error) },
            Engine::Read(read) => Reply::Read { id: read.id, chunk: Err(error) }.into(),
            Engine::Load(id, _, positions) => {
                Reply::Loaded { id: *id, positions: positions.clone(), events: Err(error) }.into()
            }
            Engine::Save(_) => Input::Saved { result: Err(error.into()) },
            Engine::Suspend(number, _) | Engine::Commit(number, _) => {
                Input::Suspended { number: *number, result: Err(error.into()) }
            }
            Engine::Warn(number, _) => Input::Warned { number: *number, result: Err(error.into()) },
            Engine::Trim(..) => Input::Trimmed { result: Err(error.into()) },
        }
    }
}

impl World {
    /// A process calls the store.
    pub(super) fn ask(&mut self, at: At, what: What) {
        let (takes, goes_on) = (self.store_takes(), self.mutated(Mutation::IgnoreLosses));
        let Some(process) = self.nodes[at.node].process.as_mut() else { return };
        self.next_call += 1;
        let id = self.next_call;
        let asked = match what.asked() {
            Asked::ForHolding(_) if goes_on => Asked::ForHolding(Some(Box::new(what.refused()))),
            asked => asked,
        };
        process.asked.insert(id, asked);
        let call = Call { id, at, server: process.server, store: Arc::clone(&process.store), what };
        self.schedule(takes, Step::Call(Box::new(call)));
    }

    /// A process gets an answer, unless it has lost the connection.
    pub(super) fn answered(&mut self, at: At, call: u64, answer: Answer) -> Check {
        let process = self.nodes[at.node].process.as_mut();
        match process.and_then(|process| process.asked.remove(&call)) {
            Some(_) => self.learn(at, answer),
            None => Ok(()),
        }
    }

    /// A process learns what has become of a call.
    pub(super) fn learn(&mut self, at: At, answer: Answer) -> Check {
        match answer {
            Answer::Renewed(renewal, result) => self.renewed(at, renewal, result),
            Answer::Entered(is_fit, done) => self.entered(at, done.then_some(is_fit)),
            Answer::Roll(result) => return self.saw(at, result),
            Answer::Taken(shard, result) => self.taken(at, shard, result),
            Answer::Given(run) => return self.given(at, run),
            Answer::Begun(run, result) => return self.begun(at, run, result),
            Answer::Loaded(run, result) => return self.loaded(at, run, result),
            Answer::Heads(result) => self.heads(at, result),
            Answer::Frames(run, result) => self.frames(at, run, result),
            Answer::Appended(request, result) => self.appended(at, request, result),
            Answer::Changed(change, result) => return self.changed(at, change, result),
            Answer::InEffect(change, asked, result) => return self.in_effect(at, change, asked, result),
            Answer::Outbox(run, result) => self.outbox(at, run, result),
            Answer::Settled(run, done) => self.settled(at, run, done),
            Answer::Prepared(run, number, change) => self.prepared(at, run, number, change),
            Answer::Of(run, input) => return self.driver_learns(at, run, input),
        }
        Ok(())
    }
}
