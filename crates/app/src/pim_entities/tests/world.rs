//! The platform's part and a PIM.

use std::sync::Arc;

use domain::pim::{Probe, TokenCheck};
use domain::{ClientId, Clock, Position, Secret, testing};
use intake::{Bridge, BridgeStatus, Reconciler};
use serde_json::{Value as Json, json};
use store::{EventLog, MemoryStore, Pims, ReadLimit, Scope, Shard, Snapshots};
use tokio::sync::watch;

use super::*;
use crate::http_client;
use crate::pim_attributes::HttpAttributes;

pub(super) const FIRST: &str = "11111111-1111-4111-8111-111111111111";
pub(super) const SECOND: &str = "22222222-2222-4222-8222-222222222222";
pub(super) const THIRD: &str = "33333333-3333-4333-8333-333333333333";
const OVERLAP: Duration = Duration::from_secs(300);

/// A time of the test day, `hh:mm:ss`.
pub(super) fn at(time: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-03T{time}Z")).unwrap()
}

/// A product in the format of `products` and the Events API.
pub(super) fn product(uuid: &str, updated: &str, name: &str) -> Json {
    json!({
        "uuid": uuid, "identifier": &uuid[..4], "enabled": true, "family": "scanners", "parent": null,
        "categories": [], "groups": [], "associations": [], "quantified_associations": [],
        "values": {"name": [{"locale": null, "scope": null, "data": name}]},
        "created": "2026-10-01T00:00:00+00:00", "updated": format!("2026-11-03T{updated}+00:00"),
    })
}

pub(super) fn with(mut product: Json, name: &str, value: Json) -> Json {
    product[name] = value;
    product
}

pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) bridge: Arc<Bridge>,
    pub(super) reconciler: Reconciler,
    pub(super) rest: FakeRest,
    pub(super) pim: Arc<Pim>,
}

impl World {
    pub(super) async fn new() -> World {
        let rest = FakeRest::start().await;
        let clients = vec![ClientCredentials {
            client_id: ClientId("app".into()),
            client_secret: Secret::new("secret"),
            username: "robot".into(),
            password: Secret::new("pass"),
        }];
        let pim = Pim {
            id: PimId(1),
            url_key: rest.url(),
            url: rest.url(),
            token_check: TokenCheck::Probe { probe: Probe::SystemInformation, trust_client_id: false, clients },
            events_api_secret: Some(Secret::new("secret")),
            ..testing::pim("shop")
        };
        let store = Arc::new(MemoryStore::default());
        let pim = Arc::new(store.add_pim(pim).await.unwrap());
        World::over(store, rest, pim)
    }

    fn over(store: Arc<MemoryStore>, rest: FakeRest, pim: Arc<Pim>) -> World {
        let client = PimClient::new(http_client::client().unwrap(), Duration::from_secs(5));
        let attributes = Arc::new(HttpAttributes::new(client.clone()));
        let bridge = Arc::new(Bridge::new(store.clone(), Some(attributes), None, Clock::system()));
        let source = Arc::new(HttpEntities::new(client));
        let (_, interrupted) = watch::channel(0);
        let (bridge_too, store_too) = (bridge.clone(), store.clone());
        let clock = Clock::system();
        let reconciler = Reconciler::new(bridge_too, store_too, Shard::FIRST, source, OVERLAP, clock, interrupted);
        World { store, bridge, reconciler, rest, pim }
    }

    /// Restarts the platform once its notes are stored.
    pub(super) async fn restart(self) -> World {
        loop {
            let note = self.store.bridge_status(self.pim.id).await.unwrap();
            if note.is_some_and(|note| BridgeStatus::from_text(&note.text).reconciled.len() == EntityKind::ALL.len()) {
                return World::over(Arc::new(self.store.reopen()), self.rest, self.pim);
            }
            tokio::task::yield_now().await;
        }
    }

    /// An Events API request.
    pub(super) async fn send(&self, id: &str, action: &str, resource: &Json) {
        let event = json!({"action": action, "event_id": id, "event_datetime": resource["updated"],
            "author": "julia", "author_type": "ui", "data": {"resource": resource}});
        let taken =
            self.bridge.take(&self.pim, json!({"events": [event]}).to_string(), at("12:00:00"), |_| ()).await.unwrap();
        assert_eq!((taken.accepted, taken.bad), (1, 0));
    }

    /// Number of events and deltas of a round at this time.
    pub(super) async fn round(&self, time: &str) -> (usize, usize) {
        self.rest.clock(at(time));
        let filled = self.reconciler.round(&self.pim, at(time)).await.unwrap();
        assert_eq!(filled.bad, 0);
        (filled.events, filled.deltas)
    }

    /// Type, start of the uuid, and changed name of all events.
    pub(super) async fn logged(&self) -> Vec<String> {
        let read = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
        let events = self.store.read(Scope::Pim(self.pim.id), Position::FIRST, read).await.unwrap().events;
        let line = |event: &domain::Event| {
            let data: Json = serde_json::from_str(event.data()).unwrap();
            let short = event.event_type().trim_start_matches("com.akeneo.pim.v1.");
            let what = data["product"]["uuid"].as_str().or(data["product_model"]["code"].as_str()).unwrap();
            let name = &data["product"]["changes"]["values"]["name"][0];
            let change = if name.is_null() { String::new() } else { format!(" {}>{}", name["previous"], name["new"]) };
            let author = data["author"]["identifier"].as_str().unwrap().to_owned();
            format!("{short} {} by {author}{}", what.chars().take(4).collect::<String>(), change.replace('"', ""))
        };
        events.iter().map(|logged| line(&logged.event)).collect()
    }
}
