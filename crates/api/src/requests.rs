//! Request counters by path template, so that callers cannot create counters.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use meter::{Counter, Counters, Histograms, Names, SHORT};

use crate::origin::{self, Peer};
use crate::{Api, events};

/// All templates of the router, busiest first, in search order.
const ROUTES: &[&str] = &[
    "/api/v1/events",
    "/ingest/akeneo/{source}",
    "/api/v1/subscribers",
    "/api/v1/subscribers/{id}",
    "/api/v1/subscribers/{id}/subscriptions",
    "/api/v1/subscribers/{id}/subscriptions/{sid}",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/suspend",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/resume",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/status",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/attempts",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/failures",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/events/{event_id}",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/replay",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/replays",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/replays/{rid}",
    "/api/v1/subscribers/{id}/subscriptions/{sid}/test",
    "/api/v1/subscriptions",
    "/api/v1/events/{event_id}",
    "/api/v1/traffic",
    "/api/v1/console-links",
    "/api/v1/logs",
    "/api/v1/filters/check",
    "/api/v1/admin/pims",
    "/api/v1/admin/pims/{name}",
    "/api/v1/admin/pims/{name}/keys",
    "/api/v1/admin/pims/{name}/keys/{prefix}",
    "/api/v1/admin/pims/{name}/clients/{client_id}/tokens",
    "/api/v1/admin/pims/{name}/clients/{client_id}/tokens/{prefix}",
    "/api/v1/admin/clients",
    "/api/v1/admin/clients/{client_id}/permission",
    "/api/v1/admin/clients/{client_id}/admission",
    "/api/v1/admin/subscriptions",
    "/api/v1/admin/subscriptions/{id}",
    "/api/v1/admin/subscriptions/{id}/suspend",
    "/api/v1/admin/troubled-subscriptions",
    "/api/v1/admin/traffic",
    "/api/v1/admin/cluster",
    "/api/v1/admin/statistics",
    "/api/v1/event-types",
    "/spec/{file}",
    "/openapi.json",
    "/",
    "/docs",
    "/docs/postman.json",
    "/docs/errors",
    "/docs/errors/{reason}",
    "/confirm/{token}",
    "/health/live",
    "/health/ready",
    "/metrics",
];

/// Place of the path of events.
const EVENTS: usize = 0;

/// Template of unknown paths.
const NO_ROUTE: &str = "none";

/// Template of all pages of the console.
const CONSOLE: &str = "/console";

/// Distinguished methods.
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "other"];

/// Distinguished status classes.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// A part of the API, as requests are counted: an audience, with those who collect metrics among the operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Surface {
    /// Events of producers.
    Ingest,
    /// The Events API of self-hosted PIMs.
    EventsApi,
    /// Clients of PIMs.
    Management,
    /// The operator.
    Operator,
    /// Everyone.
    Public,
    /// Browsers that show the console.
    Console,
}

impl Surface {
    fn of(route: &str, method: &str) -> Surface {
        match route {
            "/api/v1/events" if method != "GET" => Surface::Ingest,
            _ if route.starts_with("/ingest/") => Surface::EventsApi,
            _ if route.starts_with("/api/v1/admin/") || route == "/metrics" => Surface::Operator,
            "/api/v1/event-types" => Surface::Public,
            _ if route.starts_with("/api/v1/") => Surface::Management,
            _ => Surface::Public,
        }
    }
}

impl Names for Surface {
    const ALL: &'static [Surface] = &[
        Surface::Ingest,
        Surface::EventsApi,
        Surface::Management,
        Surface::Operator,
        Surface::Public,
        Surface::Console,
    ];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Surface::Ingest => "ingest",
            Surface::EventsApi => "events_api",
            Surface::Management => "management",
            Surface::Operator => "operator",
            Surface::Public => "public",
            Surface::Console => "console",
        }
    }
}

/// Answered requests.
#[derive(Debug)]
pub struct Requests {
    /// By route, method and status class, in this order.
    answered: Box<[Counter]>,
    /// Duration, from the end of a request's head to the head of its response.
    pub duration: Histograms<Surface>,
    /// Requests answered with 401.
    pub unauthorized: Counters<Surface>,
    /// Management requests beyond the client's rate.
    pub rate_limited: Counter,
}

impl Default for Requests {
    fn default() -> Requests {
        let places = (ROUTES.len() + 2) * METHODS.len() * CLASSES.len();
        Requests {
            answered: (0..places).map(|_| Counter::default()).collect(),
            duration: Histograms::new(SHORT),
            unauthorized: Counters::default(),
            rate_limited: Counter::default(),
        }
    }
}

/// Requests of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Path template, or `none`.
    pub route: &'static str,
    /// Method.
    pub method: &'static str,
    /// Status class, such as `2xx`.
    pub status: &'static str,
    /// Count.
    pub count: u64,
}

impl Requests {
    /// All kinds of requests that occurred.
    pub fn answered(&self) -> impl Iterator<Item = Answered> {
        let routes = ROUTES.iter().copied().chain([NO_ROUTE, CONSOLE]);
        let kinds = routes.flat_map(|route| {
            METHODS.iter().flat_map(move |method| CLASSES.iter().map(move |status| (route, *method, *status)))
        });
        kinds
            .zip(&self.answered)
            .filter(|(_, counter)| counter.get() > 0)
            .map(|((route, method, status), counter)| Answered { route, method, status, count: counter.get() })
    }

