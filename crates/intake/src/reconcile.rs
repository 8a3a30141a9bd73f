//! Reconciliation: regularly queries PIMs for recent changes, because the Events API sends everything once and never
//! retries.
//!
//! **Criterion.** An entity whose state differs from the last known one was changed without a report: it yields an
//! `updated` event with its delta. An unknown entity yields `created` if it was created in the window, else `updated`
//! without a delta, like all first events. Changes processed by the bridge are not reported again, because the states
//! are equal. Removed entities are not in the responses; their removal cannot be detected.
//!
//! **The window.** A round queries changes since the end of the previous round, less an overlap for clock differences
//! and long transactions; it omits the latest ones, which the PIM may be about to send. Progress is recorded only after
//! each complete round, because pages are ordered by name, not by change. All of this follows the PIM's clock, as given
//! by its responses: changes of our clock move no window. If a round ended in what is now the future, a clock was set
//! back, and the last day is checked again: known states don't differ.
//!
//! **Endpoints.** `products` has exactly the format of the Events API in all versions. `products-uuid` names associated
//! products and identifiers differently, so it is only used for products that `products` lacks: those without an
//! identifier.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{Clock, PimId, Timestamp};
use parking_lot::Mutex;
use store::{AppendError, PimQuery, Shard, Store, StoreError};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::bridge::{Bridge, Filled, Window};
use crate::status::BridgeStatus;

/// Grace period before we look for a change ourselves: the PIM's consumer sends with some delay.
pub const SETTLE: Duration = Duration::from_secs(60);
/// Window of a round without a known end of the previous one.
const CLOCK_SET_BACK: Duration = Duration::from_secs(24 * 60 * 60);
/// Pause between looks whether the store is back.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// PIMs that are read at once.
const AT_ONCE: usize = 100;
/// Maximum number of pages, more than any round has.
const MOST_PAGES: usize = 100_000;

/// Type of the attributes that identify products.
pub(crate) const IDENTIFIER: &str = "pim_catalog_identifier";

/// A kind of entity in the REST API.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EntityKind {
    /// Products, by identifier.
    Products,
    /// Products of PIMs from 7.0 on; only those without an identifier are used.
    ProductsByUuid,
    /// Product models.
    ProductModels,
}

impl EntityKind {
    /// All kinds, in the order of a round.
    pub const ALL: [EntityKind; 3] = [EntityKind::Products, EntityKind::ProductsByUuid, EntityKind::ProductModels];

    /// Its name in paths of the REST API.
    pub const fn name(self) -> &'static str {
        match self {
            EntityKind::Products => "products",
            EntityKind::ProductsByUuid => "products-uuid",
            EntityKind::ProductModels => "product-models",
        }
    }
}

/// A page of entities.
#[derive(Clone, Debug, Default)]
pub struct EntityPage {
    /// Entities as returned by the REST API, each separately: an unreadable one doesn't affect the others.
    pub items: Vec<String>,
    /// The PIM's clock, the source of its entities' times of change.
    pub at: Option<Timestamp>,
    /// Query of the next page; `None` at the end.
    pub next: Option<String>,
}

/// Queries PIMs for changed entities.
#[async_trait]
pub trait EntitySource: Send + Sync + 'static {
    /// Whether this PIM can be queried: there are credentials.
    fn knows(&self, pim: &Pim) -> bool;

    /// A page of entities changed after `since`, and possibly others; the first page, or the one at `cursor`. Empty for
    /// a kind that the PIM does not have. The error is for the operator.
    async fn page(
        &self,
        pim: &Pim,
        kind: EntityKind,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<EntityPage, String>;
}

/// Reason why a round of a PIM was aborted. The next one checks the same window again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RoundError {
    /// The PIM does not answer correctly.
    #[error("the PIM's REST API: {0}")]
    Pim(String),
    /// The store rejects the result.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reconciles a shard's PIMs with an enabled bridge and credentials for their REST API.
