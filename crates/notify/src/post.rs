//! One attempt to send one notification, and the record of its result. Recording after sending means that a crash in
//! between can repeat a notification but never lose one.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use domain::notification::{Channel, Outgoing};
use domain::subscriber::{Subscriber, SubscriberStatus};
use domain::{Clock, Timestamp};
use futures_util::future::join_all;
use store::{Change, ChangeError, Outbox, Put, Shard, Subscriptions, confirmation};

use crate::meters::{Meters, Way};
use crate::plan::{Ended, LONGEST_OURS, Name, holder};
use crate::settings::Settings;
use crate::ways::Ways;
use crate::{smtp, webhook};

/// Pause before retrying after a store error.
pub(crate) const STORE_AGAIN: Duration = Duration::from_secs(1);
/// First pause while the platform lacks a resource; it doubles each time.
const FIRST_OURS: Duration = Duration::from_secs(1);

/// Sends notifications and keeps the outbox up to date.
pub(crate) struct Post {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) shard: Shard,
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
            Channel::Question { .. } | Channel::Summary { .. } => self.email(outgoing).await,
            Channel::Email { .. } if self.is_wanted(&outgoing).await => self.email(outgoing).await,
            Channel::Email { .. } => self.leave_out(&outgoing).await,
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
            // The total of the earlier pauses, so each pause doubles.
            webhook::Lost::Ours(_) => Some(waited.clamp(FIRST_OURS, LONGEST_OURS)),
        };
        let ours = matches!(lost, webhook::Lost::Ours(_));
        if let Some(pause) = pause.filter(|_| waited < self.settings.email_give_up) {
            tracing::debug!(why = %lost, ours, "retrying a notification webhook in {pause:?}");
            return self.again(outgoing, pause, !ours).await;
        }
        self.meters.failed.of(Way::Webhook).one();
        tracing::warn!(
            subscription.id = %outgoing.notification.subscription_id, why = %lost, email = email_if_lost,
            "a notification webhook did not accept a notification"
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
            None => Err(smtp::Lost::Later("no SMTP server is configured (`smtp.host`)".into())),
        };
        let outcome = if sent.is_ok() { &self.meters.sent } else { &self.meters.failed };
        outcome.of(Way::Email).one();
        let subscription = outgoing.notification.subscription_id;
        let kind = outgoing.notification.kind.as_str();
        match sent {
            Ok(()) => self.remember(outgoing).await,
            Err(why @ smtp::Lost::Refused(_)) => {
                tracing::error!(
                    subscription.id = %subscription, kind, to = outgoing.email, %why,
                    "giving up a notification by email"
                );
                self.meters.given_up.one();
                // It counts like a sent email, so that a rejected address is not tried again and again.
                self.remember(outgoing).await
            }
            Err(why) if Duration::from_millis(outgoing.waited_ms) >= self.settings.email_give_up => {
                tracing::error!(
                    subscription.id = %subscription, kind, to = outgoing.email, %why,
                    "giving up a notification by email after too many retries"
                );
                self.meters.given_up.one();
                self.settle(&outgoing).await
            }
            Err(why) => {
                let pause = self.email_pause(outgoing.attempts);
                tracing::warn!(
                    subscription.id = %subscription, kind, %why,
                    "retrying a notification by email in {pause:?}"
                );
                self.again(outgoing, pause, true).await
            }
        }
    }

    /// Whether the address of an email is confirmed. If not, asks for confirmation unless a question is pending.
    async fn is_wanted(&self, outgoing: &Outgoing) -> bool {
        let Some(contacts) = &self.ways.contacts else { return true };
        let id = outgoing.notification.subscriber_id;
        let Some(subscriber) = recorded("judged", || contacts.subscriber(id)).await else { return false };
        if subscriber.has_confirmed(&outgoing.email) {
            return true;
        }
        let now = self.clock.wall();
        let is_current = subscriber.contact.technical_email == outgoing.email;
        if is_current && subscriber.status == SubscriberStatus::Active && !subscriber.is_asked(now) {
            self.ask(contacts.as_ref(), subscriber, &outgoing.notification.subject, now).await;
        }
        false
    }

    /// Asks a contact to confirm its address. Concurrent changes win: they may have asked already.
    async fn ask(&self, contacts: &dyn Subscriptions, subscriber: Subscriber, subject: &str, now: Timestamp) {
        let asking = async {
            let (asked, question) = confirmation::ask(subscriber, subject, now)?;
            let asked = Subscriber { revision: asked.revision + 1, ..asked };
            let subscriber = Some(Put::Changed(asked));
            contacts.change(Change { subscriber, question: Some(question), ..Change::default() }).await
        };
        match asking.await {
            Ok(_) | Err(ChangeError::Conflict) => {}
            Err(error) => tracing::warn!(%error, "a contact could not be asked to confirm its address"),
        }
    }

    /// Drops an email to an unconfirmed address.
    async fn leave_out(&self, outgoing: &Outgoing) -> Ended {
        self.meters.unconfirmed.one();
        self.settle(outgoing).await
    }

    fn email_pause(&self, attempts: u32) -> Duration {
        let doubled = self.settings.email_first_pause.saturating_mul(2u32.saturating_pow(attempts.min(30)));
        doubled.min(self.settings.email_longest_pause)
    }

    /// Schedules a retry after a pause; `counts`: the attempt counts against its limit.
    async fn again(&self, outgoing: Outgoing, pause: Duration, counts: bool) -> Ended {
        let waited_ms = outgoing.waited_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let attempts = outgoing.attempts.saturating_add(u32::from(counts));
        self.put_back(Outgoing { attempts, waited_ms, due_at: self.clock.wall() + pause, ..outgoing }).await;
        Ended::Again(pause)
    }

    /// A sent email is kept until its hour is over.
    async fn remember(&self, outgoing: Outgoing) -> Ended {
        self.put_back(Outgoing { sent_at: Some(self.clock.wall()), ..outgoing }).await;
        Ended::Sent
    }

    /// Merges emails into a summary, or creates one; returns its position. A crash in the middle can repeat some of
    /// them.
    pub(crate) async fn join(&self, emails: &[Name], summary: Option<Name>) -> Option<u64> {
        let mut all = Vec::with_capacity(emails.len() + 1);
        if let Some(summary) = summary {
            all.extend(self.load(summary).await);
        }
        for name in emails {
            let Some(reported) = self.load(*name).await else { continue };
            if self.is_wanted(&reported).await {
                all.push(reported);
            } else {
                self.leave_out(&reported).await;
            }
        }
        let (first, others) = all.split_first()?;
        self.put_back(first.clone().summary_with(others)).await;
        join_all(others.iter().map(|reported| self.settle(reported))).await;
        Some(first.number)
    }

    /// A stored notification; `None` if it is settled.
    async fn load(&self, (_, id): Name) -> Option<Outgoing> {
        recorded("read", || self.outbox.notification(id)).await
    }

    /// Retries until it is recorded: sending again would be worse.
    async fn settle(&self, outgoing: &Outgoing) -> Ended {
        self.forget(outgoing.id).await;
        Ended::Gone
    }

    /// Like [`recorded`], by id.
    pub(crate) async fn forget(&self, id: uuid::Uuid) {
        recorded("settled", || self.outbox.settle_notification(id)).await;
    }

    async fn put_back(&self, outgoing: Outgoing) {
        recorded("put back", || async {
            match self.outbox.put_back_notification(outgoing.clone()).await {
                // Another process has changed it: the stored one is newer.
                Ok(()) | Err(ChangeError::Conflict) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await;
    }
}

/// Retries until the store succeeds.
async fn recorded<T, E: Display, F: Future<Output = Result<T, E>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                tracing::error!(%error, "a notification could not be {what}; retrying");
                tokio::time::sleep(STORE_AGAIN).await;
            }
        }
    }
}
