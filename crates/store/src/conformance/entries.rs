//! Log entries.

use domain::log_entry::{Action, LogBody, LogEntry, LogOrder, LogQuery, LogType, RefusedRequest};
use domain::subscriber::Owner;
use domain::{ClientId, LogId, ServiceHour, SubscriberId, SubscriptionId};

use super::sample::*;
use crate::Store;

async fn find(store: &dyn Store, query: LogQuery) -> Vec<LogEntry> {
    store.entries(&owner(), &query).await.unwrap().entries
}

fn action() -> LogBody {
    LogBody::Action(Action::SubscriptionUpdated)
}

/// The five minutes start at the latest occurrence, not at the first.
pub async fn equal_errors_become_one_in_a_sliding_window(store: &dyn Store) {
    let first = error("no answer", at(0));
    store.add_entry(first.clone()).await.unwrap();
    store.add_entry(error("no answer", at(290))).await.unwrap();
    store.add_entry(error("no answer", at(590))).await.unwrap();
    let found = find(store, query()).await;
    assert_eq!(found, [LogEntry { timestamp: at(590), count: 3, ..first }]);
    let late = error("no answer", at(891));
    store.add_entry(late.clone()).await.unwrap();
    store.add_entry(LogEntry { count: 5, ..error("no answer", at(892)) }).await.unwrap();
    let found = find(store, query()).await;
    assert_eq!(found[1..], [LogEntry { timestamp: at(892), count: 6, ..late }]);
}

/// Owner, subscriber, subscription, message.
pub async fn errors_that_differ_stay_apart(store: &dyn Store) {
    let base = error("no answer", at(0));
    let other = Owner { client_id: ClientId("other".to_owned()), ..owner() };
    let apart = [
        base.clone(),
        LogEntry { id: LogId::generate(), owner: other.clone(), ..base.clone() },
        LogEntry { id: LogId::generate(), subscriber_id: Some(SubscriberId::generate()), ..base.clone() },
        LogEntry { id: LogId::generate(), subscription_id: Some(SubscriptionId::generate()), ..base.clone() },
        error("another message", at(0)),
    ];
    for one in &apart {
        store.add_entry(one.clone()).await.unwrap();
    }
    assert_eq!(find(store, query()).await.len(), 4);
    let of_other = store.entries(&other, &query()).await.unwrap();
    assert_eq!(of_other.entries, apart[1..2]);
}

fn refused(url: &str, message: &str) -> RefusedRequest {
    RefusedRequest {
        reason: "invalid".to_owned(),
        status: 422,
        message: message.to_owned(),
        method: "POST".to_owned(),
        url: url.to_owned(),
        body: None,
    }
}

/// Rejected requests of one route for one reason are merged into one entry that describes the latest. Different routes,
/// ids, methods and reasons stay separate.
pub async fn refusals_of_a_route_become_one_with_the_latest_body(store: &dyn Store) {
    let with_body = |number: i64| {
        let url = format!("/api/v1/subscribers?page={number}");
        RefusedRequest { body: Some(number.to_string()), ..refused(&url, &format!("message {number}")) }
    };
    let first = entry(LogBody::Refused(with_body(0)), at(0));
    store.add_entry(first.clone()).await.unwrap();
    for number in 1..=3 {
        store.add_entry(entry(LogBody::Refused(with_body(number)), at(200 * number))).await.unwrap();
    }
    let latest = LogEntry { body: LogBody::Refused(with_body(3)), timestamp: at(600), count: 4, ..first };
    assert_eq!(find(store, query()).await, std::slice::from_ref(&latest));
    let base = with_body(4);
    let apart = [
        RefusedRequest { method: "PATCH".to_owned(), ..base.clone() },
        RefusedRequest { url: "/api/v1/subscribers/1".to_owned(), ..base.clone() },
        RefusedRequest { reason: "required".to_owned(), ..base.clone() },
    ];
    for one in apart {
        store.add_entry(entry(LogBody::Refused(one), at(601))).await.unwrap();
    }
    store.add_entry(entry(LogBody::Refused(base), at(901))).await.unwrap();
    assert_eq!(find(store, query()).await.iter().map(|entry| entry.count).collect::<Vec<_>>(), [4, 1, 1, 1, 1]);
}