pub struct Reconciler {
    bridge: Arc<Bridge>,
    store: Arc<dyn Store>,
    shard: Shard,
    source: Arc<dyn EntitySource>,
    overlap: Duration,
    clock: Clock,
    /// Changes whenever the store was away.
    interrupted: watch::Receiver<u64>,
    /// Progress, read once from the PIM's [`BridgeStatus`].
    reached: Mutex<HashMap<PimId, BTreeMap<String, Timestamp>>>,
}

/// The rounds that are under way, one of a PIM at a time.
#[derive(Default)]
struct Rounds {
    tasks: JoinSet<()>,
    of: HashMap<PimId, AbortHandle>,
}

impl Rounds {
    /// Begins a round, unless one of the same PIM goes on.
    fn begin(&mut self, pim: PimId, round: impl Future<Output = ()> + Send + 'static) {
        self.of.entry(pim).or_insert_with(|| self.tasks.spawn(round));
    }

    fn forget_ended(&mut self) {
        self.of.retain(|_, round| !round.is_finished());
        while self.tasks.try_join_next().is_some() {}
    }
}

/// Ends [`Bridge::watch`] even if the round is aborted, because the shard is lost.
struct Watching<'a> {
    bridge: &'a Bridge,
    pim: PimId,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.bridge.unwatch(self.pim);
    }
}

impl Reconciler {
    /// For the owner of a shard. Rounds begin `overlap` before the end of the previous one. `interrupted` changes
    /// whenever the store was away.
    pub fn new(
        bridge: Arc<Bridge>,
        store: Arc<dyn Store>,
        shard: Shard,
        source: Arc<dyn EntitySource>,
        overlap: Duration,
        clock: Clock,
        interrupted: watch::Receiver<u64>,
    ) -> Reconciler {
        Reconciler { bridge, store, shard, source, overlap, clock, interrupted, reached: Mutex::default() }
    }

    /// Runs a round of each PIM at regular intervals, one request per PIM at a time. A long round, because its PIM is
    /// slow or requests pauses, only delays the next one of that PIM. There is a further round after the store was
    /// away: what the PIMs sent meanwhile may be lost.
    pub async fn run(self: Arc<Self>, every: Duration) {
        let mut rounds = Rounds::default();
        let mut interrupted = self.interrupted.clone();
        loop {
            rounds.forget_ended();
            if let Err(error) = self.begin(&mut rounds).await {
                tracing::warn!(%error, "not all PIMs are reconciled; the next round tries again");
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                Ok(()) = interrupted.changed() => {
                    self.until_settled().await;
                    interrupted.mark_unchanged();
                }
            }
        }
    }

    /// Waits until the store is back, and the changes that were made until then can be queried.
    async fn until_settled(&self) {
        let one = PimQuery { text: None, after: None, limit: 1 };
        while self.store.pims(&one).await.is_err() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(SETTLE).await;
    }

    /// Begins a round of each PIM that is served.
    async fn begin(self: &Arc<Self>, rounds: &mut Rounds) -> Result<(), StoreError> {
        let mut behind = None;
        loop {
            let pims = self.store.pims(&PimQuery { text: None, after: behind, limit: AT_ONCE }).await?;
            behind = pims.last().map(|last| last.id);
            for pim in pims.items.into_iter().filter(|pim| self.serves(pim)) {
                let this = Arc::clone(self);
                rounds.begin(pim.id, async move { this.run_round(&Arc::new(pim)).await });
            }
            if behind.is_none() {
                return Ok(());
            }
        }
    }

    fn serves(&self, pim: &Pim) -> bool {
        let is_ours = self.store.shard_of(pim.id) == self.shard;
        is_ours && pim.events_api_secret.is_some() && !pim.is_withdrawn() && self.source.knows(pim)
    }

    /// A round with log lines for the operator.
    async fn run_round(&self, pim: &Arc<Pim>) {
        match self.round(pim, self.clock.wall()).await {
            Ok(Filled { events: 0, .. }) => tracing::debug!(pim.name = %pim.name, "reconciled; nothing was missing"),
            Ok(Filled { events, deltas, .. }) => {
                tracing::warn!(
                    pim.name = %pim.name, events, deltas,
                    "reconciliation created events that the PIM failed to send"
                );
            }
            Err(error) => {
                tracing::warn!(pim.name = %pim.name, %error, "could not reconcile the PIM; retrying in the next round");
            }
        }
    }

