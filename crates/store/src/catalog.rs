//! The catalogue, one port per part: PIM registrations, clients, subscribers with their subscriptions, log entries, and
//! the outbox of notifications.

mod clients;
mod entries;
mod outbox;
mod page;
mod pims;
mod subscriptions;

pub use clients::{ClientRecord, Clients};
pub use entries::{Entries, LogPage};
pub use outbox::{MOST_NOTIFICATIONS, Outbox, Waiting};
pub use page::{ClientQuery, Page, PimQuery, StatusFilter, SubscriberQuery, SubscriptionQuery, Whose, contains};
pub use pims::Pims;
pub use subscriptions::{Change, ChangedPage, Made, Put, SubscriptionCounts, Subscriptions};
