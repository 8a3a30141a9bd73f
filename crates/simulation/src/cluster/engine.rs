//! The drivers of the nodes: each gets its inputs on time, and its requests are started here.

use domain::Position;
use engine::core::Reply;
use engine::driver::{Driver, Input, Request, Seen};
use engine::{suspension, warning, work};
use store::{ChangeError, EventLog, Scope, Shards, Subscriptions, Tenure, TenureError};

use super::calls::{Answer, Engine, What};
use super::holding::Holding;
use super::step::{At, Local};
use super::world::World;
use crate::mutation::Mutation;
use crate::property::Check;
use crate::storage::at_once;

impl World {
    pub(super) fn holding(&mut self, at: At, run: u64) -> Option<&mut Holding> {
        self.nodes[at.node].process.as_mut()?.holding(run)
    }

    /// Time in which a process did not stand still.
    pub(super) fn active(&self, at: At) -> u64 {
        self.time - self.nodes[at.node].stood_still
    }

    /// Passes an input to a driver, and carries out its requests.
    pub(super) fn tell(&mut self, at: At, run: u64, input: Input) -> Check {
        self.hand(at, run, input);
        loop {
            let Some(driver) = self.holding(at, run).and_then(|holding| holding.driver.as_mut()) else {
                return Ok(());
            };
            match driver.poll() {
                Some(request) => self.begin(at, run, request)?,
                None => break,
            }
        }
        match self.holding(at, run).and_then(|holding| holding.driver.as_ref()).and_then(Driver::end) {
            Some(end) => self.driver_ended(at, run, end),
            None => Ok(()),
        }
    }

    /// Passes an input to a driver; its requests are carried out later.
    fn hand(&mut self, at: At, run: u64, input: Input) {
        let now = self.nodes[at.node].clock.now();
        if let Some(driver) = self.holding(at, run).and_then(|holding| holding.driver.as_mut()) {
            driver.handle(now, input);
        }
    }

    /// A driver gets the store's answer.
    pub(super) fn driver_learns(&mut self, at: At, run: u64, input: Input) -> Check {
        if let Input::Saved { result } = &input {
            self.save_ended(at, run, result.is_ok());
        }
        self.tell(at, run, input)
    }

    /// Whether a process believes in a tenure. The store knows better, and is asked with every write.
    fn believes(&self, at: At, tenure: &Tenure) -> bool {
        let now = self.lease_clock(at.node);
        let process = self.nodes[at.node].process.as_ref();
        process.is_some_and(|process| process.leases.holds(tenure, process.losses, now))
    }

    fn begin(&mut self, at: At, run: u64, request: Request) -> Check {
        let Some(holding) = self.holding(at, run) else { return Ok(()) };
        let tenure = holding.tenure;
        let engine = match request {
            Request::Look { from, max } => {
                let seen = Seen::look(&holding.tail, from, max);
                self.hand(at, run, Input::Seen { seen });
                return Ok(());
            }
            Request::Version => {
                let version = holding.announced;
                let is_new = std::mem::replace(&mut holding.applied_early, version) < version;
                if is_new && self.mutated(Mutation::ApplyTooEarly) {
                    self.ask(at, What::Of(run, tenure, Engine::Apply(version)));
                }
                self.hand(at, run, Input::Announced { version });
                return Ok(());
            }
            Request::LookFor { read } => {
                let seen = Seen::look(&holding.tail, read.from, read.limit.events);
                self.local(at, 0, Local::Reported(run, Input::SeenFor { read, seen }));
                return Ok(());
            }
            Request::Deliver { attempt, subscription, events, .. } => {
                return self.deliver(at, run, attempt, &subscription, events);
            }
            Request::Save { save } => return self.begin_save(at, run, save),
            Request::Changes { since } => Engine::Changes(since),
            Request::Replays { .. } => Engine::Replays,
            Request::InEffect { version } => Engine::Apply(version),
            Request::Missed { from, limit } => Engine::Missed(from, limit),
            Request::Read { read } => Engine::Read(read),
            Request::Load { id, pim, positions } => Engine::Load(id, pim, positions),
            Request::Suspend { number, wanted } => Engine::Suspend(number, wanted),
            Request::Warn { number, wanted } => Engine::Warn(number, wanted),
            Request::Trim { floors, retention } => Engine::Trim(floors, retention),
            // There are no replays, followers and viewers, and only destinations are ever heard.
            Request::ReplayRead { .. }
            | Request::Listen
            | Request::Forget { .. }
            | Request::Follow { .. }
            | Request::Show { .. } => return Ok(()),
        };
        self.begin_call(at, run, tenure, engine);
        Ok(())
    }

