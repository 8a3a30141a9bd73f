//! The loop that takes notifications out of the outbox, sends them, and records what came of it. What is recorded only
//! after it was sent can be sent twice by a crash in between, and never not at all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::notification::{Channel, Outgoing};
use sinks::client::Client;
use store::{Catalog, ChangeError, StoreError};
use tokio::sync::{Semaphore, watch};
use tokio::task::{Id, JoinHandle, JoinSet};
use uuid::Uuid;

use crate::meters::{Meters, Way};
use crate::settings::Settings;
use crate::smtp::{self, Mailer};
use crate::webhook;

/// When the store fails, it is asked again after this long.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Emails that are handed over at the same time: mail servers count connections.
const EMAILS_AT_ONCE: usize = 2;
/// A stop lets what is on its way arrive for this long; what is not recorded by then is sent again at the next start.
const STOP_AT_MOST: Duration = Duration::from_secs(5);

/// The ways out.
pub struct Ways {
    /// Calls webhooks; its guard judges their addresses.
    pub webhooks: Client,
    /// Sends emails; none where the operator has set no SMTP server.
    pub mailer: Option<Mailer>,
}

/// The running sender.
pub struct Notifier {
    meters: Arc<Meters>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl Notifier {
    /// Sends what waits, and what comes.
    pub fn start(catalog: Arc<dyn Catalog>, ways: Ways, settings: Settings) -> Notifier {
        Notifier::start_by(Timestamp::now, catalog, ways, settings)
    }

    /// The same by another clock than the system's, for tests under virtual time.
    pub fn start_by(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        catalog: Arc<dyn Catalog>,
        ways: Ways,
        settings: Settings,
    ) -> Notifier {
        if ways.mailer.is_none() {
            tracing::warn!(
                "no SMTP server is set (`smtp.host`): notifications by email wait and are given up after {} days; \
                 webhooks work",
                settings.email_give_up.as_secs() / 86_400
            );
        }
        let (stop, stopped) = watch::channel(false);
        let emails = Semaphore::new(EMAILS_AT_ONCE);
        let meters = Arc::new(Meters::default());
        let clock = Arc::new(clock);
        let sender = Arc::new(Sender { catalog, ways, settings, clock, emails, meters: Arc::clone(&meters) });
        Notifier { meters, stop, running: tokio::spawn(run(sender, stopped)) }
    }

    /// What is counted.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Stops it; what is on its way may arrive.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.running.await {
            tracing::error!(%error, "the sender of notifications did not stop in order");
        }
    }
}

struct Sender {
    catalog: Arc<dyn Catalog>,
    ways: Ways,
    settings: Settings,
    clock: Clock,
    emails: Semaphore,
    meters: Arc<Meters>,
}

async fn run(sender: Arc<Sender>, mut stopped: watch::Receiver<bool>) {
    let mut committed = sender.catalog.changes().committed();
    let mut on_the_way = OnTheWay::default();
    loop {
        committed.borrow_and_update();
        let look_again = match sender.start_due(&mut on_the_way).await {
            Ok(()) => sender.settings.look_every,
            Err(error) => {
                tracing::error!(%error, "the notifications that wait cannot be read; it will be tried again");
                STORE_AGAIN
            }
        };
        tokio::select! {
            // An error is the sender's end, which is a stop as well.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = committed.changed() => {}
            () = on_the_way.one_arrived() => {}
            () = tokio::time::sleep(look_again) => {}
        }
    }
    let rest = async {
        while !on_the_way.tasks.is_empty() {
            on_the_way.one_arrived().await
        }
    };
    tokio::time::timeout(STOP_AT_MOST, rest).await.unwrap_or_default();
}

/// Notifications that are being sent.
#[derive(Default)]
struct OnTheWay {
    tasks: JoinSet<()>,
    by_task: HashMap<Id, Uuid>,
    ids: HashSet<Uuid>,
}

impl OnTheWay {
    /// Waits for the end of one; for ever if there is none.
    async fn one_arrived(&mut self) {
        let ended = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                tracing::error!(%error, "sending a notification ended in a fault; it is tried again");
                // It is still due: without a pause it would be tried again and again at once.
                tokio::time::sleep(STORE_AGAIN).await;
                error.id()
            }
            None => return std::future::pending().await,
        };
        if let Some(id) = self.by_task.remove(&ended) {
            self.ids.remove(&id);
        }
    }
}

