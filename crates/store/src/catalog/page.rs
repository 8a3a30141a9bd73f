//! Pages: long lists are read page by page, ordered by id. Additions and removals between two pages neither repeat nor
//! skip any other item.
//!
//! Text filters match anywhere in a name; ASCII letters match case-insensitively.

use domain::destination::DestinationType;
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ClientId, PimId, SubscriberId, SubscriptionId};

/// A page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The items, ordered by id.
    pub items: Vec<T>,
    /// Whether more items follow.
    pub more: bool,
}

impl<T> Page<T> {
    /// The page made of items read with a limit of one more than `limit`.
    pub fn of(mut items: Vec<T>, limit: usize) -> Page<T> {
        let more = items.len() > limit;
        items.truncate(limit);
        Page { items, more }
    }

    /// The last item if more follow: the start of the next page.
    pub fn last(&self) -> Option<&T> {
        self.items.last().filter(|_| self.more)
    }
}

/// Query for PIMs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PimQuery {
    /// Part of the name or of the URL.
    pub text: Option<String>,
    /// Exclusive start of the page.
    pub after: Option<PimId>,
    /// Maximum number of items.
    pub limit: usize,
}

/// Query for clients: those with a record or with a subscriber that is not deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientQuery {
    /// The PIM.
    pub pim: PimId,
    /// Part of the client id.
    pub text: Option<String>,
    /// Exclusive start of the page.
    pub after: Option<ClientId>,
    /// Maximum number of items.
    pub limit: usize,
}

/// Query for subscribers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriberQuery {
    /// Owners to include.
    pub of: Whose,
    /// Statuses to include.
    pub status: StatusFilter,
    /// Part of the name.
    pub text: Option<String>,
    /// Exclusive start of the page.
    pub after: Option<SubscriberId>,
    /// Maximum number of items.
    pub limit: usize,
}

/// Query for subscriptions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriptionQuery {
    /// Owners to include.
    pub of: Whose,
    /// Statuses to include.
    pub status: StatusFilter,
    /// Destination type to include.
    pub destination_type: Option<DestinationType>,
    /// Part of the subscriber's name.
    pub text: Option<String>,
    /// Exclusive start of the page.
    pub after: Option<SubscriptionId>,
    /// Maximum number of items.
    pub limit: usize,
}

/// Filter by owner.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Whose {
    /// Only this PIM.
    pub pim: Option<PimId>,
    /// Only clients with this id.
    pub client_id: Option<ClientId>,
}

impl Whose {
    /// Of one PIM.
    pub fn pim(pim: PimId) -> Whose {
        Whose { pim: Some(pim), client_id: None }
    }

    /// Of one client of one PIM.
    pub fn owner(owner: &Owner) -> Whose {
        Whose { pim: Some(owner.pim), client_id: Some(owner.client_id.clone()) }
    }

    fn is(&self, pim: PimId, client_id: &ClientId) -> bool {
        self.pim.is_none_or(|wanted| wanted == pim) && self.client_id.as_ref().is_none_or(|wanted| wanted == client_id)
    }
}

/// Filter by status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StatusFilter {
    /// Any status but deleted.
    #[default]
    NotDeleted,
    /// Active.
    Active,
    /// Suspended, for any reason.
    Suspended,
    /// Revoked.
    Revoked,
    /// Deleted, while the record is retained.
    Deleted,
}

impl StatusFilter {
    /// Name of the requested status; `None` for any but deleted.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            StatusFilter::NotDeleted => None,
            StatusFilter::Active => Some("active"),
            StatusFilter::Suspended => Some("suspended"),
            StatusFilter::Revoked => Some("revoked"),
            StatusFilter::Deleted => Some("deleted"),
        }
    }

    /// The filter with this name.
    pub fn named(name: &str) -> Option<StatusFilter> {
        use StatusFilter::{Active, Deleted, Revoked, Suspended};
        [Active, Suspended, Revoked, Deleted].into_iter().find(|one| one.name() == Some(name))
    }
}

impl SubscriberQuery {
    /// Whether the subscriber matches, ignoring paging.
    pub fn asks_for(&self, one: &Subscriber) -> bool {
        let in_status = match self.status.name() {
            None => one.status != SubscriberStatus::Deleted,
            Some(name) => one.status.as_str() == name,
        };
        in_status && self.of.is(one.owner.pim, &one.owner.client_id) && contains(&one.name, self.text.as_deref())
    }
}

impl SubscriptionQuery {
    /// Whether the subscription of a subscriber with this name matches, ignoring paging.
    pub fn asks_for(&self, one: &Subscription, subscriber: &str) -> bool {
        let in_status = match self.status.name() {
            None => one.status != SubscriptionStatus::Deleted,
            Some(name) => one.status.to_string() == name,
        };
        in_status
            && self.of.is(one.pim, &one.client_id)
            && self.destination_type.is_none_or(|wanted| wanted == one.destination.of_type())
            && contains(subscriber, self.text.as_deref())
    }
}

/// Whether a name contains the text filter.
pub fn contains(name: &str, text: Option<&str>) -> bool {
    text.is_none_or(|text| name.to_ascii_lowercase().contains(&text.to_ascii_lowercase()))
}
