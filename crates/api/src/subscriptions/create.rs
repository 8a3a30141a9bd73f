//! `POST /subscribers/{id}/subscriptions`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::destination::Destination;
use domain::log_entry::Action;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Position, SubscriptionId};
use http::StatusCode;
use store::{Change, Put};
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{self, called, until_won};
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::{subscribers, subscriptions};
use wire::api::SUBSCRIPTION_FAULTS;

/// Public description.
pub(crate) fn about() -> Operation {
    const BOTH: &[(&str, &str)] = &[("id", "$request.path.id"), ("sid", "$response.body#/id")];
    Operation::new(
        "createSubscription",
        "Create a subscription",
        "Delivers selected events to one destination. At most 20 active or suspended ones per subscriber. In effect \
         when the call \
         returns: events accepted from then on are delivered.",
    )
    .sends(
        "NewSubscription",
        r#"{"type":"https","events":["com.akeneo.pim.v1.product.created","com.akeneo.pim.v1.product.updated.delta"],"filter":"not user=\"system\"","config":{"url":"https://app.example.com/events","secret":{"primary":"my_primary_secret"}}}"#,
    )
    .answers(201, "The subscription with masked secrets.", Shown::One("Subscription"))
    .invalid(SUBSCRIPTION_FAULTS)
    .refuses(&[
        because::NOT_FOUND,
        because::SUBSCRIBER_REVOKED,
        because::LIMIT_REACHED,
        because::EVENT_PLATFORM_FORBIDDEN,
        because::CONCURRENT_CHANGE,
        because::UPGRADE_IN_PROGRESS,
    ])
    .then("showSubscription", BOTH)
    .then("updateSubscription", BOTH)
    .then("suspendSubscription", BOTH)
    .then("resumeSubscription", BOTH)
    .then("showStatus", BOTH)
    .then("deleteSubscription", BOTH)
}

/// Creates a subscription, at most 20 active or suspended ones per subscriber.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(id): At<String>,
    sent: Sent,
) -> Result<Response, Refusal> {
    subscribers::find(&api, &caller, &id).await?;
    caller.must_be_permitted()?;
    let body = sent.json()?;
    let new = subscription::parse_create(&body, &api.rules(&caller.pim.url)).map_err(Refusal::invalid)?;
    must_be_readable(&api, &new.destination).await?;
    let call = sent.call(StatusCode::CREATED);
    let sid = SubscriptionId::generate();
    let created: Subscription = until_won(|| async {
        let caller = caller.again(&api).await?;
        caller.must_be_permitted()?;
        let subscriber = subscribers::find(&api, &caller, &id).await?;
        subscribers::must_be_active(&subscriber)?;
        let now = api.clock.wall();
        let subscription = Subscription {
            id: sid,
            subscriber_id: subscriber.id,
            pim: caller.owner.pim,
            client_id: caller.owner.client_id.clone(),
            selection: new.selection.clone(),
            past_selections: vec![],
            lane_since: Position::FIRST,
            destination: new.destination.clone(),
            send_product_identifier: new.send_product_identifier,
            options: new.options,
            status: SubscriptionStatus::Active,
            // The store stamps both.
            status_since: Position::FIRST,
            generation: 0,
            revision: 0,
            created_at: now,
            updated_at: now,
        };
        let entry = changing::entry(&caller.owner, subscriber.id, Some(sid), Action::SubscriptionCreated, now);
        let change = Change { subscriptions: vec![Put::New(subscription)], entries: vec![entry], ..caller.change() };
        subscriptions::make(&api, called(change, &call)).await
    })
    .await?;
    Ok(json(StatusCode::CREATED, subscription::render(&created, &caller.pim.url)))
}

/// During an upgrade, the next owner of the shard may be an older node.
async fn must_be_readable(api: &Api, destination: &Destination) -> Result<(), Refusal> {
    let descriptor = destination.descriptor();
    if descriptor.format <= api.nodes.reads().await? {
        return Ok(());
    }
    let message = format!(
        "destinations of type {} are available once all nodes of the platform are upgraded; try again later",
        descriptor.name
    );
    Err(Refusal::new(because::UPGRADE_IN_PROGRESS, message))
}
