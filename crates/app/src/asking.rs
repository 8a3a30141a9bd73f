//! What the API asks the engines, answered by the node that owns the shard: this one, or another one that is called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::{Deliveries, Gathered, LaneStatuses, Unanswered};
use async_trait::async_trait;
use cluster::call::{About, Answer, Answers, CallError, Caller, Meters, Peer, Question, TIME_LIMIT};
use domain::attempt::PastAttempts;
use domain::backlog::{self, Of};
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::subscription::Subscription;
use domain::traffic::{Traffic, Trouble};
use domain::{PimId, Position, SubscriptionId};
use store::{Backend, Shard};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::owners::{Owner, Owners};
use crate::running::Running;

/// Pause before the owner is looked up again while a shard changes hands.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks the engines, wherever they run.
pub(crate) struct Asking {
    pub(crate) running: Arc<Running>,
    pub(crate) owners: Arc<Owners>,
    pub(crate) caller: Arc<Caller>,
}

impl Asking {
    /// Asks the owner of a shard. One that says it is not the owner is not asked again before the lease was read anew.
    async fn ask(&self, shard: Shard, question: &Question) -> Result<Answer, Unanswered> {
        if let Some(answer) = self.running.answer(question).await {
            return Ok(answer);
        }
        match timeout(TIME_LIMIT, self.ask_owner(shard, question)).await {
            Ok(answered) => answered,
            Err(_elapsed) => {
                tracing::debug!(%shard, "no owner answered a question in time");
                Err(Unanswered)
            }
        }
    }

    async fn ask_owner(&self, shard: Shard, question: &Question) -> Result<Answer, Unanswered> {
        let mut roll = self.owners.roll().await;
        for look in 0.. {
            if look > 0 {
                if look > 1 {
                    sleep(PAUSE).await;
                }
                roll = self.owners.roll_now().await;
            }
            let roll = roll.as_ref().map_err(|error| {
                tracing::debug!(%shard, %error, "cannot look who owns a shard");
                Unanswered
            })?;
            match self.owners.of(roll, shard) {
                // It is being taken up.
                Owner::HereOrNobody => {
                    if let Some(answer) = self.running.answer(question).await {
                        return Ok(answer);
                    }
                }
                Owner::Peer(peer) => match self.caller.ask(&peer, question).await {
                    Ok(answer) => return Ok(answer),
                    Err(CallError::NotOwner) => {}
                    Err(error) => {
                        tracing::debug!(%shard, node = %peer.node, %error, "the owner of a shard does not answer");
                        return Err(Unanswered);
                    }
                },
                Owner::WithoutAddress(node) => {
                    tracing::debug!(%shard, %node, "the owner of a shard has no address; set `cluster.listen` there");
                    return Err(Unanswered);
                }
            }
        }
        Err(Unanswered)
    }

    async fn ask_about(&self, of: &Subscription, about: About) -> Result<Answer, Unanswered> {
        let question = Question::Subscription { pim: of.pim, id: of.id, about };
        self.ask(self.running.shard_of(of.pim), &question).await
    }

    /// Asks all nodes that own a shard, this one as well.
    async fn ask_all(&self, question: &Question) -> Vec<Answer> {
        let own = self.running.answer(question).await;
        let mut calls = JoinSet::new();
        if let Ok(roll) = self.owners.roll_now().await {
            let peers: BTreeMap<_, Peer> = roll
                .leases
                .iter()
                .filter_map(|lease| match self.owners.of(&roll, lease.shard) {
                    Owner::Peer(peer) => Some((peer.address.clone(), peer)),
                    Owner::HereOrNobody | Owner::WithoutAddress(_) => None,
                })
                .collect();
            for peer in peers.into_values() {
                let (caller, question) = (Arc::clone(&self.caller), question.clone());
                calls.spawn(async move {
                    let answered = caller.ask(&peer, &question).await;
                    if let Err(error) = &answered {
                        tracing::debug!(node = %peer.node, %error, "a node does not answer");
                    }
                    answered.ok()
                });
            }
        }
        own.into_iter().chain(calls.join_all().await.into_iter().flatten()).collect()
    }
}

/// The shards that several answers cover.
struct Covered {
    all: BTreeSet<u8>,
    yet: BTreeSet<u8>,
}

impl Covered {
    fn of(shards: impl IntoIterator<Item = Shard>) -> Covered {
        Covered { all: shards.into_iter().map(Shard::number).collect(), yet: BTreeSet::new() }
    }

    /// Whether an answer may be added: not if a shard has changed hands meanwhile and would count twice. The others of
    /// the same node are then missing.
    fn adds(&mut self, shards: &[u8]) -> bool {
        let is_new = shards.iter().all(|shard| !self.yet.contains(shard));
        if is_new {
            self.yet.extend(shards);
        }
        is_new
    }

