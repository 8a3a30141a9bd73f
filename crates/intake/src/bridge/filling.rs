//! Events that the PIM failed to send: compares entities of its REST API with their last known states.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::pim::Pim;
use domain::{PimId, Timestamp};
use store::{AppendError, AppendNewError, SnapshotKey};
use uuid::Uuid;
use wire::cloudevents::in_utc;
use wire::json::{Number, Value};

use super::counts::add;
use super::work::Work;
use super::{Bridge, MAX_ROUNDS, always_changed, holder, keys, stopped};
use crate::attributes::Types;
use crate::delta::changes;
use crate::entity::{NAMESPACE, PimEntity};
use crate::index::Index;
use crate::making;
use crate::notice::{Action, Notice};
use crate::reconcile::{EntityKind, IDENTIFIER};
use crate::seldom::Cause;
use crate::state::State;
use crate::status::BridgeStatus;

/// The author of these events: the REST API does not tell who changed an entity.
const AUTHOR: (&str, &str) = ("reconciliation", "system");

/// The time window of a reconciliation round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Changes up to this time were seen by earlier rounds.
    pub since: Timestamp,
    /// Later changes are left to the next round: the PIM may be about to send them.
    pub until: Timestamp,
}

/// Result for entities of the REST API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filled {
    /// Number of events created for unreported changes.
    pub events: usize,
    /// Deltas with them.
    pub deltas: usize,
    /// Malformed entities.
    pub bad: usize,
}

/// A parsed entity of the REST API.
struct Entity {
    /// As if sent by the PIM.
    notice: Notice,
    /// As in the REST API.
    text: String,
    updated: Option<Timestamp>,
    created: Option<Timestamp>,
    /// Associations name products by uuid, whereas the Events API uses identifiers.
    other_names: bool,
}

impl Bridge {
    /// Attribute types of a PIM, fetched if necessary.
    pub(crate) async fn types(&self, pim: &Pim) -> Result<Types, String> {
        self.attributes.fetched(pim).await
    }

    /// Starts to record the entities mentioned by a PIM's requests: the REST API's response may be older.
    pub(crate) fn watch(&self, pim: PimId) {
        self.reported.lock().insert(pim, HashSet::new());
    }

    /// Ends [`Bridge::watch`].
    pub(crate) fn unwatch(&self, pim: PimId) {
        self.reported.lock().remove(&pim);
    }

    /// Records the progress of reconciliation.
    pub(crate) fn reconciled(&self, pim: PimId, change: impl FnOnce(&mut BridgeStatus)) {
        self.note(pim, change);
    }

    /// Creates events for entities that differ from their last known states, except those mentioned by requests since
    /// [`Bridge::watch`]: the next round checks them again.
    pub(crate) async fn fill(
        &self,
        pim: &Arc<Pim>,
        kind: EntityKind,
        items: Vec<String>,
        window: Window,
        types: &Types,
        now: Timestamp,
    ) -> Result<Filled, AppendError> {
        let mut filled = Filled::default();
        let bytes = items.iter().map(String::len).sum();
        let (source, known_types) = (pim.name.clone(), types.clone());
        let read = move || read(&source, kind, items, window, &known_types, now);
        let (mut entities, bad) = self.aside.run(holder(pim), bytes, read).await.map_err(stopped)?;
        filled.bad = bad.len();
        if let Some(entities) = self.seldom.note(pim.id, Cause::Entity, bad.len()) {
            let why = bad.last().map(String::as_str).unwrap_or_default();
            tracing::warn!(
                pim.name = %pim.name, entities, why,
                "skipped unrecognisable entities of the PIM's REST API in reconciliation; `why` is about the latest"
            );
        }
        let turn = Arc::clone(self.turns.lock().entry(pim.id).or_default());
        let _turn = turn.lock().await;
        let reported = self.reported.lock().remove(&pim.id).unwrap_or_default();
        entities.retain(|entity| !reported.contains(&entity.notice.entity.snapshot()));
        let entities = Arc::new(entities);
        let mut known = HashSet::new();
        for _ in 0..MAX_ROUNDS {
            let keys = keys(entities.iter().map(|entity| &entity.notice));
            if keys.is_empty() {
                return Ok(filled);
            }
            let (stored, bytes) = self.stored(pim, keys, bytes).await?;
            let mut work = Work::new(stored, types.clone(), known.clone());
            let (all, uncompared, source) = (Arc::clone(&entities), self.uncompared.of(pim.id), pim.name.clone());
            let doing = move || {
                all.iter().for_each(|entity| work.fill(&source, entity, window, &uncompared));
                work.done()
            };
            let made = self.aside.run(holder(pim), bytes, doing).await.map_err(stopped)?;
            (filled.events, filled.deltas) = (made.events.len() - made.deltas, made.deltas);
            if made.events.is_empty() {
                return Ok(filled);
            }
            match self.append_made(pim, "reconciliation", made, now).await {
                Ok(_) => {
                    add(&self.counters.filled, filled.events);
                    self.note(pim.id, |note| {
                        note.filled += filled.events as u64;
                        note.filled_at = Some(now);
                    });
                    return Ok(filled);
                }
                Err(AppendNewError::Known(ids)) => known.extend(ids),
                Err(AppendNewError::Changed) => {}
                Err(AppendNewError::Append(error)) => return Err(error),
            }
        }
        Err(always_changed())
    }
}

