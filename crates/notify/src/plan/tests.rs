//! The plan under virtual time.

use domain::notification::{Notification, NotificationKind};
use domain::{Secret, SubscriberId, SubscriptionId};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn outgoing(number: u64, pim: &str, channel: Channel) -> Outgoing {
    Outgoing {
        id: Uuid::from_u128(u128::from(number)),
        notification: Notification {
            id: Uuid::nil(),
            kind: NotificationKind::Resumed,
            timestamp: Timestamp::EPOCH,
            subscription_id: SubscriptionId(Uuid::nil()),
            subscriber_id: SubscriberId(Uuid::nil()),
            destination: String::new(),
            events: vec![],
            reason: None,
            subject: pim.to_owned(),
        },
        subscriber_name: String::new(),
        email: "Ops@example.com".to_owned(),
        channel,
        attempts: 0,
        due_at: Timestamp::EPOCH,
        revision: 0,
        waited_ms: 0,
        sent_at: None,
        number,
    }
}

fn webhook(number: u64, pim: &str) -> Outgoing {
    let channel = Channel::Webhook { url: String::new(), secret: Secret::new("s"), email_if_lost: true };
    outgoing(number, pim, channel)
}

fn email(number: u64, pim: &str) -> Outgoing {
    outgoing(number, pim, Channel::Email { instead_of_webhook: None })
}

/// Numbers of sent notifications.
fn sent(starts: &[Start]) -> Vec<u64> {
    let number = |start: &Start| if let Start::Send((number, _), _) = start { Some(*number) } else { None };
    starts.iter().filter_map(number).collect()
}

fn plan() -> Plan {
    Plan::new(&Settings::default())
}

#[tokio::test(start_paused = true)]
async fn two_hundred_of_one_pim_leave_places_for_another() {
    let (mut plan, now) = (plan(), Instant::now());
    (1..=200).for_each(|number| plan.add(&webhook(number, "https://hostile.example"), now));
    assert_eq!(sent(&plan.start(now)).len(), 24, "a quarter stays free");
    plan.add(&webhook(201, "https://shop.example"), now);
    plan.add(&email(202, "https://shop.example"), now);
    assert_eq!(sent(&plan.start(now)), [201, 202]);
    // As slots become free, both get theirs.
    (203..=210).for_each(|number| plan.add(&webhook(number, "https://shop.example"), now));
    let others = sent(&plan.start(now));
    assert!(!others.is_empty() && others.iter().all(|number| *number >= 203), "{others:?}");
    plan.ended(1, Way::Webhook, Ended::Gone, now);
    assert!(sent(&plan.start(now)).iter().all(|number| *number >= 203), "its share is less than what the other has");
}

#[tokio::test(start_paused = true)]
async fn one_that_failed_holds_no_place_while_it_waits() {
    let (mut plan, now) = (plan(), Instant::now());
    (1..=25).for_each(|number| plan.add(&webhook(number, "https://shop.example"), now));
    assert_eq!(sent(&plan.start(now)), (1..=24).collect::<Vec<_>>());
    plan.ended(1, Way::Webhook, Ended::Again(2 * SECOND), now);
    assert_eq!(sent(&plan.start(now)), [25]);
    plan.ended(2, Way::Webhook, Ended::Gone, now);
    assert_eq!(plan.next_at(), Some(now + 2 * SECOND));
    assert_eq!(sent(&plan.start(now + SECOND)), [0; 0]);
    assert_eq!(sent(&plan.start(now + 2 * SECOND)), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_gives_up_takes_its_place_in_the_hour_of_the_address() {
    let (mut plan, now) = (plan(), Instant::now());
    (1..=6).for_each(|number| plan.add(&email(number, "https://shop.example"), now));
    plan.add(&webhook(7, "https://shop.example"), now);
    plan.add(&email(8, "https://other.example"), now);
    let starts = plan.start(now);
    assert_eq!(sent(&starts).len(), 3 + 1, "emails within their places, and the webhook");
    assert!(matches!(&starts[4..], [Start::Join { emails, summary: None, .. }] if emails[0].0 == 8), "{starts:?}");
    plan.joined("ops@example.com", &[(8, Uuid::nil())], Some(8), now);
    plan.ended(7, Way::Webhook, Ended::ByEmail, now);
    let starts = plan.start(now);
    assert!(
        matches!(&starts[..], [Start::Join { emails, summary: Some((8, _)), .. }] if emails[0].0 == 7),
        "{starts:?}"
    );
    plan.joined("ops@example.com", &[(7, Uuid::nil())], Some(8), now);
    for number in 1..=6 {
        plan.ended(number, Way::Email, Ended::Sent, now);
        plan.start(now);
    }
    assert_eq!(plan.start(now + HOUR - SECOND), []);
    let starts = plan.start(now + HOUR);
    assert_eq!(sent(&starts), [8], "the summary, at the end of the hour");
    assert_eq!(starts.iter().filter(|start| matches!(start, Start::Forget(_))).count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_wrong_delays_nothing_beyond_its_longest_pause() {
    let (now, wall) = (Instant::now(), Timestamp::EPOCH + 1000 * HOUR);
    let far = wall + 40 * 24 * HOUR;
    let tried = |one: Outgoing, due_at| Outgoing { attempts: 1, due_at, ..one };
    let kept = vec![
        tried(webhook(1, "a"), far),
        tried(email(2, "a"), far),
        // Never tried, but created by a clock that was ahead.
        Outgoing { due_at: far, ..webhook(3, "a") },
        tried(webhook(4, "a"), Timestamp::EPOCH),
    ];
    let mut plan = plan();
    plan.restore(kept, now, wall);
    assert_eq!(sent(&plan.start(now)), [3, 4]);
    assert_eq!(sent(&plan.start(now + LONGEST_OURS)), [1]);
    assert_eq!(sent(&plan.start(now + HOUR)), [2]);
}

#[tokio::test(start_paused = true)]
async fn emails_of_the_last_hour_count_after_a_restart() {
    let (now, wall) = (Instant::now(), Timestamp::EPOCH + 1000 * HOUR);
    let mut kept = vec![email(1, "a")];
    kept.extend((2..=7).map(|number| Outgoing { sent_at: Some(wall), ..email(number, "b") }));
    let mut plan = plan();
    plan.restore(kept, now, wall + SECOND);
    let starts = plan.start(now);
    assert!(matches!(&starts[..], [Start::Join { .. }]), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn dropped_rows_are_forgotten_and_their_slots_reused() {
    let (mut plan, now) = (plan(), Instant::now());
    let few = FEW as u64;
    (1..few).for_each(|number| plan.add(&webhook(number, "https://hostile.example"), now));
    assert!(!plan.wants_look());
    plan.add(&webhook(few, "https://hostile.example"), now);
    assert!(plan.wants_look());
    assert_eq!(sent(&plan.start(now)).len(), 24);
    plan.ended(1, Way::Webhook, Ended::Again(SECOND), now);
    assert_eq!(sent(&plan.start(now)), [25]);
    // One is under way, one has a pause, all others wait for a place.
    plan.retain(&[few - 1, few]);
    assert_eq!(plan.items.len(), 24 + 2);
    assert!(!plan.wants_look());
    for number in 2..=25 {
        plan.ended(number, Way::Webhook, Ended::Gone, now);
    }
    assert_eq!(sent(&plan.start(now + SECOND)), [few - 1, few]);
    assert_eq!((plan.next_at(), plan.webhooks.queue.used(), plan.webhooks.queue.waiting()), (None, 2, 0));
}
