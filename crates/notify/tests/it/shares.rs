//! Resources shared by tenants: sending slots, and people's inboxes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::Clock;
use domain::notification::{Channel, Outgoing};
use notify::{Mailer, Notifier, Settings, SmtpSecurity, Ways};
use sinks::resolve::Resolver;
use tokio::net::{TcpListener, UdpSocket};

use crate::email::smtp;
use crate::mail_server::MailServer;
use crate::receiver::{Receiver, Say};
use crate::world::{World, client_with, contact, make, resume, settings, suspend, suspend_for, until};

#[tokio::test]
async fn two_hundred_notifications_to_a_hanging_webhook_delay_no_other() {
    let (slow, quick) = (Receiver::start(&[Say::Hang; 600]).await, Receiver::start(&[]).await);
    let world = World::new(contact(false, Some(&slow.url()))).await;
    let (_, other) = make(world.store.as_ref(), contact(false, Some(&quick.url()))).await;
    let mut stored = world.subscription.clone();
    for _ in 0..100 {
        stored = suspend(world.store.as_ref(), stored).await;
        stored = resume(world.store.as_ref(), stored).await;
    }
    let slow_webhook = Settings { webhook_timeout: Duration::from_secs(20), ..settings() };
    let notifier = world.start(None, slow_webhook);
    until("the slow one is called", async || slow.got().len() >= 20).await;
    suspend_for(world.store.as_ref(), other, "https://other-pim.example.com").await;
    until("the quick one has it", async || !quick.got().is_empty()).await;
    assert!(slow.got().len() < 32, "while all other calls hang: {}", slow.got().len());
    assert_eq!(world.waiting().await.len(), 200);
    drop(notifier);
}

/// A name server that answers nothing, and how many names it was asked for.
async fn silent_names() -> (u16, Arc<Mutex<HashSet<Vec<u8>>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (port, asked) = (socket.local_addr().unwrap().port(), Arc::<Mutex<HashSet<Vec<u8>>>>::default());
    let names = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok(length) = socket.recv(&mut question).await {
            // The first label, behind the header of 12 bytes and its own length.
            names.lock().unwrap().insert(question[13..length.min(13 + usize::from(question[12]))].to_vec());
        }
    });
    (port, asked)
}

#[tokio::test]
async fn unresolvable_names_delay_no_other_tenants_webhook() {
    let (port, asked) = silent_names().await;
    let folder = tempfile::tempdir().unwrap();
    let [resolv_conf, hosts] = ["resolv.conf", "hosts"].map(|name| folder.path().join(name));
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n").unwrap();
    std::fs::write(&hosts, "127.0.0.1 quick.example\n").unwrap();
    let quick = Receiver::start(&[]).await;
    let world = World::new(contact(false, Some("http://n.example/"))).await;
    for number in 0..300 {
        let (_, hanging) = make(&*world.store, contact(false, Some(&format!("http://n{number}.example/")))).await;
        suspend(&*world.store, hanging).await;
    }
    let url = format!("http://quick.example:{}/", quick.address.port());
    let (_, other) = make(&*world.store, contact(false, Some(&url))).await;
    let resolver = Resolver::with_files(&resolv_conf, &hosts, port);
    let ways = Ways { webhooks: client_with(resolver, &["127.0.0.0/8"]), mailer: None, contacts: None };
    let many = Settings { webhooks_at_once: 400, webhook_timeout: Duration::from_secs(20), ..settings() };
    let notifier = Notifier::start(world.store.clone(), store::Shard::FIRST, ways, many, Clock::system());
    // Three quarters of the look-ups that run at once: all that one tenant may have.
    until("all that can be are looked up", async || asked.lock().unwrap().len() >= 192).await;
    suspend_for(&*world.store, other, "https://other-pim.example.com").await;
    until("the quick one has it", async || !quick.got().is_empty()).await;
    let untried = |one: &Outgoing| one.attempts == 0 && one.waited_ms == 0;
    assert!(world.waiting().await.iter().all(untried), "it waited until others had ended");
    drop(notifier);
}

#[tokio::test]
async fn a_loop_of_suspensions_orders_six_emails_and_a_summary() {
    let Some(server) = MailServer::start("none", "") else { return };
    let hour = Settings { hour: Duration::from_secs(4), ..settings() };
    let world = World::new(contact(true, None)).await;
    let mailer = || Some(Mailer::new(&smtp(server.port, SmtpSecurity::None)).unwrap());
    let notifier = world.start(mailer(), hour.clone());
    let mut stored = world.subscription.clone();
    for _ in 0..20 {
        stored = suspend(world.store.as_ref(), stored).await;
        stored = resume(world.store.as_ref(), stored).await;
    }
    until("six are sent", async || server.got().len() == 6).await;
    let summed_up = async || match &world.waiting().await[..] {
        [one] => matches!(one.channel, Channel::Summary { count: 34, .. }),
        _ => false,
    };
    until("the rest is one", summed_up).await;
    // The hour continues across a restart.
    notifier.stop().await;
    let notifier = world.start(mailer(), hour);
    resume(world.store.as_ref(), suspend(world.store.as_ref(), stored).await).await;
    until("these join", async || {
        matches!(&world.waiting().await[..], [one] if matches!(one.channel, Channel::Summary { count: 36, .. }))
    })
    .await;
    assert_eq!(server.got().len(), 6);
    world.all_sent().await;
    until("the summary arrives", async || server.got().len() == 7).await;
    assert!(server.got()[6].line.contains("36 notifications"), "{:?}", server.got()[6]);
    until("nothing is remembered after the hour", async || world.kept().await.is_empty()).await;
    notifier.stop().await;
}

/// A server that accepts connections and never answers.
async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn an_smtp_server_that_says_nothing_is_given_its_time_and_no_more() {
    let mut silent_server = smtp(silent().await.port(), SmtpSecurity::None);
    silent_server.host = "127.0.0.1".into();
    silent_server.timeout = Duration::from_millis(200);
    let world = World::new(contact(true, None)).await;
    let notifier = world.start(Some(Mailer::new(&silent_server).unwrap()), settings());
    world.suspend().await;
    until("it was tried three times", async || world.waiting().await.first().is_some_and(|one| one.attempts >= 3))
        .await;
    notifier.stop().await;
}

#[tokio::test]
async fn the_attempts_of_a_webhook_are_counted_over_a_restart() {
    let receiver = Receiver::start(&[Say::Status(500); 10]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let long = Settings { webhook_pauses: vec![Duration::from_millis(1), Duration::from_secs(2)], ..settings() };
    let notifier = world.start(None, long);
    world.suspend().await;
    until("it was tried twice", async || world.waiting().await.first().is_some_and(|one| one.attempts == 2)).await;
    notifier.stop().await;
    assert_eq!(receiver.got().len(), 2);
    let notifier = world.start(None, settings());
    world.fell_back().await;
    assert_eq!(receiver.got().len(), 3, "one was left");
    notifier.stop().await;
}
