//! Replays in the core: what they send, how they learn of their start and end, and what is saved.

use std::time::Duration;

use domain::filter::Filter;
use domain::outcome::{Outcome, SuspensionReason};
use domain::replay::{Only, Replay, ReplayProgress, ReplayScope, ReplayStatus};
use domain::subscription::{Options, Selection, Subscription, SubscriptionStatus};
use domain::testing::UPDATED;
use domain::{ClientId, EventType, Position, ReplayId};
use engine::core::Input;

use store::{Era, History};

use crate::world::{MINUTE, START, World, failed, https};

const SECOND: Duration = Duration::from_secs(1);
const CREATED: &str = "com.akeneo.pim.v1.product.created";

fn era(subscription: &Subscription, from: u64) -> Era {
    Era {
        from: Position(from),
        since: START,
        status: subscription.status,
        holds: false,
        selection: subscription.selection.clone(),
        send_product_identifier: false,
    }
}

/// A world in which all subscriptions existed from the beginning.
fn world(subscriptions: Vec<Subscription>) -> World {
    let mut world = World::new(subscriptions.clone());
    for subscription in subscriptions {
        let eras = vec![era(&subscription, 1)];
        let history = History { subscription: subscription.id, eras, from_creation: true };
        world.histories.push((subscription.owner(), history));
    }
    world
}

/// A world with an endpoint that has got this many events.
fn delivered(events: usize) -> World {
    let mut world = world(vec![https("https://a.example/")]);
    (0..events).for_each(|_| world.event());
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    world
}

fn replay(world: &World, scope: ReplayScope) -> Replay {
    let subscription = world.subscription(0);
    Replay {
        id: ReplayId::generate(),
        subscription: subscription.id,
        owner: subscription.owner(),
        scope,
        filter: None,
        rate: None,
        created_at: world.now().wall,
        status: ReplayStatus::Running,
        reason: None,
        progress: ReplayProgress::default(),
    }
}

/// Everything until now.
fn everything(world: &World) -> ReplayScope {
    let positions = Position::FIRST..world.head();
    ReplayScope::Span { from: START, to: world.now().wall + SECOND, positions, only: Only::default() }
}

fn start(world: &mut World, replay: &Replay) {
    world.tell(Input::Replays { replays: vec![replay.clone()] });
}

/// The last saved state.
fn saved(world: &World) -> (ReplayProgress, Option<(ReplayStatus, Option<String>)>) {
    let saves = world.saved.iter().flat_map(|save| &save.replays);
    saves.last().map(|save| (save.progress.clone(), save.end.clone())).unwrap()
}

fn ends(world: &World) -> usize {
    world.saved.iter().flat_map(|save| &save.replays).filter(|save| save.end.is_some()).count()
}

#[test]
fn a_span_is_replayed_once_and_its_end_saved() {
    let mut world = delivered(30);
    let replay = replay(&world, everything(&world));
    start(&mut world, &replay);
    world.pass(SECOND);
    assert!(world.core().replay_progress(replay.subscription, replay.id).is_some_and(|it| !it.open.is_empty()));
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed, (1..=30).collect::<Vec<_>>());
    let (progress, end) = saved(&world);
    assert_eq!((progress.delivered, progress.next, end), (30, Position(31), Some((ReplayStatus::Done, None))));
    assert_eq!(world.core().replay_progress(replay.subscription, replay.id), None);
    // The store's list may be older than the save.
    start(&mut world, &replay);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!((world.replayed.len(), ends(&world)), (30, 1));
    assert!(world.core().is_quiet());
}

#[test]
fn only_events_accepted_in_the_span_count_whatever_their_position() {
    let mut world = delivered(3);
    world.set_clock(-3_600_000_000);
    world.event();
    world.set_clock(3_600_000_000);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    let replay = replay(&world, everything(&world));
    start(&mut world, &replay);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed, [1, 2, 3]);
}

