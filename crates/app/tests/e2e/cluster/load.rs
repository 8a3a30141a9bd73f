//! Producers before several nodes: each sends the changes of its PIM's products in their order, request by request to
//! the next node, and repeats what is not acknowledged at another one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;

use super::nodes::{Addresses, Nodes, SHARDS, connect};
use crate::client::Client;
use crate::load::grows;

/// PIMs with a producer: spread over the shards so that every node has some, however shards are allotted.
pub(super) fn active() -> impl Iterator<Item = usize> {
    (0..SHARDS).step_by(7)
}

/// Products of a PIM; each request has a change of each.
const PRODUCTS: usize = 4;
/// Pause of a producer between its requests.
const PAUSE: Duration = Duration::from_millis(100);
/// A node that does not answer within this time is hung.
const PATIENCE: Duration = Duration::from_secs(3);
/// A node that refused a connection or a request is asked again after this time.
const AWAY: Duration = Duration::from_millis(500);
/// A node that hung, after this.
const HUNG: Duration = Duration::from_secs(10);

/// An event that was acknowledged.
#[derive(Clone)]
pub(super) struct Acknowledged {
    pub(super) pim: usize,
    pub(super) id: String,
    pub(super) at: Instant,
}

/// A request without a 202.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) at: Instant,
    pub(super) node: usize,
    #[expect(dead_code, reason = "shown by failed assertions")]
    pub(super) why: String,
}

#[derive(Default)]
struct Told {
    acknowledged: Mutex<Vec<Acknowledged>>,
    failures: Mutex<Vec<Failure>>,
    stop: AtomicBool,
}

/// Running producers.
pub(super) struct Load {
    told: Arc<Told>,
    producers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(nodes: &Nodes) -> Load {
        let told = Arc::new(Told::default());
        let producers = active().map(|pim| tokio::spawn(produce(pim, nodes.addresses(), Arc::clone(&told)))).collect();
        Load { told, producers }
    }

    fn acknowledged(&self) -> usize {
        self.told.acknowledged.lock().unwrap().len()
    }

    /// Requests since then that were not answered by 202, at nodes other than `but`.
    pub(super) fn failures(&self, since: Instant, but: usize) -> Vec<Failure> {
        let all = self.told.failures.lock().unwrap();
        all.iter().filter(|failure| failure.at >= since && failure.node != but).cloned().collect()
    }

    /// Waits until this many more events are acknowledged.
    pub(super) async fn more(&self, count: usize, within: Duration) -> bool {
        grows(|| self.acknowledged(), count, within).await
    }

    /// The same; nothing else is expected.
    pub(super) async fn goes_on(&self) {
        let last = || self.told.failures.lock().unwrap().last().cloned();
        assert!(self.more(200, Duration::from_secs(60)).await, "intake does not go on: {:?}", last());
    }

    /// Stops it; what was acknowledged, and when the load ended.
    pub(super) async fn stop(mut self) -> (Vec<Acknowledged>, Instant) {
        let ended = Instant::now();
        self.told.stop.store(true, Ordering::SeqCst);
        for producer in std::mem::take(&mut self.producers) {
            producer.await.unwrap();
        }
        (std::mem::take(&mut self.told.acknowledged.lock().unwrap()), ended)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.producers.iter().for_each(JoinHandle::abort);
    }
}

/// The change of a product: its id is `PIM-PRODUCT-NUMBER`.
pub(super) fn change(pim: usize, product: usize, number: usize) -> (String, String) {
    let id = format!("{pim}-{product}-{number}");
    let event = json!({
        "specversion": "1.0",
        "id": id,
        "source": "pim",
        "type": "com.akeneo.pim.v1.product.updated",
        "time": "2026-11-02T08:00:00Z",
        "data": {
            "product": {"uuid": format!("4a40cffc-a02d-5dd1-877c-58765960{product:04}")},
            "author": {"identifier": "erp", "type": "api"},
        },
    });
    (id, event.to_string())
}

async fn produce(pim: usize, addresses: Addresses, told: Arc<Told>) {
    let mut balancer = Balancer { pim, addresses, turn: pim, nodes: Vec::new() };
    for number in 0.. {
        let (ids, events): (Vec<_>, Vec<_>) = (0..PRODUCTS).map(|product| change(pim, product, number)).unzip();
        loop {
            if told.stop.load(Ordering::SeqCst) {
                return;
            }
            let Some(node) = balancer.next() else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            match balancer.post(node, &events).await {
                Ok(()) => {
                    let at = Instant::now();
                    let acknowledged = ids.into_iter().map(|id| Acknowledged { pim, id, at });
                    told.acknowledged.lock().unwrap().extend(acknowledged);
                    break;
                }
                Err(why) => told.failures.lock().unwrap().push(Failure { at: Instant::now(), node, why }),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes the nodes in turn, and leaves out those that failed a short time ago.
struct Balancer {
    pim: usize,
    addresses: Addresses,
    turn: usize,
    nodes: Vec<Known>,
}

#[derive(Default)]
struct Known {
    connection: Option<(String, Client)>,
    away_until: Option<Instant>,
}

impl Balancer {
    fn next(&mut self) -> Option<usize> {
        let count = self.addresses.lock().unwrap().len();
        self.nodes.resize_with(count, Known::default);
        let now = Instant::now();
        (0..count).find_map(|_| {
            self.turn += 1;
            let node = self.turn % count;
            self.nodes[node].away_until.is_none_or(|until| until < now).then_some(node)
        })
    }

    async fn post(&mut self, node: usize, events: &[String]) -> Result<(), String> {
        let address = self.addresses.lock().unwrap()[node].clone();
        let known = &mut self.nodes[node];
        let connection = known.connection.take().filter(|(at, _)| *at == address);
        let pim = self.pim;
        let posted = tokio::time::timeout(PATIENCE, async {
            let mut client = match connection {
                Some((_, client)) => client,
                None => connect(&address, pim).await?,
            };
            client.publish(events).await.map(|()| client)
        });
        match posted.await {
            Ok(Ok(client)) => {
                known.connection = Some((address, client));
                Ok(())
            }
            Ok(Err(why)) => {
                known.away_until = Some(Instant::now() + AWAY);
                Err(why)
            }
            Err(_) => {
                known.away_until = Some(Instant::now() + HUNG);
                Err("no answer".to_owned())
            }
        }
    }
}
