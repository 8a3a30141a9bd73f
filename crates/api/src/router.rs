//! The table of contents: every address that the platform answers on.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use http::Uri;

use crate::refusal::{Refusal, because};
use crate::{
    Api, admin, docs, event_types, events, filters, health, ingest_akeneo, logs, management, metrics, requests,
    schemas, subscribers, subscriptions,
};

/// All routes. `HEAD` is answered as `GET`; what is not here is 404, another method 405 with `Allow`.
#[rustfmt::skip]
pub fn router(api: Arc<Api>) -> Router {
    let for_clients_of_pims = Router::new()
        .route("/api/v1/subscribers",                                   get(subscribers::list::list)
                                                                       .post(subscribers::create::create))
        .route("/api/v1/subscribers/{id}",                              get(subscribers::show::show)
                                                                       .patch(subscribers::update::update)
                                                                       .delete(subscribers::delete::delete))
        .route("/api/v1/subscribers/{id}/subscriptions",                get(subscriptions::list::list)
                                                                       .post(subscriptions::create::create))
        .route("/api/v1/subscribers/{id}/subscriptions/{sid}",          get(subscriptions::show::show)
                                                                       .patch(subscriptions::update::update)
                                                                       .delete(subscriptions::delete::delete))
        .route("/api/v1/subscribers/{id}/subscriptions/{sid}/suspend",  post(subscriptions::suspend::suspend))
        .route("/api/v1/subscribers/{id}/subscriptions/{sid}/resume",   post(subscriptions::resume::resume))
        .route("/api/v1/subscribers/{id}/subscriptions/{sid}/status",   get(subscriptions::status::status))
        .route("/api/v1/logs",                                          get(logs::list))
        .route("/api/v1/filters/check",                                 post(filters::check))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(api.clone(), management::admit));

    let for_producers = Router::new()
        .route("/api/v1/events",                                        post(events::accept))
        .route("/ingest/akeneo/{source}",                               post(ingest_akeneo::accept))
        .method_not_allowed_fallback(method_not_allowed);

    let for_the_operator = Router::new()
        .route("/api/v1/admin/pims",                                    get(admin::pims::list)
                                                                       .post(admin::pims::add))
        .route("/api/v1/admin/pims/{name}",                             get(admin::pims::show)
                                                                       .delete(admin::pims::remove))
        .route("/api/v1/admin/pims/{name}/keys",                        post(admin::keys::add))
        .route("/api/v1/admin/pims/{name}/keys/{prefix}",               delete(admin::keys::remove))
        .route("/api/v1/admin/clients",                                 get(admin::clients::list))
        .route("/api/v1/admin/clients/{client_id}/permission",          post(admin::clients::permission))
        .route("/api/v1/admin/clients/{client_id}/admission",           post(admin::clients::admission))
        .route("/api/v1/admin/subscriptions",                           get(admin::subscriptions::list))
        .route("/api/v1/admin/subscriptions/{id}/suspend",              post(admin::subscriptions::suspend))
        .route("/api/v1/admin/statistics",                              get(admin::statistics::show))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(api.clone(), admin::admit));

    let for_everybody = Router::new()
        .route("/api/v1/event-types",                                   get(event_types::list))
        .route("/spec/{file}",                                          get(schemas::show))
        .route("/docs/errors",                                          get(docs::index))
        .route("/docs/errors/{reason}",                                 get(docs::show))
        .route("/health/live",                                          get(health::live))
        .route("/health/ready",                                         get(health::ready))
        .route("/metrics",                                              get(metrics::show))
        .method_not_allowed_fallback(method_not_allowed);

    for_clients_of_pims
        .merge(for_producers)
        .merge(for_the_operator)
        .merge(for_everybody)
        .fallback(no_such_address)
        .layer(from_fn_with_state(api.clone(), requests::count))
        .with_state(api)
}

async fn no_such_address(uri: Uri) -> Refusal {
    Refusal::new(because::NO_SUCH_ADDRESS, format!("there is nothing at {}; the API is under /api/v1", uri.path()))
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(
        because::METHOD_NOT_ALLOWED,
        "this address does not have that method; the header Allow names those that it has",
    )
}