    /// A round of one PIM. The very first one only records the time: earlier changes are not queried.
    pub async fn round(&self, pim: &Arc<Pim>, now: Timestamp) -> Result<Filled, RoundError> {
        let reached = self.reached(pim.id).await?;
        let mut total = Filled::default();
        for kind in EntityKind::ALL {
            let mut until = now - SETTLE;
            if let Some(reached) = reached.get(kind.name()) {
                let watching = Watching { bridge: &self.bridge, pim: pim.id };
                let filled;
                (filled, until) = self.kind(pim, kind, *reached, now).await?;
                drop(watching);
                total.events += filled.events;
                total.deltas += filled.deltas;
                total.bad += filled.bad;
            }
            self.reach(pim.id, kind, until);
        }
        Ok(total)
    }

    /// Changes since `reached`, and the new progress.
    async fn kind(
        &self,
        pim: &Arc<Pim>,
        kind: EntityKind,
        reached: Timestamp,
        now: Timestamp,
    ) -> Result<(Filled, Timestamp), RoundError> {
        let types = self.bridge.types(pim).await.map_err(RoundError::Pim)?;
        if kind == EntityKind::ProductsByUuid && types.codes_of(IDENTIFIER).next().is_none() {
            // It is unknown which products have an identifier.
            return Ok((Filled::default(), now - SETTLE));
        }
        let (mut page, window) = self.first_page(pim, kind, reached, now).await?;
        let mut total = Filled::default();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let items = std::mem::take(&mut page.items);
            let filled = self.bridge.fill(pim, kind, items, window, &types, now).await?;
            total.events += filled.events;
            total.deltas += filled.deltas;
            total.bad += filled.bad;
            match page.next.take() {
                None => return Ok((total, window.until)),
                Some(next) if cursor.as_ref() == Some(&next) => {
                    return Err(RoundError::Pim(format!(
                        "a page of `{}` links to itself as the next page",
                        kind.name()
                    )));
                }
                Some(next) => cursor = Some(next),
            }
            page = self.page(pim, kind, window.since, cursor.as_deref()).await?;
        }
        Err(RoundError::Pim(format!("`{}` exceeds {MOST_PAGES} pages", kind.name())))
    }

    /// The first page, and the window of the round by the PIM's clock, which sets the times of change.
    async fn first_page(
        &self,
        pim: &Arc<Pim>,
        kind: EntityKind,
        mut reached: Timestamp,
        now: Timestamp,
    ) -> Result<(EntityPage, Window), RoundError> {
        loop {
            let since = reached - self.overlap;
            let page = self.page(pim, kind, since, None).await?;
            let until = page.at.unwrap_or(now) - SETTLE;
            if reached <= until {
                return Ok((page, Window { since, until }));
            }
            // The clock was set back: the progress is unknown.
            reached = until - CLOCK_SET_BACK;
        }
    }

    async fn page(
        &self,
        pim: &Arc<Pim>,
        kind: EntityKind,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<EntityPage, RoundError> {
        self.bridge.watch(pim.id);
        // The PIM compares whole seconds, exclusively.
        let since = since - Duration::from_secs(1);
        self.source.page(pim, kind, since, cursor).await.map_err(RoundError::Pim)
    }

    async fn reached(&self, pim: PimId) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        if let Some(known) = self.reached.lock().get(&pim) {
            return Ok(known.clone());
        }
        let kept = self.store.bridge_status(pim).await?;
        let reached = kept.map_or_else(BridgeStatus::default, |kept| BridgeStatus::from_text(&kept.text)).reconciled;
        Ok(self.reached.lock().entry(pim).or_insert(reached).clone())
    }

    fn reach(&self, pim: PimId, kind: EntityKind, until: Timestamp) {
        self.reached.lock().entry(pim).or_default().insert(kind.name().to_owned(), until);
        self.bridge.reconciled(pim, |note| _ = note.reconciled.insert(kind.name().to_owned(), until));
    }
}
