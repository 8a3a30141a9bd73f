//! `/subscribers/{id}/subscriptions/{sid}/replays`: kept events, delivered once more.

pub(crate) mod cancel;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod start;

use domain::replay::{Replay, ReplayStatus};
use domain::{ReplayId, SubscriptionId};

use crate::Api;
use crate::changing::NotChanged;
use crate::refusal::Refusal;

/// The replay of a subscription with this id. Unknown and invalid ids are 404.
async fn find(api: &Api, subscription: SubscriptionId, rid: &str) -> Result<Replay, Refusal> {
    let missing = || Refusal::not_found("replay");
    let id = ReplayId::parse(rid).ok_or_else(missing)?;
    api.store().replay(subscription, id).await?.ok_or_else(missing)
}

/// The replay that is running for a subscription.
async fn running(api: &Api, subscription: SubscriptionId) -> Result<Option<Replay>, NotChanged> {
    let replays = api.store().replays(subscription).await?;
    Ok(replays.into_iter().find(|replay| replay.status == ReplayStatus::Running))
}
