//! The route table of the console.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};

use crate::Console;
use crate::pages::{
    actions, edit, event, events, failures, fate, filter, link, live, log, operated, overview, pim, pims, replays,
    sign_in, subscriber, subscribers, subscription, subscriptions, suspension, try_it,
};
use crate::visit::{Problem, through};

/// All pages, under `/console`.
#[rustfmt::skip]
pub fn router(console: Arc<Console>) -> Router {
    Router::new()
        .route("/console", get(overview::show))
        .route("/console/", get(async || Redirect::permanent("/console")))
        .route("/console/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/console/operator", get(sign_in::show_operator).post(sign_in::sign_in_operator))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/link", get(link::show).post(link::open))
        .route("/console/subscriptions", get(subscriptions::list))
        .route("/console/subscriptions/{sid}", get(operated::show))
        .route("/console/subscriptions/{sid}/suspend", get(suspension::ask).post(suspension::suspend))
        .route("/console/subscribers", get(subscribers::list))
        .route("/console/subscribers/new", get(subscriber::new).post(subscriber::create))
        .route("/console/subscribers/{id}", get(subscriber::show))
        .route("/console/subscribers/{id}/edit", get(subscriber::edit).post(subscriber::update))
        .route("/console/subscribers/{id}/delete", get(subscriber::ask_delete).post(subscriber::delete))
        .route("/console/subscribers/{id}/subscriptions/new", get(edit::new).post(edit::create))
        .route("/console/subscribers/{id}/subscriptions/{sid}", get(subscription::show))
        .route("/console/subscribers/{id}/subscriptions/{sid}/edit", get(edit::edit).post(edit::update))
        .route("/console/subscribers/{id}/subscriptions/{sid}/delete", get(actions::ask_delete).post(actions::delete))
        .route("/console/subscribers/{id}/subscriptions/{sid}/suspend", post(actions::suspend))
        .route("/console/subscribers/{id}/subscriptions/{sid}/resume", post(actions::resume))
        .route("/console/subscribers/{id}/subscriptions/{sid}/failures", get(failures::list))
        .route("/console/subscribers/{id}/subscriptions/{sid}/filter", get(filter::show))
        .route("/console/subscribers/{id}/subscriptions/{sid}/replays", get(replays::list).post(replays::start))
        .route("/console/subscribers/{id}/subscriptions/{sid}/replays/{rid}/cancel", post(replays::cancel))
        .route("/console/subscribers/{id}/subscriptions/{sid}/events/{event}", get(fate::show).post(fate::send_again))
        .route("/console/filters/check", post(filter::check))
        .route("/console/events", get(events::list))
        .route("/console/events/{event}", get(event::show))
        .route("/console/log", get(log::list))
        .route("/console/live", get(live::show))
        .route("/console/live/data", get(live::data))
        .route("/console/try", get(try_it::show).post(try_it::send))
        .route("/console/pims", get(pims::list))
        .route("/console/pims/new", get(pims::new).post(pims::create))
        .route("/console/pims/{name}", get(pim::show))
        .route("/console/pims/{name}/remove", get(pim::ask_remove).post(pim::remove))
        .route("/console/pims/{name}/keys", post(pim::add_key))
        .route("/console/pims/{name}/keys/{prefix}/revoke", get(pim::ask_revoke_key).post(pim::revoke_key))
        .route("/console/pims/{name}/clients/{client}", get(pims::client))
        .route("/console/pims/{name}/clients/{client}/permission", post(pims::permission))
        .route("/console/pims/{name}/clients/{client}/admission", post(pims::admission))
        .route("/console/pims/{name}/clients/{client}/tokens", post(pims::add_token))
        .route("/console/pims/{name}/clients/{client}/tokens/{prefix}/revoke", post(pims::revoke_token))
        .route("/console/assets/{file}", get(asset))
        .route("/console/{*unknown}", get(unknown).post(unknown))
        .layer(from_fn_with_state(console.clone(), through))
        .with_state(console)
}

async fn asset(State(console): State<Arc<Console>>, Path(file): Path<String>) -> Result<Response, Problem> {
    console.assets.serve(&file)
}

async fn unknown() -> Problem {
    Problem::Missing
}
