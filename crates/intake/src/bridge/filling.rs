//! What the PIM failed to send: entities as its REST API has them, held against their last known states.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::pim::Pim;
use domain::{PimId, Timestamp};
use store::{AppendError, AppendNewError, SnapshotKey, StoreError};
use uuid::Uuid;
use wire::cloudevents::in_utc;
use wire::json::Value;

use super::{Bridge, MAX_ROUNDS, Work};
use crate::attributes::Types;
use crate::delta::changes;
use crate::making;
use crate::note::Note;
use crate::notice::{Action, Notice};
use crate::reconcile::{EntityKind, IDENTIFIER};
use crate::state::State;
use crate::subject::{NAMESPACE, Subject};

/// Who is named as the author: the REST API does not tell who changed an entity.
const AUTHOR: (&str, &str) = ("reconciliation", "system");

/// The changes that a round of reconciliation looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Changes up to this were seen by earlier rounds.
    pub since: Timestamp,
    /// Later changes are left to the next round: the PIM may be about to send them.
    pub until: Timestamp,
}

/// What came of entities of the REST API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filled {
    /// Entities that were created or changed without a word of the PIM: so many events were made.
    pub events: usize,
    /// Deltas with them.
    pub deltas: usize,
    /// Entities that are not as they should be.
    pub bad: usize,
}

/// An entity of the REST API, understood.
struct Entity {
    /// As if the PIM had sent it.
    notice: Notice,
    created: Option<Timestamp>,
    /// It names products by uuid where the Events API names them by identifier.
    other_names: bool,
}

impl Bridge {
    /// The types of a PIM's attributes, asked for if need be.
    pub(crate) async fn types(&self, pim: &Pim) -> Result<Types, String> {
        self.attributes.fetched(pim).await
    }

    /// From now on it is remembered which entities of a PIM requests tell of: what the REST API answers may be older.
    pub(crate) fn watch(&self, pim: PimId) {
        self.told.lock().insert(pim, HashSet::new());
    }

    /// Ends [`Bridge::watch`].
    pub(crate) fn unwatch(&self, pim: PimId) {
        self.told.lock().remove(&pim);
    }

    /// Takes note of how far reconciliation has come.
    pub(crate) fn reconciled(&self, pim: PimId, change: impl FnOnce(&mut Note)) {
        self.note(pim, change);
    }

