//! Kept events as far as a caller may see them.
//!
//! An event is visible if one of the caller's subscriptions, neither deleted nor revoked, existed and included its type
//! when it was accepted (contract page 8). All others are 404, whether they exist or not.

pub(crate) mod list;
pub(crate) mod show;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::subscriber::Owner;
use domain::{LoggedEvent, Position, SubscriptionId};
use store::{History, KeptQuery, StoreError};

use crate::Api;
use crate::auth::caller::Caller;
use crate::refusal::Refusal;

/// Maximum number of reads for one page; each is bounded by the store. The page then ends early.
const MOST_READS: usize = 16;

/// What a caller may see.
pub(crate) struct Sight {
    owner: Owner,
    histories: Vec<History>,
}

/// A visible event.
pub(crate) struct Seen {
    /// The event.
    pub(crate) logged: Arc<LoggedEvent>,
    /// Whether one of the caller's subscriptions gets `data.product.identifier`.
    pub(crate) with_identifier: bool,
}

/// Visible events, newest first, and the exclusive end of the positions of the next page.
pub(crate) struct Found {
    pub(crate) events: Vec<Seen>,
    pub(crate) next: Option<Position>,
}

impl Sight {
    /// The current sight of a caller; the bearer of a link sees through the subscriptions of its subscriber alone.
    pub(crate) async fn of(api: &Api, caller: &Caller) -> Result<Sight, StoreError> {
        let owner = caller.owner.clone();
        let mut histories = api.store().histories(&owner).await?;
        if let Some(subscriber) = caller.only() {
            let subscriptions = api.store().subscriptions(subscriber).await?;
            let own: BTreeSet<SubscriptionId> = subscriptions.into_iter().map(|one| one.id).collect();
            histories.retain(|history| own.contains(&history.subscription));
        }
        Ok(Sight { owner, histories })
    }

    /// The event if it is visible.
    fn see(&self, logged: Arc<LoggedEvent>) -> Option<Seen> {
        let of_type = logged.event.event_type();
        let mut eras = self
            .histories
            .iter()
            .filter_map(|history| history.at(logged.position))
            .filter(|era| era.selection.events.iter().any(|subscribed| subscribed.as_str() == of_type))
            .peekable();
        eras.peek()?;
        let with_identifier = eras.any(|era| era.send_product_identifier);
        Some(Seen { logged, with_identifier })
    }

    /// All types that a subscription includes or included, or those of them that are asked for.
    fn types(&self, wanted: Option<&[&str]>) -> Vec<String> {
        let eras = self.histories.iter().flat_map(|history| &history.eras);
        let types: BTreeSet<&str> = eras.flat_map(|era| era.selection.events.iter().map(|one| one.as_str())).collect();
        types.into_iter().filter(|one| wanted.is_none_or(|wanted| wanted.contains(one))).map(str::to_owned).collect()
    }

    /// The subscriptions.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.histories.iter().map(|history| history.subscription)
    }

    /// The types that a subscription includes now.
    pub(crate) fn current_types(&self) -> BTreeSet<&str> {
        let current = self.histories.iter().filter_map(|history| history.eras.last());
        current.flat_map(|era| era.selection.events.iter().map(|one| one.as_str())).collect()
    }

    /// A page of visible events of these types, or of any.
    pub(crate) async fn find(
        &self,
        api: &Api,
        of_types: Option<&[&str]>,
        mut query: KeptQuery,
    ) -> Result<Found, StoreError> {
        query.types = self.types(of_types);
        let mut found = Found { events: Vec::new(), next: None };
        if query.types.is_empty() {
            return Ok(found);
        }
        let wanted = query.limit;
        for _ in 0..MOST_READS {
            let page = api.store().find(self.owner.pim, &query).await?;
            found.events.extend(page.events.into_iter().filter_map(|logged| self.see(logged)));
            found.next = page.next;
            query.before = page.next;
            query.limit = wanted.saturating_sub(found.events.len());
            if page.next.is_none() || query.limit == 0 {
                break;
            }
        }
        Ok(found)
    }

    /// The newest visible event with this id.
    pub(crate) async fn newest(&self, api: &Api, id: &str) -> Result<Seen, Refusal> {
        let mut query = KeptQuery { ids: vec![id.to_owned()], limit: 1, ..KeptQuery::default() };
        loop {
            let Found { events, next } = self.find(api, None, query.clone()).await?;
            match (events.into_iter().next(), next) {
                (Some(seen), _) => return Ok(seen),
                (None, Some(next)) => query.before = Some(next),
                (None, None) => return Err(Refusal::not_found("event")),
            }
        }
    }

    /// Positions of the newest visible event with each of these ids, ascending; others are left out.
    pub(crate) async fn positions(&self, api: &Api, ids: &[String]) -> Result<Vec<Position>, StoreError> {
        let mut missing: BTreeSet<String> = ids.iter().cloned().collect();
        let mut positions = Vec::with_capacity(ids.len());
        let mut before = None;
        while !missing.is_empty() {
            let ids = missing.iter().cloned().collect();
            let query = KeptQuery { ids, before, limit: missing.len(), ..KeptQuery::default() };
            let Found { events, next } = self.find(api, None, query).await?;
            for Seen { logged, .. } in events {
                if missing.remove(logged.event.id()) {
                    positions.push(logged.position);
                }
            }
            before = next;
            if next.is_none() {
                break;
            }
        }
        positions.sort_unstable();
        Ok(positions)
    }
}
