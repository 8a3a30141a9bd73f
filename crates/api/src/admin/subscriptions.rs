//! `/api/v1/admin/subscriptions`: subscriptions across tenants.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::backlog::Of;
use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ClientId, SubscriptionId};
use http::StatusCode;
use serde_json::{Value, json};
use store::{StatusFilter, SubscriptionQuery, Whose, transition};
use wire::api::admin as bodies;

use super::{PAGE, answer};
use crate::Api;
use crate::changing::{self, until_won};
use crate::deliveries::Gathered;
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::status::Delivery;
use crate::subscriptions::{self, attempts, must_not_be_revoked};
use crate::traffic::shown_backlog;
use wire::api::{ADMIN_FAULTS, QUERY_FAULTS};

/// Maximum number of subscriptions in trouble.
const MOST_TROUBLED: usize = 50;

/// `pim`: the name of its PIM, if that is still registered.
async fn shown(api: &Api, one: &Subscription, pim: Option<&str>) -> Result<Value, Refusal> {
    let reason = match one.status {
        SubscriptionStatus::Suspended(reason) => Some(subscriptions::in_full(api, one, reason).await?),
        SubscriptionStatus::Active | SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => None,
    };
    Ok(json!({
        "id": one.id.to_string(),
        "pim": pim,
        "client_id": one.client_id.0,
        "subscriber_id": one.subscriber_id.to_string(),
        "type": one.destination.of_type().name(),
        "destination": one.destination.to_string(),
        "events": one.selection.events.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "status": one.status.to_string(),
        "reason": reason,
        "created_at": one.created_at.to_string(),
        "updated_at": one.updated_at.to_string(),
    }))
}

/// Public description.
pub(crate) fn about_list() -> Operation {
    Operation::new("listAllSubscriptions", "List subscriptions across tenants", "Oldest first, 100 per page.")
        .query(bodies::SUBSCRIPTIONS_QUERY)
        .answers(200, "A page of subscriptions.", Shown::One("OperatorSubscriptionList"))
        .invalid(QUERY_FAULTS)
        .then("suspendAnySubscription", &[("id", "$response.body#/items/0/id")])
}

/// Public description.
pub(crate) fn about_show() -> Operation {
    Operation::new(
        "showAnySubscription",
        "Show any subscription",
        "With its delivery status and counts of outcomes over 24 hours.",
    )
    .answers(200, "The subscription.", Shown::One("OperatorSubscriptionStatus"))
    .refuses(&[because::NOT_FOUND, because::NODE_UNAVAILABLE])
}

/// Public description.
pub(crate) fn about_troubled() -> Operation {
    Operation::new(
        "listTroubledSubscriptions",
        "List subscriptions in trouble",
        "Active subscriptions that are behind (an event has waited for a minute) or failing (less than 95 % of the \
         last hour's deliveries succeeded), at most 50: those with most failures first, then the oldest backlogs.",
    )
    .answers(200, "The subscriptions.", Shown::One("TroubledSubscriptions"))
}

