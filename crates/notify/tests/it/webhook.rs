//! Notifications by webhook.

use std::time::Duration;

use domain::Clock;
use domain::Secret;
use domain::notification::Channel;
use notify::{Notifier, Settings, Ways};
use store::{Put, Shard, Subscriptions};
use wire::signature::SigningKey;

use crate::receiver::{Receiver, Say};
use crate::world::{SECRET, World, client, contact, resume, settings, until};

#[test]
fn the_times_are_the_contracts() {
    let settings = Settings::default();
    assert_eq!(settings.webhook_timeout, Duration::from_secs(5));
    assert_eq!(settings.webhook_pauses, [Duration::from_secs(1), Duration::from_secs(2)]);
}

#[tokio::test]
async fn it_is_a_signed_post_of_the_contracts_json() {
    let receiver = Receiver::start(&[]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let notifier = world.start(None, settings());
    world.suspend().await;
    world.all_sent().await;
    let [request] = receiver.got().try_into().unwrap();
    assert!(request.head.starts_with("POST /notify?x=1 HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-akeneo-signature-algorithm"), Some("HmacSHA256"));
    let signature = SigningKey::new(&Secret::new(SECRET)).akeneo(request.body.as_bytes());
    assert_eq!(request.header("x-akeneo-signature-primary"), Some(signature.as_str()));
    assert!(request.header("user-agent").is_some_and(|agent| !agent.is_empty()));
    for part in [
        r#""notification_type":"subscription.suspended.system""#,
        &format!(r#""subscription_id":"{}""#, world.subscription.id),
        &format!(r#""subscriber_id":"{}""#, world.subscriber.id),
        r#""subject":"https://pim.example.com""#,
        r#""reason":"the destination answered 404 (not found)""#,
    ] {
        assert!(request.body.contains(part), "{part} is not in {}", request.body);
    }
    notifier.stop().await;
}

/// Number of webhook calls, and whether an email replaces the webhook.
async fn check(says: &[Say], calls: usize, falls_back: bool) {
    let receiver = Receiver::start(says).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let notifier = world.start(None, settings());
    world.suspend().await;
    if falls_back {
        let email = world.fell_back().await;
        assert_eq!(email.channel, Channel::Email { instead_of_webhook: Some(receiver.url()) });
        assert_eq!(email.email, "ops@example.com");
    } else {
        world.all_sent().await;
    }
    assert_eq!(receiver.got().len(), calls, "{says:?}");
    notifier.stop().await;
}

#[tokio::test]
async fn temporary_failures_are_retried_three_times() {
    use Say::{Close, Hang, Status};
    check(&[Status(503), Status(204)], 2, false).await;
    check(&[Status(500), Status(429), Status(200)], 3, false).await;
    check(&[Close, Hang, Status(200)], 3, false).await;
    check(&[Status(500), Status(502), Status(429), Status(200)], 3, true).await;
    check(&[Hang, Hang, Hang, Status(200)], 3, true).await;
}

#[tokio::test]
async fn permanent_failures_are_final() {
    for status in [301, 302, 307, 400, 401, 404, 410, 422] {
        check(&[Say::Status(status)], 1, true).await;
    }
}

#[tokio::test]
async fn the_pauses_run_from_the_end_of_an_attempt() {
    let receiver = Receiver::start(&[Say::Hang, Say::Status(500), Say::Status(200)]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let notifier = world.start(None, settings());
    world.suspend().await;
    world.all_sent().await;
    let at: Vec<_> = receiver.got().iter().map(|request| request.at).collect();
    // The first attempt took its limit of 500 ms, then 50 ms pause; the second ended immediately, then 100 ms pause.
    assert!(at[1] - at[0] >= Duration::from_millis(540), "{:?}", at[1] - at[0]);
    assert!(at[2] - at[1] >= Duration::from_millis(99), "{:?}", at[2] - at[1]);
    notifier.stop().await;
}

#[tokio::test]
async fn with_email_as_a_channel_no_second_email_goes_out() {
    let receiver = Receiver::start(&[Say::Status(404)]).await;
    let world = World::new(contact(true, Some(&receiver.url()))).await;
    let notifier = world.start(None, settings());
    world.suspend().await;
    until("only the email is left", async || world.waiting().await.len() == 1).await;
    assert_eq!(world.waiting().await[0].channel, Channel::Email { instead_of_webhook: None });
    assert_eq!(receiver.got().len(), 1);
    notifier.stop().await;
}

#[tokio::test]
async fn the_address_guard_judges_the_url() {
    let receiver = Receiver::start(&[]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let ways = Ways { webhooks: client(&[]), mailer: None, contacts: None };
    let notifier = Notifier::start(world.store.clone(), Shard::FIRST, ways, settings(), Clock::system());
    world.suspend().await;
    world.fell_back().await;
    assert!(receiver.got().is_empty(), "nobody connected");
    notifier.stop().await;
}

#[tokio::test]
async fn http_only_where_the_operator_allows_it() {
    let receiver = Receiver::start(&[]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let notifier = world.start(None, Settings { allow_http: false, ..settings() });
    world.suspend().await;
    world.fell_back().await;
    assert!(receiver.got().is_empty(), "nobody connected");
    notifier.stop().await;
}

#[tokio::test]
async fn each_change_is_notified_once_even_if_the_subscriber_is_deleted() {
    let receiver = Receiver::start(&[]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let mut stored = world.subscription.clone();
    for _ in 0..3 {
        stored = crate::world::suspend(world.store.as_ref(), stored).await;
        stored = resume(world.store.as_ref(), stored).await;
    }
    // Deleted before anything was sent.
    stored.status = domain::subscription::SubscriptionStatus::Deleted;
    stored.revision += 1;
    let mut end = store::conformance::sample::change(vec![Put::Changed(stored)]);
    let mut subscriber = world.subscriber.clone();
    subscriber.status = domain::subscriber::SubscriberStatus::Deleted;
    subscriber.revision += 1;
    end.subscriber = Some(Put::Changed(subscriber));
    world.store.change(end).await.unwrap();
    let notifier = world.start(None, settings());
    world.all_sent().await;
    notifier.stop().await;
    let reported = |kind: &str| receiver.got().iter().filter(|request| request.body.contains(kind)).count();
    assert_eq!((reported("suspended.system"), reported("subscription.resumed"), receiver.got().len()), (3, 3, 6));
}

#[tokio::test]
async fn one_that_hangs_does_not_hold_up_another() {
    let (slow, quick) = (Receiver::start(&[Say::Hang; 30]).await, Receiver::start(&[]).await);
    let world = World::new(contact(false, Some(&slow.url()))).await;
    let (_, other) = crate::world::make(world.store.as_ref(), contact(false, Some(&quick.url()))).await;
    let notifier = world.start(None, Settings { webhook_timeout: Duration::from_secs(20), ..settings() });
    world.suspend().await;
    until("the slow one is called", async || !slow.got().is_empty()).await;
    crate::world::suspend(world.store.as_ref(), other).await;
    until("the quick one has it", async || !quick.got().is_empty()).await;
    assert_eq!(slow.got().len(), 1, "and the slow one is not called twice at once");
    drop(notifier);
}
