//! What a table of contents is made of: sections, addresses, actions.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::Api;
use crate::description::operation::Operation;

/// Whom a part of the API is for; decides how they are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Audience {
    /// Connections and apps of PIMs.
    Clients,
    /// Those who send events, with the key of their source.
    Producers,
    /// PIMs that sign what they send.
    SelfHostedPims,
    /// The operator, with a key.
    Operator,
    /// Whoever collects metrics, with a key for them or the operator's.
    Monitoring,
    /// Anybody.
    Everybody,
}

/// The addresses for one audience.
pub(crate) struct Section {
    pub(crate) audience: Audience,
    pub(crate) routes: Vec<Route>,
}

/// An address, and what can be done there.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) actions: Vec<Action>,
}

/// What is done for a method.
pub(crate) struct Action {
    /// In lower case.
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
