//! The loop that reads the outbox, gets the next work from the plan, and starts it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use domain::notification::Outgoing;
use store::{Outbox, Shard, StoreError};
use tokio::sync::watch;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::meters::{Meters, Way};
use crate::plan::{Ended, Name, Plan, Start};
use crate::post::{Post, STORE_AGAIN};
use crate::settings::Settings;
use crate::ways::Ways;

/// Maximum wait at a stop for pending sends; those not recorded by then are repeated after the next start.
pub const STOP_AT_MOST: Duration = Duration::from_secs(5);
/// Number of notifications read at once.
const PAGE: usize = 500;

/// The running sender.
pub struct Notifier {
    meters: Arc<Meters>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Notifier {
    /// Sends a shard's pending and future notifications, for its owner.
    pub fn start(outbox: Arc<dyn Outbox>, shard: Shard, ways: Ways, settings: Settings, clock: Clock) -> Notifier {
        Notifier::start_beside(outbox, shard, ways, settings, clock, Arc::default())
    }

    /// The same for one of several senders of a process, which count together.
    pub fn start_beside(
        outbox: Arc<dyn Outbox>,
        shard: Shard,
        ways: Ways,
        settings: Settings,
        clock: Clock,
        meters: Arc<Meters>,
    ) -> Notifier {
        if ways.mailer.is_none() && shard == Shard::FIRST {
            tracing::warn!(
                "no SMTP server is configured (`smtp.host`): notifications by email wait and are given up after {} \
                 days; \
                 webhooks work",
                settings.email_give_up.as_secs() / 86_400
            );
        }
        let (stop, stopped) = watch::channel(false);
        let post = Arc::new(Post { outbox, shard, ways, settings, clock, meters: Arc::clone(&meters) });
        Notifier { meters, stop, running: tokio::spawn(run(post, stopped)) }
    }

    /// The counters.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Resolves when the sender has ended, in order or by a fault.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let stop = self.stop.clone();
        // Its loop holds the receiver.
        async move { stop.closed().await }
    }

    /// Stops the sender after pending sends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.running.await {
            tracing::error!(%error, "the notification sender did not stop gracefully");
        }
    }
}

async fn run(post: Arc<Post>, mut stopped: watch::Receiver<bool>) {
    let mut committed = post.outbox.committed(post.shard);
    let mut plan = Plan::new(&post.settings);
    let mut under_way = UnderWay::default();
    let mut restored = false;
    loop {
        committed.borrow_and_update();
        let look_again = match read(&post, &mut plan, &mut restored).await {
            Ok(()) => post.settings.look_every,
            Err(error) => {
                tracing::error!(%error, "could not read pending notifications; retrying");
                STORE_AGAIN
            }
        };
        let now = Instant::now();
        for start in plan.start(now) {
            under_way.begin(&post, start);
        }
        let look_at = plan.next_at().map_or(now + look_again, |next| next.min(now + look_again));
        tokio::select! {
            // An error means that the sender is gone, which is a stop as well.
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

/// Reads new notifications from the outbox; at first all of them, before anything is sent: emails of the last hour
/// determine the rest.
async fn read(post: &Post, plan: &mut Plan, restored: &mut bool) -> Result<(), StoreError> {
    let mut kept: Vec<Outgoing> = Vec::new();
    loop {
        let last = kept.last().map(|last| last.number).or_else(|| plan.last());
        let page = post.outbox.notifications(post.shard, last, PAGE).await?;
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
        plan.retain(&post.outbox.notification_numbers(post.shard).await?);
    }
    Ok(())
}

/// Work in progress.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Done>,
    /// Result if the task panics.
    lost: HashMap<Id, Done>,
}

/// Result of a task.
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
                // It is still due: without a pause it would be retried immediately, again and again.
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

    /// Waits for the end of a task; forever if there is none.
    async fn next(&mut self) -> Done {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, done))) => {
                self.lost.remove(&id);
                done
            }
            Some(Err(error)) => {
                tracing::error!(%error, "sending a notification panicked; retrying");
                match self.lost.remove(&error.id()) {
                    Some(lost) => lost,
                    None => std::future::pending().await,
                }
            }
            None => std::future::pending().await,
        }
    }
}
