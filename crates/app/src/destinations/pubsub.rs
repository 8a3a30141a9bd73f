//! Google Pub/Sub as the operator and the environment want it: whom the platform talks to, and who must let it publish.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sinks::client::Client;
use sinks::connect::Connector;
use sinks::pubsub::account::Account;
use sinks::pubsub::{Access, PubsubSettings, PubsubSink};
use wire::envelope::EnvelopeStyle;

use crate::config::settings::Settings;
use crate::failure::{Exit, Failure};

/// The role that lets an account publish to a topic.
const ROLE: &str = "roles/pubsub.publisher";

/// Not even a server beside it could be relied on to answer sooner.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);

/// The sink. Says in the log which account must be granted the role, as soon as that is known; where there are no credentials, nothing
/// happens and nothing is asked.
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
    // The metadata server is on a link-local address; its operator is Google.
    let client = Client::new(connector.exempt());
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

/// Whom the environment names.
pub(crate) fn account() -> Account {
    Account::find(&|name| std::env::var_os(name))
}

/// How Pub/Sub is called, or the setting that is wrong and why.
pub(crate) fn access(settings: &Settings, account: &Account) -> Result<Access, (&'static str, &'static str)> {
    if settings.pubsub.request_timeout < SHORTEST_TIMEOUT {
        return Err(("pubsub.request_timeout", "must be at least 100ms: nothing could be published within less"));
    }
    let endpoint = settings.pubsub.endpoint.as_ref().map(|url| url.0.clone());
    match account {
        Account::Emulator(host) => Ok(Access::Anonymous { endpoint: format!("http://{host}") }),
        _ if endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) => {
            let refused =
                "must be https: the platform's credentials are sent there; for an emulator set PUBSUB_EMULATOR_HOST";
            Err(("pubsub.endpoint", refused))
        }
        _ => Ok(Access::Google { endpoint }),
    }
}

fn announce(account: &Account) {
    let google = |path: &std::path::Path| format!("the Google account of {}", path.display());
    let who = match account {
        Account::Emulator(host) => {
            tracing::info!("Pub/Sub destinations are those of the emulator at {host} (PUBSUB_EMULATOR_HOST)");
            return;
        }
        Account::Unusable(path, why) => {
            tracing::warn!("the Google credentials in {} cannot be used: {why}", path.display());
            return;
        }
        Account::Metadata(_) | Account::Nobody => return,
        Account::Principal(name) => name.clone(),
        Account::Person(path) => google(path),
        Account::Federated(path) => format!("{}, by workload identity federation", google(path)),
    };
    tracing::info!("Pub/Sub: for each topic that events go to, grant the role {ROLE} to {who}");
}
