//! Deltas between consecutive states of an entity.

use super::*;

#[tokio::test]
async fn a_delta_that_is_larger_than_an_event_is_left_out_and_counted() {
    let world = world().await;
    let text = |of: &str| of.repeat(700_000);
    post(&world, &[update("1", 1, &text("a"))]).await.expect(202);
    post(&world, &[update("2", 2, &text("b"))]).await.expect(202);
    assert_eq!(logged(&world).await.len(), 2, "previous and new are 1.4 MB together");
    let counts = world.bridge.counts();
    assert_eq!((counts.too_large, counts.deltas), (1, 0));
    // The next one starts from the new state.
    post(&world, &[update("3", 3, "c")]).await.expect(202);
    assert_eq!(name_changes(&world).await, [(text("b"), "c".to_owned())]);
}

#[tokio::test]
async fn deltas_need_a_state_a_difference_and_the_right_order() {
    let world = world().await;
    post(&world, &[update("1", 1, "a")]).await.expect(202);
    assert_eq!(name_changes(&world).await, [], "first sight");
    post(&world, &[update("2", 2, "a")]).await.expect(202);
    assert_eq!(name_changes(&world).await, [], "no difference");
    post(&world, &[update("3", 5, "b"), update("4", 4, "overtaken"), update("5", 5, "c")]).await.expect(202);
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(name_changes(&world).await, [pair("a", "b"), pair("b", "c")]);
    // `created` replaces the state, unless it was overtaken.
    let mut created = update("6", 3, "older");
    created["action"] = json!("product.created");
    post(&world, &[created.clone()]).await.expect(202);
    created["event_id"] = json!("7");
    created["data"]["resource"]["updated"] = json!("2026-11-03T09:00:06+01:00");
    post(&world, &[created, update("8", 7, "d")]).await.expect(202);
    assert_eq!(name_changes(&world).await[2..], [pair("older", "d")]);
    // Removed: the state is unknown again.
    let removed = notice("9", "product.removed", json!({"uuid": PRODUCT, "identifier": "9309353"}));
    post(&world, &[removed, update("10", 8, "e")]).await.expect(202);
    assert_eq!(name_changes(&world).await.len(), 3);
    assert_eq!(logged(&world).await.len(), 10 + 3, "each event is told, overtaken or not");
}

#[tokio::test]
async fn repeated_events_are_delivered_once() {
    let world = world().await;
    // The dedup window uses one clock, and the other ingest path uses the system's.
    CLOCK.set(Clock::system().wall().as_micros() / 1_000_000);
    post(&world, &[update("1", 1, "a"), update("2", 2, "b")]).await.expect(202);
    let before = logged(&world).await;
    // The same request again, one with something new in it, and one after the entity's state moved on.
    assert_eq!(post(&world, &[update("1", 1, "a"), update("2", 2, "b")]).await.expect(202)["duplicates"], 2);
    assert_eq!(logged(&world).await, before);
    let answer = post(&world, &[update("2", 2, "b"), update("3", 2, "c"), update("3", 2, "x")]).await;
    assert_eq!(answer.expect(202), json!({"accepted": 3, "duplicates": 2}));
    post(&world, &[update("1", 2, "a"), update("4", 2, "d")]).await.expect(202);
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(name_changes(&world).await, [pair("a", "b"), pair("b", "c"), pair("c", "d")]);
    // One dedup space with the other ingest path.
    world.produce(event("5")).await.expect(202);
    assert_eq!(post(&world, &[update("5", 3, "e")]).await.expect(202)["duplicates"], 1);
    assert_eq!(world.produce(event("4")).await.expect(202)["duplicates"], 1);
    post(&world, &[update("6", 3, "f")]).await.expect(202);
    assert_eq!(name_changes(&world).await[3..], [pair("d", "f")], "the duplicate changed no state");
    // A known delta id suppresses the delta only.
    world.produce(event(&intake::making::delta_id("7"))).await.expect(202);
    assert_eq!(post(&world, &[update("7", 4, "g")]).await.expect(202)["duplicates"], 0);
    post(&world, &[update("8", 4, "h")]).await.expect(202);
    assert_eq!(name_changes(&world).await[4..], [pair("g", "h")]);
}

#[tokio::test]
async fn a_store_that_fails_loses_no_delta() {
    let world = world().await;
    post(&world, &[update("1", 1, "a")]).await.expect(202);
    world.store_works(false);
    post(&world, &[update("2", 2, "b")]).await.refused(503, "store_unavailable");
    world.store_works(true);
    assert_eq!(world.logged(), 1);
    post(&world, &[update("3", 3, "c")]).await.expect(202);
    assert_eq!(name_changes(&world).await, [("a".to_owned(), "c".to_owned())]);
}

/// The PIM sends five at a time. Each delta begins where the one before ended, and the last one ends at the snapshot.
#[tokio::test]
async fn requests_at_once_are_taken_one_after_another() {
    let world = world().await;
    post(&world, &[update("first", 1, "first")]).await.expect(202);
    for round in 0..5 {
        let requests = [0, 1, 2, 3, 4].map(|number| {
            let name = |part: u32| format!("{round}-{number}-{part}");
            [update(&name(0), 1, &name(0)), update(&name(1), 1, &name(1))]
        });
        let [a, b, c, d, e] = requests.each_ref().map(|request| post(&world, request));
        let answers = tokio::join!(a, b, c, d, e);
        for answer in [answers.0, answers.1, answers.2, answers.3, answers.4] {
            assert_eq!(answer.expect(202), json!({"accepted": 2, "duplicates": 0}));
        }
    }
    let name_changes = name_changes(&world).await;
    assert_eq!(name_changes.len(), 50);
    assert_eq!(name_changes[0].0, "first");
    assert!(name_changes.windows(2).all(|pair| pair[0].1 == pair[1].0), "{name_changes:?}");
    post(&world, &[update("last", 1, &name_changes[49].1)]).await.expect(202);
    assert_eq!(world.bridge.counts().deltas, 50);
}
