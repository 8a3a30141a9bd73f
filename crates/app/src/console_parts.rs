//! The console's ports: the API in process, sessions sealed by the vault, and the address of the browser.

use std::sync::Arc;

use api::{InProcess, LinkBearer, client_address, count_console, open_console_link};
use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use bytes::Bytes;
use console::{Api, Console, Grant, Sealer, Unavailable, Visitor};
use domain::subscriber::Owner;
use domain::{ClientId, Clock, PimId, SubscriberId, Timestamp};
use http::Response;
use store::vault::Vault;

use crate::config::settings::Settings;

/// The routes of the console; none if it is disabled.
pub(crate) fn routes(settings: &Settings, public_url: &str, api: &Arc<api::Api>, vault: Vault, clock: Clock) -> Router {
    if !settings.console.enabled {
        return Router::new();
    }
    let own = console::Settings {
        secure: public_url.starts_with("https://"),
        frame_origins: settings.console.frame_origins.iter().map(|origin| origin.0.clone()).collect(),
    };
    let calls = Arc::new(Calls { within: InProcess::new(Arc::clone(api)), api: Arc::clone(api) });
    let console = Console::new(calls, Arc::new(Seals(vault)), clock, own);
    let (proxies, api) = (settings.api.trusted_proxies.clone(), Arc::clone(api));
    console::router(Arc::new(console)).layer(from_fn(move |mut request: Request, next: Next| {
        if let Some(address) = client_address(request.extensions(), request.headers(), &proxies) {
            request.extensions_mut().insert(Visitor(address));
        }
        let api = Arc::clone(&api);
        async move { count_console(&api, request, next).await }
    }))
}

struct Calls {
    within: InProcess,
    api: Arc<api::Api>,
}

#[async_trait]
impl Api for Calls {
    async fn call(&self, request: http::Request<Bytes>) -> Response<Bytes> {
        let from = request.extensions().get::<Visitor>().map(|visitor| visitor.0);
        let bearer = match request.extensions().get::<Grant>().map(bearer) {
            None => None,
            Some(Some(bearer)) => Some(bearer),
            // A grant without a valid subscriber must not become an unrestricted request.
            Some(None) => {
                let mut refused = Response::new(Bytes::new());
                *refused.status_mut() = http::StatusCode::UNAUTHORIZED;
                return refused;
            }
        };
        self.within.call(request, from, bearer).await
    }

    async fn open_link(&self, secret: &str) -> Result<Option<Grant>, Unavailable> {
        match open_console_link(&self.api, secret).await {
            Ok(bearer) => Ok(bearer.map(grant)),
            Err(error) => {
                tracing::error!(%error, "could not open a console link");
                Err(Unavailable)
            }
        }
    }
}

fn grant(bearer: LinkBearer) -> Grant {
    Grant {
        pim: bearer.owner.pim.0,
        client_id: bearer.owner.client_id.0,
        subscriber: bearer.subscriber.to_string(),
        read_only: bearer.read_only,
        until: bearer.until.as_micros(),
    }
}

fn bearer(grant: &Grant) -> Option<LinkBearer> {
    Some(LinkBearer {
        owner: Owner { pim: PimId(grant.pim), client_id: ClientId(grant.client_id.clone()) },
        subscriber: SubscriberId::parse(&grant.subscriber)?,
        read_only: grant.read_only,
        until: Timestamp::from_micros(grant.until),
    })
}

/// Seals with the keys that also protect the secrets in the store: every node has them.
struct Seals(Vault);

impl Sealer for Seals {
    fn seal(&self, plain: &[u8], purpose: &str) -> Option<Vec<u8>> {
        self.0.seal(plain, purpose, "").ok()
    }

    fn open(&self, sealed: &[u8], purpose: &str) -> Option<Vec<u8>> {
        self.0.open(sealed, purpose, "").ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_the_bearer_of_its_link() {
        let known = LinkBearer {
            owner: Owner { pim: PimId(3), client_id: ClientId("app".to_owned()) },
            subscriber: SubscriberId::generate(),
            read_only: true,
            until: Timestamp::from_micros(5),
        };
        assert_eq!(bearer(&grant(known.clone())), Some(known.clone()));
        assert_eq!(bearer(&Grant { subscriber: String::new(), ..grant(known) }), None);
    }
}