    /// A driver's call; one that writes is refused at once if the process knows that the tenure is over.
    pub(super) fn begin_call(&mut self, at: At, run: u64, tenure: Tenure, engine: Engine) {
        let fenced = match &engine {
            Engine::Apply(_) => Some(Input::Applied { result: Err(TenureError::Fenced) }),
            Engine::Save(_) => Some(Input::Saved { result: Err(TenureError::Fenced) }),
            Engine::Commit(number, _) => Some(Input::Suspended { number: *number, result: Err(ChangeError::Fenced) }),
            Engine::Warn(number, _) => Some(Input::Warned { number: *number, result: Err(ChangeError::Fenced) }),
            Engine::Trim(..) => Some(Input::Trimmed { result: Err(TenureError::Fenced) }),
            _ => None,
        };
        let trusts = match engine {
            Engine::Save(_) => self.mutated(Mutation::NoFence),
            Engine::Commit(..) => self.mutated(Mutation::SuspendUnfenced),
            _ => false,
        };
        match fenced {
            Some(fenced) if !trusts && !self.believes(at, &tenure) => self.local(at, 0, Local::Reported(run, fenced)),
            _ => self.ask(at, What::Of(run, tenure, engine)),
        }
    }

    /// A suspension was prepared.
    pub(super) fn prepared(&mut self, at: At, run: u64, number: u64, change: Box<store::Change>) {
        if let Some(tenure) = self.holding(at, run).map(|holding| holding.tenure) {
            self.begin_call(at, run, tenure, Engine::Commit(number, change));
        }
    }

    /// The tenure that the store is told (planted faults).
    fn as_told(&self, tenure: Tenure) -> Tenure {
        let current = self.books.tenure(tenure.shard).unwrap_or(tenure);
        match self.plan.mutation {
            Some(Mutation::NoFence) => current,
            Some(Mutation::FenceByNode) if current.node == tenure.node => current,
            _ => tenure,
        }
    }

    /// The store carries out a call of a driver.
    pub(super) fn for_a_driver(&mut self, run: u64, tenure: Tenure, engine: Engine) -> Check<Answer> {
        let (shard, now) = (tenure.shard, self.server_time());
        let input = match engine {
            Engine::Changes(since) => Input::Changed { result: at_once(self.store.changed_since(shard, Some(since))) },
            Engine::Replays => Input::Replays { result: Ok(Vec::new()) },
            Engine::Apply(version) => {
                let commit = self.before_commit();
                let result = at_once(self.store.apply(&tenure, version));
                if result.is_ok() {
                    self.applied.entry(shard).or_default().push((commit, version));
                }
                Input::Applied { result }
            }
            Engine::Missed(from, limit) => {
                Input::Missed { result: at_once(self.store.read(Scope::Shard(shard), from, limit)) }
            }
            Engine::Read(read) => {
                let chunk = at_once(self.store.read(Scope::Pim(read.pim), read.from, read.limit));
                Reply::Read { id: read.id, chunk }.into()
            }
            Engine::Load(id, pim, positions) => {
                let events = at_once(work::load(&self.store, pim, &positions));
                Reply::Loaded { id, positions, events }.into()
            }
            Engine::Save(save) => {
                let told = self.as_told(tenure);
                self.save(&tenure, &told, *save)?
            }
            Engine::Suspend(number, wanted) => {
                let frequent = self.plan.settings.frequent;
                match at_once(suspension::prepare(&self.store, tenure, &wanted, now, frequent)) {
                    Ok(Some(change)) => return Ok(Answer::Prepared(run, number, Box::new(change))),
                    Ok(None) => Input::Suspended { number, result: Ok(false) },
                    Err(error) => Input::Suspended { number, result: Err(error) },
                }
            }
            Engine::Commit(number, change) => {
                let result = self.suspend(&tenure, *change)?;
                Input::Suspended { number, result }
            }
            Engine::Warn(number, wanted) => {
                self.before_commit();
                Input::Warned { number, result: at_once(warning::warn(&self.store, tenure, &wanted, now)) }
            }
            Engine::Trim(floors, retention) => {
                self.before_commit();
                let result = at_once(work::trim(&self.store, &tenure, &floors, retention));
                Input::Trimmed { result }
            }
        };
        Ok(Answer::Of(run, input))
    }

    /// Head of a shard's log, and version of its catalogue.
    pub(super) fn head_of(&self, shard: store::Shard) -> (Position, u64) {
        let head = at_once(self.store.head(shard)).unwrap_or_default();
        let page = at_once(self.store.changed_page(shard, Some(u64::MAX), 1));
        (head, page.map_or(0, |page| page.version))
    }
}
