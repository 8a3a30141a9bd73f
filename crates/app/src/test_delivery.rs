//! Test events, sent by the sinks that make all deliveries.

use std::sync::Arc;

use api::{Tested, Tester};
use async_trait::async_trait;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{Clock, LoggedEvent};
use engine::attempts::{Attempt, Made};
use sinks::{Answers, Delivery, Sink};
use tokio::time::Instant;

/// The sinks as a sender of test events.
pub(crate) struct TestDelivery {
    sink: Arc<dyn Sink>,
    clock: Clock,
}

impl TestDelivery {
    /// Sends by these sinks.
    pub(crate) fn new(sink: Arc<dyn Sink>, clock: Clock) -> TestDelivery {
        TestDelivery { sink, clock }
    }
}

#[async_trait]
impl Tester for TestDelivery {
    async fn attempt(&self, subscription: Subscription, event: LoggedEvent) -> Option<Tested> {
        let (id, active) = (subscription.id, subscription.status.is_active());
        let events = vec![Arc::new(event)];
        let answers = Answers::default();
        let delivery = Delivery {
            subscription: Arc::new(subscription),
            events: events.clone(),
            traces: Vec::new(),
            answers: answers.clone(),
            replay: None,
        };
        let (started_at, started) = (self.clock.wall(), Instant::now());
        let outcomes = self.sink.deliver(delivery).await;
        if !active {
            // Its lane, which closes connections otherwise, has done so before.
            self.sink.forget(id);
        }
        let made = Made { started_at, duration: started.elapsed(), replay_id: None };
        let attempt = Attempt::of(&events, &outcomes, &answers.take(), made);
        Some(Tested { attempt: attempt.first()?.into(), message: message(outcomes.first()?) })
    }
}

/// Why an event was not delivered.
fn message(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::Throttled { .. } => Some("the destination answered 429 (too many requests)".to_owned()),
        Outcome::Ours(lack) => Some(format!("the platform itself lacks what the attempt needs: {lack}")),
        Outcome::Abandoned => Some("the platform is stopping".to_owned()),
        Outcome::NotProcessed(failure)
        | Outcome::Failed(failure)
        | Outcome::Refused(failure)
        | Outcome::Broken(failure)
        | Outcome::Silent(failure) => Some(failure.message.clone()),
    }
}
