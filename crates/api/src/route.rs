//! Elements of the route table: sections, routes, actions.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::Api;
use crate::description::operation::Operation;

/// Audience of a part of the API, which determines the authentication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Audience {
    /// Connections and apps of PIMs.
    Clients,
    /// Producers of events, with the key of their source.
    Producers,
    /// PIMs that sign their requests.
    SelfHostedPims,
    /// The operator, with a key.
    Operator,
    /// Metrics collectors, with the metrics key or the operator key.
    Monitoring,
    /// Anyone.
    Everybody,
}

/// The paths for one audience.
pub(crate) struct Section {
    pub(crate) audience: Audience,
    pub(crate) routes: Vec<Route>,
}

impl Section {
    /// Whether it has actions on this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.routes.iter().any(|route| route.path == path)
    }
}

/// A path and its methods.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) actions: Vec<Action>,
}

/// An action.
pub(crate) struct Action {
    /// Lowercase.
    pub(crate) method: &'static str,
    pub(crate) about: fn() -> Operation,
    pub(crate) serve: MethodRouter<Arc<Api>>,
}

pub(crate) fn at<const N: usize>(path: &'static str, actions: [Action; N]) -> Route {
    Route { path, actions: actions.into() }
}

pub(crate) fn get<H: Handler<T, Arc<Api>>, T: 'static>(handler: H, about: fn() -> Operation) -> Action {
    Action { method: "get", about, serve: on(MethodFilter::GET, handler) }
}

pub(crate) fn post<H: Handler<T, Arc<Api>>, T: 'static>(handler: H, about: fn() -> Operation) -> Action {
    Action { method: "post", about, serve: on(MethodFilter::POST, handler) }
}

pub(crate) fn patch<H: Handler<T, Arc<Api>>, T: 'static>(handler: H, about: fn() -> Operation) -> Action {
    Action { method: "patch", about, serve: on(MethodFilter::PATCH, handler) }
}

pub(crate) fn delete<H: Handler<T, Arc<Api>>, T: 'static>(handler: H, about: fn() -> Operation) -> Action {
    Action { method: "delete", about, serve: on(MethodFilter::DELETE, handler) }
}
