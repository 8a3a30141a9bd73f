//! PostgreSQL in trouble, under load: what is acknowledged arrives. The checker is an outside program: it knows only
//! what was acknowledged, and what arrived.

pub(crate) mod answers;
mod events_api;
pub(crate) mod failover;
mod nodes;
mod restore;
mod stage;
mod trouble;
