//! The engines of this node, as seen by the API, other nodes and the metrics: one per shard.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use api::Readiness;
use async_trait::async_trait;
use cluster::call::{About, Answer, Question};
use domain::attempt::PastAttempts;
use domain::backlog::{self, Of};
use domain::outcome::Lack;
use domain::traffic::{Traffic, Trouble};
use domain::{Clock, PimId, SubscriptionId, Timestamp};
use engine::attempts::{Attempts, Remembered};
use engine::core::Survey;
use engine::{Common, Engine};
use meter::Counter;
use store::{Backend, Shard, Spread};
use tokio::sync::RwLock;

/// The running engines.
pub(crate) struct Running {
    spread: Spread,
    /// Weak: the metrics, which keep this, must not be the last owner that closes the store.
    store: Weak<dyn Backend>,
    engines: RwLock<Engines>,
    /// Whether own shards are being taken anew, or it is unknown which.
    awaits: AtomicBool,
    attempts: Arc<Attempts>,
    clock: Clock,
    takeovers: Counter,
}

/// An engine.
struct Held {
    engine: Engine,
    /// When the shard was taken up.
    since: Timestamp,
}

#[derive(Default)]
struct Engines {
    by_shard: HashMap<Shard, Held>,
    stopping: bool,
}

impl Running {
    /// Without engines.
    pub(crate) fn new(store: &Arc<dyn Backend>, common: &Common, clock: Clock) -> Running {
        let attempts = Arc::clone(&common.attempts);
        Running {
            spread: store.spread(),
            store: Arc::downgrade(store),
            engines: RwLock::default(),
            awaits: AtomicBool::new(true),
            attempts,
            clock,
            takeovers: Counter::default(),
        }
    }

    /// The shard of a PIM.
    pub(crate) fn shard_of(&self, pim: PimId) -> Shard {
        self.spread.shard_of(pim)
    }

    /// All shards, of this node or another one.
    pub(crate) fn shards(&self) -> impl Iterator<Item = Shard> + use<> {
        self.spread.shards()
    }

    /// Shards taken up since the start.
    pub(crate) fn takeovers(&self) -> u64 {
        self.takeovers.get()
    }

    /// Number of shards with an engine here.
    pub(crate) async fn count(&self) -> usize {
        self.engines.read().await.by_shard.len()
    }

    /// Adds the engine of a shard.
    pub(crate) async fn add(&self, shard: Shard, engine: Engine) {
        self.takeovers.one();
        let held = Held { engine, since: self.clock.wall() };
        self.engines.write().await.by_shard.insert(shard, held);
    }

    /// Says whether own shards are being taken anew, or it is unknown which.
    pub(crate) fn awaits(&self, shards: bool) {
        self.awaits.store(shards, Ordering::Relaxed);
    }

    /// The platform stops: it is not ready any more.
    pub(crate) async fn close(&self) {
        self.engines.write().await.stopping = true;
    }

    /// Lacks that prevent deliveries, in the order of the contract.
    pub(crate) async fn lacks(&self) -> Vec<Lack> {
        let engines = self.engines.read().await;
        let mut lacks: Vec<Lack> = engines.by_shard.values().flat_map(|held| held.engine.lacks()).collect();
        lacks.sort_unstable();
        lacks.dedup();
        lacks
    }

    /// Takes the engine of a shard out.
    pub(crate) async fn remove(&self, shard: Shard) -> Option<Engine> {
        self.engines.write().await.by_shard.remove(&shard).map(|held| held.engine)
    }

    /// All lanes, with figures for at most `at_most` subscriptions; `None` if no engine runs.
    pub(crate) async fn survey(&self, at_most: usize) -> Option<Survey> {
        let engines = self.engines.read().await;
        let mut all: Option<Survey> = None;
        for Held { engine, .. } in engines.by_shard.values() {
            let Some(survey) = engine.survey(at_most).await else { continue };
            match &mut all {
                Some(all) => all.absorb(survey, at_most),
                None => all = Some(survey),
            }
        }
        all
    }
}

/// Answers from the engines of this node, for itself and others; `None` if it doesn't own the shard in question.
impl Running {
    /// Answers a question.
    pub(crate) async fn answer(&self, question: &Question) -> Option<Answer> {
        match question {
            Question::Subscription { pim, id, about } => self.about(self.shard_of(*pim), *id, *about).await,
            Question::Statuses { pim, of } => {
                let ask = async |engine: &Engine| Some(Answer::Statuses(engine.statuses(of.clone()).await));
                self.ask(self.shard_of(*pim), ask).await
            }
            Question::OutcomeCounts { pim, of } => {
                let ask = async |engine: &Engine| Some(Answer::OutcomeCounts(engine.outcome_counts(of.clone()).await));
                self.ask(self.shard_of(*pim), ask).await
            }
            Question::Backlog(of) => self.backlog(of).await,
            Question::TrafficOf(pim) => {
                let ask = async |engine: &Engine| engine.traffic(Some(*pim)).await.map(Answer::TrafficOf);
                self.ask(self.shard_of(*pim), ask).await
            }
            Question::Traffic => Some(self.traffic().await),
            Question::Troubled(at_most) => Some(self.troubled(*at_most).await),
        }
    }

