//! Questions that only the owner of a shard can answer, and the answers. Written as JSON.

use domain::attempt::PastAttempts;
use domain::backlog;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::traffic::{Traffic, Trouble};
use domain::{PimId, Position, SubscriptionId};
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// About a subscription, to the owner of its PIM's shard.
    Subscription {
        /// Its PIM.
        pim: PimId,
        /// The subscription.
        id: SubscriptionId,
        /// What is asked.
        about: About,
    },
    /// The statuses of lanes of a PIM, to the owner of its shard.
    Statuses {
        /// The PIM.
        pim: PimId,
        /// The subscriptions.
        of: Vec<SubscriptionId>,
    },
    /// Outcomes of a PIM's subscriptions that are not saved yet, to the owner of its shard.
    OutcomeCounts {
        /// The PIM.
        pim: PimId,
        /// The subscriptions.
        of: Vec<SubscriptionId>,
    },
    /// The backlogs of subscriptions over time, as far as a node owns their shards.
    Backlog(backlog::Of),
    /// The traffic of a PIM, to the owner of its shard.
    TrafficOf(PimId),
    /// The traffic of all shards of a node.
    Traffic,
    /// At most this many subscriptions in trouble, of all shards of a node.
    Troubled(usize),
}

/// What can be asked about a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The status of its lane.
    Status,
    /// Where an event is.
    Whereabouts(Position),
    /// The attempts that are remembered.
    Attempts,
}

/// The answer to a question, by the same name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// `None`: no lane runs for it.
    Status(Option<LaneStatus>),
    /// `None`: no lane runs for it.
    Whereabouts(Option<Whereabouts>),
    /// In the order of the question; `None`: no lane runs for it.
    Statuses(Vec<Option<LaneStatus>>),
    /// By step, of all together.
    OutcomeCounts(Vec<OutcomeCounts>),
    /// With the numbers of the shards that it covers.
    Backlog {
        /// The shards.
        shards: Vec<u8>,
        /// The steps, of all subscriptions together.
        steps: Vec<backlog::Step>,
    },
    /// Those that are remembered.
    Attempts(PastAttempts),
    /// Counts since the owner took the shard up.
    TrafficOf(Traffic),
    /// With the numbers of the shards that it covers.
    Traffic {
        /// The shards.
        shards: Vec<u8>,
        /// The sum; none without shards.
        traffic: Option<Traffic>,
    },
    /// With the numbers of the shards that it covers.
    Troubled {
        /// The shards.
        shards: Vec<u8>,
        /// The subscriptions, the worst first.
        troubled: Vec<Trouble>,
    },
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::Timestamp;
    use domain::attempt::{AttemptOutcome, PastAttempt};
    use domain::fate::{DropReason, GivenUp};
    use domain::lane_status::SlowedBy;
    use domain::outcome::{ErrorReason, Failure, Lack};
    use domain::traffic::TrafficCounts;

    use super::*;

    #[track_caller]
    fn check(answer: &Answer) {
        let text = serde_json::to_vec(answer).unwrap();
        let read: Answer = serde_json::from_slice(&text).unwrap();
        assert_eq!(&read, answer);
    }

    #[test]
    fn answers_are_read_as_they_were_written() {
        let at = Timestamp::from_micros(1_790_000_000_000_000);
        check(&Answer::Status(None));
        let failure = Failure::without_status(ErrorReason::DestinationTimeout, "too late");
        check(&Answer::Status(Some(LaneStatus {
            rate: Some(12.5),
            backlog: 3,
            oldest_accepted_at: Some(at),
            last_failure: Some((at, failure)),
            slowed_by: Some(SlowedBy::HostRate),
            lacks: vec![Lack::NameServers],
            ..LaneStatus::default()
        })));
        let given_up =
            GivenUp { position: Position(3), reason: ErrorReason::ConnectionReset, status: Some(500), attempts: 4, at };
        for whereabouts in [
            Whereabouts::InFlight,
            Whereabouts::Waiting,
            Whereabouts::WaitingForRetry { failures: 2, throttled: true, due_at: at },
            Whereabouts::GivenUp(given_up),
            Whereabouts::Dropped { reason: DropReason::Suspended, at, uncertain: true },
            Whereabouts::Delivered,
            Whereabouts::Passed,
        ] {
            check(&Answer::Whereabouts(Some(whereabouts)));
        }
        check(&Answer::Statuses(vec![None, Some(LaneStatus::default())]));
        let peak = backlog::Sample { oldest: Duration::from_secs(9), waiting: 2, at_least: true };
        let step = backlog::Step { from: at, length: Duration::from_secs(300), peak };
        check(&Answer::Backlog { shards: vec![1], steps: vec![step] });
        check(&Answer::OutcomeCounts(vec![OutcomeCounts { delivered: 1, ..OutcomeCounts::at(at) }]));
        let attempt = PastAttempt {
            position: Position(5),
            event_id: "id".to_owned(),
            event_type: "type".to_owned(),
            started_at: at,
            duration: Duration::from_micros(1_234_567),
            outcome: AttemptOutcome::NotCounted,
            error_reason: Some(ErrorReason::Throttled),
            status: Some(429),
            body: Some("slow down".to_owned()),
            replay: None,
        };
        check(&Answer::Attempts(PastAttempts { since: at, attempts: vec![attempt] }));
        let mut traffic = Traffic::new(Traffic::STEP_OF_PIM);
        traffic.add(at, &TrafficCounts { accepted: 2, failed: 1, ..TrafficCounts::default() });
        traffic.arrived("type", at);
        check(&Answer::TrafficOf(traffic.clone()));
        check(&Answer::Traffic { shards: vec![0, 63], traffic: Some(traffic) });
        let trouble = Trouble {
            subscription: SubscriptionId::generate(),
            backlog: 7,
            backlog_at_least: true,
            oldest_accepted_at: None,
            delivered: 1,
            failed: 9,
        };
        check(&Answer::Troubled { shards: vec![5], troubled: vec![trouble] });
    }

    /// Nodes of two versions run side by side during an upgrade.
    #[test]
    fn what_another_version_leaves_out_or_adds_does_not_matter() {
        let status: Answer = serde_json::from_str(r#"{"status": {"backlog": 4, "a_later_field": 1}}"#).unwrap();
        assert_eq!(status, Answer::Status(Some(LaneStatus { backlog: 4, ..LaneStatus::default() })));
    }
}
