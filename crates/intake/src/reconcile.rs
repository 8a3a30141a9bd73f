//! Reconciliation: asks PIMs now and then for what was changed lately, because the Events API sends everything once and
//! never again.
//!
//! **What counts.** An entity whose state differs from the last one that is known was changed without a word: it gives an
//! `updated` event with its delta. One that was never seen gives `created` if it was created in the window, else
//! `updated` without a delta, as first events do. What the bridge took is not told again: the states are equal. Removed
//! entities are not in the answers; their removal cannot be found.
//!
//! **The window.** A round asks for changes since the end of the round before, less an overlap for clocks that differ and
//! transactions that took long; and leaves out the latest ones, which the PIM may be about to send. How far it has come is
//! kept after each complete round only: pages come in the order of names, not of changes. All of this is by the PIM's clock, as
//! its answers tell it: a step of ours moves no window. Where a round ended in what is now the future, a clock was set back, and
//! the last day is looked at again: what is known already differs from nothing.
//!
//! **Where from.** `products` has the very shape of the Events API in all versions. `products-uuid` names associated
//! products and identifiers in another way, so it is asked only for what `products` does not have: products without an
//! identifier.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{Clock, PimId, Timestamp};
use parking_lot::Mutex;
use store::{AppendError, PimQuery, Store, StoreError};
use tokio::task::{AbortHandle, JoinSet};

use crate::bridge::{Bridge, Filled, Window};
use crate::note::Note;

/// So long a change is left to the PIM, whose consumer sends a little later than it happened.
pub const SETTLE: Duration = Duration::from_secs(60);
/// How far back a round looks that cannot tell where the one before ended.
const CLOCK_SET_BACK: Duration = Duration::from_secs(24 * 60 * 60);
/// PIMs that are read at once.
const AT_ONCE: usize = 100;
/// More pages than any round has; who goes on beyond is no PIM.
const MOST_PAGES: usize = 100_000;

/// The type of the attributes that identify products.
pub(crate) const IDENTIFIER: &str = "pim_catalog_identifier";

/// A kind of entity as the REST API lists it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EntityKind {
    /// Products, by identifier.
    Products,
    /// Products of PIMs since 7.0; those without an identifier count.
    ProductsByUuid,
    /// Product models.
    ProductModels,
}

impl EntityKind {
    /// All of them, in the order of a round.
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
    /// As the REST API gives them, each by itself: one that cannot be read costs no other.
    pub items: Vec<String>,
    /// What time it is by the PIM's clock, which its entities' times of change come from.
    pub at: Option<Timestamp>,
    /// What to ask the next page with; `None` at the end.
    pub next: Option<String>,
}

/// Asks PIMs for entities that were changed.
#[async_trait]
pub trait EntitySource: Send + Sync + 'static {
    /// Whether it can ask this PIM: the operator gave credentials.
    fn knows(&self, pim: &Pim) -> bool;

    /// A page of the entities that were changed after `since`, and maybe of others; the first one, or that at `cursor`. A kind that
    /// the PIM does not have is empty. The error is for the operator.
    async fn page(
        &self,
        pim: &Pim,
        kind: EntityKind,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<EntityPage, String>;
}

/// Why a round of a PIM was given up. The next one looks at the same window again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RoundError {
    /// The PIM does not answer as it should.
    #[error("the PIM's REST API: {0}")]
    Pim(String),
    /// The store does not take what came of it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store does not tell what is known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reconciles PIMs that have the bridge in use and credentials for their REST API.
pub struct Reconciler {
    bridge: Arc<Bridge>,
    store: Arc<dyn Store>,
    source: Arc<dyn EntitySource>,
    overlap: Duration,
    clock: Clock,
    /// Up to when everything was seen, read from the PIM's [`Note`] once.
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

impl Reconciler {
    /// A round begins `overlap` before the end of the one before.
    pub fn new(
        bridge: Arc<Bridge>,
        store: Arc<dyn Store>,
        source: Arc<dyn EntitySource>,
        overlap: Duration,
        clock: Clock,
    ) -> Reconciler {
        Reconciler { bridge, store, source, overlap, clock, reached: Mutex::default() }
    }