async fn add_all(store: &dyn Store, entries: Vec<LogEntry>) {
    let mut all = change(Vec::new());
    all.entries = entries;
    store.change(all).await.unwrap();
}

/// The oldest are dropped; those of another owner stay.
pub async fn an_owner_has_a_bounded_number_of_entries(store: &dyn Store) {
    let other = Owner { client_id: ClientId("other".to_owned()), ..owner() };
    let of_other = LogEntry { owner: other.clone(), ..entry(action(), at(0)) };
    store.add_entry(of_other.clone()).await.unwrap();
    let all: Vec<_> = (0..10_030).map(|second| entry(action(), at(second))).collect();
    add_all(store, all[..9_990].to_vec()).await;
    add_all(store, all[9_990..].to_vec()).await;
    let oldest = find(store, query()).await;
    assert_eq!(oldest, all[30..130]);
    let last_page = find(store, LogQuery { skip: 9_990, ..query() }).await;
    assert_eq!(last_page, all[10_020..]);
    assert_eq!(store.entries(&other, &query()).await.unwrap().entries, [of_other]);
    // Pruning makes room.
    serve(store, 1).await;
    assert_eq!(store.prune_entries(&own(store).await, ServiceHour(1)).await.unwrap(), 10_001);
    add_all(store, all[..200].to_vec()).await;
    assert_eq!(find(store, query()).await, all[..100]);
}

/// 16 MiB regardless of the number of entries, even when a merged one grows.
pub async fn an_owner_has_a_bounded_size_of_entries(store: &dyn Store) {
    for route in 0..20 {
        store.add_entry(large(&owner(), route, 1 << 20)).await.unwrap();
    }
    assert_eq!(routes(store, &owner()).await, from_to(5, 20));
    store.add_entry(large(&owner(), 19, 3 << 20)).await.unwrap();
    assert_eq!(routes(store, &owner()).await, from_to(7, 20));
}

/// An entry of this many bytes; entries of one owner and route are merged.
fn large(owner: &Owner, route: u32, bytes: usize) -> LogEntry {
    let refused = RefusedRequest { body: Some("x".repeat(bytes)), ..refused(&format!("/{route}"), "too much") };
    LogEntry { owner: owner.clone(), ..entry(LogBody::Refused(refused), at(i64::from(route))) }
}

/// Routes of the owner's entries.
async fn routes(store: &dyn Store, owner: &Owner) -> Vec<String> {
    let url = |entry: &LogEntry| match &entry.body {
        LogBody::Refused(refused) => refused.url.clone(),
        other => panic!("{other:?}"),
    };
    let page = store.entries(owner, &LogQuery { limit: 1_000, ..query() }).await.unwrap();
    page.entries.iter().map(url).collect()
}

fn from_to(first: u32, end: u32) -> Vec<String> {
    (first..end).map(|route| format!("/{route}")).collect()
}

fn client(name: &str) -> Owner {
    Owner { client_id: ClientId(name.to_owned()), ..owner() }
}

