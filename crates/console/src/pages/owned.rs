//! What belongs to whoever is signed in: subscribers with their subscriptions.

use futures_util::future::join_all;
use maud::{Markup, html};
use serde_json::Value;

use super::destination;
use crate::answer::Look;
use crate::query::encoded;
use crate::session::Who;
use crate::visit::{Problem, Visit};
use crate::words;

/// Maximum number of status requests for one page.
pub(crate) const MOST_ASKED: usize = 25;

/// A subscriber with its subscriptions.
pub(crate) struct Owned {
    pub(crate) subscriber: Value,
    pub(crate) subscriptions: Vec<Value>,
}

/// All subscribers, with their subscriptions. A client has at most 20 subscribers with 20 subscriptions each, besides
/// revoked ones.
pub(crate) async fn all(visit: &Visit) -> Result<Vec<Owned>, Problem> {
    let subscribers = match visit.who() {
        Who::Link { grant, .. } => {
            vec![visit.get(&format!("/api/v1/subscribers/{}", encoded(&grant.subscriber))).await?]
        }
        _ => visit.get("/api/v1/subscribers").await?.list("").to_vec(),
    };
    let lists = subscribers.iter().map(|subscriber| async move {
        visit.get(&format!("/api/v1/subscribers/{}/subscriptions", encoded(subscriber.text("/id")))).await
    });
    let lists = join_all(lists).await;
    let mut all = Vec::new();
    for (subscriber, list) in subscribers.into_iter().zip(lists) {
        all.push(Owned { subscriber, subscriptions: list?.list("").to_vec() });
    }
    Ok(all)
}

/// Options of a choice among subscriptions: beyond it, they are chosen on their own pages.
pub(crate) const MOST_OFFERED: usize = 50;

/// Options of a choice among subscriptions, by destination: the first ones, and the chosen one in any case.
pub(crate) fn options(every: &[&Value], chosen: &str) -> Markup {
    let (first, others) = every.split_at(every.len().min(MOST_OFFERED));
    let shown = first.iter().chain(others.iter().filter(|one| one.text("/id") == chosen));
    html! {
        @for one in shown {
            option value=(one.text("/id")) selected[one.text("/id") == chosen] { (destination(one)) }
        }
        @if !others.is_empty() {
            option disabled { (words::number(every.len() as u64)) " in all; open others from their own pages" }
        }
    }
}

/// What a resource of each subscription says, in the same order; `null` where it is refused.
pub(crate) async fn of_each(visit: &Visit, subscriptions: &[&Value], resource: &str) -> Vec<Value> {
    let path =
        |one: &Value| format!("/api/v1{}{resource}", super::path_of(one.text("/subscriber_id"), one.text("/id")));
    join_all(subscriptions.iter().map(|one| async move { visit.get_or_null(&path(one)).await })).await
}