    fn missing(self) -> Vec<u8> {
        self.all.difference(&self.yet).copied().collect()
    }
}

/// The answer to another question: a node of another version may be confused, but is not believed.
fn unexpected(answer: &Answer) -> Unanswered {
    tracing::debug!(?answer, "a node answered another question");
    Unanswered
}

#[async_trait]
impl LaneStatuses for Asking {
    async fn status(&self, of: &Subscription) -> Result<Option<LaneStatus>, Unanswered> {
        match self.ask_about(of, About::Status).await? {
            Answer::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    async fn statuses(&self, pim: PimId, of: Vec<SubscriptionId>) -> Result<Vec<Option<LaneStatus>>, Unanswered> {
        let asked = of.len();
        match self.ask(self.running.shard_of(pim), &Question::Statuses { pim, of }).await? {
            Answer::Statuses(statuses) if statuses.len() == asked => Ok(statuses),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl Deliveries for Asking {
    async fn whereabouts(&self, of: &Subscription, position: Position) -> Result<Option<Whereabouts>, Unanswered> {
        match self.ask_about(of, About::Whereabouts(position)).await? {
            Answer::Whereabouts(whereabouts) => Ok(whereabouts),
            other => Err(unexpected(&other)),
        }
    }

    async fn outcome_counts(&self, pim: PimId, of: Vec<SubscriptionId>) -> Result<Vec<OutcomeCounts>, Unanswered> {
        match self.ask(self.running.shard_of(pim), &Question::OutcomeCounts { pim, of }).await? {
            Answer::OutcomeCounts(counts) => Ok(counts),
            other => Err(unexpected(&other)),
        }
    }

    async fn backlog(&self, of: Of) -> Gathered<Vec<backlog::Step>> {
        let shard = match &of {
            Of::All => None,
            Of::Pim(pim) | Of::These(pim, _) => Some(self.running.shard_of(*pim)),
        };
        let question = Question::Backlog(of);
        let (answers, mut covered) = match shard {
            Some(shard) => {
                let answered = self.ask(shard, &question).await;
                (answered.into_iter().collect(), Covered::of([shard]))
            }
            None => (self.ask_all(&question).await, Covered::of(self.running.shards())),
        };
        let mut all = Vec::new();
        for answer in answers {
            if let Answer::Backlog { shards, steps } = answer
                && covered.adds(&shards)
            {
                all.extend(steps);
            }
        }
        Gathered { all: backlog::together(all), missing: covered.missing() }
    }

    async fn attempts(&self, of: &Subscription) -> Result<PastAttempts, Unanswered> {
        match self.ask_about(of, About::Attempts).await? {
            Answer::Attempts(attempts) => Ok(attempts),
            other => Err(unexpected(&other)),
        }
    }

    async fn traffic_of(&self, pim: PimId) -> Result<Traffic, Unanswered> {
        match self.ask(self.running.shard_of(pim), &Question::TrafficOf(pim)).await? {
            Answer::TrafficOf(traffic) => Ok(traffic),
            other => Err(unexpected(&other)),
        }
    }

    async fn traffic(&self) -> Gathered<Traffic> {
        let (mut all, mut covered) = (Traffic::new(Traffic::STEP), Covered::of(self.running.shards()));
        for answer in self.ask_all(&Question::Traffic).await {
            if let Answer::Traffic { shards, traffic } = answer
                && covered.adds(&shards)
                && let Some(traffic) = traffic
            {
                all.merge(&traffic);
            }
        }
        Gathered { all, missing: covered.missing() }
    }

    async fn troubled(&self, at_most: usize) -> Gathered<Vec<Trouble>> {
        let (mut all, mut covered) = (Vec::new(), Covered::of(self.running.shards()));
        for answer in self.ask_all(&Question::Troubled(at_most)).await {
            if let Answer::Troubled { shards, troubled } = answer
                && covered.adds(&shards)
            {
                all.extend(troubled);
            }
        }
        Trouble::worst_first(&mut all, at_most);
        Gathered { all, missing: covered.missing() }
    }
}

/// Answers the questions of other nodes.
pub(crate) struct Answering {
    pub(crate) running: Arc<Running>,
    pub(crate) store: Arc<dyn Backend>,
    pub(crate) meters: Arc<Meters>,
}

#[async_trait]
impl Answers for Answering {
    async fn answer(&self, question: Question) -> Option<Answer> {
        self.running.answer(&question).await
    }

    fn nudged(&self) {
        self.meters.nudged.one();
        self.store.nudge();
    }
}