/// [`ENTRY_BYTES`](crate::conformance::ENTRY_BYTES) over all clients: the PIM's oldest are dropped, whoever they belong
/// to, even when a merged one grows; those of another PIM stay.
pub async fn a_pim_has_a_bounded_size_of_entries(store: &dyn Store) {
    let (first, second, third) = (client("first"), client("second"), client("third"));
    let of_other = Owner { pim: OTHER, ..first.clone() };
    store.add_entry(large(&of_other, 0, 1 << 20)).await.unwrap();
    for route in 0..10 {
        store.add_entry(large(&first, route, 1 << 20)).await.unwrap();
        store.add_entry(large(&second, route, 1 << 20)).await.unwrap();
    }
    assert_eq!(routes(store, &first).await, from_to(0, 10));
    // 23 entries are less than 24 MiB with their other fields, 24 are more.
    for route in 0..8 {
        store.add_entry(large(&third, route, 1 << 20)).await.unwrap();
    }
    assert_eq!(routes(store, &first).await, from_to(3, 10));
    assert_eq!(routes(store, &second).await, from_to(2, 10));
    store.add_entry(large(&third, 7, 3 << 20)).await.unwrap();
    assert_eq!(routes(store, &first).await, from_to(4, 10));
    assert_eq!(routes(store, &second).await, from_to(3, 10));
    assert_eq!(routes(store, &third).await, from_to(0, 8));
    assert_eq!(routes(store, &of_other).await, from_to(0, 1));
    // Pruning makes room.
    serve(store, 1).await;
    assert_eq!(store.prune_entries(&own(store).await, ServiceHour(1)).await.unwrap(), 22);
    for route in 100..110 {
        store.add_entry(large(&first, route, 1 << 20)).await.unwrap();
        store.add_entry(large(&second, route, 1 << 20)).await.unwrap();
    }
    assert_eq!(routes(store, &first).await, from_to(100, 110));
}

/// A write stays short, even if many entries must go, as after the bound was lowered: the next ones drop the rest.
pub async fn a_new_entry_drops_a_bounded_number_of_its_pim(store: &dyn Store) {
    let (first, second, third) = (client("first"), client("second"), client("third"));
    for route in 0..250 {
        store.add_entry(large(&first, route, 1 << 10)).await.unwrap();
    }
    for route in 0..15 {
        store.add_entry(large(&second, route, 1 << 20)).await.unwrap();
    }
    for route in 0..8 {
        store.add_entry(large(&third, route, 1 << 20)).await.unwrap();
    }
    assert_eq!(routes(store, &first).await, from_to(0, 250));
    store.add_entry(large(&third, 7, 2 << 20)).await.unwrap();
    assert_eq!(routes(store, &first).await, from_to(100, 250));
    store.add_entry(large(&third, 8, 1)).await.unwrap();
    assert_eq!(routes(store, &first).await, from_to(200, 250));
}

/// Each action has its own entry.
pub async fn actions_are_never_merged(store: &dyn Store) {
    store.add_entry(entry(action(), at(0))).await.unwrap();
    store.add_entry(entry(action(), at(0))).await.unwrap();
    assert_eq!(find(store, query()).await.len(), 2);
}

/// By id, regardless of the times.
pub async fn entries_are_ordered_by_id(store: &dyn Store) {
    let all: Vec<_> = (0..5).map(|number| entry(action(), at(100 - number))).collect();
    for at in [3, 0, 4, 2, 1] {
        store.add_entry(all[at].clone()).await.unwrap();
    }
    let mut expect = all.clone();
    assert_eq!(find(store, query()).await, expect);
    expect.reverse();
    assert_eq!(find(store, LogQuery { order: LogOrder::Descending, ..query() }).await, expect);
}

/// A cursor is stable while entries arrive or are merged; numbered pages are contiguous.
pub async fn pages_are_stable_while_entries_arrive(store: &dyn Store) {
    let all: Vec<_> = (0..10).map(|number| error(&number.to_string(), at(number))).collect();
    for one in &all {
        store.add_entry(one.clone()).await.unwrap();
    }
    for order in [LogOrder::Ascending, LogOrder::Descending] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.entries(&owner(), &LogQuery { limit: 3, after, order, ..query() }).await.unwrap();
            seen.extend(page.entries.iter().map(|entry| entry.id));
            after = seen.last().copied();
            // The first one recurs; with the newest first, a new one arrives that precedes the cursor.
            store.add_entry(error("0", at(11))).await.unwrap();
            if order == LogOrder::Descending {
                store.add_entry(entry(action(), at(12))).await.unwrap();
            }
            if !page.more {
                break;
            }
        }
        let mut expect: Vec<_> = all.iter().map(|entry| entry.id).collect();
        if order == LogOrder::Descending {
            expect.reverse();
        }
        assert_eq!(seen, expect);
    }
    let page = |skip, limit| LogQuery { skip, limit, log_type: Some(LogType::Error), ..query() };
    let second = store.entries(&owner(), &page(4, 4)).await.unwrap();
    assert!(second.more);
    assert_eq!(
        second.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        [all[4].id, all[5].id, all[6].id, all[7].id]
    );
    let third = store.entries(&owner(), &page(6, 4)).await.unwrap();
    assert_eq!((third.entries.len(), third.more), (4, false));
}

