//! The route table: all paths of the platform. Both the router and the description of the API are built from it, so
//! neither can have paths that the other lacks.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use http::Uri;

use crate::refusal::{Refusal, because};
use crate::route::{Audience, Route, Section, at, delete, get, patch, post};
use crate::{
    Api, admin, confirm, console_links, description, docs, event_types, events, filters, health, ingest_akeneo, kept,
    logs, management, metrics, requests, schemas, subscribers, subscriptions, traffic,
};

/// All paths.
#[rustfmt::skip]
pub(crate) fn contents() -> Vec<Section> {
    vec![
        Section { audience: Audience::Clients, routes: vec![
            at("/api/v1/subscribers", [
                get(subscribers::list::list, subscribers::list::about),
                post(subscribers::create::create, subscribers::create::about),
            ]),
            at("/api/v1/subscribers/{id}", [
                get(subscribers::show::show, subscribers::show::about),
                patch(subscribers::update::update, subscribers::update::about),
                delete(subscribers::delete::delete, subscribers::delete::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions", [
                get(subscriptions::list::list, subscriptions::list::about),
                post(subscriptions::create::create, subscriptions::create::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}", [
                get(subscriptions::show::show, subscriptions::show::about),
                patch(subscriptions::update::update, subscriptions::update::about),
                delete(subscriptions::delete::delete, subscriptions::delete::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/replay", [
                post(subscriptions::replays::start::start, subscriptions::replays::start::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/replays", [
                get(subscriptions::replays::list::list, subscriptions::replays::list::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/replays/{rid}", [
                get(subscriptions::replays::show::show, subscriptions::replays::show::about),
                delete(subscriptions::replays::cancel::cancel, subscriptions::replays::cancel::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/test", [
                post(subscriptions::test_event::send, subscriptions::test_event::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/suspend", [
                post(subscriptions::suspend::suspend, subscriptions::suspend::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/resume", [
                post(subscriptions::resume::resume, subscriptions::resume::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/status", [
                get(subscriptions::status::status, subscriptions::status::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/attempts", [
                get(subscriptions::attempts::list, subscriptions::attempts::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/failures", [
                get(subscriptions::failures::list, subscriptions::failures::about),
            ]),
            at("/api/v1/subscribers/{id}/subscriptions/{sid}/events/{event_id}", [
                get(subscriptions::fate::show, subscriptions::fate::about),
            ]),
            at("/api/v1/subscriptions", [get(subscriptions::all::list, subscriptions::all::about)]),
            at("/api/v1/events", [get(kept::list::list, kept::list::about)]),
            at("/api/v1/events/{event_id}", [get(kept::show::show, kept::show::about)]),
            at("/api/v1/traffic", [get(traffic::show, traffic::about)]),
            at("/api/v1/console-links", [post(console_links::create, console_links::about)]),
            at("/api/v1/logs", [get(logs::list, logs::about)]),
            at("/api/v1/filters/check", [post(filters::check, filters::about)]),
        ]},
        Section { audience: Audience::Producers, routes: vec![
            at("/api/v1/events", [post(events::accept, events::about)]),
        ]},
        Section { audience: Audience::SelfHostedPims, routes: vec![
            at("/ingest/akeneo/{source}", [post(ingest_akeneo::accept, ingest_akeneo::about)]),
        ]},
        Section { audience: Audience::Operator, routes: vec![
            at("/api/v1/admin/pims", [
                get(admin::pims::list, admin::pims::about_list),
                post(admin::pims::add, admin::pims::about_add),
            ]),
            at("/api/v1/admin/pims/{name}", [
                get(admin::pims::show, admin::pims::about_show),
                delete(admin::pims::remove, admin::pims::about_remove),
            ]),
            at("/api/v1/admin/pims/{name}/keys", [post(admin::keys::add, admin::keys::about_add)]),
            at("/api/v1/admin/pims/{name}/keys/{prefix}", [delete(admin::keys::remove, admin::keys::about_remove)]),
            at("/api/v1/admin/pims/{name}/clients/{client_id}/tokens", [
                get(admin::tokens::list, admin::tokens::about_list),
                post(admin::tokens::add, admin::tokens::about_add),
            ]),
            at("/api/v1/admin/pims/{name}/clients/{client_id}/tokens/{prefix}", [
                delete(admin::tokens::remove, admin::tokens::about_remove),
            ]),
            at("/api/v1/admin/clients", [get(admin::clients::list, admin::clients::about_list)]),
            at("/api/v1/admin/clients/{client_id}/permission", [
                post(admin::clients::permission, admin::clients::about_permission),
            ]),
            at("/api/v1/admin/clients/{client_id}/admission", [
                post(admin::clients::admission, admin::clients::about_admission),
            ]),
            at("/api/v1/admin/subscriptions", [get(admin::subscriptions::list, admin::subscriptions::about_list)]),
            at("/api/v1/admin/subscriptions/{id}", [
                get(admin::subscriptions::show, admin::subscriptions::about_show),
            ]),
            at("/api/v1/admin/troubled-subscriptions", [
                get(admin::subscriptions::troubled, admin::subscriptions::about_troubled),
            ]),
            at("/api/v1/admin/subscriptions/{id}/suspend", [
                post(admin::subscriptions::suspend, admin::subscriptions::about_suspend),
            ]),
            at("/api/v1/admin/traffic", [get(admin::traffic::show, admin::traffic::about)]),
            at("/api/v1/admin/cluster", [get(admin::cluster::show, admin::cluster::about)]),
            at("/api/v1/admin/statistics", [get(admin::statistics::show, admin::statistics::about)]),
        ]},
        Section { audience: Audience::Monitoring, routes: vec![
            at("/metrics", [get(metrics::show, metrics::about)]),
        ]},
        Section { audience: Audience::Everybody, routes: vec![
            at("/api/v1/event-types", [get(event_types::list, event_types::about)]),
            at("/spec/{file}", [get(schemas::show, schemas::about)]),
            at("/openapi.json", [get(description::openapi, description::about_openapi)]),
            at("/", [get(docs::home, docs::about_home)]),
            at("/docs", [get(description::docs, description::about_docs)]),
            at("/docs/postman.json", [get(description::postman, description::about_postman)]),
            at("/docs/errors", [get(docs::index, docs::about_index)]),
            at("/docs/errors/{reason}", [get(docs::show, docs::about)]),
            at("/confirm/{token}", [
                get(confirm::show, confirm::about_show),
                post(confirm::confirm, confirm::about_confirm),
            ]),
            at("/health/live", [get(health::live, health::about_live)]),
            at("/health/ready", [get(health::ready, health::about_ready)]),
        ]},
    ]
}

/// All routes. `HEAD` is answered like `GET`; unknown paths are 404, other methods 405 with `Allow`.
pub fn router(api: Arc<Api>) -> Router {
    let mut all = Router::new();
    let contents = contents();
    let last_of = |path: &str| contents.iter().rposition(|section| section.has(path));
    // Of a path with actions for several audiences, other methods are answered in its last section.
    let last: Vec<Vec<bool>> = (0..contents.len())
        .map(|index| contents[index].routes.iter().map(|route| last_of(route.path) == Some(index)).collect())
        .collect();
    for (Section { audience, routes }, last) in contents.into_iter().zip(last) {
        let (mut whole, mut shared) = (Router::new(), Router::new());
        for (Route { path, actions }, last) in routes.into_iter().zip(last) {
            let served = actions.into_iter().fold(MethodRouter::new(), |all, action| all.merge(action.serve));
            if last {
                whole = whole.route(path, served);
            } else {
                shared = shared.route(path, served);
            }
        }
        let section = whole.method_not_allowed_fallback(method_not_allowed).merge(shared);
        all = all.merge(match audience {
            Audience::Clients => section.route_layer(from_fn_with_state(api.clone(), management::admit)),
            Audience::Operator => section.route_layer(from_fn_with_state(api.clone(), admin::admit)),
            // Authenticated where their bodies are read, because these are signed or large.
            Audience::Producers | Audience::SelfHostedPims => section,
            Audience::Monitoring | Audience::Everybody => section,
        });
    }
    all.fallback(no_such_address).layer(from_fn_with_state(api.clone(), requests::count)).with_state(api)
}

async fn no_such_address(uri: Uri) -> Refusal {
    Refusal::new(
        because::NO_SUCH_ADDRESS,
        format!("unknown path {}; the API is under /api/v1, its description at /docs", uri.path()),
    )
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(
        because::METHOD_NOT_ALLOWED,
        "this path does not support the method; the header Allow lists the supported ones",
    )
}