/// Public description.
pub(crate) fn about_suspend() -> Operation {
    Operation::new(
        "suspendAnySubscription",
        "Suspend any subscription",
        "The owner is notified with the given reason and can resume the subscription.",
    )
    .sends("OperatorSuspension", r#"{"reason":"floods our proxy"}"#)
    .answers(200, "The updated subscription.", Shown::One("OperatorSubscription"))
    .invalid(ADMIN_FAULTS)
    .refuses(&[
        because::NOT_FOUND,
        because::ALREADY_SUSPENDED,
        because::SUBSCRIPTION_REVOKED,
        because::CONCURRENT_CHANGE,
    ])
}

/// Schemas of the responses; `DESTINATION_TYPES` stands for the list of their names.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "OperatorSubscription",
        r##"{"type": "object", "required": ["id", "pim", "client_id", "subscriber_id", "type", "destination", "events",
            "status", "reason", "created_at", "updated_at"], "properties": {
          "id": {"type": "string", "format": "uuid"}, "pim": {"type": ["string", "null"],
          "description": "`null`: no longer registered."},
          "client_id": {"type": "string"}, "subscriber_id": {"type": "string", "format": "uuid"},
          "type": {"enum": DESTINATION_TYPES}, "destination": {"type": "string"},
          "events": {"type": "array", "items": {"type": "string"}},
          "status": {"enum": ["active", "suspended", "revoked", "deleted"]},
          "reason": {"type": ["string", "null"], "description": "Reason of the suspension."},
          "created_at": {"type": "string", "format": "date-time"},
          "updated_at": {"type": "string", "format": "date-time"}}}"##,
    ),
    (
        "OperatorSubscriptionStatus",
        r##"{"type": "object", "required": ["subscription", "delivery", "counts", "backlog"], "properties": {
          "subscription": {"$ref": "#/components/schemas/OperatorSubscription"},
          "delivery": {"description": "`null` while nothing is delivered.", "oneOf": [{"type": "null"},
          {"$ref": "#/components/schemas/Delivery"}]},
          "counts": {"type": "array", "items": {"$ref": "#/components/schemas/OutcomeCounts"},
          "description": "Outcomes of the last 24 hours, in steps of 5 minutes, oldest first; steps without any are left out."},
          "backlog": {"type": "array", "items": {"$ref": "#/components/schemas/BacklogStep"},
          "description": "The backlog over the last 24 hours, oldest first; steps in which the subscription kept up are left out. It is kept in memory, so a restart forgets it."}}}"##,
    ),
    (
        "TroubledSubscriptions",
        r##"{"type": "object", "required": ["items", "missing_shards"], "properties": {
          "missing_shards": {"type": "array", "items": {"type": "integer"},
          "description": "Shards whose node did not answer: their subscriptions are not listed. Empty in normal operation."},
          "items": {"type": "array", "maxItems": 50,
            "items": {"type": "object", "required": ["subscription", "failing", "backlog", "backlog_is_at_least",
            "oldest_accepted_at", "last_hour"], "properties": {
              "subscription": {"$ref": "#/components/schemas/OperatorSubscription"},
              "failing": {"type": "boolean"},
              "backlog": {"type": "integer"}, "backlog_is_at_least": {"type": "boolean"},
              "oldest_accepted_at": {"type": ["string", "null"], "format": "date-time"},
              "last_hour": {"type": "object", "required": ["delivered", "failed"], "properties": {
                "delivered": {"type": "integer"}, "failed": {"type": "integer"}}}}}}}}"##,
    ),
    (
        "OperatorSubscriptionList",
        r##"{"type": "object", "required": ["items", "next"], "properties": {"items": {"type": "array",
            "items": {"$ref": "#/components/schemas/OperatorSubscription"}},
          "next": {"type": ["string", "null"],
          "description": "`after` of the next page; `null` on the last page."}}}"##,
    ),
];

