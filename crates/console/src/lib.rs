//! The console: server-rendered pages at `/console`.
//!
//! **The console is a client of the platform's own API, in process** ([`Api`]). Each page and each action therefore has
//! the permissions, limits, errors and log entries of the API, and no rule is implemented twice. The crate knows no
//! store and no engine.
//!
//! Reading order: the ports (this file), the [`router`](routes), who is signed in (`session`, `visit`), forms (`form`,
//! `fields`), the common parts of pages (`layout`, `table`, `chart`, `time`, `words`), then one file per page in
//! `pages`.

mod answer;
mod assets;
mod chart;
mod fields;
mod form;
mod headers;
mod layout;
mod query;
mod routes;
mod session;
mod table;
mod throttle;
mod time;
mod visit;
mod words;

mod pages;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::Clock;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

pub use routes::router;

use assets::Assets;
use throttle::Throttle;

/// The platform's own API, called in process.
#[async_trait]
pub trait Api: Send + Sync + 'static {
    /// Answers a request as the network would get it. Its extensions hold the [`Visitor`], and a [`Grant`] if it comes
    /// from the bearer of a link.
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes>;

    /// Uses up the secret of a link; `None` if it is unknown, expired or used.
    async fn open_link(&self, secret: &str) -> Result<Option<Grant>, Unavailable>;
}

/// The platform could not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unavailable;

/// Seals sessions, so that only nodes of the platform can read or change them.
pub trait Sealer: Send + Sync + 'static {
    /// Seals bytes for a purpose; `None` if the system provides no randomness.
    fn seal(&self, plain: &[u8], purpose: &str) -> Option<Vec<u8>>;

    /// Opens what was sealed for the same purpose.
    fn open(&self, sealed: &[u8], purpose: &str) -> Option<Vec<u8>>;
}

/// Network address of a browser: an extension of requests, for rate limits and never for access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visitor(pub IpAddr);

/// Rights of a link's bearer: an extension of in-process requests, which no network request can have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The PIM of the client that made the link.
    pub pim: u32,
    /// The client that made the link.
    pub client_id: String,
    /// The only accessible subscriber.
    pub subscriber: String,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// End of access, in microseconds since the epoch.
    pub until: i64,
}

/// Settings of the console.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether browsers reach the platform by `https`, so that cookies can be restricted to it.
    pub secure: bool,
    /// Origins of sites that may show the pages of a link in a frame.
    pub frame_origins: Vec<String>,
}

/// Everything the pages need.
pub struct Console {
    api: Arc<dyn Api>,
    sealer: Arc<dyn Sealer>,
    clock: Clock,
    settings: Settings,
    assets: Assets,
    throttle: Throttle,
    forms: fields::Catalogue,
}

impl Console {
    /// Builds the console.
    pub fn new(api: Arc<dyn Api>, sealer: Arc<dyn Sealer>, clock: Clock, settings: Settings) -> Console {
        Console {
            api,
            sealer,
            clock,
            settings,
            assets: Assets::new(),
            throttle: Throttle::default(),
            forms: fields::Catalogue::default(),
        }
    }
}
