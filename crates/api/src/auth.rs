//! Authentication: API clients by a token of their PIM, producers by the key of their source.

pub mod bearer;
pub(crate) mod caller;
mod claim;
pub(crate) mod credential;
pub mod gateway;
pub(crate) mod operator;
pub(crate) mod producer;
pub(crate) mod questions;
pub(crate) mod registry;
pub(crate) mod verdicts;
