//! Every way to authenticate, with and without TLS, and the contents of a record.

use domain::destination::{SaslAuth, SaslMechanism};
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use parts::kafka::{Listener, PASSWORD, SCRAM_USER, USER};

use super::*;
use crate::conformance::{body, deliver, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mechanism_with_and_without_tls_and_client_certificates() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 2, &[]);
    let sink = sink(KafkaSettings::default());
    let mut sent: Vec<(Subscription, u64)> = Vec::new();
    for (mechanism, user) in [
        (SaslMechanism::Plain, USER),
        (SaslMechanism::ScramSha256, SCRAM_USER),
        (SaslMechanism::ScramSha512, SCRAM_USER),
    ] {
        for listener in [Listener::Sasl, Listener::Tls, Listener::MutualTls] {
            let sasl = SaslAuth { mechanism, username: user.to_owned(), password: Secret::new(PASSWORD) };
            // The name in the certificate is not the dialled host.
            let tls = (listener != Listener::Sasl).then(|| tls(broker.tls()));
            let subscription = with(&broker.bootstrap(listener), &topic, sasl, tls);
            let number = sent.len() as u64;
            let outcomes = deliver(&*sink, &subscription, vec![event(number)]).await;
            assert_eq!(outcomes, [Outcome::Delivered], "{mechanism:?} on {listener:?}");
            sent.push((subscription, number));
        }
    }
    assert_eq!(sink.open_clients(), 9);
    let records = consumed(broker, &topic, sent.len());
    for (subscription, number) in sent {
        let expect = Record {
            key: Some(format!("product {number:04}")),
            value: Some(body(&subscription, &event(number))),
            headers: vec![
                ("content-type".to_owned(), Some("application/cloudevents+json".to_owned())),
                ("X-Channel".to_owned(), Some("spring".to_owned())),
            ],
            ..records[0].clone()
        };
        let same = |record: &&Record| {
            (&record.key, &record.value, &record.headers) == (&expect.key, &expect.value, &expect.headers)
        };
        assert_eq!(records.iter().filter(same).count(), 1, "{number}: {records:?}");
    }
}
