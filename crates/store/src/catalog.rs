//! The catalogue, as a port for each of those who use it: registrations of PIMs, clients, subscribers with their
//! subscriptions, the log entries of their owners, and the notifications that wait to be sent.

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
pub use subscriptions::{Change, Made, Put, SubscriptionCounts, Subscriptions};
