//! The system's configuration of name look-ups: read at the start, and again on every change.

use std::fs::{self, Metadata};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, timeout};

use super::LOOKUPS_AT_ONCE;
use super::lookup::is_answer;

/// Port of name servers.
pub(super) const DNS_PORT: u16 = 53;
/// Minimum interval between checks of the files.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time limit of one query to one name server; two fit into an attempt's 5 s (contract page 4).
const QUESTION_TIMEOUT: Duration = Duration::from_millis(1_500);
/// A query that any name server can answer, mostly without querying another (RFC 8109): checks whether one responds.
const PROBE: (&str, RecordType) = (".", RecordType::NS);

type Probe = Shared<BoxFuture<'static, bool>>;

/// The system's resolver.
pub(super) struct System {
    files: Option<Files>,
    dns: RwLock<Arc<Dns>>,
    looked: Mutex<Looked>,
    alive: Arc<Mutex<Alive>>,
}

/// Name servers and hosts as configured at one time.
pub(super) struct Dns {
    /// `None`: there is no name server.
    pub(super) resolver: Option<TokioResolver>,
    pub(super) hosts: Hosts,
}

struct Files {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    port: u16,
}

/// State of the files at the last check.
struct Looked {
    at: Instant,
    stamps: [Option<Stamp>; 2],
}

type Stamp = (Option<SystemTime>, u64);

/// Whether name servers respond.
#[derive(Default)]
struct Alive {
    /// Time of the last response, to any query.
    answered: Option<Instant>,
    probe: Option<Probe>,
}

impl System {
    pub(super) fn of_files(resolv_conf: PathBuf, hosts: PathBuf, port: u16) -> System {
        let files = Files { resolv_conf, hosts, port };
        let looked = Looked { at: Instant::now(), stamps: files.stamps() };
        let dns = files.read();
        System { files: Some(files), ..System::new(dns, looked) }
    }

    pub(super) fn of_servers(servers: &[SocketAddr]) -> System {
        let resolver = resolver(servers, Vec::new(), None);
        let hosts = Hosts::from_system().unwrap_or_default();
        System::new(Dns { resolver, hosts }, Looked { at: Instant::now(), stamps: [None; 2] })
    }

    fn new(dns: Dns, looked: Looked) -> System {
        System { files: None, dns: RwLock::new(Arc::new(dns)), looked: Mutex::new(looked), alive: Arc::default() }
    }

    pub(super) fn dns(&self) -> Arc<Dns> {
        Arc::clone(&self.dns.read())
    }

    /// Checks periodically whether a file has changed; returns whether it had.
    pub(super) fn reread(&self) -> bool {
        let Some(files) = &self.files else { return false };
        let mut looked = self.looked.lock();
        if looked.at.elapsed() < LOOK_EVERY {
            return false;
        }
        looked.at = Instant::now();
        let stamps = files.stamps();
        if stamps == looked.stamps {
            return false;
        }
        looked.stamps = stamps;
        *self.dns.write() = Arc::new(files.read());
        true
    }

    /// A name server has responded.
    pub(super) fn heard(&self) {
        self.alive.lock().answered = Some(Instant::now());
    }

    /// Whether a name server has responded to anything since `since`.
    pub(super) fn has_answered_since(&self, since: Instant) -> bool {
        self.alive.lock().answered.is_some_and(|at| at >= since)
    }

    /// Whether a name server has responded to anything since `since`, or responds to a probe.
    pub(super) async fn answers_since(&self, since: Instant) -> bool {
        let probe = {
            let mut alive = self.alive.lock();
            if alive.answered.is_some_and(|at| at >= since) {
                return true;
            }
            let Some(resolver) = self.dns().resolver.clone() else { return false };
            alive.probe.get_or_insert_with(|| probe(resolver, Arc::clone(&self.alive))).clone()
        };
        probe.await
    }
}

/// One probe for all callers.
fn probe(resolver: TokioResolver, alive: Arc<Mutex<Alive>>) -> Probe {
    let asking = tokio::spawn(async move {
        let (name, kind) = PROBE;
        // Not repeated: the caller has little time left.
        let asked = timeout(QUESTION_TIMEOUT, resolver.lookup(name, kind)).await;
        let answers = asked.is_ok_and(|found| is_answer(&found));
        let mut alive = alive.lock();
        alive.probe = None;
        if answers {
            alive.answered = Some(Instant::now());
        }
        answers
    });
    asking.map(|ended| ended.unwrap_or(false)).boxed().shared()
}

impl Files {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        let stamp = |metadata: Metadata| (metadata.modified().ok(), metadata.len());
        [&self.resolv_conf, &self.hosts].map(|path| fs::metadata(path).ok().map(stamp))
    }

    fn read(&self) -> Dns {
        let text = read_text(&self.resolv_conf).unwrap_or_default();
        let Configured { servers, search, ndots } = Configured::parse(&text);
        if servers.is_empty() {
            let file = self.resolv_conf.display();
            tracing::warn!("{file} contains no name server: host names can't be resolved until it does");
        }
        let servers: Vec<SocketAddr> = servers.into_iter().map(|server| SocketAddr::new(server, self.port)).collect();
        let mut hosts = Hosts::default();
        let lines = read_text(&self.hosts).unwrap_or_default();
        if let Err(error) = hosts.read_hosts_conf(lines.as_bytes()) {
            tracing::warn!(%error, "cannot use {}", self.hosts.display());
        }
        Dns { resolver: resolver(&servers, search, ndots), hosts }
    }
}

fn read_text(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn resolver(servers: &[SocketAddr], search: Vec<Name>, ndots: Option<usize>) -> Option<TokioResolver> {
    if servers.is_empty() {
        return None;
    }
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].into_iter().map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.collect())
    });
    let config = ResolverConfig::from_parts(None, search, servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.ndots = ndots.unwrap_or(options.ndots);
    options.timeout = QUESTION_TIMEOUT;
    options.attempts = 2;
    options.use_hosts_file = ResolveHosts::Never;
    // The cache is by name, not by query.
    options.cache_size = 0;
    // A and AAAA of every look-up, and the probe.
    options.max_active_requests = 2 * LOOKUPS_AT_ONCE as usize + 1;
    options.try_tcp_on_error = true;
    builder.build().inspect_err(|error| tracing::error!(%error, "cannot set up name resolution")).ok()
}

/// Relevant contents of a `resolv.conf` (resolv.conf(5)).
#[derive(PartialEq, Debug, Default)]
struct Configured {
    servers: Vec<IpAddr>,
    search: Vec<Name>,
    ndots: Option<usize>,
}

impl Configured {
    fn parse(text: &str) -> Configured {
        let mut found = Configured::default();
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") => found.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
                // The last one counts.
                Some("search" | "domain") => {
                    found.search = words.filter_map(|word| Name::from_utf8(word).ok()).collect()
                }
                Some("options") => {
                    let ndots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    found.ndots = ndots.or(found.ndots);
                }
                Some(_) | None => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read_as_others_do() {
        let text = "# made by hand\nnameserver 192.0.2.1 # ours\nnameserver  2001:db8::1\nnameserver fe80::1%eth0\n\
                    domain first.example\nsearch a.example b.example\noptions edns0 ndots:3\n; end";
        let expect = Configured {
            servers: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            search: vec![Name::from_utf8("a.example").unwrap(), Name::from_utf8("b.example").unwrap()],
            ndots: Some(3),
        };
        assert_eq!(Configured::parse(text), expect);
        assert_eq!(Configured::parse(""), Configured::default());
    }
}