    /// Asks the engine of a shard.
    async fn ask(&self, shard: Shard, ask: impl AsyncFnOnce(&Engine) -> Option<Answer>) -> Option<Answer> {
        let engines = self.engines.read().await;
        let answer = ask(&self.owned(&engines, shard)?.engine).await?;
        // If the lease was lost meanwhile, the answer may be outdated.
        self.owned(&engines, shard).map(|_| answer)
    }

    async fn backlog(&self, of: &Of) -> Option<Answer> {
        let only = match of {
            Of::All => None,
            Of::Pim(pim) | Of::These(pim, _) => Some(self.shard_of(*pim)),
        };
        let engines = self.engines.read().await;
        let (mut shards, mut steps) = (Vec::new(), Vec::new());
        for shard in engines.by_shard.keys().filter(|shard| only.is_none_or(|only| only == **shard)) {
            let Some(held) = self.owned(&engines, *shard) else { continue };
            let more = held.engine.backlog(of.clone()).await;
            if self.owned(&engines, *shard).is_some() {
                shards.push(shard.number());
                steps.extend(more);
            }
        }
        let knows = only.is_none() || !shards.is_empty();
        knows.then(|| Answer::Backlog { shards, steps: backlog::together(steps) })
    }

    async fn about(&self, shard: Shard, id: SubscriptionId, about: About) -> Option<Answer> {
        let engines = self.engines.read().await;
        let held = self.owned(&engines, shard)?;
        let answer = match about {
            About::Status => Answer::Status(held.engine.status(id).await),
            About::Whereabouts(position) => Answer::Whereabouts(held.engine.whereabouts(id, position).await),
            About::Attempts => {
                let Remembered { attempts, since } = self.attempts.of(id);
                // Earlier ones were made by other owners in between.
                let since = since.max(held.since);
                let attempts = attempts.iter().map(|attempt| (&**attempt).into()).collect();
                Answer::Attempts(PastAttempts { since, attempts })
            }
        };
        // If the lease was lost meanwhile, the answer may be outdated.
        self.owned(&engines, shard).map(|_| answer)
    }

    /// The engine of a shard, while it runs and is owned.
    fn owned<'e>(&self, engines: &'e Engines, shard: Shard) -> Option<&'e Held> {
        let owns = self.store.upgrade().is_some_and(|store| store.owns(shard));
        engines.by_shard.get(&shard).filter(|held| owns && held.engine.is_running())
    }

    async fn traffic(&self) -> Answer {
        let engines = self.engines.read().await;
        let (mut shards, mut all): (Vec<u8>, Option<Traffic>) = (Vec::new(), None);
        for shard in engines.by_shard.keys() {
            let Some(held) = self.owned(&engines, *shard) else { continue };
            let Some(traffic) = held.engine.traffic(None).await else { continue };
            shards.push(shard.number());
            match &mut all {
                Some(all) => all.merge(&traffic),
                None => all = Some(traffic),
            }
        }
        Answer::Traffic { shards, traffic: all }
    }

    async fn troubled(&self, at_most: usize) -> Answer {
        let engines = self.engines.read().await;
        let (mut shards, mut troubled) = (Vec::new(), Vec::new());
        for shard in engines.by_shard.keys() {
            let Some(held) = self.owned(&engines, *shard) else { continue };
            troubled.extend(held.engine.troubled(at_most).await);
            if self.owned(&engines, *shard).is_some() {
                shards.push(shard.number());
            }
        }
        Trouble::worst_first(&mut troubled, at_most);
        Answer::Troubled { shards, troubled }
    }
}

#[async_trait]
impl Readiness for Running {
    async fn ready(&self) -> Result<Vec<Lack>, String> {
        {
            let engines = self.engines.read().await;
            if engines.stopping {
                return Err("the platform is stopping".to_owned());
            }
            if engines.by_shard.values().any(|held| !held.engine.is_running()) {
                return Err("deliveries have stopped because of an internal error; see the platform's log".to_owned());
            }
        }
        let mut lacks = self.lacks().await;
        if self.awaits.load(Ordering::Relaxed) && !lacks.contains(&Lack::Store) {
            // Shards are taken up anew, because the store could not be reached.
            lacks.push(Lack::Store);
            lacks.sort_unstable();
        }
        Ok(lacks)
    }
}