/// Each filter, and all combined.
pub async fn entries_are_filtered(store: &dyn Store) {
    let (subscriber, subscription) = (SubscriberId::generate(), SubscriptionId::generate());
    let mut failed = error("no answer", at(10));
    failed.subscriber_id = Some(subscriber);
    failed.subscription_id = Some(subscription);
    let mut acted = entry(action(), at(20));
    acted.subscriber_id = Some(subscriber);
    let refused = entry(LogBody::Refused(refused("/api/v1/subscribers", "name is missing")), at(30));
    for one in [&failed, &acted, &refused] {
        store.add_entry(one.clone()).await.unwrap();
    }
    let check = async |query: LogQuery, expect: &[&LogEntry]| {
        let found = find(store, query).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expect);
    };
    check(LogQuery { log_type: Some(LogType::Action), ..query() }, &[&acted]).await;
    check(LogQuery { log_type: Some(LogType::Error), ..query() }, &[&failed, &refused]).await;
    check(LogQuery { subscriber_id: Some(subscriber), ..query() }, &[&failed, &acted]).await;
    check(LogQuery { subscription_id: Some(subscription), ..query() }, &[&failed]).await;
    check(LogQuery { subscription_id: Some(SubscriptionId::generate()), ..query() }, &[]).await;
    check(LogQuery { operation: Some("request_refused".to_owned()), ..query() }, &[&refused]).await;
    check(LogQuery { operation: Some("subscription_updated".to_owned()), ..query() }, &[&acted]).await;
    check(LogQuery { error_reason: Some("destination_timeout".to_owned()), ..query() }, &[&failed]).await;
    check(LogQuery { error_reason: Some("invalid".to_owned()), ..query() }, &[&refused]).await;
    check(LogQuery { start_time: Some(at(20)), ..query() }, &[&acted, &refused]).await;
    check(LogQuery { end_time: Some(at(20)), ..query() }, &[&failed]).await;
    let all = LogQuery {
        log_type: Some(LogType::Error),
        subscriber_id: Some(subscriber),
        subscription_id: Some(subscription),
        operation: Some("failed_to_deliver_event".to_owned()),
        error_reason: Some("destination_timeout".to_owned()),
        start_time: Some(at(10)),
        end_time: Some(at(11)),
        ..query()
    };
    check(all, &[&failed]).await;
}

/// The latest occurrence counts.
pub async fn old_entries_are_pruned(store: &dyn Store) {
    // Regardless of the clock.
    store.add_entry(error("seldom", at(40 * 24 * 3600))).await.unwrap();
    store.add_entry(error("often", at(0))).await.unwrap();
    store.add_entry(entry(action(), at(100))).await.unwrap();
    serve(store, 1).await;
    store.add_entry(error("often", at(200))).await.unwrap();
    assert_eq!(store.prune_entries(&own(store).await, ServiceHour(0)).await.unwrap(), 0);
    assert_eq!(store.prune_entries(&own(store).await, ServiceHour(1)).await.unwrap(), 2);
    assert_eq!(store.prune_entries(&own(store).await, ServiceHour(1)).await.unwrap(), 0);
    let left = find(store, query()).await;
    assert_eq!((left.len(), left[0].count), (1, 2));
    // Nothing is merged into a pruned entry.
    store.add_entry(error("seldom", at(201))).await.unwrap();
    assert_eq!(find(store, query()).await[1].count, 1);
}
