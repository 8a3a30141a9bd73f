//! What belongs to whoever is signed in: subscribers with their subscriptions.

use std::collections::HashMap;

use futures_util::future::join_all;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::destination;
use crate::answer::Look;
use crate::query::encoded;
use crate::session::Who;
use crate::visit::{Problem, Visit};
use crate::words;

/// Maximum number of subscriptions that one page asks about, or names.
pub(crate) const MOST_ASKED: usize = 25;

/// A subscription with its status: `/reason`, `/suspended_at`, `/delivery`, `/lacks`, `/given_up`.
pub(crate) struct Listed {
    pub(crate) subscription: Value,
    pub(crate) status: Value,
}

/// All subscriptions, oldest first. A client has at most 400, besides revoked ones.
pub(crate) async fn listed(visit: &Visit) -> Result<Vec<Listed>, Problem> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let (page, next) = page(visit, &format!("limit=500{after}")).await?;
        all.extend(page);
        match next.as_str() {
            "" => return Ok(all),
            next => after = format!("&after={}", encoded(next)),
        }
    }
}

/// The first active subscriptions, oldest first.
pub(crate) async fn first_active(visit: &Visit, at_most: usize) -> Result<Vec<Listed>, Problem> {
    Ok(page(visit, &format!("status=active&limit={at_most}")).await?.0)
}

/// A page of subscriptions, and where the next one begins.
async fn page(visit: &Visit, query: &str) -> Result<(Vec<Listed>, String), Problem> {
    let mut page = visit.get(&format!("/api/v1/subscriptions?{query}")).await?;
    let items = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let listed = |mut status: Value| {
        let subscription = status.get_mut("subscription").map(Value::take).unwrap_or_default();
        Listed { subscription, status }
    };
    Ok((items.into_iter().map(listed).collect(), page.text("/next").to_owned()))
}

/// A subscriber with its subscriptions, and their statuses in the same order.
pub(crate) struct Owned {
    pub(crate) subscriber: Value,
    pub(crate) subscriptions: Vec<Value>,
    pub(crate) statuses: Vec<Value>,
}

/// All subscribers, with their subscriptions.
pub(crate) async fn all(visit: &Visit) -> Result<Vec<Owned>, Problem> {
    let subscribers = async {
        match visit.who() {
            Who::Link { grant, .. } => {
                Ok(vec![visit.get(&format!("/api/v1/subscribers/{}", encoded(&grant.subscriber))).await?])
            }
            _ => Ok::<_, Problem>(visit.get("/api/v1/subscribers").await?.list("").to_vec()),
        }
    };
    let (subscribers, listed) = join!(subscribers, listed(visit));
    let mut of: HashMap<String, (Vec<Value>, Vec<Value>)> = HashMap::new();
    for Listed { subscription, status } in listed? {
        let (subscriptions, statuses) = of.entry(subscription.text("/subscriber_id").to_owned()).or_default();
        subscriptions.push(subscription);
        statuses.push(status);
    }
    let owned = |subscriber: Value| {
        let (subscriptions, statuses) = of.remove(subscriber.text("/id")).unwrap_or_default();
        Owned { subscriber, subscriptions, statuses }
    };
    Ok(subscribers?.into_iter().map(owned).collect())
}

/// Characters of a destination in a choice.
const MOST_SHOWN: usize = 60;

/// Options of a choice among subscriptions: beyond it, they are chosen on their own pages.
pub(crate) const MOST_OFFERED: usize = 50;

/// Options of a choice among subscriptions, by destination: the first ones, and the chosen one in any case.
pub(crate) fn options(every: &[&Value], chosen: &str) -> Markup {
    let (first, others) = every.split_at(every.len().min(MOST_OFFERED));
    let shown = first.iter().chain(others.iter().filter(|one| one.text("/id") == chosen));
    html! {
        @for one in shown {
            option value=(one.text("/id")) selected[one.text("/id") == chosen] { (short(&destination(one))) }
        }
        @if !others.is_empty() {
            option disabled { (words::number(every.len() as u64)) " in all; open others from their own pages" }
        }
    }
}

/// A destination as a choice shows it: without its scheme, and without its middle if it is long.
fn short(destination: &str) -> String {
    let name = words::host(destination);
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= MOST_SHOWN {
        return name.to_owned();
    }
    let half = MOST_SHOWN / 2;
    chars[..half].iter().chain(['…'].iter()).chain(&chars[chars.len() - half..]).collect()
}

/// What a resource of each subscription says, in the same order; `null` where it is refused.
pub(crate) async fn of_each(visit: &Visit, subscriptions: &[&Value], resource: &str) -> Vec<Value> {
    let path =
        |one: &Value| format!("/api/v1{}{resource}", super::path_of(one.text("/subscriber_id"), one.text("/id")));
    join_all(subscriptions.iter().map(|one| async move { visit.get_or_null(&path(one)).await })).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_destination_keeps_both_ends() {
        assert_eq!(short("https://app.example.com/hook"), "app.example.com/hook");
        assert_eq!(short("broker:9092 · topic"), "broker:9092 · topic");
        let long = short(&format!("https://app.example.com/{}/orders/é", "x".repeat(100)));
        assert!(long.starts_with("app.example.com/xx") && long.ends_with("xx/orders/é"), "{long}");
        assert_eq!((long.chars().count(), long.matches('…').count()), (61, 1));
    }
}
