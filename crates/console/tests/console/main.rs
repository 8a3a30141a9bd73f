//! The console against the real API over the in-memory store: what a browser sends and gets, without its rendering.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod browser;
mod world;

mod actions;
mod kept;
mod links;
mod operator;
mod pages;
mod sessions;
mod truths;
