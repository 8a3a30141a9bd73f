//! Contacts that have to confirm their address first.

use domain::Clock;
use domain::notification::{Channel, Outgoing};
use notify::{Mailer, Notifier, SmtpSecurity, Ways};
use store::confirmation::{Answer, confirm};
use store::{Put, Subscriptions};

use crate::email::smtp;
use crate::mail_server::MailServer;
use crate::receiver::{Receiver, Say};
use crate::world::{World, client, contact, resume, settings, suspend, until};

fn start(world: &World, server: &MailServer) -> Notifier {
    let mailer = Some(Mailer::new(&smtp(server.port, SmtpSecurity::None)).unwrap());
    let ways = Ways { webhooks: client(&["127.0.0.0/8"]), mailer, contacts: Some(world.store.clone()) };
    Notifier::start(world.store.clone(), store::Shard::FIRST, ways, settings(), Clock::system())
}

/// Somebody opens the link in the one question that went out.
async fn answer(world: &World) {
    let is_question = |one: &&Outgoing| matches!(one.channel, Channel::Question { .. });
    let kept = world.kept().await;
    let question = kept.iter().find(is_question).unwrap();
    let Channel::Question { code } = &question.channel else { unreachable!() };
    let answer = Answer::parse(&Answer::link(world.subscriber.id, code)).unwrap();
    let asked = world.store.subscriber(world.subscriber.id).await.unwrap().unwrap();
    let mut confirmed = confirm(asked, &answer, Clock::system().wall()).unwrap();
    confirmed.revision += 1;
    let change = store::Change { subscriber: Some(Put::Changed(confirmed)), ..store::Change::default() };
    world.store.change(change).await.unwrap();
}

#[tokio::test]
async fn an_unconfirmed_address_gets_one_question_only() {
    let Some(server) = MailServer::start("none", "") else { return };
    let world = World::new(contact(true, None)).await;
    let notifier = start(&world, &server);
    let mut stored = world.subscription.clone();
    for _ in 0..20 {
        stored = suspend(&*world.store, stored).await;
        stored = resume(&*world.store, stored).await;
    }
    world.all_sent().await;
    until("the question is sent", async || server.got().len() == 1).await;
    let question = server.got().remove(0).line;
    assert!(question.contains("Subject: Confirm your address"), "{question}");
    assert!(question.contains("https://events.example.com/confirm/"), "{question}");
    assert!(!question.contains("https://pim.example.com"), "no other link: {question}");
    assert_eq!(notifier.meters().unconfirmed.get(), 40);
    answer(&world).await;
    suspend(&*world.store, stored).await;
    until("the next one arrives", async || server.got().len() == 2).await;
    assert!(server.got()[1].line.contains("Subscription suspended"), "{:?}", server.got()[1]);
    notifier.stop().await;
}

#[tokio::test]
async fn webhooks_go_out_and_their_stand_in_by_email_waits_for_an_answer() {
    let Some(server) = MailServer::start("none", "") else { return };
    let receiver = Receiver::start(&[Say::Status(204), Say::Status(404)]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let notifier = start(&world, &server);
    let stored = suspend(&*world.store, world.subscription.clone()).await;
    until("the webhook is called", async || receiver.got().len() == 1).await;
    world.all_sent().await;
    assert!(world.kept().await.is_empty(), "nobody is asked as long as webhooks work");
    resume(&*world.store, stored).await;
    until("the question is sent", async || server.got().len() == 1).await;
    assert!(server.got()[0].line.contains("Subject: Confirm your address"), "{:?}", server.got()[0]);
    assert_eq!((receiver.got().len(), notifier.meters().unconfirmed.get()), (2, 1));
    notifier.stop().await;
}