#[test]
fn only_events_that_the_client_could_see_are_replayed() {
    let mine = https("https://a.example/");
    let created = Selection { events: vec![EventType::new(CREATED)], filter: None };
    let of_client = Subscription { selection: created, ..https("https://b.example/") };
    let foreign = Subscription {
        client_id: ClientId("other".into()),
        selection: Selection { events: vec![EventType::new("com.akeneo.pim.v1.family.created")], filter: None },
        ..https("https://c.example/")
    };
    let mut world = world(vec![mine, of_client, foreign]);
    for event_type in [UPDATED, CREATED, "com.akeneo.pim.v1.family.created", "com.akeneo.pim.v1.family.deleted"] {
        world.event_with(event_type, "u");
    }
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    // From now on it selects all of them.
    world.change(0, |subscription| {
        subscription.selection.events =
            [UPDATED, CREATED, "com.akeneo.pim.v1.family.created"].map(EventType::new).into();
        subscription.past_selections = Vec::new();
    });
    let span = replay(&world, everything(&world));
    start(&mut world, &span);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed, [1, 2]);
    assert_eq!((saved(&world).0.delivered, saved(&world).0.gone), (2, 0));
    let listed = ReplayScope::Events(vec![Position(2), Position(3), Position(4), Position(77)]);
    let listed = replay(&world, listed);
    start(&mut world, &listed);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed, [1, 2, 2]);
    assert_eq!((saved(&world).0.delivered, saved(&world).0.gone), (1, 3));
}

#[test]
fn a_revoked_or_missing_past_shows_nothing() {
    let mut world = delivered(5);
    let subscription = world.subscription(0).clone();
    let revoked = Subscription { status: SubscriptionStatus::Revoked, ..subscription.clone() };
    world.histories[0].1.eras = vec![era(&revoked, 1), era(&subscription, 4)];
    world.histories[0].1.from_creation = false;
    let replay = replay(&world, everything(&world));
    start(&mut world, &replay);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed, [4, 5]);
}

#[test]
fn each_event_is_judged_by_the_filters_of_its_sending() {
    let mut world = world(vec![https("https://a.example/")]);
    for number in 0..60 {
        world.event_with(UPDATED, ["u", "v", "w"][number % 3]);
    }
    world.pass_answering(2 * MINUTE, |_| Outcome::Delivered);
    let filter = |text: &str| Filter::parse(text).unwrap();
    world.change(0, |subscription| subscription.selection.filter = filter("user=\"u\" or user=\"v\""));
    let mut replay = replay(&world, everything(&world));
    replay.rate = Some(1.0);
    replay.filter = filter("user=\"v\" or user=\"w\"");
    start(&mut world, &replay);
    world.pass_answering(4 * SECOND + SECOND / 2, |_| Outcome::Delivered);
    assert_eq!(world.replayed, [2, 5, 8, 11, 14]);
    world.change(0, |subscription| subscription.selection.filter = filter("user=\"w\""));
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed[5..7], [15, 18]);
    assert_eq!(saved(&world).0.delivered, world.replayed.len() as u64);
}

#[test]
fn what_the_live_lane_has_not_settled_is_skipped() {
    let mut world = delivered(3);
    (0..3).for_each(|_| world.event());
    world.answer(0, failed());
    world.pass(SECOND);
    assert_eq!(world.under_way(), 2, "one waits for its retry");
    let replay = replay(&world, everything(&world));
    start(&mut world, &replay);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed, [1, 2, 3]);
    let (progress, end) = saved(&world);
    assert_eq!((progress.delivered, progress.skipped), (3, 3));
    assert_eq!(end, Some((ReplayStatus::Done, None)));
}

#[test]
fn deleted_events_are_missing_and_its_end_says_so() {
    let mut world = delivered(10);
    let mut replay = replay(&world, everything(&world));
    replay.progress.next = Position(3);
    world.kept_from = Position(6);
    start(&mut world, &replay);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed, [6, 7, 8, 9, 10]);
    let Some((ReplayStatus::Done, Some(reason))) = saved(&world).1 else { panic!("{:?}", saved(&world)) };
    assert!(reason.contains("deleted"), "{reason}");
}

