//! The loop that reads the outbox, asks the plan what goes next, and starts it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use domain::notification::Outgoing;
use sinks::client::Client;
use store::{Outbox, StoreError};
use tokio::sync::watch;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::meters::{Meters, Way};
use crate::plan::{Ended, Name, Plan, Start};
use crate::post::{Post, STORE_AGAIN};
use crate::settings::Settings;
use crate::smtp::Mailer;

/// A stop lets what is on its way arrive for this long; what is not recorded by then is sent again at the next start.
const STOP_AT_MOST: Duration = Duration::from_secs(5);
/// Notifications that are read at once.
const PAGE: usize = 500;

/// The ways out.
pub struct Ways {
    /// Calls webhooks; its guard judges their addresses.
    pub webhooks: Client,
    /// Sends emails; none where the operator has set no SMTP server.
    pub mailer: Option<Mailer>,
}

/// The running sender.
pub struct Notifier {
    meters: Arc<Meters>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Notifier {
    /// Sends what waits, and what comes.
    pub fn start(outbox: Arc<dyn Outbox>, ways: Ways, settings: Settings, clock: Clock) -> Notifier {
        if ways.mailer.is_none() {
            tracing::warn!(
                "no SMTP server is set (`smtp.host`): notifications by email wait and are given up after {} days; \
                 webhooks work",
                settings.email_give_up.as_secs() / 86_400
            );
        }
        let (stop, stopped) = watch::channel(false);
        let meters = Arc::new(Meters::default());
        let post = Arc::new(Post { outbox, ways, settings, clock, meters: Arc::clone(&meters) });
        Notifier { meters, stop, running: tokio::spawn(run(post, stopped)) }
    }

    /// What is counted.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Resolves when the sender has ended, in order or by a fault.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let stop = self.stop.clone();
        // Its loop holds the receiver.
        async move { stop.closed().await }
    }

    /// Stops it; what is on its way may arrive.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.running.await {
            tracing::error!(%error, "the sender of notifications did not stop in order");
        }
    }
}

async fn run(post: Arc<Post>, mut stopped: watch::Receiver<bool>) {
    let mut committed = post.outbox.changes().committed();
    let mut plan = Plan::new(&post.settings);
    let mut under_way = UnderWay::default();
    let mut restored = false;
    loop {
        committed.borrow_and_update();
        let look_again = match read(&post, &mut plan, &mut restored).await {
            Ok(()) => post.settings.look_every,
            Err(error) => {
                tracing::error!(%error, "the notifications that wait cannot be read; it will be tried again");
                STORE_AGAIN
            }
        };
        let now = Instant::now();
        for start in plan.start(now) {
            under_way.begin(&post, start);
        }
        let look_at = plan.next_at().map_or(now + look_again, |next| next.min(now + look_again));
        tokio::select! {
            // An error is the sender's end, which is a stop as well.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = committed.changed() => {}
            done = under_way.next() => done.tell(&mut plan),
            () = tokio::time::sleep_until(look_at) => {}
        }
    }
    let rest = async {
        while !under_way.tasks.is_empty() {
            under_way.next().await;
        }
    };
    tokio::time::timeout(STOP_AT_MOST, rest).await.unwrap_or_default();
}

/// Reads what is new in the outbox; at first all that there is, before anything goes: what was sent within the last
/// hour decides about the rest.
async fn read(post: &Post, plan: &mut Plan, restored: &mut bool) -> Result<(), StoreError> {
    let mut kept: Vec<Outgoing> = Vec::new();
    loop {
        let last = kept.last().map(|last| last.number).or_else(|| plan.last());
        let page = post.outbox.notifications(last, PAGE).await?;
        let more = page.len() == PAGE;
        if *restored {
            page.iter().for_each(|outgoing| plan.add(outgoing, Instant::now()));
        } else {
            kept.extend(page);
        }
        if !more {
            break;
        }
    }
    if !*restored {
        plan.restore(kept, Instant::now(), post.clock.wall());
        *restored = true;
    }
    if plan.wants_look() {
        plan.retain(&post.outbox.notification_numbers().await?);
    }
    Ok(())
}

/// What is being done.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Done>,
    /// What becomes of a task that ends in a fault.
    lost: HashMap<Id, Done>,
}

/// What was done.
#[derive(Clone)]
enum Done {
    Sent(Name, Way, Ended),
    Joined { address: String, emails: Vec<Name>, summary: Option<u64> },
    Forgotten(Name),
}

impl Done {
    fn tell(self, plan: &mut Plan) {
        let now = Instant::now();
        match self {
            Done::Sent((number, _), way, ended) => plan.ended(number, way, ended, now),
            Done::Joined { address, emails, summary } => plan.joined(&address, &emails, summary, now),
            Done::Forgotten((number, _)) => plan.forgotten(number),
        }
    }
}

impl UnderWay {
    fn begin(&mut self, post: &Arc<Post>, start: Start) {
        let post = Arc::clone(post);
        let (task, lost) = match start {
            Start::Send(name, way) => {
                let task = self.tasks.spawn(async move { Done::Sent(name, way, post.send(name).await) });
                // It is still due: without a pause it would be tried again and again at once.
                (task, Done::Sent(name, way, Ended::Again(STORE_AGAIN)))
            }
            Start::Join { address, emails, summary } => {
                let kept = summary.map(|(number, _)| number);
                let lost = Done::Joined { address: address.clone(), emails: Vec::new(), summary: kept };
                let task = self.tasks.spawn(async move {
                    let summary = post.join(&emails, summary).await;
                    Done::Joined { address, emails, summary }
                });
                (task, lost)
            }
            Start::Forget(name) => {
                let task = self.tasks.spawn(async move {
                    post.forget(name.1).await;
                    Done::Forgotten(name)
                });
                (task, Done::Forgotten(name))
            }
        };
        self.lost.insert(task.id(), lost);
    }

    /// Waits for the end of one; for ever if there is none.
    async fn next(&mut self) -> Done {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, done))) => {
                self.lost.remove(&id);
                done
            }
            Some(Err(error)) => {
                tracing::error!(%error, "sending a notification ended in a fault; it is tried again");
                match self.lost.remove(&error.id()) {
                    Some(lost) => lost,
                    None => std::future::pending().await,
                }
            }
            None => std::future::pending().await,
        }
    }
}
