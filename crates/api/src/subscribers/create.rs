//! `POST /subscribers`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::log_entry::Action;
use domain::subscriber::{Subscriber, SubscriberStatus};
use domain::{SubscriberId, Timestamp};
use http::StatusCode;
use store::{Change, Put};
use wire::api::subscriber;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing;
use crate::management::Sent;
use crate::refusal::Refusal;

/// A new subscriber, at most 20 active ones a PIM.
pub(crate) async fn create(State(api): State<Arc<Api>>, caller: Caller, sent: Sent) -> Result<Response, Refusal> {
    caller.must_be_permitted()?;
    let new = subscriber::parse_create(&sent.json()?, &api.rules(&caller.pim.url)).map_err(Refusal::invalid)?;
    let now = Timestamp::now();
    let subscriber = Subscriber {
        id: SubscriberId::generate(),
        owner: caller.owner.clone(),
        name: new.name,
        contact: new.contact,
        status: SubscriberStatus::Active,
        revision: 0,
        created_at: now,
        updated_at: now,
    };
    let answer = subscriber::render(&subscriber, &caller.pim.url);
    let entry = changing::entry(&caller.owner, subscriber.id, None, Action::SubscriberCreated, now);
    let change = Change { subscriber: Some(Put::New(subscriber)), entries: vec![entry], ..changing::change() };
    changing::make(api.catalog(), change).await?;
    Ok(json(StatusCode::CREATED, answer))
}