    fn count(&self, route: usize, method: usize, status: StatusCode, started: Instant) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(CLASSES.len() - 1);
        let place = (route * METHODS.len() + method) * CLASSES.len() + class;
        if let Some(counter) = self.answered.get(place) {
            counter.one();
        }
        let method = METHODS.get(method).copied().unwrap_or_default();
        let surface = match ROUTES.get(route) {
            Some(route) => Surface::of(route, method),
            None if route == ROUTES.len() => Surface::Public,
            None => Surface::Console,
        };
        self.duration.of(surface).observe(started.elapsed());
        if status == StatusCode::UNAUTHORIZED {
            self.unauthorized.of(surface).one();
        }
        if status == StatusCode::TOO_MANY_REQUESTS && surface == Surface::Management {
            self.rate_limited.one();
        }
    }
}

fn place(method: &Method) -> usize {
    match *method {
        Method::GET | Method::HEAD => 0,
        Method::POST => 1,
        Method::PATCH => 2,
        Method::DELETE => 3,
        _ => 4,
    }
}

/// Answers a request for a page of the console, and counts it. Its calls of the API are counted as such besides.
pub async fn count_console(api: &Api, request: Request, next: Next) -> Response {
    let (started, method) = (Instant::now(), place(request.method()));
    let response = next.run(request).await;
    api.counters.requests.count(ROUTES.len() + 1, method, response.status(), started);
    response
}

/// Whether this is a request of a producer: one per event, or few.
pub(crate) fn is_event<B>(request: &http::Request<B>) -> bool {
    request.method() == Method::POST && request.uri().path() == ROUTES[EVENTS]
}

/// Answers a request of a producer, and counts it.
pub(crate) async fn take_event(api: Arc<Api>, request: Request) -> Response {
    let started = Instant::now();
    let response = events::accept(State(Arc::clone(&api)), request).await.into_response();
    api.counters.requests.count(EVENTS, place(&Method::POST), response.status(), started);
    response
}

/// Answers a request with known origin, and counts it.
pub(crate) async fn count(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let peer = request.extensions().get::<Peer>().copied();
    let origin = origin::of_request(peer, request.headers(), &api.settings.trusted_proxies);
    request.extensions_mut().insert(origin);
    let matched = request.extensions().get::<MatchedPath>();
    let route =
        matched.and_then(|path| ROUTES.iter().position(|route| *route == path.as_str())).unwrap_or(ROUTES.len());
    let method = place(request.method());
    let response = next.run(request).await;
    api.counters.requests.count(route, method, response.status(), started);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Audience;
    use crate::router::contents;

    #[test]
    fn every_route_of_the_router_is_counted_by_its_template() {
        let mut routes: Vec<&str> =
            contents().iter().flat_map(|section| section.routes.iter().map(|route| route.path)).collect();
        let mut known = ROUTES.to_vec();
        routes.sort_unstable();
        // A path may have actions for several audiences.
        routes.dedup();
        known.sort_unstable();
        assert_eq!(routes, known);
    }

    #[test]
    fn requests_are_counted_by_kind() {
        let requests = Requests::default();
        let check = |route: usize, method: usize, status: u16, expect: (&str, &str, &str)| {
            requests.count(route, method, StatusCode::from_u16(status).unwrap(), Instant::now());
            let found = requests.answered().find(|kind| (kind.route, kind.method, kind.status) == expect);
            assert_eq!(found.map(|kind| kind.count), Some(1), "{expect:?}");
        };
        check(0, 1, 202, ("/api/v1/events", "POST", "2xx"));
        check(0, 1, 401, ("/api/v1/events", "POST", "4xx"));
        check(0, 0, 401, ("/api/v1/events", "GET", "4xx"));
        check(2, 0, 429, ("/api/v1/subscribers", "GET", "4xx"));
        check(ROUTES.len(), 4, 503, ("none", "other", "5xx"));
        check(ROUTES.len() + 1, 0, 303, ("/console", "GET", "3xx"));
        assert_eq!(requests.answered().count(), 6);
        assert_eq!(requests.duration.of(Surface::Console).measured().count, 1);
        assert_eq!(requests.unauthorized.of(Surface::Ingest).get(), 1);
        assert_eq!(requests.rate_limited.get(), 1);
        assert_eq!(requests.duration.of(Surface::Public).measured().count, 1);
    }

    #[test]
    fn every_surface_has_its_place() {
        for (index, surface) in Surface::ALL.iter().enumerate() {
            assert_eq!(surface.index(), index);
        }
        assert_eq!(Surface::of("/api/v1/admin/pims", "GET"), Surface::Operator);
        assert_eq!(Surface::of("/api/v1/logs", "GET"), Surface::Management);
        assert_eq!(Surface::of("/health/live", "GET"), Surface::Public);
        for section in contents() {
            let expect = match section.audience {
                Audience::Clients => Surface::Management,
                Audience::Producers => Surface::Ingest,
                Audience::SelfHostedPims => Surface::EventsApi,
                Audience::Operator | Audience::Monitoring => Surface::Operator,
                Audience::Everybody => Surface::Public,
            };
            for route in section.routes {
                for action in route.actions {
                    let method = action.method.to_ascii_uppercase();
                    assert_eq!(Surface::of(route.path, &method), expect, "{method} {}", route.path);
                }
            }
        }
    }
}
