//! Resolution of names: the system's name servers and hosts file, with bounds on time, memory and concurrency.
//!
//! Cached names need no slot; concurrent look-ups are shared fairly among holders. Waiting for a slot is over before a
//! look-up has [begun](Resolver::begin), so that a destination's time never includes waiting for others.

mod known;
mod lookup;
mod system;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::outcome::Lack;
use fair::{Holder, Permit, Places};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use self::known::Known;
use self::system::System;

/// Maximum number of concurrent look-ups. Concurrent requests for one name share a look-up.
const LOOKUPS_AT_ONCE: u64 = 256;
/// Holder of the platform's own look-ups.
pub const PLATFORM: Holder = Holder { pim: u64::MAX, part: 0 };

/// Cause of a missing address. Equal failures have equal values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LookupError {
    /// The name does not exist or has no address.
    #[error("the name has no address in DNS")]
    NoAddress,
    /// The name servers returned a failure.
    #[error("the name servers failed to resolve the name")]
    ServerFailure,
    /// The name servers did not respond for this name, but respond for others.
    #[error("the name servers did not answer in time")]
    TimedOut,
    /// The DNS cannot hold the name.
    #[error("it is not a valid host name")]
    NotAName,
    /// The platform cannot look up any name: no name server responds, or there is no socket to query one.
    #[error("the platform cannot resolve names at present ({0})")]
    Lacks(Lack),
}

type Answer = Result<Arc<[IpAddr]>, LookupError>;
type Running = Shared<BoxFuture<'static, Answer>>;

/// Resolver of names.
pub struct Resolver {
    state: Arc<State>,
}

struct State {
    system: System,
    known: Known,
    running: Mutex<HashMap<Box<str>, Running>>,
    places: Places,
}

/// A look-up that is running, or not needed.
pub(crate) enum Begun {
    Known(Answer),
    Running(Running),
}

impl Begun {
    /// All addresses of the name, at least one.
    pub(crate) async fn answer(self) -> Answer {
        match self {
            Begun::Known(answer) => answer,
            Begun::Running(running) => running.await,
        }
    }
}

impl Resolver {
    /// A resolver with the system's configuration: `/etc/resolv.conf` and `/etc/hosts`, read again on changes.
    pub fn system() -> Resolver {
        Resolver::with_files(Path::new("/etc/resolv.conf"), Path::new("/etc/hosts"), system::DNS_PORT)
    }

    /// A resolver with other files of the same kinds, and name servers at another port.
    pub fn with_files(resolv_conf: &Path, hosts: &Path, port: u16) -> Resolver {
        let (resolv_conf, hosts) = (PathBuf::from(resolv_conf), PathBuf::from(hosts));
        Resolver::new(System::of_files(resolv_conf, hosts, port))
    }

    /// A resolver with the given name servers instead of the system's.
    pub fn with_servers(servers: &[SocketAddr]) -> Resolver {
        Resolver::new(System::of_servers(servers))
    }

    fn new(system: System) -> Resolver {
        let state =
            State { system, known: Known::default(), running: Mutex::default(), places: Places::new(LOOKUPS_AT_ONCE) };
        Resolver { state: Arc::new(state) }
    }

    /// All addresses of `name`, at least one.
    pub async fn addresses(&self, name: &str, holder: Holder) -> Answer {
        self.begin(name, holder).await.answer().await
    }

    /// Waits until the look-up of `name` runs, which takes as long as those before `holder` take.
    pub(crate) async fn begin(&self, name: &str, holder: Holder) -> Begun {
        let name: Box<str> = name.to_ascii_lowercase().into();
        if self.state.system.reread() {
            self.state.known.forget();
        }
        if let Some(begun) = self.state.find(&name) {
            return begun;
        }
        let place = self.state.places.one(holder).await;
        // Another caller may have requested the same meanwhile.
        self.state.find(&name).unwrap_or_else(|| self.state.start(name, place))
    }
}

impl State {
    fn find(&self, name: &str) -> Option<Begun> {
        if let Some(answer) = self.known.get(name) {
            return Some(Begun::Known(answer));
        }
        self.running.lock().get(name).cloned().map(Begun::Running)
    }

    /// Runs as a separate task: a caller may give up without the others losing the response.
    fn start(self: &Arc<State>, name: Box<str>, place: Permit) -> Begun {
        let mut running = self.running.lock();
        if let Some(look_up) = running.get(&name) {
            return Begun::Running(look_up.clone());
        }
        let (state, asked) = (Arc::clone(self), name.clone());
        let task = tokio::spawn(async move {
            let _place = place;
            let (answer, keep) = lookup::look_up(&state.system, &asked).await;
            state.known.learn(&asked, answer.clone(), keep);
            state.running.lock().remove(&asked);
            answer
        });
        let look_up = task.map(|ended| ended.unwrap_or(Err(LookupError::ServerFailure))).boxed().shared();
        running.insert(name, look_up.clone());
        Begun::Running(look_up)
    }
}
