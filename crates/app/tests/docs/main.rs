//! Checks the documentation against the program: README.md and all pages under `docs/`.
//!
//! `DOCS_PAGE=text` runs only the pages whose path contains the text.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod page;
mod session;
mod shown;

mod pages;

mod clients;
mod platform;
mod sdks;
mod service;
mod signatures;
