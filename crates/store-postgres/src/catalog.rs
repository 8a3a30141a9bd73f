//! The catalogue.

pub(crate) mod change;
mod clients;
mod condition;
mod entries;
mod filter;
mod outbox;
mod pages;
mod pims;
mod rows;
mod subscriptions;

pub(crate) use condition::hold;
pub(crate) use entries::add as add_entry;