#[test]
fn a_cancelled_replay_stops_and_the_next_begins_once_nothing_of_it_is_in_flight() {
    let mut world = delivered(100);
    let first = replay(&world, everything(&world));
    start(&mut world, &first);
    world.pass(SECOND);
    let sent = world.replayed.len();
    let second = replay(&world, ReplayScope::Events(vec![Position(7)]));
    let cancelled = Replay { status: ReplayStatus::Cancelled, ..first.clone() };
    world.tell(Input::Replays { replays: vec![cancelled, second.clone()] });
    world.pass(SECOND);
    assert_eq!(world.replayed.len(), sent);
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed[sent..], [7]);
    let mut of_first = world.saved.iter().flat_map(|save| &save.replays).filter(|save| save.id == first.id);
    let last = of_first.next_back().unwrap();
    assert_eq!((last.progress.delivered, last.end.clone()), (sent as u64, None), "the store has its end already");
    assert_eq!(ends(&world), 1);
}

#[test]
fn a_suspension_ends_it() {
    for hold in [false, true] {
        let mut world = delivered(100);
        world.change(0, |subscription| subscription.options = Options { hold, ..Options::default() });
        let replay = replay(&world, everything(&world));
        start(&mut world, &replay);
        world.pass_answering(SECOND, |_| Outcome::Delivered);
        let (sent, head) = (world.replayed.len(), world.head());
        let suspended = SubscriptionStatus::Suspended(SuspensionReason::User);
        for status in [suspended, SubscriptionStatus::Active] {
            world.change(0, |subscription| {
                subscription.status = status;
                subscription.status_since = head;
                subscription.generation += 1;
            });
            world.pass_answering(MINUTE, |_| Outcome::Delivered);
        }
        assert_eq!((world.replayed.len(), ends(&world)), (sent, 0), "hold {hold}");
        assert_eq!(world.core().replay_progress(replay.subscription, replay.id), None);
    }
}

#[test]
fn a_restart_goes_on_at_the_saved_progress() {
    let mut world = delivered(100);
    let mut replay = replay(&world, everything(&world));
    start(&mut world, &replay);
    world.pass_answering(2 * SECOND, |_| Outcome::Delivered);
    world.restart_after(SECOND, 0);
    (replay.progress, _) = saved(&world);
    let missing = 100 - replay.progress.delivered;
    let before = world.replayed.len() as u64;
    start(&mut world, &replay);
    world.pass_answering(2 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.replayed.len() as u64, before + missing);
    assert_eq!((saved(&world).0.delivered, ends(&world)), (100, 1));
}

#[test]
fn a_stop_waits_for_its_attempts_and_saves() {
    let mut world = delivered(100);
    let replay = replay(&world, everything(&world));
    start(&mut world, &replay);
    world.pass(SECOND);
    let sent = world.replayed.len() as u64;
    world.tell(Input::Stop);
    assert!(!world.core().is_quiet());
    world.pass_answering(SECOND, |_| Outcome::Delivered);
    assert!(world.core().is_quiet());
    assert_eq!((world.replayed.len() as u64, saved(&world).0.delivered, ends(&world)), (sent, sent, 0));
}

#[test]
fn nothing_of_it_counts_for_the_subscription() {
    let mut world = delivered(60);
    let before = world.status(0);
    let survey = world.core().survey(1);
    let replay = replay(&world, everything(&world));
    start(&mut world, &replay);
    world.pass_answering(10 * MINUTE, |_| failed());
    let status = world.status(0);
    assert_eq!(status.delivered_in_window, before.delivered_in_window);
    assert_eq!((status.failed_in_window, world.suspended.len()), (0, 0));
    assert_eq!(world.core().survey(1).subscriptions[0].failed, survey.subscriptions[0].failed);
    let entries = world.saved.iter().flat_map(|save| &save.lanes).flat_map(|lane| &lane.entries);
    assert_eq!(entries.count(), 0);
    assert!(matches!(saved(&world).1, Some((ReplayStatus::Failed, Some(_)))));
}
