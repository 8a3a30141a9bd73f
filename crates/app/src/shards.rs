//! The shards that this process owns. It looks at the roll of nodes and leases regularly, and takes over and gives back
//! what [`cluster::Tenancy`] says. A shard that is lost to another owner is dropped; after an interruption of the store
//! all are, and those that are still this process's own are taken anew.

mod holding;
mod parts;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Fitness, Tenancy};
use domain::outcome::Lack;
use engine::Ending;
use store::{Lease, Profile, Roll, Shard, StoreError, Tenure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(crate) use holding::HANDOVER;
use holding::Holding;
pub(crate) use parts::{Parts, Rechecking, Reconciling};

/// Pause between looks at the roll.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A shard of this process.
enum State {
    /// It is being taken over.
    Taking {
        /// Whether it is taken anew, after an interruption.
        anew: bool,
        /// Whether it is to be given back at once.
        to_give: bool,
    },
    Held(Holding),
    /// It is being given back.
    Giving,
}

/// A takeover or handover that has ended.
enum Done {
    Taken(Shard, Result<Option<Holding>, StoreError>),
    Given(Shard),
}

/// All shards of this process.
pub(crate) struct Shards {
    parts: Arc<Parts>,
    tenancy: Tenancy,
    fitness: Fitness,
    /// As entered on the roll.
    profile: Option<Profile>,
    /// Whether another node lives.
    has_company: bool,
    shards: HashMap<Shard, State>,
    work: JoinSet<Done>,
    ends: JoinSet<(Tenure, Ending)>,
    interrupted: watch::Receiver<u64>,
}

impl Shards {
    /// Enters this process among the nodes and takes free shards; it doesn't wait for leases of others to run out. An
    /// error if the first attempt fails.
    pub(crate) async fn start(parts: Parts) -> Result<Shards, StoreError> {
        let parts = Arc::new(parts);
        let mut interrupted = parts.backend.interruptions();
        interrupted.borrow_and_update();
        let mut this = Shards {
            tenancy: Tenancy::new(parts.backend.node(), parts.backend.lease()),
            fitness: Fitness::default(),
            profile: None,
            has_company: false,
            shards: HashMap::new(),
            work: JoinSet::new(),
            ends: JoinSet::new(),
            interrupted,
            parts,
        };
        this.enter().await?;
        this.look().await?;
        while let Some(done) = this.work.join_next().await {
            match done.map_err(|error| StoreError::Unavailable(error.to_string()))? {
                Done::Taken(_, Err(error)) => return Err(error),
                done => this.done(done).await,
            }
        }
        Ok(this)
    }

    /// Keeps the shards until the platform stops, then gives them back; returns earlier after a fault. `stopping`: the
    /// platform stops. `drained`: its requests have been answered.
    pub(crate) async fn keep(mut self, mut stopping: watch::Receiver<bool>, drained: watch::Receiver<bool>) {
        let mut vacancies = self.parts.backend.vacancies();
        let mut next = Instant::now() + LOOK_EVERY;
        let is_fault = loop {
            let look = tokio::select! {
                () = holds(&mut stopping) => break false,
                Ok(()) = self.interrupted.changed() => {
                    self.drop_void().await;
                    true
                }
                Some(done) = self.work.join_next() => {
                    let Ok(done) = done else { break true };
                    self.done(done).await;
                    false
                }
                Some(ended) = self.ends.join_next() => {
                    let Ok((tenure, ending)) = ended else { break true };
                    if !self.ended(tenure, ending).await {
                        break true;
                    }
                    false
                }
                Ok(()) = vacancies.changed() => true,
                () = tokio::time::sleep_until(next) => true,
            };
            if look {
                // Nobody is ready while the store cannot be read.
                if let Err(error) = self.look().await {
                    tracing::debug!(%error, "could not look at the leases");
                    self.parts.running.awaits(true);
                }
                next = Instant::now() + LOOK_EVERY;
            }
        };
        self.end((!is_fault).then_some(drained)).await;
    }

    /// Enters this process among the nodes, if what it says about itself has changed.
    async fn enter(&mut self) -> Result<(), StoreError> {
        let is_fit =
            self.fitness.look(cluster::uptime(), self.parts.running.lacks().await.iter().any(|lack| is_own(*lack)));
        let profile = Profile { is_fit, ..self.parts.profile.clone() };
        if self.profile.as_ref() != Some(&profile) {
            self.parts.backend.enter(&profile).await?;
            if self.profile.as_ref().is_some_and(|before| before.is_fit != is_fit) {
                let says = if is_fit { "takes shards again" } else { "leaves its shards to nodes that lack nothing" };
                tracing::warn!("this node {says}");
            }
            self.profile = Some(profile);
        }
        Ok(())
    }

    /// Looks at the roll, and begins to take over and to give back.
    async fn look(&mut self) -> Result<(), StoreError> {
        self.enter().await?;
        let roll = self.parts.backend.roll().await?;
        let now = cluster::uptime();
        let node = self.parts.backend.node();
        let known = roll.nodes.iter().find(|known| known.id == node).map(|known| &known.profile);
        if known != self.profile.as_ref() {
            // Its row was deleted, or a failover brought an older one back; the next look enters it.
            self.profile = None;
        }
        self.drop_lost(&roll).await;
        let held: Vec<Shard> = self.shards.keys().copied().collect();
        let decision = self.tenancy.decide(now, &roll, &held);
        self.has_company = roll.nodes.iter().any(|other| other.id != node && self.tenancy.is_live(other.id));
        for lease in decision.take {
            self.take(lease);
        }
        for shard in decision.give {
            self.give(shard, HANDOVER);
        }
        self.await_shards();
        Ok(())
    }

    /// Drops shards that others have taken: an idle engine writes nothing that would be refused.
    async fn drop_lost(&mut self, roll: &Roll) {
        let is_lost = |holding: &Holding, lease: &Lease| {
            let Tenure { node, epoch, .. } = holding.tenure;
            (lease.owner, lease.epoch) != (Some(node), epoch)
        };
        let lost = |lease: &&Lease| match self.shards.get(&lease.shard) {
            Some(State::Held(holding)) => is_lost(holding, lease),
            _ => false,
        };
        let lost: Vec<Shard> = roll.leases.iter().filter(lost).map(|lease| lease.shard).collect();
        for shard in lost {
            self.lose(shard).await;
        }
    }

    fn take(&mut self, seen: Lease) {
        let parts = Arc::clone(&self.parts);
        let anew = seen.owner == Some(parts.backend.node());
        self.shards.insert(seen.shard, State::Taking { anew, to_give: false });
        self.work.spawn(async move { Done::Taken(seen.shard, parts.take(&seen).await) });
    }

    fn give(&mut self, shard: Shard, at_most: Duration) {
        let holding = match self.shards.insert(shard, State::Giving) {
            Some(State::Held(holding)) => holding,
            // Given once it is taken: the wish is not repeated.
            Some(State::Taking { anew, .. }) => {
                self.shards.insert(shard, State::Taking { anew, to_give: true });
                return;
            }
            Some(State::Giving) => return,
            None => {
                self.shards.remove(&shard);
                return;
            }
        };
        let parts = Arc::clone(&self.parts);
        self.work.spawn(async move {
            parts.give(holding, at_most).await;
            Done::Given(shard)
        });
    }

    /// Notes the end of a takeover or handover.
    async fn done(&mut self, done: Done) {
        match done {
            Done::Given(shard) => _ = self.shards.remove(&shard),
            Done::Taken(shard, Ok(Some(mut holding))) => {
                // Something was interrupted since the takeover.
                let is_void = !self.parts.backend.owns(shard);
                let (tenure, ended) = (holding.tenure, holding.ended());
                let before = self.shards.insert(shard, State::Held(holding));
                if is_void {
                    self.lose(shard).await;
                } else {
                    self.ends.spawn(async move { (tenure, ended.await) });
                }
                if matches!(before, Some(State::Taking { to_give: true, .. })) {
                    self.give(shard, HANDOVER);
                }
            }
            Done::Taken(shard, taken) => {
                self.shards.remove(&shard);
                if let Err(error) = taken {
                    tracing::debug!(%shard, %error, "could not take the shard up");
                }
            }
        }
        self.await_shards();
    }

    /// The work on a shard has ended by itself; `false` if that is a fault.
    async fn ended(&mut self, tenure: Tenure, ending: Ending) -> bool {
        let is_held = match self.shards.get(&tenure.shard) {
            Some(State::Held(holding)) => holding.tenure == tenure,
            _ => false,
        };
        if is_held && ending == Ending::Fenced {
            self.lose(tenure.shard).await;
        }
        !is_held || ending == Ending::Fenced
    }

    /// Ends the work on a shard as if this process had died.
    async fn lose(&mut self, shard: Shard) {
        if let Some(State::Held(holding)) = self.shards.remove(&shard) {
            tracing::debug!(tenure = %holding.tenure, "the shard is lost");
            self.parts.abandon(holding).await;
        }
    }

    /// Drops what was taken before an interruption.
    async fn drop_void(&mut self) {
        let is_void = |shard: &Shard| !self.parts.backend.owns(*shard);
        let held = self.shards.iter().filter(|(_, state)| matches!(state, State::Held(_)));
        let void: Vec<Shard> = held.map(|(shard, _)| *shard).filter(is_void).collect();
        for shard in void {
            self.lose(shard).await;
        }
        self.parts.running.awaits(true);
    }

    /// Not ready as long as own shards are being taken anew. Those of others may take their time.
    fn await_shards(&self) {
        self.parts.running.awaits(self.shards.values().any(|state| matches!(state, State::Taking { anew: true, .. })));
    }

    /// Gives all shards back: at once if other nodes take them over, or after a fault; otherwise when nobody needs them
    /// any more.
    async fn end(mut self, drained: Option<watch::Receiver<bool>>) {
        let at_most = if self.has_company { HANDOVER } else { Duration::MAX };
        if let Some(mut drained) = drained.filter(|_| !self.has_company) {
            holds(&mut drained).await;
        }
        self.parts.running.close().await;
        loop {
            let shards: Vec<Shard> = self.shards.keys().copied().collect();
            shards.into_iter().for_each(|shard| self.give_if_held(shard, at_most));
            match self.work.join_next().await {
                // A shard that was being taken over is given back as well.
                Some(Ok(done)) => self.done(done).await,
                Some(Err(error)) => tracing::error!(%error, "a shard was not given back gracefully"),
                None => break,
            }
        }
        if let Err(error) = self.parts.backend.release().await {
            tracing::warn!(%error, "could not leave the nodes; others wait until the leases have run out");
        }
    }

    fn give_if_held(&mut self, shard: Shard, at_most: Duration) {
        if matches!(self.shards.get(&shard), Some(State::Held(_))) {
            self.give(shard, at_most);
        }
    }
}

/// Resolves when a condition holds; an error means that the platform is gone, which is a stop as well.
async fn holds(condition: &mut watch::Receiver<bool>) {
    _ = condition.wait_for(|holds| *holds).await;
}

/// Whether only this node lacks it: contract page 4, "Whose trouble it is". All nodes share the store.
fn is_own(lack: Lack) -> bool {
    !matches!(lack, Lack::Disk | Lack::Store | Lack::Standby)
}

/// What this version says about itself to other nodes.
pub(crate) fn profile(address: Option<String>) -> Profile {
    Profile { address, version: env!("CARGO_PKG_VERSION").to_owned(), reads: store::READS, is_fit: true }
}