impl Sender {
    /// Starts what is due and not on its way, as much as may be on its way at once.
    async fn start_due(self: &Arc<Sender>, on_the_way: &mut OnTheWay) -> Result<(), StoreError> {
        if on_the_way.ids.len() >= self.settings.at_once {
            return Ok(());
        }
        // What is on its way is still in the outbox, and comes first.
        let due = self.catalog.notifications((self.clock)(), self.settings.at_once).await?;
        for outgoing in due {
            if on_the_way.ids.len() >= self.settings.at_once {
                break;
            }
            if on_the_way.ids.insert(outgoing.id) {
                let (sender, id) = (Arc::clone(self), outgoing.id);
                let task = on_the_way.tasks.spawn(async move { sender.send(outgoing).await });
                on_the_way.by_task.insert(task.id(), id);
            }
        }
        Ok(())
    }

    async fn send(&self, outgoing: Outgoing) {
        match &outgoing.channel {
            Channel::Webhook { url, secret, email_if_lost } => {
                let body = wire::notification::body(&outgoing.notification);
                let called = webhook::call(&self.ways.webhooks, &self.settings, url, secret, &body).await;
                match called {
                    Ok(()) => {
                        self.meters.sent.of(Way::Webhook).one();
                        self.settle(&outgoing).await;
                    }
                    Err(why) => {
                        self.meters.failed.of(Way::Webhook).one();
                        tracing::warn!(
                            subscription.id = %outgoing.notification.subscription_id, %url, %why, email = email_if_lost,
                            "a notification webhook did not take a notification"
                        );
                        if *email_if_lost {
                            let channel = Channel::Email { instead_of_webhook: Some(url.clone()) };
                            self.put_back(Outgoing { channel, attempts: 0, due_at: (self.clock)(), ..outgoing }).await;
                        } else {
                            self.meters.given_up.one();
                            self.settle(&outgoing).await;
                        }
                    }
                }
            }
            Channel::Email { .. } => self.send_email(outgoing).await,
        }
    }

    async fn send_email(&self, outgoing: Outgoing) {
        let sent = match &self.ways.mailer {
            Some(mailer) => {
                // The semaphore is never closed; if it were, sending without its bound is still right.
                let _turn = self.emails.acquire().await.ok();
                mailer.send(&outgoing, &self.settings.public_url).await
            }
            None => Err(smtp::Lost::Later("no SMTP server is set (`smtp.host`)".into())),
        };
        let subscription = outgoing.notification.subscription_id;
        let kind = outgoing.notification.kind.as_str();
        let outcome = if sent.is_ok() { &self.meters.sent } else { &self.meters.failed };
        outcome.of(Way::Email).one();
        match sent {
            Ok(()) => self.settle(&outgoing).await,
            Err(why @ smtp::Lost::Refused(_)) => {
                tracing::error!(subscription.id = %subscription, kind, to = outgoing.email, %why, "a notification by email is given up");
                self.meters.given_up.one();
                self.settle(&outgoing).await;
            }
            Err(why) if (self.clock)().since(outgoing.notification.timestamp) >= self.settings.email_give_up => {
                tracing::error!(subscription.id = %subscription, kind, to = outgoing.email, %why, "a notification by email is given up; it is too old");
                self.meters.given_up.one();
                self.settle(&outgoing).await;
            }
            Err(why) => {
                let pause = self.pause(outgoing.attempts);
                tracing::warn!(subscription.id = %subscription, kind, %why, "a notification by email is tried again in {pause:?}");
                let due_at = (self.clock)() + pause;
                self.put_back(Outgoing { attempts: outgoing.attempts.saturating_add(1), due_at, ..outgoing }).await;
            }
        }
    }

    fn pause(&self, attempts: u32) -> Duration {
        let doubled = self.settings.email_first_pause.saturating_mul(2u32.saturating_pow(attempts.min(30)));
        doubled.min(self.settings.email_longest_pause)
    }

    /// Until it is recorded: sent again would be the worse end.
    async fn settle(&self, outgoing: &Outgoing) {
        while let Err(error) = self.catalog.settle_notification(outgoing.id).await {
            tracing::error!(%error, "a notification was sent and cannot be recorded as sent; it will be tried again");
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }

    async fn put_back(&self, outgoing: Outgoing) {
        loop {
            match self.catalog.put_back_notification(outgoing.clone()).await {
                // Somebody else has it: what is kept is newer.
                Ok(()) | Err(ChangeError::Conflict) => return,
                Err(error) => {
                    tracing::error!(%error, "a notification cannot be put back; it will be tried again");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
            }
        }
    }
}
