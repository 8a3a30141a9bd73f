//! Concurrent requests.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use domain::outcome::SuspensionReason;
use domain::subscription::SubscriptionStatus;

use super::sample::*;
use crate::Store;
use crate::event_log::Scope;

pub(super) type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs all of them concurrently.
pub(super) async fn all(mut work: Vec<Work<'_>>) {
    poll_fn(|context| {
        work.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if work.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Events of a request are contiguous and in order, none is lost or duplicated, and tail and log agree.
pub async fn a_hundred_appends_at_once_are_there_once_and_in_order(store: &dyn Store) {
    own(store).await;
    let appending = |task: usize| -> Work<'_> {
        Box::pin(async move {
            let pim = domain::PimId(1 + 64 * (task as u32 % 3));
            for request in 0..5 {
                let ids = format!("{task}-{request}-0 {task}-{request}-1 {task}-{request}-2 shared-{}", request % 2);
                append(store, pim, &ids, at(0)).await;
            }
        })
    };
    all((0..100).map(appending).collect()).await;
    let chunk = store.read(everything(store), domain::Position(1), ALL).await.unwrap();
    // 3 per request, and two shared ones per PIM.
    assert_eq!(chunk.events.len(), 100 * 5 * 3 + 3 * 2);
    assert_eq!(store.tail(shard(store)).since(domain::Position(1), usize::MAX).unwrap(), chunk.events);
    for task in 0..100 {
        let prefix = format!("{task}-");
        let mine = chunk.events.iter().map(|event| event.event.id()).filter(|id| id.starts_with(&prefix));
        let expect = (0..5).flat_map(|request| (0..3).map(move |number| format!("{task}-{request}-{number}")));
        assert!(mine.eq(expect), "events of task {task}");
    }
}

/// The head of a change divides the log: earlier acknowledged appends precede it, later ones follow it.
pub async fn a_change_is_in_the_order_of_the_log(store: &dyn Store) {
    let (_, mut stored) = make(store).await;
    for round in 0..20 {
        let before = format!("before-{round}");
        append(store, PIM, &before, at(0)).await;
        let others: Vec<Work<'_>> = (0..5)
            .map(|number| -> Work<'_> {
                Box::pin(async move { append(store, OTHER, &format!("{round}-{number}"), at(0)).await })
            })
            .collect();
        let next = changed(&stored, |next| {
            next.status = match stored.status {
                SubscriptionStatus::Active => SubscriptionStatus::Suspended(SuspensionReason::User),
                _ => SubscriptionStatus::Active,
            };
        });
        let made = std::sync::Mutex::new(None);
        let changing: Work<'_> = Box::pin(async {
            let done = try_put(store, next).await.unwrap();
            *made.lock().unwrap() = Some(done);
        });
        let mut work = others;
        work.insert(2, changing);
        all(work).await;
        let mut made = made.into_inner().unwrap().unwrap();
        let after = format!("after-{round}");
        append(store, PIM, &after, at(0)).await;
        let events = store.read(Scope::Pim(PIM), domain::Position(1), ALL).await.unwrap().events;
        let place = |id: &str| events.iter().find(|event| event.event.id() == id).unwrap().position;
        assert!(place(&before) < made.head && made.head <= place(&after));
        assert_eq!(made.subscriptions[0].status_since, made.head);
        stored = made.subscriptions.remove(0);
    }
}
