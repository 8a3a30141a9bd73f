//! HTTPS endpoints in the suite.

use std::sync::Arc;
use std::time::Duration;

use domain::LoggedEvent;
use domain::destination::{CustomHeaders, Destination};
use domain::outcome::ErrorReason;
use domain::{Secret, subscription::Subscription};
use parking_lot::Mutex;
use sinks::Sink;
use sinks::https::HttpsSink;
use tokio::io::AsyncWriteExt;

use super::{Arrived, Expect, Way};
use crate::endpoint::{self, Endpoint, OK, read_request};

/// Each subscription has its own path on one endpoint, which accepts everything.
pub(crate) struct Https {
    sink: Arc<HttpsSink>,
    endpoint: Endpoint,
    requests: Arc<Mutex<Vec<String>>>,
}

pub(crate) async fn make() -> Option<Https> {
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let endpoint = Endpoint::start(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(request) = read_request(&mut stream).await {
                seen.lock().push(request);
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let connector = endpoint::connector(&["127.0.0.1/32"], &[]);
    let sink = Arc::new(endpoint::sink_on(connector, endpoint::impatient()));
    Some(Https { sink, endpoint, requests })
}

impl super::Destination for Https {
    fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    async fn subscription(&self) -> Subscription {
        let mut subscription = endpoint::subscription("http://127.0.0.1/");
        let url = format!("http://{}/{}", self.endpoint.address, subscription.id);
        subscription.destination = endpoint::subscription(&url).destination;
        let Destination::Https(https) = &mut subscription.destination else { unreachable!() };
        https.headers = CustomHeaders(vec![("X-Channel".to_owned(), Secret::new("spring"))]);
        subscription
    }

    async fn arrived(&self, subscription: &Subscription, at_least: usize) -> Vec<Arrived> {
        let path = format!("/{} ", subscription.id);
        let requests = self.requests.lock();
        let arrived: Vec<_> = requests.iter().filter(|request| request.contains(&path)).map(|one| parse(one)).collect();
        assert!(arrived.len() >= at_least, "what was answered has arrived");
        arrived
    }

    async fn ways_to_fail(&self) -> Vec<Way> {
        let way = |what, url: &str, expect| Way {
            what,
            subscription: endpoint::subscription(url),
            expect,
            within: Duration::from_secs(3),
        };
        let answering =
            async |what, answer: &'static [u8], expect| way(what, &Endpoint::answering(answer).await.url(), expect);
        let silent = Endpoint::start(|_, mut stream| async move {
            read_request(&mut stream).await;
            std::future::pending::<()>().await;
        })
        .await;
        let closed = format!("http://127.0.0.1:{}/", parts::port::free());
        vec![
            way("nothing listens", &closed, Expect::Failed(ErrorReason::ConnectionRefused)),
            way("no answer", &silent.url(), Expect::Silent(ErrorReason::DestinationTimeout)),
            way("a forbidden address", "http://127.0.0.2:9/", Expect::Broken(ErrorReason::DestinationForbidden)),
            answering(
                "no such path",
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
                Expect::Broken(ErrorReason::DestinationNotFound),
            )
            .await,
            answering(
                "wrong credentials",
                b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
                Expect::Refused(ErrorReason::AuthenticationFailed),
            )
            .await,
            answering(
                "an error of its own",
                b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
                Expect::Failed(ErrorReason::DestinationFailure),
            )
            .await,
        ]
    }

    async fn picky(&self) -> Option<(Subscription, Arc<LoggedEvent>)> {
        // An endpoint is sent one event at a time: a refusal concerns no other event.
        None
    }

    fn kept(&self) -> usize {
        self.sink.open_connections()
    }
}

fn parse(request: &str) -> Arrived {
    let (head, body) = request.split_once("\r\n\r\n").expect("a request");
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Arrived { body: body.to_owned(), headers }
}