    /// Makes a round of each PIM every so often, one request of each at a time. A round that takes longer, because its
    /// PIM is slow or asks for pauses, delays the next one of that PIM alone.
    pub async fn run(self: Arc<Self>, every: Duration) {
        let mut rounds = Rounds::default();
        loop {
            rounds.forget_ended();
            if let Err(error) = self.begin(&mut rounds).await {
                tracing::warn!(%error, "not all PIMs are reconciled; the next round tries again");
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Begins a round of each PIM that is served.
    async fn begin(self: &Arc<Self>, rounds: &mut Rounds) -> Result<(), StoreError> {
        let mut behind = None;
        loop {
            let pims = self.store.pims(&PimQuery { text: None, after: behind, limit: AT_ONCE }).await?;
            behind = pims.last().map(|last| last.id);
            for pim in pims.items.into_iter().filter(|pim| self.serves(pim)) {
                let this = Arc::clone(self);
                rounds.begin(pim.id, async move { this.told_round(&Arc::new(pim)).await });
            }
            if behind.is_none() {
                return Ok(());
            }
        }
    }

    fn serves(&self, pim: &Pim) -> bool {
        pim.events_api_secret.is_some() && !pim.is_withdrawn() && self.source.knows(pim)
    }

    /// A round that tells the operator what came of it.
    async fn told_round(&self, pim: &Arc<Pim>) {
        match self.round(pim, self.clock.wall()).await {
            Ok(Filled { events: 0, .. }) => tracing::debug!(pim.name = %pim.name, "reconciled; nothing was missing"),
            Ok(Filled { events, deltas, .. }) => {
                tracing::warn!(pim.name = %pim.name, events, deltas, "reconciliation made events that the PIM failed to send");
            }
            Err(error) => {
                tracing::warn!(pim.name = %pim.name, %error, "the PIM was not reconciled; the next round tries again");
            }
        }
    }

    /// A round of one PIM. The very first one only takes note of the time: what happened before is not asked for.
    pub async fn round(&self, pim: &Arc<Pim>, now: Timestamp) -> Result<Filled, RoundError> {
        let reached = self.reached(pim.id).await?;
        let mut total = Filled::default();
        for kind in EntityKind::ALL {
            let mut until = now - SETTLE;
            if let Some(reached) = reached.get(kind.name()) {
                let done = self.kind(pim, kind, *reached, now).await;
                self.bridge.unwatch(pim.id);
                let filled;
                (filled, until) = done?;
                total.events += filled.events;
                total.deltas += filled.deltas;
                total.bad += filled.bad;
            }
            self.reach(pim.id, kind, until);
        }
        Ok(total)
    }

    /// What was changed since `reached`; and up to when.
    async fn kind(
        &self,
        pim: &Arc<Pim>,
        kind: EntityKind,
        reached: Timestamp,
        now: Timestamp,
    ) -> Result<(Filled, Timestamp), RoundError> {
        let types = self.bridge.types(pim).await.map_err(RoundError::Pim)?;
        if kind == EntityKind::ProductsByUuid && types.codes_of(IDENTIFIER).next().is_none() {
            // Which products have an identifier cannot be told.
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
                    return Err(RoundError::Pim(format!("a page of `{}` names itself as the next", kind.name())));
                }
                Some(next) => cursor = Some(next),
            }
            page = self.page(pim, kind, window.since, cursor.as_deref()).await?;
        }
        Err(RoundError::Pim(format!("`{}` does not end after {MOST_PAGES} pages", kind.name())))
    }

    /// The first page, and the changes that the round looks at: by the PIM's clock, which set their times.
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
            // The clock was set back: how far everything was seen cannot be told.
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
        // The PIM compares whole seconds, and only what is later.
        let since = since - Duration::from_secs(1);
        self.source.page(pim, kind, since, cursor).await.map_err(RoundError::Pim)
    }

    async fn reached(&self, pim: PimId) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        if let Some(known) = self.reached.lock().get(&pim) {
            return Ok(known.clone());
        }
        let kept = self.store.bridge_note(pim).await?;
        let reached = kept.map_or_else(Note::default, |kept| Note::from_text(&kept.text)).reconciled;
        Ok(self.reached.lock().entry(pim).or_insert(reached).clone())
    }

    fn reach(&self, pim: PimId, kind: EntityKind, until: Timestamp) {
        self.reached.lock().entry(pim).or_default().insert(kind.name().to_owned(), until);
        self.bridge.reconciled(pim, |note| _ = note.reconciled.insert(kind.name().to_owned(), until));
    }
}
