//! `POST /subscribers`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::SubscriberId;
use domain::log_entry::Action;
use domain::subscriber::{Confirmation, Subscriber, SubscriberStatus};
use http::StatusCode;
use store::{Change, Put};
use wire::api::subscriber;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{self, NotChanged, called, until_won};
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::subscribers::asked;
use wire::api::SUBSCRIBER_FAULTS;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "createSubscriber",
        "Create a subscriber",
        "An account for one PIM, with a technical contact. At most 20 active ones per PIM.",
    )
    .sends("NewSubscriber", r#"{"name":"My app","contact":{"technical_email":"dev@example.com"}}"#)
    .answers(201, "The subscriber.", Shown::One("Subscriber"))
    .invalid(SUBSCRIBER_FAULTS)
    .refuses(&[because::LIMIT_REACHED, because::EVENT_PLATFORM_FORBIDDEN, because::CONCURRENT_CHANGE])
    .then("showSubscriber", &[("id", "$response.body#/id")])
    .then("updateSubscriber", &[("id", "$response.body#/id")])
    .then("createSubscription", &[("id", "$response.body#/id")])
    .then("listSubscriptions", &[("id", "$response.body#/id")])
    .then("deleteSubscriber", &[("id", "$response.body#/id")])
}

/// Creates a subscriber, at most 20 active ones per PIM.
pub(crate) async fn create(State(api): State<Arc<Api>>, caller: Caller, sent: Sent) -> Result<Response, Refusal> {
    caller.must_be_permitted()?;
    let new = subscriber::parse_create(&sent.json()?, &api.rules(&caller.pim.url)).map_err(Refusal::invalid)?;
    let call = sent.call(StatusCode::CREATED);
    let now = api.clock.wall();
    let subscriber = Subscriber {
        id: SubscriberId::generate(),
        owner: caller.owner.clone(),
        name: new.name,
        contact: new.contact,
        confirmation: Confirmation::default(),
        status: SubscriberStatus::Active,
        revision: 0,
        created_at: now,
        updated_at: now,
    };
    let (subscriber, question) = asked(&api, subscriber, &caller.pim.url, now)?;
    until_won(|| async {
        let caller = caller.again(&api).await?;
        caller.must_be_permitted()?;
        let entry = changing::entry(&caller.owner, subscriber.id, None, Action::SubscriberCreated, now);
        let subscriber = Some(Put::New(subscriber.clone()));
        let change = Change { subscriber, question: question.clone(), entries: vec![entry], ..caller.change() };
        changing::make(api.store(), called(change, &call)).await?;
        Ok::<_, NotChanged>(())
    })
    .await?;
    Ok(json(StatusCode::CREATED, subscriber::render(&subscriber, &caller.pim.url)))
}
