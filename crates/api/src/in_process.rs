//! Requests from within the process: the console's. They pass through the same router as those of the network.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;

use crate::auth::bearer::LinkBearer;
use crate::origin::{self, Peer};
use crate::{Api, router};

/// The API for callers in the process.
#[derive(Clone)]
pub struct InProcess(TowerToHyperService<Router>);

impl InProcess {
    /// The same routes and state as those of the network.
    pub fn new(api: Arc<Api>) -> InProcess {
        InProcess(TowerToHyperService::new(router(api)))
    }

    /// Answers a request. `from`: the address it is made for; `bearer`: set if it comes with a console link.
    pub async fn call(
        &self,
        request: Request<Bytes>,
        from: Option<IpAddr>,
        bearer: Option<LinkBearer>,
    ) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let mut request = Request::from_parts(parts, Body::from(body));
        request.extensions_mut().clear();
        if let Some(address) = from {
            request.extensions_mut().insert(Peer(address));
        }
        if let Some(bearer) = bearer {
            request.extensions_mut().insert(bearer);
        }
        let (parts, body) = match self.0.call(request).await {
            Ok(response) => response.into_parts(),
            Err(never) => match never {},
        };
        // Bodies of the API are complete; they cannot fail.
        let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Response::from_parts(parts, bytes)
    }
}

/// Address of the client of a request from the network, as far as the operator's own proxies tell it.
pub fn client_address(request: &http::Extensions, headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    Some(origin::address(request.get::<Peer>().copied()?, headers, proxies))
}