/// A page of subscriptions, oldest first, filtered by `pim`, `client_id` and `status`; deleted ones only on request.
pub(crate) async fn list(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let query = bodies::parse_subscriptions_query(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let pim = match &query.pim {
        None => None,
        Some(name) => match api.store().pim_named(name).await? {
            Some(pim) => Some(pim.id),
            None => return answer(StatusCode::OK, &json!({"items": [], "next": null})),
        },
    };
    let query = SubscriptionQuery {
        of: Whose { pim, client_id: query.client_id.map(ClientId) },
        status: query.status.and_then(StatusFilter::named).unwrap_or_default(),
        destination_type: None,
        text: query.text,
        after: query.after,
        limit: PAGE,
    };
    let page = api.store().subscription_page(&query).await?;
    let names = api.store().pim_names(page.items.iter().map(|one| one.pim).collect()).await?;
    let next = page.last().map(|last| last.id.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    for one in &page.items {
        items.push(shown(&api, one, names.get(&one.pim).map(String::as_str)).await?);
    }
    answer(StatusCode::OK, &json!({"items": items, "next": next}))
}

/// A subscription with the name of its PIM.
async fn with_pim(api: &Api, one: &Subscription) -> Result<Value, Refusal> {
    let pim = api.store().pim(one.pim).await?;
    shown(api, one, pim.as_ref().map(|pim| pim.name.as_str())).await
}

/// One subscription, with its status.
pub(crate) async fn show(State(api): State<Arc<Api>>, At(id): At<String>) -> Result<Response, Refusal> {
    let not_found = || Refusal::not_found("subscription");
    let id = SubscriptionId::parse(&id).ok_or_else(not_found)?;
    let one = api.store().subscription(id).await?.ok_or_else(not_found)?;
    let subscription = with_pim(&api, &one).await?;
    let delivery = api.lanes.status(&one).await?.map(Delivery::from);
    let counts = attempts::counts(&api, &one.owner(), vec![one.id]).await?;
    let backlog = api.deliveries.backlog(Of::These(one.pim, vec![one.id])).await.complete()?;
    let counts: Vec<Value> = counts
        .iter()
        .map(|step| {
            json!({
                "from": step.from.to_string(), "delivered": step.delivered, "failed": step.failed,
                "throttled": step.throttled,
            })
        })
        .collect();
    answer(
        StatusCode::OK,
        &json!({"subscription": subscription, "delivery": delivery, "counts": counts,
        "backlog": shown_backlog(&backlog)}),
    )
}

/// Active subscriptions that are behind or failing, the worst first.
pub(crate) async fn troubled(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let mut items = Vec::new();
    let Gathered { all, missing } = api.deliveries.troubled(MOST_TROUBLED).await;
    for trouble in all {
        // It may have been deleted in between.
        let Some(one) = api.store().subscription(trouble.subscription).await? else { continue };
        let subscription = with_pim(&api, &one).await?;
        items.push(json!({
            "subscription": subscription,
            "failing": trouble.is_failing(),
            "backlog": trouble.backlog,
            "backlog_is_at_least": trouble.backlog_at_least,
            "oldest_accepted_at": trouble.oldest_accepted_at.map(|at| at.to_string()),
            "last_hour": {"delivered": trouble.delivered, "failed": trouble.failed},
        }));
    }
    answer(StatusCode::OK, &json!({"items": items, "missing_shards": missing}))
}

/// Suspends a subscription; the owner is notified with the reason.
pub(crate) async fn suspend(State(api): State<Arc<Api>>, At(id): At<String>, sent: Sent) -> Result<Response, Refusal> {
    let reason = bodies::parse_suspension(&sent.json()?).map_err(Refusal::invalid)?;
    let not_found = || Refusal::not_found("subscription");
    let id = SubscriptionId::parse(&id).ok_or_else(not_found)?;
    let suspended = until_won(|| async {
        let current = api.store().subscription(id).await?;
        let current = current.filter(|one| one.status != SubscriptionStatus::Deleted).ok_or_else(not_found)?;
        must_not_be_revoked(&current)?;
        if !current.status.is_active() {
            return Err(Refusal::new(because::ALREADY_SUSPENDED, "the subscription is already suspended").into());
        }
        let pim = api.store().pim(current.pim).await?;
        let pim_url = pim.as_ref().map_or("", |pim| pim.url.as_str());
        let mut change = changing::change();
        transition::suspend(&mut change, current, SuspensionReason::Operator, pim_url, api.clock.wall());
        transition::remark(&mut change, &reason);
        transition::say_if_frequent(api.store(), &mut change, api.settings.frequent).await?;
        subscriptions::make(&api, change).await
    });
    let suspended: Subscription = suspended.await?;
    tracing::warn!(subscription.id = %id, %reason, "operator suspended a subscription");
    let pim = api.store().pim(suspended.pim).await?;
    answer(StatusCode::OK, &shown(&api, &suspended, pim.as_ref().map(|pim| pim.name.as_str())).await?)
}
