//! Time to the first byte of the console's pages, with 10,000 subscriptions and a day of kept events.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use domain::fate::OutcomeCounts;
use domain::subscription::Subscription;
use domain::traffic::Traffic;
use domain::{Clock, Position, Timestamp};
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use store::{Facts, LaneSave, Save, Shard, Store};
use tokio::net::TcpStream;

use super::{BATCH, Bench};
use crate::catalogue::{self, CLIENT, SOURCE_KEY, TOKEN};
use crate::platform::Stage;
use crate::producer::{Target, flood};
use crate::table::{Aim, Row, Table, median, share};

const OPERATOR_KEY: &str = "an-operator-key-for-benchmarks";
const SETTINGS: &str = "[api]\noperator_key = \"an-operator-key-for-benchmarks\"\nrate = 100000\n\
    [storage]\nkeep_delivered_size = \"2 GiB\"\n";
/// A day of events; fewer with `--quick`.
const EVENTS: (u64, u64) = (1_000_000, 100_000);
/// Requests for each page.
const REQUESTS: usize = 30;
/// Highest acceptable time, in milliseconds.
const FIRST_BYTE: f64 = 50.0;

/// A browser without a window.
struct Browser {
    platform: SocketAddr,
    cookie: String,
}

impl Browser {
    /// Signs in with the fields of a form.
    async fn sign_in(platform: SocketAddr, path: &str, fields: &str) -> anyhow::Result<Browser> {
        let mut browser = Browser { platform, cookie: String::new() };
        let page = browser.send(Method::GET, path, String::new()).await?;
        browser.remember(&page)?;
        let page = String::from_utf8(page.into_body().collect().await?.to_bytes().to_vec())?;
        let (_, token) = page.split_once("name=\"csrf\" value=\"").context("the page has no form")?;
        let token = token.split('"').next().unwrap_or_default();
        let answer = browser.send(Method::POST, path, format!("csrf={token}&{fields}")).await?;
        if answer.status() != StatusCode::SEE_OTHER {
            bail!("signing in was answered with {}", answer.status());
        }
        browser.remember(&answer)?;
        Ok(browser)
    }

    fn remember(&mut self, answer: &Response<Incoming>) -> anyhow::Result<()> {
        let cookie = answer.headers().get(SET_COOKIE).context("no cookie")?.to_str()?;
        self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Sends a request on a connection of its own, as far as the response's head.
    async fn send(&self, method: Method, path: &str, form: String) -> anyhow::Result<Response<Incoming>> {
        let stream = TcpStream::connect(self.platform).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.platform.to_string())
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))?;
        Ok(sender.send_request(request).await?)
    }

    /// Milliseconds until the head of a page arrives; its body is complete by then.
    async fn first_byte(&self, path: &str) -> anyhow::Result<f64> {
        let start = Instant::now();
        let answer = self.send(Method::GET, path, String::new()).await?;
        let time = start.elapsed();
        if answer.status() != StatusCode::OK {
            bail!("{path} was answered with {}", answer.status());
        }
        answer.into_body().collect().await?;
        Ok(time.as_secs_f64() * 1000.0)
    }
}

/// A day of outcomes of these subscriptions, as their lanes would have saved them.
async fn save_outcomes(store: &dyn Store, subscriptions: &[Subscription]) -> anyhow::Result<()> {
    let tenure = store.take(Shard::FIRST).await?;
    let step = Traffic::STEP.as_micros() as i64;
    let last = Clock::system().wall().as_micros() / step * step;
    let steps = Traffic::SPAN.as_micros() as i64 / step;
    let counts = (0..steps).map(|back| OutcomeCounts {
        from: Timestamp::from_micros(last - back * step),
        delivered: 100,
        failed: 2,
        throttled: 1,
    });
    let counts: Vec<_> = counts.collect();
    let lane = |one: &Subscription| LaneSave {
        subscription: one.id,
        generation: 0,
        cursor: None,
        memory: None,
        exceptions: Vec::new(),
        settled: Vec::new(),
        drop_exceptions: false,
        entries: Vec::new(),
        facts: Facts { counts: counts.clone(), ..Facts::default() },
    };
    let lanes = subscriptions.iter().map(lane).collect();
    store.save(&tenure, Save { mark: Position::default(), lanes, replays: Vec::new() }).await?;
    Ok(())
}

impl Bench<'_> {
    /// Time to the first byte of each page, with 10,000 subscriptions and a day of kept events.
    pub(super) async fn console(&self, table: &mut Table) -> anyhow::Result<()> {
        let stage = Stage::new(&self.plan.server, &self.plan.folder, 64)?.with(SETTINGS);
        let store = stage.store().await?;
        let mine = catalogue::fill_up(store.as_ref(), &self.receiver.url()).await?;
        save_outcomes(store.as_ref(), &mine).await?;
        tokio::task::spawn_blocking(move || drop(store)).await?;
        let platform = stage.start(&[]).await?;
        let target = Target::platform(platform.address, SOURCE_KEY, BATCH)?;
        let wanted = if self.plan.quick { EVENTS.1 } else { EVENTS.0 };
        let (mut events, before) = (0, self.receiver.count());
        while events < wanted {
            events += flood(&target, &self.samples, 4, BATCH, Duration::from_millis(500)).await?.events;
        }
        self.receiver.wait_for(before + events).await?;

        let fields = format!("pim_url=https%3A%2F%2Fpim-0.example.com&client_id={CLIENT}&token={TOKEN}");
        let client = Browser::sign_in(platform.address, "/console/sign-in", &fields).await?;
        let operator = Browser::sign_in(platform.address, "/console/operator", &format!("key={OPERATOR_KEY}")).await?;
        let one = mine.first().context("no subscription")?;
        let one = format!("/console/subscribers/{}/subscriptions/{}", one.subscriber_id, one.id);
        let pages = [
            (&client, "overview", "/console".to_owned()),
            (&client, "subscriptions", "/console/subscriptions".to_owned()),
            (&client, "one subscription", one.clone()),
            (&client, "try a filter", format!("{one}/filter")),
            (&client, "events", "/console/events".to_owned()),
            (&client, "events of an author", "/console/events?author=nobody".to_owned()),
            (&client, "log", "/console/log".to_owned()),
            (&client, "live", "/console/live".to_owned()),
            (&client, "live, its data", "/console/live/data".to_owned()),
            (&client, "try it", "/console/try".to_owned()),
            (&operator, "operator's overview", "/console".to_owned()),
            (&operator, "operator's subscriptions", "/console/subscriptions".to_owned()),
            (&operator, "PIMs", "/console/pims".to_owned()),
            (&operator, "one PIM", "/console/pims/pim-0".to_owned()),
        ];
        for (browser, name, path) in &pages {
            let mut times = Vec::new();
            for _ in 0..REQUESTS {
                times.push(browser.first_byte(path).await?);
            }
            let row = |name: String, figure, aim| Row { name, figure, unit: "ms", ceiling: None, ratio: None, aim };
            table.row(&row(format!("console: {name}, p50"), median(&times), Aim::AtMost(FIRST_BYTE)));
            table.row(&row("  p95".to_owned(), share(&times, 0.95), Aim::None));
        }
        platform.stop().await
    }
}
