//! One attempt to send one notification, and the record of what came of it. What is recorded only after it was sent can
//! be sent twice by a crash in between, and never not at all.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use domain::notification::{Channel, Outgoing};
use futures_util::future::join_all;
use store::{ChangeError, Outbox};

use crate::meters::{Meters, Way};
use crate::plan::{Ended, LONGEST_OURS, Name, holder};
use crate::sender::Ways;
use crate::settings::Settings;
use crate::{smtp, webhook};

/// When the store fails, it is asked again after this long.
pub(crate) const STORE_AGAIN: Duration = Duration::from_secs(1);
/// What the platform itself lacks is looked for again after this long, and twice as long each further time.
const FIRST_OURS: Duration = Duration::from_secs(1);

/// Sends, and keeps the outbox true to what was sent.
pub(crate) struct Post {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) ways: Ways,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) meters: Arc<Meters>,
}

impl Post {
    /// Tries to send a notification.
    pub(crate) async fn send(&self, name: Name) -> Ended {
        let Some(outgoing) = self.load(name).await else { return Ended::Gone };
        match outgoing.channel {
            Channel::Webhook { .. } => self.call(outgoing).await,
            Channel::Email { .. } | Channel::Summary { .. } => self.email(outgoing).await,
        }
    }

    async fn call(&self, outgoing: Outgoing) -> Ended {
        let Channel::Webhook { url, secret, email_if_lost } = &outgoing.channel else { return Ended::Gone };
        let body = wire::notification::body(&outgoing.notification);
        let client = self.ways.webhooks.on_behalf_of(holder(&outgoing));
        let lost = match webhook::call(&client, &self.settings, url, secret, &body).await {
            Ok(()) => {
                self.meters.sent.of(Way::Webhook).one();
                return self.settle(&outgoing).await;
            }
            Err(lost) => lost,
        };
        let waited = Duration::from_millis(outgoing.waited_ms);
        let tries = usize::try_from(outgoing.attempts).unwrap_or(usize::MAX);
        let pause = match &lost {
            webhook::Lost::Final(_) => None,
            webhook::Lost::Transient(_) => self.settings.webhook_pauses.get(tries).copied(),
            // As long as before in all: so each pause is twice as long as the one before.
            webhook::Lost::Ours(_) => Some(waited.clamp(FIRST_OURS, LONGEST_OURS)),
        };
        let ours = matches!(lost, webhook::Lost::Ours(_));
        if let Some(pause) = pause.filter(|_| waited < self.settings.email_give_up) {
            tracing::debug!(why = %lost, ours, "a notification webhook is called again in {pause:?}");
            return self.again(outgoing, pause, !ours).await;
        }
        self.meters.failed.of(Way::Webhook).one();
        tracing::warn!(
            subscription.id = %outgoing.notification.subscription_id, why = %lost, email = email_if_lost,
            "a notification webhook did not take a notification"
        );
        if *email_if_lost {
            let channel = Channel::Email { instead_of_webhook: Some(url.clone()) };
            self.put_back(Outgoing { channel, attempts: 0, waited_ms: 0, ..outgoing }).await;
            return Ended::ByEmail;
        }
        self.meters.given_up.one();
        self.settle(&outgoing).await
    }

    async fn email(&self, outgoing: Outgoing) -> Ended {
        let sent = match &self.ways.mailer {
            Some(mailer) => mailer.send(&outgoing, &self.settings.public_url).await,
            None => Err(smtp::Lost::Later("no SMTP server is set (`smtp.host`)".into())),
        };
        let outcome = if sent.is_ok() { &self.meters.sent } else { &self.meters.failed };
        outcome.of(Way::Email).one();
        let subscription = outgoing.notification.subscription_id;
        let kind = outgoing.notification.kind.as_str();
        match sent {
            Ok(()) => self.remember(outgoing).await,
            Err(why @ smtp::Lost::Refused(_)) => {
                tracing::error!(subscription.id = %subscription, kind, to = outgoing.email, %why, "a notification by email is given up");
                self.meters.given_up.one();
                // It counts like one that was sent: an address that is refused must not be tried again and again
                // either.
                self.remember(outgoing).await
            }
            Err(why) if Duration::from_millis(outgoing.waited_ms) >= self.settings.email_give_up => {
                tracing::error!(subscription.id = %subscription, kind, to = outgoing.email, %why, "a notification by email is given up; it was tried for too long");
                self.meters.given_up.one();
                self.settle(&outgoing).await
            }
            Err(why) => {
                let pause = self.email_pause(outgoing.attempts);
                tracing::warn!(subscription.id = %subscription, kind, %why, "a notification by email is tried again in {pause:?}");
                self.again(outgoing, pause, true).await
            }
        }
    }

    fn email_pause(&self, attempts: u32) -> Duration {
        let doubled = self.settings.email_first_pause.saturating_mul(2u32.saturating_pow(attempts.min(30)));
        doubled.min(self.settings.email_longest_pause)
    }

    /// It goes again after a pause; `counts`: this attempt is one of those that it has.
    async fn again(&self, outgoing: Outgoing, pause: Duration, counts: bool) -> Ended {
        let waited_ms = outgoing.waited_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let attempts = outgoing.attempts.saturating_add(u32::from(counts));
        self.put_back(Outgoing { attempts, waited_ms, due_at: self.clock.wall() + pause, ..outgoing }).await;
        Ended::Again(pause)
    }

    /// An email is kept until its hour is over.
    async fn remember(&self, outgoing: Outgoing) -> Ended {
        self.put_back(Outgoing { sent_at: Some(self.clock.wall()), ..outgoing }).await;
        Ended::Sent
    }

    /// Puts emails into a summary, or makes one of the first; gives its place. A crash in the middle tells some twice.
    pub(crate) async fn join(&self, emails: &[Name], summary: Option<Name>) -> Option<u64> {
        let mut all = Vec::with_capacity(emails.len() + 1);
        for name in summary.iter().chain(emails) {
            all.extend(self.load(*name).await);
        }
        let (first, others) = all.split_first()?;
        self.put_back(first.clone().summary_with(others)).await;
        join_all(others.iter().map(|told| self.settle(told))).await;
        Some(first.number)
    }

    /// A notification as it is kept; `None` if it is settled.
    async fn load(&self, (_, id): Name) -> Option<Outgoing> {
        recorded("read", || self.outbox.notification(id)).await
    }

    /// Until it is recorded: sent again would be the worse end.
    async fn settle(&self, outgoing: &Outgoing) -> Ended {
        self.forget(outgoing.id).await;
        Ended::Gone
    }

    /// The same by its id.
    pub(crate) async fn forget(&self, id: uuid::Uuid) {
        recorded("settled", || self.outbox.settle_notification(id)).await;
    }

    async fn put_back(&self, outgoing: Outgoing) {
        recorded("put back", || async {
            match self.outbox.put_back_notification(outgoing.clone()).await {
                // Somebody else has it: what is kept is newer.
                Ok(()) | Err(ChangeError::Conflict) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await;
    }
}

/// Tries until the store does it.
async fn recorded<T, E: Display, F: Future<Output = Result<T, E>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                tracing::error!(%error, "a notification cannot be {what}; it will be tried again");
                tokio::time::sleep(STORE_AGAIN).await;
            }
        }
    }
}
