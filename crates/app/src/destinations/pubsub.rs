//! Google Pub/Sub as configured by the operator and the environment: the endpoint and the publishing account.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sinks::client::HttpClient;
use sinks::connect::Connector;
use sinks::pubsub::account::Account;
use sinks::pubsub::{Access, PubsubSettings, PubsubSink};
use wire::envelope::EnvelopeStyle;

use crate::config::settings::Settings;
use crate::failure::{Exit, Failure};

/// Role that allows an account to publish to a topic.
const ROLE: &str = "roles/pubsub.publisher";

/// No server reliably answers faster, not even a nearby one.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);

/// The sink. Logs the account that needs the role as soon as it is known. Without credentials, it does nothing and asks
/// nothing.
pub(crate) fn sink(settings: &Settings, style: EnvelopeStyle, connector: &Connector) -> Result<PubsubSink, Failure> {
    let refused = |(_, problem)| Failure::message(Exit::Configuration, problem);
    let account = account();
    let principal: Arc<OnceLock<String>> = Arc::default();
    let settings = PubsubSettings {
        principal: Arc::clone(&principal),
        request_timeout: settings.pubsub.request_timeout,
        heard: connector.heard().clone(),
        ..PubsubSettings::new(access(settings, &account).map_err(refused)?)
    };
    // The metadata server has a link-local address, operated by Google.
    let client = HttpClient::new(connector.exempt());
    tokio::spawn(async move {
        if let Some(account) = account.ask(&client).await {
            announce(&account);
            if let Account::Principal(name) = account {
                _ = principal.set(name);
            }
        }
    });
    Ok(PubsubSink::new(style, settings))
}

/// The account named by the environment.
pub(crate) fn account() -> Account {
    Account::find(&|name| std::env::var_os(name))
}

/// How Pub/Sub is called, or the invalid setting and the reason.
pub(crate) fn access(settings: &Settings, account: &Account) -> Result<Access, (&'static str, &'static str)> {
    if settings.pubsub.request_timeout < SHORTEST_TIMEOUT {
        return Err(("pubsub.request_timeout", "must be at least 100ms"));
    }
    let endpoint = settings.pubsub.endpoint.as_ref().map(|url| url.0.clone());
    match account {
        Account::Emulator(host) => Ok(Access::Anonymous { endpoint: format!("http://{host}") }),
        _ if endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) => {
            let refused = "must be https, because the platform's credentials are sent there; for an emulator, set \
                 PUBSUB_EMULATOR_HOST";
            Err(("pubsub.endpoint", refused))
        }
        _ => Ok(Access::Google { endpoint }),
    }
}

fn announce(account: &Account) {
    let google = |path: &std::path::Path| format!("the Google account of {}", path.display());
    let who = match account {
        Account::Emulator(host) => {
            tracing::info!("Pub/Sub destinations use the emulator at {host} (PUBSUB_EMULATOR_HOST)");
            return;
        }
        Account::Unusable(path, why) => {
            tracing::warn!("cannot use the Google credentials in {}: {why}", path.display());
            return;
        }
        Account::Metadata(_) | Account::Nobody => return,
        Account::Principal(name) => name.clone(),
        Account::Person(path) => google(path),
        Account::Federated(path) => format!("{}, by workload identity federation", google(path)),
    };
    tracing::info!("Pub/Sub: on each destination topic, grant the role {ROLE} to {who}");
}
