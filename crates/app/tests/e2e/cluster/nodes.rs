//! The nodes of a platform: processes with the same database, keys and PIMs.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use parts::port;
use parts::postgres::Postgres;
use tempfile::TempDir;

use crate::backend::KEYS;
use crate::client::{Caller, Client};
use crate::running::{BINARY, Running};

/// Nodes of most tests.
pub(super) const NODES: usize = 3;
/// Shards of a platform, each of which has one PIM here.
pub(super) const SHARDS: usize = 64;
/// Nodes take up and give away shards within this time.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// A PIM with its client and its producer's key.
pub(super) struct Pim {
    caller: Caller,
    key: &'static str,
}

/// All PIMs, one per shard.
static PIMS: LazyLock<Vec<Pim>> = LazyLock::new(|| {
    let leaked = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let pim = |number| Pim {
        caller: Caller(leaked(format!("https://pim-{number}.example.com")), "token", "app"),
        key: leaked(format!("the-key-of-pim-{number}")),
    };
    (0..SHARDS).map(pim).collect()
});

fn configuration() -> String {
    let table = |(number, pim): (usize, &Pim)| {
        format!(
            "[[pims]]\nname = \"pim-{number}\"\nurl = \"{}\"\nkeys = [\"{}\"]\ntoken_check = \"static\"\n\
             static_tokens = [{{ client_id = \"app\", token = \"token\" }}]\n",
            pim.caller.0, pim.key
        )
    };
    PIMS.iter().enumerate().map(table).collect()
}

/// How a node is started.
#[derive(Clone)]
pub(super) struct Launch {
    /// Command line up to the binary.
    pub(super) line: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) lease: &'static str,
}

impl Launch {
    pub(super) fn with_lease(lease: &'static str) -> Launch {
        Launch { line: vec![BINARY.to_owned()], environment: Vec::new(), lease }
    }
}

struct Node {
    folder: TempDir,
    /// Address of the listener for other nodes.
    cluster: String,
    launch: Launch,
    running: Option<Running>,
}

/// Addresses of the nodes as a load balancer knows them. It has to notice by itself that a node is away.
pub(super) type Addresses = Arc<Mutex<Vec<String>>>;

/// A platform.
pub(super) struct Nodes {
    url: String,
    nodes: Vec<Node>,
    addresses: Addresses,
}

impl Nodes {
    /// Starts them one after another.
    pub(super) fn start(url: &str, launches: impl IntoIterator<Item = Launch>) -> Nodes {
        let mut nodes = Nodes { url: url.to_owned(), nodes: Vec::new(), addresses: Arc::default() };
        for launch in launches {
            nodes.add(launch);
        }
        nodes
    }

    /// Starts another one.
    pub(super) fn add(&mut self, launch: Launch) {
        let cluster = format!("127.0.0.1:{}", port::free());
        self.nodes.push(Node { folder: tempfile::tempdir().unwrap(), cluster, launch, running: None });
        self.addresses.lock().unwrap().push(String::new());
        self.run(self.nodes.len() - 1);
    }

    /// Starts a node that is away.
    pub(super) fn run(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let Launch { line, environment, lease } = &node.launch;
        let store = ["--store-backend", "postgres", "--store-url", &self.url, "--store-timeout", "3s"];
        let more = ["--store-lease", lease, "--encryption-keys", KEYS, "--cluster-listen", &node.cluster];
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let mut variables = vec![("KEEP_THE_LOG", "yes")];
        variables.extend(environment.iter().map(|(name, value)| (*name, value.as_str())));
        let more = [&store[..], &more].concat();
        let running = Running::start_by(&line, node.folder.path(), &configuration(), &more, &variables);
        self.addresses.lock().unwrap()[number].clone_from(&running.address);
        node.running = Some(running);
    }

    /// Starts a node that is away by another command line from now on.
    pub(super) fn run_by(&mut self, number: usize, launch: Launch) {
        self.nodes[number].launch = launch;
        self.run(number);
    }

    pub(super) fn kill(&mut self, number: usize) {
        self.nodes[number].running.take().unwrap().kill();
    }

    /// Stops a node in order.
    pub(super) fn stop(&mut self, number: usize) {
        let running = self.nodes[number].running.take().unwrap();
        running.terminate();
        assert!(running.wait(Duration::from_secs(60)).success());
    }

    pub(super) fn running(&self, number: usize) -> &Running {
        self.nodes[number].running.as_ref().unwrap()
    }

    /// Address of a node's listener for other nodes.
    pub(super) fn cluster_address(&self, number: usize) -> &str {
        &self.nodes[number].cluster
    }

    pub(super) fn addresses(&self) -> Addresses {
        Arc::clone(&self.addresses)
    }

    /// A client of a PIM at any node.
    pub(super) async fn client(&self, pim: usize) -> Client {
        self.client_at(pim, pim).await
    }

    /// The same; `turn` chooses among the nodes.
    pub(super) async fn client_at(&self, turn: usize, pim: usize) -> Client {
        let running: Vec<&Running> = self.nodes.iter().filter_map(|node| node.running.as_ref()).collect();
        connect(&running[turn % running.len()].address, pim).await.unwrap()
    }

    /// Number of shards by node; nodes that are away have those of their last process.
    pub(super) fn holdings(&self, server: &Postgres) -> Vec<usize> {
        // Ids are ordered by the nodes' clocks, which tests change.
        let sql = "SELECT DISTINCT ON (n.address) n.address, \
                   (SELECT count(*) FROM lease l WHERE l.owner = n.id) FROM node n ORDER BY n.address, n.seen DESC";
        let rows = server.query("platform", sql).unwrap();
        let by_address: BTreeMap<&str, usize> = rows
            .lines()
            .filter_map(|row| row.split_once('|'))
            .map(|(at, count)| (at, count.parse().unwrap()))
            .collect();
        self.nodes.iter().map(|node| by_address.get(node.cluster.as_str()).copied().unwrap_or(0)).collect()
    }

    /// Waits until the shards are spread evenly over all nodes.
    pub(super) async fn settled(&self, server: &Postgres) {
        let (fair, by) = (SHARDS / self.nodes.len(), Instant::now() + SETTLES_WITHIN);
        loop {
            let holdings = self.holdings(server);
            if holdings.iter().sum::<usize>() == SHARDS && holdings.iter().all(|count| *count >= fair) {
                return;
            }
            assert!(Instant::now() < by, "the shards stay at {holdings:?}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends of the nodes' logs.
    pub(super) fn logs(&self) -> String {
        let tail = |node: &Node| {
            let log = std::fs::read_to_string(node.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(15).collect();
            format!("--- {}\n{}\n", node.cluster, lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        self.nodes.iter().map(tail).collect()
    }
}

/// Connects as the client and producer of a PIM.
pub(super) async fn connect(address: &str, pim: usize) -> Result<Client, String> {
    let Pim { caller, key } = &PIMS[pim];
    Ok(Client::connect_as(*caller, address).await?.with_key(key))
}
