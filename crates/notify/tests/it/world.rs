//! A store with one subscription, and its sender.

use std::sync::Arc;
use std::time::Duration;

use domain::address::AddressPolicy;
use domain::notification::{Channel, Outgoing};
use domain::outcome::{ErrorReason, SuspensionReason};
use domain::subscriber::{Contact, Subscriber};
use domain::subscription::Subscription;
use domain::{Clock, Secret};
use notify::{Mailer, Notifier, Settings, Ways};
use sinks::client::HttpClient;
use sinks::connect::Connector;
use sinks::resolve::Resolver;
use sinks::tls::TlsClient;
use store::conformance::sample;
use store::{MemoryStore, Outbox, Put, Shard, Store, transition};

pub(crate) const PIM_URL: &str = "https://pim.example.com";
pub(crate) const SECRET: &str = "0123456789abcdef";

/// A client that may call this machine, or no host here.
pub(crate) fn client(networks: &[&str]) -> HttpClient {
    client_with(Resolver::system(), networks)
}

/// The same with look-ups of its own.
pub(crate) fn client_with(resolver: Resolver, networks: &[&str]) -> HttpClient {
    let allow_networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    let policy = AddressPolicy::allowing(allow_networks);
    HttpClient::new(Connector::new(Arc::new(resolver), policy, TlsClient::new(&[]).unwrap()))
}

/// The contract's settings with short times.
pub(crate) fn settings() -> Settings {
    Settings {
        public_url: "https://events.example.com".into(),
        allow_http: true,
        webhook_timeout: Duration::from_millis(500),
        webhook_pauses: vec![Duration::from_millis(50), Duration::from_millis(100)],
        email_first_pause: Duration::from_millis(20),
        email_longest_pause: Duration::from_millis(50),
        look_every: Duration::from_millis(20),
        ..Settings::default()
    }
}

pub(crate) fn contact(email: bool, webhook: Option<&str>) -> Contact {
    Contact {
        technical_email: "ops@example.com".into(),
        email,
        webhook: webhook.is_some(),
        webhook_url: webhook.map(str::to_owned),
        webhook_secret: webhook.map(|_| Secret::new(SECRET)),
        notify_failing: false,
    }
}

/// Creates a subscriber with one subscription.
pub(crate) async fn make(store: &dyn Store, contact: Contact) -> (Subscriber, Subscription) {
    let subscriber = Subscriber { contact, ..sample::subscriber() };
    let mut change = sample::change(vec![Put::New(sample::subscription(&subscriber))]);
    change.subscriber = Some(Put::New(subscriber.clone()));
    change.subscriber_limit = 1_000;
    let mut made = store.change(change).await.unwrap();
    (subscriber, made.subscriptions.remove(0))
}

/// Suspends it as the platform.
pub(crate) async fn suspend(store: &dyn Store, stored: Subscription) -> Subscription {
    suspend_for(store, stored, PIM_URL).await
}

/// The same for a subscription of another PIM.
pub(crate) async fn suspend_for(store: &dyn Store, stored: Subscription, pim_url: &str) -> Subscription {
    let mut change = sample::change(Vec::new());
    let reason = SuspensionReason::Destination(ErrorReason::DestinationNotFound);
    transition::suspend(&mut change, stored, reason, pim_url, Clock::system().wall());
    store.change(change).await.unwrap().subscriptions.remove(0)
}

/// Resumes it as its owner.
pub(crate) async fn resume(store: &dyn Store, stored: Subscription) -> Subscription {
    let mut change = sample::change(Vec::new());
    transition::resume(&mut change, stored, PIM_URL, Clock::system().wall());
    store.change(change).await.unwrap().subscriptions.remove(0)
}

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) subscriber: Subscriber,
    pub(crate) subscription: Subscription,
}

impl World {
    pub(crate) async fn new(contact: Contact) -> World {
        let store = Arc::new(MemoryStore::default());
        let (subscriber, subscription) = make(store.as_ref(), contact).await;
        World { store, subscriber, subscription }
    }

    pub(crate) fn start(&self, mailer: Option<Mailer>, settings: Settings) -> Notifier {
        let ways = Ways { webhooks: client(&["127.0.0.0/8"]), mailer, contacts: None };
        Notifier::start(self.store.clone(), Shard::FIRST, ways, settings, Clock::system())
    }

    pub(crate) async fn suspend(&self) -> Subscription {
        suspend(self.store.as_ref(), self.subscription.clone()).await
    }

    /// Pending notifications, due or not.
    pub(crate) async fn waiting(&self) -> Vec<Outgoing> {
        self.kept().await.into_iter().filter(|one| one.sent_at.is_none()).collect()
    }

    /// The same with those kept after being sent.
    pub(crate) async fn kept(&self) -> Vec<Outgoing> {
        self.store.notifications(Shard::FIRST, None, usize::MAX).await.unwrap()
    }

    /// Waits until nothing is pending.
    pub(crate) async fn all_sent(&self) {
        until("all are sent", async || self.waiting().await.is_empty()).await;
    }

    /// Waits until the one notification is an email instead of a webhook.
    pub(crate) async fn fell_back(&self) -> Outgoing {
        let is_email = |one: &Outgoing| matches!(one.channel, Channel::Email { instead_of_webhook: Some(_) });
        until("it falls back to email", async || self.waiting().await.iter().any(is_email)).await;
        self.waiting().await.remove(0)
    }
}

/// Waits for something over real sockets, in real time.
pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !done().await {
        assert!(std::time::Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
