//! The other nodes: how this one calls them and is called.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use api::ServerBounds;
use cluster::call::{self, AT_ONCE, Caller, Keys, Listener, MAX_BODY};
use domain::Clock;
use sinks::client::HttpClient;
use sinks::connect::Connector;
use store::{Backend, Vault};
use tokio::net::TcpListener;

use crate::asking::{Answering, Asking};
use crate::config::settings::Settings;
use crate::failure::{Exit, Failure};
use crate::members::View;
use crate::nudging;
use crate::owners::Owners;
use crate::running::Running;

/// A task that never returns.
type Nudging = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What this node knows of others.
pub(crate) struct Neighbours {
    /// Address of this node's listener, by which others call it.
    pub(crate) address: Option<String>,
    pub(crate) owners: Arc<Owners>,
    pub(crate) meters: Arc<call::Meters>,
    store: Arc<dyn Backend>,
    caller: Arc<Caller>,
    keys: Keys,
    clock: Clock,
    listener: Option<TcpListener>,
}

impl Neighbours {
    /// Starts listening, if configured; calls wait until they are served.
    pub(crate) async fn new(
        settings: &Settings,
        store: &Arc<dyn Backend>,
        vault: &Vault,
        connector: &Connector,
        clock: &Clock,
    ) -> Result<Neighbours, Failure> {
        let (listener, address) = match settings.cluster.listen {
            Some(at) => {
                let (listener, at) = listen(at).await?;
                let advertised = settings.cluster.advertise.as_ref().map(ToString::to_string);
                (Some(listener), Some(advertised.unwrap_or_else(|| at.to_string())))
            }
            None => (None, None),
        };
        let (keys, meters) = (Keys::of(vault), Arc::<call::Meters>::default());
        // An answer of a neighbour says nothing about the network outside.
        let client = HttpClient::new(connector.exempt().unheard());
        let caller = Caller::new(client, keys.clone(), clock.clone(), Arc::clone(&meters));
        Ok(Neighbours {
            address,
            owners: Arc::new(Owners::new(Arc::clone(store), settings.store.lease)),
            meters,
            store: Arc::clone(store),
            caller: Arc::new(caller),
            keys,
            clock: clock.clone(),
            listener,
        })
    }

    /// Asks the engines, wherever they run.
    pub(crate) fn asking(&self, running: &Arc<Running>) -> Arc<Asking> {
        let (owners, caller) = (Arc::clone(&self.owners), Arc::clone(&self.caller));
        Arc::new(Asking { running: Arc::clone(running), owners, caller })
    }

    /// What the operator sees.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::new(View { store: Arc::clone(&self.store), owners: Arc::clone(&self.owners) })
    }

    /// Serves calls until `stop` completes; `None` without a listener.
    pub(crate) fn serve<S>(
        &mut self,
        running: &Arc<Running>,
        stop: S,
    ) -> Option<impl Future<Output = ()> + Send + use<S>>
    where
        S: Future<Output = ()> + Send,
    {
        let socket = self.listener.take()?;
        let (running, store) = (Arc::clone(running), Arc::clone(&self.store));
        let answering = Answering { running, store, meters: Arc::clone(&self.meters) };
        let listener = Listener::new(self.store.node(), self.keys.clone(), self.clock.clone(), Arc::new(answering));
        let bounds = ServerBounds {
            connections: AT_ONCE,
            header_timeout: Duration::from_secs(5),
            body_timeout: call::TIME_LIMIT,
            management_body: MAX_BODY,
            drain: call::TIME_LIMIT,
            ..ServerBounds::default()
        };
        Some(api::serve_router(socket, listener.router(), bounds, stop))
    }

    /// Nudges other owners; `None` if there can be none.
    pub(crate) fn nudging(&self) -> Option<impl FnMut() -> Nudging + Send + use<>> {
        let elsewhere = Arc::clone(self.store.elsewhere()?);
        let (owners, caller) = (Arc::clone(&self.owners), Arc::clone(&self.caller));
        Some(move || -> Nudging {
            Box::pin(nudging::nudge(Arc::clone(&elsewhere), Arc::clone(&owners), Arc::clone(&caller)))
        })
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let cannot = |error: std::io::Error| {
        let error = anyhow::Error::from(error).context(format!("cannot listen on {address} for other nodes"));
        Failure::new(Exit::Failed, error).hint("choose another address with --cluster-listen")
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok((listener, address))
}
