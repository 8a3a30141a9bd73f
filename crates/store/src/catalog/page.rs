//! Pages: long lists are read piece by piece, in the order of their ids. What is added or removed between two pages
//! makes no other item come twice or be left out.
//!
//! Text is looked for anywhere in a name, and ASCII letters are the same in upper and lower case.

use domain::destination::DestinationType;
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ClientId, PimId, SubscriberId, SubscriptionId};

/// A piece of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// In the order of their ids.
    pub items: Vec<T>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl<T> Page<T> {
    /// The page of these, of which one more than `limit` was looked for.
    pub fn of(mut items: Vec<T>, limit: usize) -> Page<T> {
        let more = items.len() > limit;
        items.truncate(limit);
        Page { items, more }
    }

    /// The last item, if there are more behind it: the next page begins after it.
    pub fn last(&self) -> Option<&T> {
        self.items.last().filter(|_| self.more)
    }
}

/// Which PIMs are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PimQuery {
    /// Part of the name or of the URL.
    pub text: Option<String>,
    /// Only those behind this one.
    pub after: Option<PimId>,
    /// At most so many.
    pub limit: usize,
}

/// Which clients are asked for: those of which something is known, or which have a subscriber that is not deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientQuery {
    /// Of this PIM.
    pub pim: PimId,
    /// Part of the client id.
    pub text: Option<String>,
    /// Only those behind this one.
    pub after: Option<ClientId>,
    /// At most so many.
    pub limit: usize,
}

/// Which subscribers are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriberQuery {
    /// Of whom.
    pub of: Whose,
    /// In which status.
    pub status: StatusFilter,
    /// Part of the name.
    pub text: Option<String>,
    /// Only those behind this one.
    pub after: Option<SubscriberId>,
    /// At most so many.
    pub limit: usize,
}

/// Which subscriptions are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriptionQuery {
    /// Of whom.
    pub of: Whose,
    /// In which status.
    pub status: StatusFilter,
    /// With a destination of this type.
    pub destination_type: Option<DestinationType>,
    /// Part of the name of its subscriber.
    pub text: Option<String>,
    /// Only those behind this one.
    pub after: Option<SubscriptionId>,
    /// At most so many.
    pub limit: usize,
}

/// Whose subscribers or subscriptions are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Whose {
    /// Of this PIM only.
    pub pim: Option<PimId>,
    /// Of clients with this id only.
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

/// In which status those are that are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StatusFilter {
    /// In any but deleted.
    #[default]
    NotDeleted,
    /// Active.
    Active,
    /// Suspended, for whatever reason.
    Suspended,
    /// Revoked.
    Revoked,
    /// Deleted, as long as that is kept.
    Deleted,
}

impl StatusFilter {
    /// The one status that is asked for, by its name; `None`: any but deleted.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            StatusFilter::NotDeleted => None,
            StatusFilter::Active => Some("active"),
            StatusFilter::Suspended => Some("suspended"),
            StatusFilter::Revoked => Some("revoked"),
            StatusFilter::Deleted => Some("deleted"),
        }
    }

    /// The filter for the status with this name.
    pub fn named(name: &str) -> Option<StatusFilter> {
        use StatusFilter::{Active, Deleted, Revoked, Suspended};
        [Active, Suspended, Revoked, Deleted].into_iter().find(|one| one.name() == Some(name))
    }
}

impl SubscriberQuery {
    /// Whether it asks for this one, apart from its place.
    pub fn asks_for(&self, one: &Subscriber) -> bool {
        let in_status = match self.status.name() {
            None => one.status != SubscriberStatus::Deleted,
            Some(name) => one.status.as_str() == name,
        };
        in_status && self.of.is(one.owner.pim, &one.owner.client_id) && contains(&one.name, self.text.as_deref())
    }
}

impl SubscriptionQuery {
    /// Whether it asks for this one, whose subscriber has this name, apart from its place.
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

/// Whether a name has the text in it that is looked for.
pub fn contains(name: &str, text: Option<&str>) -> bool {
    text.is_none_or(|text| name.to_ascii_lowercase().contains(&text.to_ascii_lowercase()))
}
