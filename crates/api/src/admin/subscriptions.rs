//! `/api/v1/admin/subscriptions`: subscriptions across tenants.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::outcome::SuspensionReason;
use domain::pim::Pim;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{SubscriptionId, Timestamp};
use http::StatusCode;
use serde_json::{Value, json};
use store::transition;
use wire::api::admin as bodies;
use wire::fault::code;

use super::{answer, at, name_of};
use crate::Api;
use crate::changing::{self, until_won};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{self, must_not_be_revoked};

/// Items of a page.
const LIMIT: usize = 100;

/// Which ones.
#[derive(Default)]
struct Query {
    pim: Option<String>,
    client_id: Option<String>,
    status: Option<String>,
    after: Option<SubscriptionId>,
}

impl Query {
    fn parse(text: &str) -> Result<Query, Refusal> {
        let mut query = Query::default();
        for (name, value) in text.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name, value.to_owned())
        }) {
            match name {
                "pim" => query.pim = Some(value),
                "client_id" => query.client_id = Some(value),
                "status" if ["active", "suspended", "revoked", "deleted"].contains(&value.as_str()) => {
                    query.status = Some(value);
                }
                "status" => {
                    return Err(at("status", code::INVALID_VALUE, "one of active, suspended, revoked, deleted"));
                }
                "after" => match SubscriptionId::parse(&value) {
                    Some(id) => query.after = Some(id),
                    None => return Err(at("after", code::INVALID_VALUE, "the `next` of the page before")),
                },
                other => {
                    let message = format!("{other:?} is none of pim, client_id, status, after");
                    return Err(at(other, code::UNKNOWN_FIELD, message));
                }
            }
        }
        Ok(query)
    }

    fn asks_for(&self, one: &Subscription, pims: &[Pim]) -> bool {
        let status = one.status.to_string();
        self.pim.as_deref().is_none_or(|name| name_of(pims, one.pim) == Some(name))
            && self.client_id.as_deref().is_none_or(|id| one.client_id.0 == id)
            && self.status.as_deref().map_or(one.status != SubscriptionStatus::Deleted, |wanted| wanted == status)
            && self.after.is_none_or(|after| one.id > after)
    }
}

fn shown(one: &Subscription, pims: &[Pim]) -> Value {
    let reason = match one.status {
        SubscriptionStatus::Suspended(reason) => Some(reason.to_string()),
        SubscriptionStatus::Active | SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => None,
    };
    json!({
        "id": one.id.to_string(),
        "pim": name_of(pims, one.pim),
        "client_id": one.client_id.0,
        "subscriber_id": one.subscriber_id.to_string(),
        "type": one.destination.type_name(),
        "destination": one.destination.to_string(),
        "events": one.selection.events.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "status": one.status.to_string(),
        "reason": reason,
        "created_at": one.created_at.to_string(),
        "updated_at": one.updated_at.to_string(),
    })
}

/// A page of them, oldest first; `pim`, `client_id` and `status` choose, deleted ones only where they are asked for.
pub(crate) async fn list(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let query = Query::parse(query.as_deref().unwrap_or_default())?;
    let pims = api.catalog().pims().await?;
    let (_, mut all) = api.catalog().changed_since(0).await?;
    all.retain(|one| query.asks_for(one, &pims));
    all.sort_by_key(|one| one.id);
    let next = all.get(LIMIT).and_then(|_| all.get(LIMIT - 1)).map(|last| last.id.to_string());
    let items: Vec<_> = all.iter().take(LIMIT).map(|one| shown(one, &pims)).collect();
    answer(StatusCode::OK, &json!({"items": items, "next": next}))
}

/// Suspends one, with a reason that its owner is told.
pub(crate) async fn suspend(State(api): State<Arc<Api>>, At(id): At<String>, sent: Sent) -> Result<Response, Refusal> {
    let reason = bodies::parse_suspension(&sent.json()?).map_err(Refusal::invalid)?;
    let not_found = || Refusal::not_found("subscription");
    let id = SubscriptionId::parse(&id).ok_or_else(not_found)?;
    let pims = api.catalog().pims().await?;
    let suspended = until_won(|| async {
        let current = api.catalog().subscription(id).await?;
        let current = current.filter(|one| one.status != SubscriptionStatus::Deleted).ok_or_else(not_found)?;
        must_not_be_revoked(&current)?;
        if !current.status.is_active() {
            return Err(Refusal::new(because::ALREADY_SUSPENDED, "the subscription is suspended already").into());
        }
        let subject = pims.iter().find(|pim| pim.id == current.pim).map_or("", |pim| pim.url.as_str());
        let mut change = changing::change();
        transition::suspend(&mut change, current, SuspensionReason::Operator, subject, Timestamp::now());
        transition::remark(&mut change, &reason);
        transition::say_if_frequent(api.catalog(), &mut change, api.settings.frequent).await?;
        subscriptions::make(&api, change).await
    });
    let suspended: Subscription = suspended.await?;
    tracing::warn!(subscription.id = %id, %reason, "the operator suspended a subscription");
    answer(StatusCode::OK, &shown(&suspended, &pims))
}
