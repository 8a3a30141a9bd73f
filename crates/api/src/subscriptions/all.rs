//! `GET /subscriptions`: all subscriptions of the caller with their delivery status, in one request.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::attempt::AttemptOutcome;
use domain::lane_status::LaneStatus;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Position, SubscriptionId, Timestamp};
use http::StatusCode;
use serde::Serialize;
use store::{StatusFilter, StoreError, SubscriptionQuery, Whose};
use wire::api::QUERY_FAULTS;
use wire::api::listed::{LISTED_QUERY, Listed, parse_listed};
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::refusal::{Refusal, because};
use crate::subscriptions::status::{Delivery, reason};

/// Given-up events of a subscription are counted up to this number.
const MOST_GIVEN_UP: u32 = 1_000;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "listOwnSubscriptions",
        "List all subscriptions of the client",
        "The subscriptions of all subscribers with their delivery status, oldest first.",
    )
    .query(LISTED_QUERY)
    .answers(200, "A page of subscriptions.", Shown::One("ListedSubscriptions"))
    .invalid(QUERY_FAULTS)
    .refuses(&[because::INTERNAL_ERROR])
}

/// Schemas of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "ListedSubscriptions",
        r##"{"type": "object", "required": ["items", "next"], "properties": {
          "items": {"type": "array", "items": {"$ref": "#/components/schemas/ListedSubscription"}},
          "next": {"type": ["string", "null"], "format": "uuid",
          "description": "`after` of the next page; `null` on the last page."}}}"##,
    ),
    (
        "ListedSubscription",
        r##"{"type": "object", "required": ["subscription", "reason", "suspended_at", "delivery", "lacks", "given_up"],
          "properties": {
          "subscription": {"$ref": "#/components/schemas/Subscription"},
          "reason": {"type": ["string", "null"],
          "description": "Reason why nothing is delivered; of a suspension by the operator, in the operator's words."},
          "suspended_at": {"type": ["string", "null"], "format": "date-time"},
          "delivery": {"description": "As in the subscription's own status, except that no event is read from the log: the backlog of a subscription that is far behind counts its events in memory, and is marked as more. `null` while nothing is delivered.",
          "oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Delivery"}]},
          "lacks": {"$ref": "#/components/schemas/Lacks"},
          "given_up": {"type": "integer", "maximum": 1000,
          "description": "Kept events that were given up and not delivered by a replay since, as far as its attempts are remembered. 1000 stands for at least as many."}}}"##,
    ),
];

/// A page of the caller's subscriptions.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = parse_listed(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let (subscriptions, next) = page(&api, &caller, asked).await?;
    let ids: Vec<SubscriptionId> = subscriptions.iter().map(|one| one.id).collect();
    // The engine first: what is given up in between is missing this once, rather than waiting and given up.
    let statuses = api.lanes.statuses(caller.owner.pim, ids.clone()).await?;
    let given_up = api.store().given_up(&caller.owner, &ids, MOST_GIVEN_UP).await?;
    let since = suspended_since(&api, &caller, &subscriptions).await?;
    let mut items = Vec::with_capacity(subscriptions.len());
    for ((one, lane), given_up) in subscriptions.iter().zip(statuses).zip(given_up) {
        let status = Status {
            reason: match one.status {
                SubscriptionStatus::Suspended(reason) => Some(super::in_full(&api, one, reason).await?),
                SubscriptionStatus::Active | SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => reason(one),
            },
            suspended_at: since.get(&one.id).map(Timestamp::to_string),
            lacks: lane.iter().flat_map(|lane: &LaneStatus| &lane.lacks).map(|lack| lack.as_str()).collect(),
            delivery: lane.map(Delivery::from),
            given_up: u64::from(given_up).saturating_sub(replayed(&api, one, given_up).await?),
        };
        let status = serde_json::to_string(&status).map_err(|error| {
            tracing::error!(%error, "could not serialise the status of a subscription");
            Refusal::new(because::INTERNAL_ERROR, "could not show the subscriptions")
        })?;
        let subscription = subscription::render(one, &caller.pim.url);
        items.push(format!(r#"{{"subscription":{subscription},{}"#, status.trim_start_matches('{')));
    }
    let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
    Ok(json(StatusCode::OK, format!(r#"{{"items":[{}],"next":{next}}}"#, items.join(","))))
}

#[derive(Serialize)]
struct Status {
    reason: Option<String>,
    suspended_at: Option<String>,
    delivery: Option<Delivery>,
    lacks: Vec<&'static str>,
    given_up: u64,
}

/// The subscriptions of a page, and the start of the next one. The bearer of a link sees those of its subscriber.
async fn page(
    api: &Api,
    caller: &Caller,
    asked: Listed,
) -> Result<(Vec<Subscription>, Option<SubscriptionId>), StoreError> {
    let query = SubscriptionQuery {
        of: Whose::owner(&caller.owner),
        status: asked.status.and_then(StatusFilter::named).unwrap_or_default(),
        destination_type: None,
        text: None,
        after: asked.after,
        limit: asked.limit,
    };
    let Some(only) = caller.only() else {
        let page = api.store().subscription_page(&query).await?;
        let next = page.last().map(|last| last.id);
        return Ok((page.items, next));
    };
    let mut own = api.store().subscriptions(only).await?;
    own.retain(|one| query.asks_for(one, "") && query.after.is_none_or(|after| one.id > after));
    own.sort_by_key(|one| one.id);
    let more = own.len() > query.limit;
    own.truncate(query.limit);
    let next = own.last().filter(|_| more).map(|last| last.id);
    Ok((own, next))
}

/// Since when those that are suspended have been.
async fn suspended_since(
    api: &Api,
    caller: &Caller,
    of: &[Subscription],
) -> Result<HashMap<SubscriptionId, Timestamp>, StoreError> {
    let is_suspended = |status: SubscriptionStatus| matches!(status, SubscriptionStatus::Suspended(_));
    if !of.iter().any(|one| is_suspended(one.status)) {
        return Ok(HashMap::new());
    }
    let histories = api.store().histories(&caller.owner).await?;
    let current = histories.iter().filter_map(|history| Some((history.subscription, history.eras.last()?)));
    Ok(current.filter(|(_, era)| is_suspended(era.status)).map(|(id, era)| (id, era.since)).collect())
}

/// Number of a subscription's given-up events that a replay delivered, by the attempts that are remembered.
async fn replayed(api: &Api, of: &Subscription, given_up: u32) -> Result<u64, Refusal> {
    if given_up == 0 {
        return Ok(0);
    }
    let attempts = api.deliveries.attempts(of).await?.attempts;
    let delivered = attempts.iter().filter(|one| one.replay.is_some() && one.outcome == AttemptOutcome::Delivered);
    let mut positions: Vec<Position> = delivered.map(|one| one.position).collect();
    positions.sort_unstable();
    positions.dedup();
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return Ok(0) };
    let (given_up, _) = api.store().exceptional(of.id, *first..last.next()).await?;
    Ok(given_up.iter().filter(|position| positions.binary_search(position).is_ok()).count() as u64)
}
