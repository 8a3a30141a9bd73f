//! Names to addresses: the system's name servers and hosts file, with bounds on time, memory and what runs at once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long one question to one name server may take; two are asked within an attempt's 5 s (contract page 4).
const QUESTION_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a look-up may take, questions asked again included; leaves an attempt time to connect and to deliver.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(3_500);
/// Look-ups that run at once. One name is looked up once at a time however many ask for it.
const LOOKUPS_AT_ONCE: usize = 256;
/// A name whose servers did not answer is not asked for again for this long, so that names that hang hold a small
/// part of [`LOOKUPS_AT_ONCE`] only.
const HUNG_NAME_PAUSE: Duration = Duration::from_secs(10);
/// Names remembered as hanging; past it the memory is cleared.
const HUNG_NAMES_KEPT: usize = 10_000;
/// Answers that are remembered, by record.
const ANSWERS_KEPT: u64 = 4_096;
/// However long an answer says that it is good for: a destination that moves is followed within this time.
const ANSWER_MAX_AGE: Duration = Duration::from_secs(300);
/// A name that did not exist may come to exist.
const NO_ANSWER_MAX_AGE: Duration = Duration::from_secs(30);

/// Why a name has no address for us. Nothing in here differs between two equal failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LookupError {
    /// The name does not exist or has no address.
    #[error("the name has no address in the DNS")]
    NoAddress,
    /// The name servers answered with a failure.
    #[error("the name servers could not answer for the name")]
    ServerFailure,
    /// The name servers did not answer.
    #[error("the name servers did not answer in time")]
    TimedOut,
    /// It is no name that the DNS can hold.
    #[error("it is not a valid host name")]
    NotAName,
}

/// The platform cannot look up names here.
#[derive(Debug, thiserror::Error)]
#[error("the system's name server configuration cannot be used: {0}; check /etc/resolv.conf")]
pub struct ResolverSetupError(#[from] NetError);

type Answer = Result<Arc<[IpAddr]>, LookupError>;
type Running = Shared<BoxFuture<'static, Answer>>;

/// Looks up names.
pub struct Resolver {
    state: Arc<State>,
}

struct State {
    dns: TokioResolver,
    slots: Semaphore,
    running: Mutex<HashMap<Box<str>, Running>>,
    hung: Mutex<HashMap<Box<str>, Instant>>,
}

impl Resolver {
    /// With the system's configuration: `/etc/resolv.conf` and `/etc/hosts`.
    pub fn system() -> Result<Resolver, ResolverSetupError> {
        let builder = TokioResolver::builder_tokio()?;
        Ok(Resolver::new(bounded(builder).build()?))
    }

    /// With name servers of one's own instead of the system's.
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Resolver, ResolverSetupError> {
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].into_iter().map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.collect())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Resolver::new(bounded(builder).build()?))
    }

    fn new(dns: TokioResolver) -> Resolver {
        let state =
            State { dns, slots: Semaphore::new(LOOKUPS_AT_ONCE), running: Mutex::default(), hung: Mutex::default() };
        Resolver { state: Arc::new(state) }
    }

    /// All addresses of `name`, at least one.
    pub async fn addresses(&self, name: &str) -> Answer {
        let name: Box<str> = name.to_ascii_lowercase().into();
        if self.state.hangs(&name) {
            return Err(LookupError::TimedOut);
        }
        let running = self.state.running.lock().entry(name).or_insert_with_key(|name| self.state.start(name)).clone();
        running.await
    }
}

impl State {
    /// Whether the servers of `name` did not answer a moment ago.
    fn hangs(&self, name: &str) -> bool {
        let mut hung = self.hung.lock();
        match hung.get(name) {
            Some(until) if Instant::now() < *until => true,
            Some(_) => {
                hung.remove(name);
                false
            }
            None => false,
        }
    }

    /// A task of its own: who asks may give up without the others losing the answer.
    fn start(self: &Arc<State>, name: &str) -> Running {
        let (state, name) = (Arc::clone(self), Box::<str>::from(name));
        let task = tokio::spawn(async move {
            let answer = state.look_up(&name).await;
            if answer == Err(LookupError::TimedOut) {
                let mut hung = state.hung.lock();
                if hung.len() >= HUNG_NAMES_KEPT {
                    hung.clear();
                }
                hung.insert(name.clone(), Instant::now() + HUNG_NAME_PAUSE);
            }
            state.running.lock().remove(&name);
            answer
        });
        task.map(|ended| ended.unwrap_or(Err(LookupError::ServerFailure))).boxed().shared()
    }

    async fn look_up(&self, name: &str) -> Answer {
        // The semaphore is never closed.
        let Ok(_slot) = self.slots.acquire().await else { return Err(LookupError::ServerFailure) };
        // The final dot keeps the system's search domains out of names that are complete.
        let complete = name.contains('.') && !name.ends_with('.');
        let asked = if complete { format!("{name}.") } else { name.to_owned() };
        let answer = tokio::time::timeout(LOOKUP_TIMEOUT, self.dns.lookup_ip(asked)).await;
        let addresses: Arc<[IpAddr]> = match answer {
            Err(_elapsed) => return Err(LookupError::TimedOut),
            Ok(Err(error)) => return Err(classify(&error)),
            Ok(Ok(found)) => found.iter().collect(),
        };
        if addresses.is_empty() { Err(LookupError::NoAddress) } else { Ok(addresses) }
    }
}

fn bounded(
    mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>,
) -> hickory_resolver::ResolverBuilder<TokioRuntimeProvider> {
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = QUESTION_TIMEOUT;
    options.attempts = 2;
    // All addresses are judged, so all are asked for.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    options.cache_size = ANSWERS_KEPT;
    options.positive_max_ttl = Some(ANSWER_MAX_AGE);
    options.negative_max_ttl = Some(NO_ANSWER_MAX_AGE);
    // A and AAAA of every look-up.
    options.max_active_requests = 2 * LOOKUPS_AT_ONCE;
    options.try_tcp_on_error = true;
    builder
}

fn classify(error: &NetError) -> LookupError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => LookupError::NoAddress,
        NetError::Dns(_) => LookupError::ServerFailure,
        NetError::Timeout => LookupError::TimedOut,
        NetError::Proto(_) | NetError::Message(_) | NetError::Msg(_) | NetError::ParseInt(_) => LookupError::NotAName,
        NetError::Busy
        | NetError::NoConnections
        | NetError::Io(_)
        | NetError::QueryCaseMismatch
        | NetError::ForeignClassRecord { .. }
        | NetError::Truncated => LookupError::ServerFailure,
        // The enum may grow: what is new is not known to be about the name.
        _ => LookupError::ServerFailure,
    }
}
