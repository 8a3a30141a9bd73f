//! The notification sender, as configured.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use domain::Clock;
use notify::{Mailer, Notifier, SmtpSettings, Ways};
use sinks::client::HttpClient;
use sinks::connect::Connector;
use store::{Outbox, Shard, Store, Subscriptions};

use crate::config::settings::Settings;
use crate::config::value::SmtpSecurity;
use crate::failure::{Exit, Failure};

/// The senders of all shards: what they share.
pub(crate) struct Notifications {
    outbox: Arc<dyn Outbox>,
    ways: Ways,
    settings: notify::Settings,
    clock: Clock,
    meters: Arc<notify::Meters>,
}

impl Notifications {
    /// As configured. They share `connector` with deliveries, so the address guard applies to notification webhooks as
    /// well.
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        connector: Connector,
        settings: &Settings,
        public_url: &str,
        clock: Clock,
        meters: Arc<notify::Meters>,
    ) -> Result<Notifications, Failure> {
        let mailer = mailer(settings).map_err(|error| Failure::new(Exit::Configuration, error))?;
        let mailer = mailer.map(|mailer| mailer.hearing(connector.heard().clone()));
        let contacts = settings.notifications.confirm_addresses.then(|| Arc::clone(store) as Arc<dyn Subscriptions>);
        let ways = Ways { webhooks: HttpClient::new(connector), mailer, contacts };
        let settings = notify::Settings {
            public_url: public_url.to_owned(),
            allow_http: settings.top.allow_http_destinations,
            email_give_up: settings.notifications.give_up_after,
            ..notify::Settings::default()
        };
        Ok(Notifications { outbox: Arc::clone(store) as Arc<dyn Outbox>, ways, settings, clock, meters })
    }

    /// Starts the sender of a shard.
    pub(crate) fn start(&self, shard: Shard) -> Notifier {
        let Notifications { outbox, ways, settings, clock, meters } = self;
        let (outbox, meters) = (Arc::clone(outbox), Arc::clone(meters));
        Notifier::start_beside(outbox, shard, ways.clone(), settings.clone(), clock.clone(), meters)
    }
}

/// The mailer, if an SMTP server is configured.
pub(crate) fn mailer(settings: &Settings) -> anyhow::Result<Option<Mailer>> {
    let smtp = &settings.smtp;
    let (Some(host), Some(from)) = (&smtp.host, &smtp.from) else { return Ok(None) };
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("`extra_roots`: {}", path.display()));
    let extra_roots: anyhow::Result<_> = settings.top.extra_roots.iter().map(read).collect();
    let mailer = Mailer::new(&SmtpSettings {
        host: host.clone(),
        port: Some(smtp.port.0).filter(|port| *port != 0),
        security: match smtp.security {
            SmtpSecurity::StartTls => notify::SmtpSecurity::StartTls,
            SmtpSecurity::Tls => notify::SmtpSecurity::Tls,
            SmtpSecurity::None => notify::SmtpSecurity::None,
        },
        credentials: smtp.username.clone().zip(smtp.password.clone()),
        from: from.clone(),
        timeout: smtp.timeout,
        extra_roots: extra_roots?,
    });
    Ok(Some(mailer?))
}
