//! Rounds of reconciliation over several PIMs, with virtual time.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{Clock, Secret, Timestamp, testing};
use intake::{Bridge, EntityKind, EntityPage, EntitySource, Reconciler};
use store::{MemoryStore, Pims};
use tokio::sync::watch;

/// PIMs without changes; the one named `slow` asks for a pause of ten minutes with each page.
#[derive(Default)]
struct Source(Mutex<HashMap<String, usize>>);

#[async_trait]
impl EntitySource for Source {
    fn knows(&self, _: &Pim) -> bool {
        true
    }

    async fn page(&self, pim: &Pim, _: EntityKind, _: Timestamp, _: Option<&str>) -> Result<EntityPage, String> {
        *self.0.lock().unwrap().entry(pim.name.clone()).or_default() += 1;
        if pim.name == "slow" {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        Ok(EntityPage::default())
    }
}

async fn add(store: &MemoryStore, name: &str) {
    let pim = Pim { events_api_secret: Some(Secret::new("secret of the connection")), ..testing::pim(name) };
    store.add_pim(pim).await.unwrap();
}

fn reconciler(
    bridge: Arc<Bridge>,
    store: Arc<MemoryStore>,
    source: &Arc<Source>,
    interrupted: watch::Receiver<u64>,
) -> Arc<Reconciler> {
    let (shard, overlap) = (store::Shard::FIRST, Duration::from_secs(60));
    Arc::new(Reconciler::new(bridge, store, shard, source.clone(), overlap, Clock::system(), interrupted))
}

/// What PIMs sent while the store was away may be lost.
#[tokio::test(start_paused = true)]
async fn there_is_a_round_after_the_store_was_away() {
    let store = Arc::new(MemoryStore::default());
    add(&store, "quick").await;
    let source = Arc::new(Source::default());
    let bridge = Arc::new(Bridge::new(store.clone(), None, None, Clock::system()));
    let (interrupt, interrupted) = watch::channel(0);
    let rounds = tokio::spawn(reconciler(bridge, store, &source, interrupted).run(Duration::from_hours(1)));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(source.0.lock().unwrap().is_empty(), "the first round only records the time");
    // Several connections are lost at once.
    for loss in 1..4 {
        interrupt.send_replace(loss);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(intake::reconcile::SETTLE - Duration::from_secs(1)).await;
    assert!(source.0.lock().unwrap().is_empty(), "the latest changes can be queried later");
    tokio::time::sleep(Duration::from_secs(600)).await;
    // A round asks for two kinds of entities.
    assert_eq!(source.0.lock().unwrap()["quick"], 2);
    rounds.abort();
}

#[tokio::test(start_paused = true)]
async fn a_pim_that_asks_for_pauses_delays_no_other() {
    let store = Arc::new(MemoryStore::default());
    add(&store, "slow").await;
    add(&store, "quick").await;
    let source = Arc::new(Source::default());
    let bridge = Arc::new(Bridge::new(store.clone(), None, None, Clock::system()));

    let (_interrupt, interrupted) = watch::channel(0);
    let rounds = tokio::spawn(reconciler(bridge, store, &source, interrupted).run(Duration::from_secs(60)));
    tokio::time::sleep(Duration::from_secs(60 * 10 + 30)).await;
    let asked = source.0.lock().unwrap().clone();
    rounds.abort();
    // Ten rounds after the first, which only records the time; each asks for two kinds of entities.
    assert_eq!(asked["quick"], 20, "{asked:?}");
    assert_eq!(asked["slow"], 1, "one request at a time, and never two rounds at once");
}
