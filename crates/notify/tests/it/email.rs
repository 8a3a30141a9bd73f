//! Notifications by email, with a real SMTP server.

use std::time::Duration;

use domain::Secret;
use domain::notification::Channel;
use domain::subscriber::Contact;
use notify::{Mailer, Settings, SmtpSecurity, SmtpSettings, SmtpSetupError};

use crate::mail_server::MailServer;
use crate::receiver::{Receiver, Say};
use crate::world::{World, contact, settings, until};

pub(crate) fn smtp(port: u16, security: SmtpSecurity) -> SmtpSettings {
    SmtpSettings {
        host: "localhost".into(),
        port: Some(port),
        security,
        credentials: None,
        from: "Postrider <postrider@example.com>".into(),
        timeout: Duration::from_secs(10),
        extra_roots: Vec::new(),
    }
}

fn with_login(password: &str, settings: SmtpSettings) -> SmtpSettings {
    SmtpSettings { credentials: Some(("postrider".into(), Secret::new(password))), ..settings }
}

fn trusting(server: &MailServer, settings: SmtpSettings) -> SmtpSettings {
    SmtpSettings { extra_roots: vec![server.root_pem.clone()], ..settings }
}

async fn suspended(smtp: &SmtpSettings) -> (World, notify::Notifier) {
    let world = World::new(contact(true, None)).await;
    let notifier = world.start(Some(Mailer::new(smtp).unwrap()), settings());
    world.suspend().await;
    (world, notifier)
}

/// The email arrives over a connection of this kind.
async fn check(server: &MailServer, smtp: SmtpSettings, starttls: bool, authenticated: bool) {
    let (world, notifier) = suspended(&smtp).await;
    world.all_sent().await;
    until("the server has it", async || server.got().len() == 1).await;
    let email = server.got().remove(0);
    assert!(email.has("starttls", &starttls.to_string()), "{email:?}");
    assert!(email.has("authenticated", &authenticated.to_string()), "{email:?}");
    assert!(email.has("from", "\"postrider@example.com\"") && email.has("to", "[\"ops@example.com\"]"), "{email:?}");
    for part in [
        "Subject: Subscription suspended by the event platform",
        "Content-Type: text/plain",
        "Content-Type: text/html",
        "multipart/alternative",
        "Auto-Submitted: auto-generated",
        &world.subscription.id.to_string(),
        "the destination answered 404 (not found)",
    ] {
        assert!(email.line.contains(part), "{part} is not in {email:?}");
    }
    notifier.stop().await;
}

/// The email does not arrive and waits for a retry.
async fn check_waits(server: &MailServer, smtp: SmtpSettings) {
    let (world, notifier) = suspended(&smtp).await;
    until("it was tried twice", async || world.waiting().await.first().is_some_and(|one| one.attempts >= 2)).await;
    notifier.stop().await;
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn without_tls() {
    let Some(server) = MailServer::start("none", "") else { return };
    check(&server, smtp(server.port, SmtpSecurity::None), false, false).await;
}

#[tokio::test]
async fn with_starttls_and_a_login() {
    let Some(server) = MailServer::start("starttls", r#","auth":true"#) else { return };
    let trusting = trusting(&server, smtp(server.port, SmtpSecurity::StartTls));
    check(&server, with_login("mail-password", trusting), true, true).await;
}

#[tokio::test]
async fn with_tls_from_the_first_byte_and_a_login() {
    let Some(server) = MailServer::start("tls", r#","auth":true"#) else { return };
    let trusting = trusting(&server, smtp(server.port, SmtpSecurity::Tls));
    check(&server, with_login("mail-password", trusting), false, true).await;
}

#[tokio::test]
async fn a_wrong_login_waits_for_the_operator() {
    let Some(server) = MailServer::start("starttls", r#","auth":true"#) else { return };
    let trusting = trusting(&server, smtp(server.port, SmtpSecurity::StartTls));
    check_waits(&server, with_login("wrong", trusting)).await;
}

#[tokio::test]
async fn an_unknown_certificate_and_a_server_without_tls_are_not_trusted() {
    let Some(server) = MailServer::start("starttls", "") else { return };
    check_waits(&server, smtp(server.port, SmtpSecurity::StartTls)).await;
    let Some(server) = MailServer::start("tls", "") else { return };
    check_waits(&server, smtp(server.port, SmtpSecurity::Tls)).await;
    let Some(server) = MailServer::start("none", "") else { return };
    check_waits(&server, smtp(server.port, SmtpSecurity::StartTls)).await;
}

#[tokio::test]
async fn a_server_that_says_later_gets_it_later() {
    let Some(server) = MailServer::start("none", r#","later":3"#) else { return };
    check(&server, smtp(server.port, SmtpSecurity::None), false, false).await;
}

#[tokio::test]
async fn a_mailbox_that_does_not_exist_is_given_up() {
    let Some(server) = MailServer::start("none", "") else { return };
    let contact = Contact { technical_email: "nobody@example.com".into(), ..contact(true, None) };
    let world = World::new(contact).await;
    let notifier = world.start(Some(Mailer::new(&smtp(server.port, SmtpSecurity::None)).unwrap()), settings());
    world.suspend().await;
    world.all_sent().await;
    notifier.stop().await;
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn an_email_stands_in_for_a_webhook_that_does_not_take_it() {
    let Some(server) = MailServer::start("none", "") else { return };
    let receiver = Receiver::start(&[Say::Status(410)]).await;
    let world = World::new(contact(false, Some(&receiver.url()))).await;
    let notifier = world.start(Some(Mailer::new(&smtp(server.port, SmtpSecurity::None)).unwrap()), settings());
    world.suspend().await;
    world.all_sent().await;
    until("the server has it", async || server.got().len() == 1).await;
    assert!(server.got()[0].line.contains("did not accept the notification"), "{:?}", server.got());
    notifier.stop().await;
}

#[tokio::test]
async fn pending_emails_survive_a_restart_and_are_sent_once_there_is_a_server() {
    let Some(server) = MailServer::start("none", "") else { return };
    let world = World::new(contact(true, None)).await;
    let without = world.start(None, settings());
    world.suspend().await;
    until("it was tried", async || world.waiting().await.first().is_some_and(|one| one.attempts >= 1)).await;
    without.stop().await;
    let with = world.start(Some(Mailer::new(&smtp(server.port, SmtpSecurity::None)).unwrap()), settings());
    world.all_sent().await;
    with.stop().await;
    until("the server has it", async || server.got().len() == 1).await;
}

#[tokio::test]
async fn one_that_is_too_old_is_given_up() {
    let world = World::new(contact(true, None)).await;
    let notifier = world.start(None, Settings { email_give_up: Duration::from_millis(200), ..settings() });
    world.suspend().await;
    assert_eq!(world.waiting().await[0].channel, Channel::Email { instead_of_webhook: None });
    world.all_sent().await;
    notifier.stop().await;
}

#[test]
fn a_sender_that_is_no_address_is_refused() {
    let wrong = SmtpSettings { from: "postrider".into(), ..smtp(25, SmtpSecurity::None) };
    let error = Mailer::new(&wrong).unwrap_err();
    assert!(matches!(error, SmtpSetupError::From { .. }));
    assert!(error.to_string().contains("\"postrider\" is not an email address"), "{error}");
}