    /// Makes events of those entities that differ from their last known states, except those that requests told of since
    /// [`Bridge::watch`]: the next round looks at them again.
    pub(crate) async fn fill(
        &self,
        pim: &Arc<Pim>,
        kind: EntityKind,
        items: &[Value],
        window: Window,
        types: &Types,
        now: Timestamp,
    ) -> Result<Filled, AppendError> {
        let mut filled = Filled::default();
        let mut entities = Vec::with_capacity(items.len());
        for item in items {
            match understand(&pim.name, kind, item, types) {
                Ok(Some(entity)) if window.holds(&entity) => entities.push(entity),
                Ok(_) => {}
                Err(why) => {
                    filled.bad += 1;
                    tracing::warn!(pim.name = %pim.name, %why, "an entity of the PIM's REST API is not as it should be; it is left out");
                }
            }
        }
        let turn = Arc::clone(self.turns.lock().entry(pim.id).or_default());
        let _turn = turn.lock().await;
        let told = self.told.lock().remove(&pim.id).unwrap_or_default();
        entities.retain(|entity| !told.contains(&entity.notice.subject.snapshot()));
        let mut known = HashSet::new();
        for _ in 0..MAX_ROUNDS {
            let mut keys: Vec<SnapshotKey> = entities.iter().map(|entity| entity.notice.subject.snapshot()).collect();
            keys.sort_unstable();
            keys.dedup();
            if keys.is_empty() {
                return Ok(filled);
            }
            let stored = self.store.snapshots(pim.id, keys).await?;
            let mut work = Work::new(pim, stored, types, &known);
            for entity in &entities {
                work.fill(entity, window);
            }
            (filled.events, filled.deltas) = (work.events.len() - work.deltas, work.deltas);
            if work.events.is_empty() {
                return Ok(filled);
            }
            let saves = work.states.into_iter().filter_map(|(key, held)| held.save(key)).collect();
            match self.append_new(pim, "reconciliation", work.events, saves, now).await {
                Ok(()) => {
                    let more = filled.events as u64;
                    self.counters.filled.fetch_add(more, Ordering::Relaxed);
                    self.note(pim.id, |note| {
                        note.filled += more;
                        note.filled_at = Some(now);
                    });
                    return Ok(filled);
                }
                Err(AppendNewError::Known(ids)) => known.extend(ids),
                Err(AppendNewError::Changed) => {}
                Err(AppendNewError::Append(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("others changed the same products all the time".to_owned()).into())
    }
}

impl Window {
    fn holds(&self, entity: &Entity) -> bool {
        entity.notice.state.updated_at().is_some_and(|updated| self.since <= updated && updated <= self.until)
    }
}

impl Work<'_> {
    fn fill(&mut self, entity: &Entity, window: Window) {
        let mut notice = entity.notice.clone();
        let key = notice.subject.snapshot();
        let mut held = match self.states.remove(&key) {
            Some(held) => held,
            None => self.hold(&key),
        };
        let mut delta = None;
        let missed = match &held.state {
            Some(old) if notice.state.is_older_than(old) => false,
            Some(old) => {
                if entity.other_names {
                    keep_names(old, &mut notice.state);
                }
                delta = changes(notice.subject.kind(), old, &notice.state, self.types);
                delta.is_some()
            }
            None => {
                if entity.created.is_some_and(|created| created >= window.since) {
                    notice.action = Action::Created;
                }
                true
            }
        };
        if missed {
            notice.id = event_id(&self.pim.name, &key, &notice);
            if self.push(making::event(&notice)) {
                if let Some(changes) = delta {
                    self.deltas += usize::from(self.push(making::delta_event(&notice, &changes)));
                }
                held.put(Some(notice.state));
            }
        }
        self.states.insert(key, held);
    }
}

/// The same entity in the same state has the same id, so that it is told once even where its snapshot was lost.
fn event_id(source: &str, key: &SnapshotKey, notice: &Notice) -> String {
    let name =
        format!("{source}/{:?}/{}/{}/{}", key.kind, key.key, notice.time, notice.state.to_value().to_canonical());
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).hyphenated().to_string()
}

/// An item of the REST API in the shape of the Events API; `None` if it is to be found under another kind.
fn understand(source: &str, kind: EntityKind, item: &Value, types: &Types) -> Result<Option<Entity>, String> {
    if item.as_object().is_none() {
        return Err(format!("an item is {}, expected an object", item.type_name()));
    }
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let subject = match kind {
        EntityKind::Products | EntityKind::ProductsByUuid => Subject::product(source, item)?,
        EntityKind::ProductModels => Subject::product_model(item)?,
    };
    let by_uuid = kind == EntityKind::ProductsByUuid;
    if by_uuid {
        let value = |code: &str| item.get("values").is_some_and(|values| values.get(code).is_some());
        if text("identifier").is_some() || types.codes_of(IDENTIFIER).any(value) {
            return Ok(None);
        }
    }
    let updated = text("updated").ok_or("an item has no `updated`")?;
    let time = in_utc(updated).ok_or("`updated` of an item is no RFC 3339")?;
    let state = State::read(source, item)?;
    let created = text("created").and_then(Timestamp::parse);
    let notice = Notice {
        id: String::new(),
        action: Action::Updated,
        subject,
        time: time.into_owned(),
        author: Some(AUTHOR.0.to_owned()),
        author_type: Some(AUTHOR.1.to_owned()),
        state,
    };
    Ok(Some(Entity { notice, created, other_names: by_uuid }))
}

/// Leaves associated products as they were: the two names of a product cannot be told from two products.
fn keep_names(old: &State, new: &mut State) {
    let products = |name: &str| old.associations.iter().find(|(of, _)| of == name).map(|(_, links)| &links.products);
    for (name, links) in &mut new.associations {
        links.products = products(name).cloned().unwrap_or_default();
    }
    let quantities = |name: &str| old.quantified.iter().find(|(of, _)| of == name).map(|(_, sides)| &sides.products);
    for (name, sides) in &mut new.quantified {
        sides.products = quantities(name).cloned().unwrap_or_default();
    }
}
