//! Google Pub/Sub as the operator and the environment want it: whom the platform talks to, and who must let it publish.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sinks::client::Client;
use sinks::connect::Connector;
use sinks::pubsub::account::Account;
use sinks::pubsub::{Access, PubsubSettings, PubsubSink};
use wire::envelope::EnvelopeStyle;

use crate::config::Settings;
use crate::failure::{Exit, Failure};

/// The role that lets an account publish to a topic.
const ROLE: &str = "roles/pubsub.publisher";

/// Not even a server beside it could be relied on to answer sooner.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);

/// The sink. Says in the log which account must be granted the role, as soon as that is known; where there are no credentials, nothing
/// happens and nothing is asked.
pub(crate) fn sink(settings: &Settings, style: EnvelopeStyle, connector: &Connector) -> Result<PubsubSink, Failure> {
    if settings.pubsub.request_timeout < SHORTEST_TIMEOUT {
        let refused = "`pubsub.request_timeout` must be at least 100ms: nothing could be published within less";
        return Err(Failure::message(Exit::Configuration, refused));
    }
    let account = Account::find(&|name| std::env::var_os(name));
    let principal: Arc<OnceLock<String>> = Arc::default();
    let settings = PubsubSettings {
        principal: Arc::clone(&principal),
        request_timeout: settings.pubsub.request_timeout,
        ..PubsubSettings::new(access(settings, &account)?)
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

fn access(settings: &Settings, account: &Account) -> Result<Access, Failure> {
    let endpoint = settings.pubsub.endpoint.as_ref().map(|url| url.0.clone());
    match account {
        Account::Emulator(host) => Ok(Access::Anonymous { endpoint: format!("http://{host}") }),
        _ if endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) => {
            let refused = "`pubsub.endpoint` must be https: the platform's credentials are sent there";
            Err(Failure::message(Exit::Configuration, refused).hint("for an emulator set PUBSUB_EMULATOR_HOST"))
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
