//! The checker: an outside program that knows the 202s of the producers and the requests of the receivers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use super::load::{Acknowledged, Load, active};
use super::nodes::Nodes;
use crate::receiver::{Delivery, Receiver};
use crate::sample::types;

/// Nothing more arrives after this time without an arrival.
const SILENCE: Duration = Duration::from_secs(15);
/// PIMs with a second subscription, which delivers nothing before it is resumed at the end: events are delivered within
/// milliseconds, and only there a loss of stored events shows.
const WITH_HELD: usize = 2;

struct Watch {
    pim: usize,
    /// Path of the subscription in the API.
    subscription: String,
    /// Path at the receiver.
    at: String,
    is_held: bool,
}

/// A receiver, and subscriptions of all PIMs that have producers. Events of a product are delivered in their order.
pub(super) struct Watched {
    receiver: Receiver,
    watches: Vec<Watch>,
}

/// What an outsider saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) acknowledged: usize,
    pub(super) missing: usize,
    pub(super) duplicates: usize,
    /// Products of which a change was first delivered after a later one.
    pub(super) disordered: Vec<String>,
    /// Subscriptions that are not active.
    pub(super) suspended: Vec<String>,
    /// Longest time without a delivery of a subscription, and without a 202 for a producer.
    pub(super) lanes: Duration,
    pub(super) intake: Duration,
}

impl Watched {
    pub(super) async fn start(nodes: &Nodes, delay: Duration) -> Watched {
        let receiver = Receiver::start(delay).await;
        let mut watches = Vec::new();
        for (index, pim) in active().enumerate() {
            let mut client = nodes.client(pim).await;
            let subscriptions = client.subscriber().await;
            for is_held in [false, true] {
                if is_held && index >= WITH_HELD {
                    continue;
                }
                let at = format!("/{}/{pim}", if is_held { "held" } else { "live" });
                let options = json!({"options": {"ordering": "per_entity", "hold": true}});
                let of = types(&["product.updated"]);
                let id = client.subscribe(&subscriptions, &receiver.url(&at), &of, options).await;
                let subscription = format!("{subscriptions}/{id}");
                if is_held {
                    assert_eq!(client.order(&format!("{subscription}/suspend")).await, Ok(StatusCode::OK));
                }
                watches.push(Watch { pim, subscription, at, is_held });
            }
        }
        Watched { receiver, watches }
    }

    /// Ends the load, and waits until all that was acknowledged has arrived, or nothing more arrives.
    pub(super) async fn end(&self, nodes: &Nodes, load: Load) -> Seen {
        let (acknowledged, ended) = load.stop().await;
        for watch in self.watches.iter().filter(|watch| watch.is_held) {
            let mut client = nodes.client(watch.pim).await;
            assert_eq!(client.order(&format!("{}/resume", watch.subscription)).await, Ok(StatusCode::OK));
        }
        let mut seen = Seen {
            acknowledged: acknowledged.len(),
            missing: self.missing(&acknowledged).await,
            duplicates: 0,
            disordered: Vec::new(),
            suspended: self.suspended(nodes).await,
            lanes: Duration::ZERO,
            intake: intake(&acknowledged),
        };
        for watch in &self.watches {
            let deliveries = self.receiver.at(&watch.at);
            let ids: HashSet<String> = deliveries.iter().map(Delivery::id).collect();
            seen.duplicates += deliveries.len() - ids.len();
            seen.disordered.extend(disordered(&deliveries));
            if !watch.is_held {
                seen.lanes = seen.lanes.max(longest(deliveries.iter().map(|delivery| delivery.at), ended));
            }
        }
        seen
    }

    async fn missing(&self, acknowledged: &[Acknowledged]) -> usize {
        let (mut quiet, mut before) = (Instant::now(), 0);
        loop {
            let mut missing = 0;
            for watch in &self.watches {
                let arrived: HashSet<String> = self.receiver.at(&watch.at).iter().map(Delivery::id).collect();
                let expected = acknowledged.iter().filter(|event| event.pim == watch.pim);
                missing += expected.filter(|event| !arrived.contains(&event.id)).count();
            }
            if missing != before {
                (quiet, before) = (Instant::now(), missing);
            }
            if missing == 0 || quiet.elapsed() > SILENCE {
                return missing;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Any node knows the status of any subscription, also what only its owner knows.
    async fn suspended(&self, nodes: &Nodes) -> Vec<String> {
        let mut suspended = Vec::new();
        for watch in &self.watches {
            let mut client = nodes.client_at(watch.pim + 1, watch.pim).await;
            let status: Value = client.get(&format!("{}/status", watch.subscription)).await;
            if status["status"] != "active" {
                suspended.push(format!("{}: {status}", watch.at));
            }
        }
        suspended
    }
}

impl Seen {
    /// Prints it, and checks that nothing is lost, order is kept, and no pause of the platform has suspended anyone.
    pub(super) fn check(&self, name: &str, nodes: &Nodes) {
        println!(
            "{name}: {} events acknowledged, {} missing, {} duplicates; pause of deliveries {:.1} s, of intake {:.1} s",
            self.acknowledged,
            self.missing,
            self.duplicates,
            self.lanes.as_secs_f64(),
            self.intake.as_secs_f64()
        );
        assert_eq!(self.missing, 0, "{}", nodes.logs());
        assert!(self.suspended.is_empty(), "{:?}\n{}", self.suspended, nodes.logs());
        assert!(self.disordered.is_empty(), "{:?}", self.disordered);
    }
}

/// Products whose changes did not arrive for the first time in their order. Repeated ones may come later.
fn disordered(deliveries: &[Delivery]) -> Vec<String> {
    let (mut newest, mut seen) = (BTreeMap::<String, usize>::new(), HashSet::new());
    let mut disordered = Vec::new();
    for id in deliveries.iter().map(Delivery::id) {
        let (product, number) = id.rsplit_once('-').unwrap();
        let number: usize = number.parse().unwrap();
        let newest = newest.entry(product.to_owned()).or_default();
        if seen.insert(id.clone()) && number < *newest {
            disordered.push(format!("{id} after {newest}"));
        }
        *newest = number.max(*newest);
    }
    disordered
}

fn intake(acknowledged: &[Acknowledged]) -> Duration {
    let mut by_pim: HashMap<usize, Vec<Instant>> = HashMap::new();
    for event in acknowledged {
        by_pim.entry(event.pim).or_default().push(event.at);
    }
    let end = acknowledged.iter().map(|event| event.at).max();
    by_pim.into_values().filter_map(|at| Some(longest(at.into_iter(), end?))).max().unwrap_or_default()
}

/// The longest pause between moments up to `end`.
fn longest(moments: impl Iterator<Item = Instant>, end: Instant) -> Duration {
    let mut moments: Vec<_> = moments.filter(|at| *at < end).chain([end]).collect();
    moments.sort_unstable();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