impl Window {
    /// Whether an entity was changed in the window. Entities without a time count as changed, because the PIM was asked
    /// for recent changes.
    fn holds(&self, entity: &Entity) -> bool {
        entity.updated.is_none_or(|updated| self.since <= updated && updated <= self.until)
    }
}

impl Work {
    fn fill(
        &mut self,
        source: &str,
        entity: &Entity,
        window: Window,
        uncompared: &HashMap<SnapshotKey, Option<String>>,
    ) {
        let mut notice = entity.notice.clone();
        let key = notice.entity.snapshot();
        let mut held = self.held(&key);
        if held.state.is_none() && entity.created.is_some_and(|created| created >= window.since) {
            notice.action = Action::Created;
        }
        let mut delta = None;
        let missed = match (&mut notice.state, &held.state) {
            // Whether it differs is unknown: its time of change decides.
            (Err(_), old) => {
                let reported = uncompared.get(&key) == Some(&notice.updated);
                let known = old.as_ref().and_then(State::updated_at);
                !reported && !matches!((entity.updated, known), (Some(updated), Some(known)) if updated <= known)
            }
            (Ok(new), Some(old)) if new.is_older_than(old) => false,
            (Ok(new), Some(old)) => {
                if entity.other_names {
                    keep_names(old, new);
                }
                delta = changes(notice.entity.kind(), old, new, &self.types);
                delta.is_some()
            }
            (Ok(_), None) => true,
        };
        if missed {
            notice.id = event_id(source, &key, &notice, &entity.text);
            if self.push(making::event(&notice)) {
                if let Some(changes) = delta {
                    self.push_delta(making::delta_event(&notice, &changes), &key);
                }
                match notice.state {
                    Ok(state) => held.put(Some(state)),
                    Err(ref why) => self.not_compared(&key, &notice, why),
                }
            }
        }
        self.states.insert(key, held);
    }
}

/// The same entity in the same state has the same id, so that it is reported once even if its snapshot was lost.
fn event_id(source: &str, key: &SnapshotKey, notice: &Notice, text: &str) -> String {
    let state = match &notice.state {
        Ok(state) => format!("{}/{}", notice.time, state.to_value().to_canonical()),
        Err(_) => text.to_owned(),
    };
    let name = format!("{source}/{:?}/{}/{state}", key.kind, key.key);
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).hyphenated().to_string()
}

/// Entities of a page that were changed in the window, and why others are unrecognisable.
fn read(
    source: &str,
    kind: EntityKind,
    items: Vec<String>,
    window: Window,
    types: &Types,
    now: Timestamp,
) -> (Vec<Entity>, Vec<String>) {
    let (mut entities, mut bad) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        match understand(source, kind, item, types, now) {
            Ok(Some(entity)) if window.holds(&entity) => entities.push(entity),
            Ok(_) => {}
            Err(why) => bad.push(why),
        }
    }
    (entities, bad)
}

/// An item of the REST API in the format of the Events API; `None` if it belongs to another kind. As there, a malformed
/// field only affects that field.
fn understand(
    source: &str,
    kind: EntityKind,
    text: String,
    types: &Types,
    now: Timestamp,
) -> Result<Option<Entity>, String> {
    let item = wire::json::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let member = |name: &str| item.get(name).and_then(Value::as_str);
    let entity = match kind {
        EntityKind::Products | EntityKind::ProductsByUuid => PimEntity::product(source, &item)?,
        EntityKind::ProductModels => PimEntity::product_model(&item)?,
    };
    let by_uuid = kind == EntityKind::ProductsByUuid;
    if by_uuid {
        let value = |code: &str| item.get("values").is_some_and(|values| values.get(code).is_some());
        if member("identifier").is_some() || types.codes_of(IDENTIFIER).any(value) {
            return Ok(None);
        }
    }
    let (updated, created) = (member("updated"), member("created").and_then(Timestamp::parse));
    let notice = Notice {
        id: String::new(),
        action: Action::Updated,
        entity,
        time: updated.and_then(in_utc).map_or_else(|| now.to_string(), |time| time.into_owned()),
        author: Some(AUTHOR.0.to_owned()),
        author_type: AUTHOR.1,
        updated: updated.map(str::to_owned),
        state: State::read(source, &item),
    };
    let updated = updated.and_then(Timestamp::parse);
    Ok(Some(Entity { notice, text, updated, created, other_names: by_uuid }))
}

/// Keeps associated products unchanged: the two names of a product cannot be distinguished from two products.
fn keep_names(old: &State, new: &mut State) {
    let products: Index<&str, &Vec<String>> =
        old.associations.iter().map(|(of, links)| (of.as_str(), &links.products)).collect();
    for (name, links) in &mut new.associations {
        links.products = products.get(&name.as_str()).cloned().unwrap_or_default();
    }
    let quantities: Index<&str, &Vec<(String, Number)>> =
        old.quantified.iter().map(|(of, sides)| (of.as_str(), &sides.products)).collect();
    for (name, sides) in &mut new.quantified {
        sides.products = quantities.get(&name.as_str()).cloned().unwrap_or_default();
    }
}
