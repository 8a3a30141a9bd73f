//! Load that survives its platform: producers that post until it is killed, and the fate of every posted event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::Clock;
use domain::Timestamp;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::sample::event;

/// Events per request.
const BATCH: usize = 10;

/// Posted events by id, with the time of the 202; `None` = no response, so the event may or may not have been accepted.
pub(crate) type Posted = BTreeMap<String, Option<Timestamp>>;

/// Waits until a count is larger by this much; whether that was in time.
pub(crate) async fn grows(count: impl Fn() -> usize, by: usize, within: Duration) -> bool {
    let (enough, until) = (count() + by, Instant::now() + within);
    while count() < enough {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Records of all producers of a test.
#[derive(Clone, Default)]
pub(crate) struct Load(Arc<Mutex<Posted>>);

impl Load {
    /// Events posted so far.
    pub(crate) fn posted(&self) -> Posted {
        self.0.lock().unwrap().clone()
    }

    /// Number of acknowledged events so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.0.lock().unwrap().values().flatten().count()
    }

    /// A producer that posts events `name-batch-index`, one batch per `pause`, until the platform is gone.
    pub(crate) fn produce(&self, address: &str, name: String, pause: Duration) -> JoinHandle<()> {
        let (load, address) = (self.clone(), address.to_owned());
        tokio::spawn(async move {
            let Ok(mut client) = Client::connect(&address).await else { return };
            for batch in 0.. {
                if !load.post(&mut client, &format!("{name}-{batch}")).await {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        })
    }

    /// Posts one batch of events `name-index`; whether it was acknowledged.
    pub(crate) async fn post(&self, client: &mut Client, name: &str) -> bool {
        let ids: Vec<_> = (0..BATCH).map(|index| format!("{name}-{index}")).collect();
        let events: Vec<_> = ids.iter().map(|id| event(id, "product.updated")).collect();
        self.note(&ids, None);
        match client.publish(&events).await {
            Ok(()) => self.note(&ids, Some(Clock::system().wall())),
            Err(error) if error.starts_with(char::is_numeric) => panic!("refused: {error}"),
            Err(_) => return false,
        }
        true
    }

    fn note(&self, ids: &[String], at: Option<Timestamp>) {
        self.0.lock().unwrap().extend(ids.iter().map(|id| (id.clone(), at)));
    }
}
