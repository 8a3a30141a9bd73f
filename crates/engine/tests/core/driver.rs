//! The driver's decisions, one by one: reads, order of inputs, retries, and ends.

use std::sync::Arc;
use std::time::Duration;

use domain::lane_status::LaneStatus;
use domain::outcome::{Lack, Outcome, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{LoggedEvent, Position, Timestamp};
use engine::core::Reply;
use engine::driver::{Driver, End, Found, Input, Request, Seen};
use store::{Chunk, LedgerRecord, Shard, Spread, StoreError};

use crate::world::{START, event_at, failed, https};

const SECOND: Duration = Duration::from_secs(1);

/// A driver with its unanswered requests.
struct Bench {
    driver: Driver,
    now: Timestamp,
    asked: Vec<Request>,
    subscription: Subscription,
    /// Contents of the tail and the announced version.
    tail: Vec<Arc<LoggedEvent>>,
    complete_from: Position,
    version: u64,
}

impl Bench {
    fn new() -> Bench {
        let mut bench = Bench::of_shard(Shard::FIRST);
        bench.asked.clear();
        bench
    }

    fn of_shard(shard: Shard) -> Bench {
        let subscription = https("https://a.example/");
        let found = Found {
            shard,
            ledger: LedgerRecord::default(),
            version: 1,
            subscriptions: vec![subscription.clone()],
            head: Position::FIRST,
        };
        let mut bench = Bench {
            driver: Driver::new(engine::Settings::default(), Arc::default(), START, found),
            now: START,
            asked: Vec::new(),
            subscription,
            tail: Vec::new(),
            complete_from: Position::FIRST,
            version: 1,
        };
        bench.tell(Input::News);
        bench
    }

    fn head(&self) -> Position {
        self.tail.last().map_or(Position::FIRST, |last| last.position.next())
    }

    fn append(&mut self) {
        self.tail.push(event_at(self.head(), self.now));
    }

    fn look(&self, from: Position, max: usize) -> Seen {
        let there = self.tail.iter().filter(|event| event.position >= from).take(max).cloned().collect();
        Seen { head: self.head(), events: Some(there).filter(|_| from >= self.complete_from) }
    }

    /// Passes an input to the driver, and answers its immediate requests.
    fn tell(&mut self, input: Input) {
        self.driver.handle(self.now, input);
        while let Some(request) = self.driver.poll() {
            match request {
                Request::Look { from, max } => {
                    let seen = self.look(from, max);
                    self.driver.handle(self.now, Input::Seen { seen });
                }
                Request::LookFor { read } => {
                    let seen = self.look(read.from, read.limit.events);
                    self.driver.handle(self.now, Input::SeenFor { read, seen });
                }
                Request::Version => self.driver.handle(self.now, Input::Announced { version: self.version }),
                request => self.asked.push(request),
            }
        }
    }

    /// Removes the first matching request.
    fn take<T>(&mut self, fits: impl Fn(&Request) -> Option<T>) -> Option<T> {
        let place = self.asked.iter().position(|request| fits(request).is_some())?;
        fits(&self.asked.remove(place))
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.driver.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.tell(Input::Timeout);
        }
        self.now = end;
    }

    /// Events of the requested attempts.
    fn sent(&mut self) -> Vec<u64> {
        let deliver = |request: &Request| match request {
            Request::Deliver { events, .. } => Some(events[0].position.0),
            _ => None,
        };
        std::iter::from_fn(|| self.take(deliver)).collect()
    }

    fn changes(&mut self) -> Option<u64> {
        self.take(|request| if let Request::Changes { since } = request { Some(*since) } else { None })
    }

    /// Answers the read of changes with the subscription as of this version.
    fn changed(&mut self, version: u64, status: SubscriptionStatus) {
        self.subscription.revision += 1;
        if status != self.subscription.status {
            self.subscription.generation += 1;
        }
        if status.is_active() && !self.subscription.status.is_active() {
            self.subscription.lane_since = self.head();
        }
        self.subscription.status = status;
        self.subscription.status_since = self.head();
        self.tell(Input::Changed { result: Ok((version, vec![self.subscription.clone()])) });
    }

    fn status(&mut self) -> LaneStatus {
        self.driver.status(self.subscription.id, self.now).unwrap().0
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("it is full".into())
}

const SUSPENDED: SubscriptionStatus = SubscriptionStatus::Suspended(SuspensionReason::User);

#[test]
fn events_wait_for_the_changes_that_were_announced_before_them() {
    let mut bench = Bench::new();
    bench.version = 2;
    bench.append();
    bench.tell(Input::News);
    assert_eq!((bench.changes(), bench.sent()), (Some(1), vec![]));
    // Meanwhile another one is announced, and an event follows it, which needs that one as well.
    bench.version = 3;
    bench.append();
    bench.tell(Input::News);
    assert_eq!(bench.changes(), None, "one read at a time");
    bench.changed(2, SubscriptionStatus::Active);
    assert_eq!((bench.sent(), bench.changes()), (vec![1], Some(2)), "the first event goes, the second waits");
    bench.changed(3, SUSPENDED);
    bench.pass(SECOND);
    assert_eq!(bench.sent(), [0; 0]);
}

#[test]
fn a_version_is_in_effect_once_the_core_works_by_it() {
    let mut bench = Bench::new();
    bench.version = 2;
    bench.tell(Input::News);
    let in_effect = |request: &Request| if let Request::InEffect { version } = request { Some(*version) } else { None };
    assert_eq!(bench.take(in_effect), None);
    bench.changed(2, SUSPENDED);
    assert_eq!(bench.take(in_effect), Some(2));
}

#[test]
fn changes_that_cannot_be_read_hold_events_up_and_are_read_again_after_a_second() {
    let mut bench = Bench::new();
    bench.version = 2;
    bench.append();
    bench.tell(Input::News);
    assert_eq!(bench.changes(), Some(1));
    bench.tell(Input::Changed { result: Err(unavailable()) });
    bench.append();
    bench.tell(Input::News);
    bench.pass(SECOND - Duration::from_micros(1));
    assert_eq!((bench.changes(), bench.sent()), (None, vec![]));
    bench.pass(Duration::from_micros(1));
    assert_eq!(bench.changes(), Some(1));
    bench.changed(2, SubscriptionStatus::Active);
    bench.pass(SECOND);
    assert_eq!(bench.sent(), [1, 2]);
}

#[test]
fn where_the_tail_does_not_reach_back_the_log_is_read_up_to_where_the_tail_was() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.append();
    }
    bench.complete_from = Position(3);
    bench.tell(Input::News);
    let missed = |request: &Request| match request {
        Request::Missed { from, limit } => Some((*from, limit.until)),
        _ => None,
    };
    assert_eq!(bench.take(missed), Some((Position(1), Position(4))));
    bench.append();
    bench.tell(Input::News);
    bench.tell(Input::Missed { result: Err(unavailable()) });
    bench.pass(SECOND - Duration::from_micros(1));
    assert_eq!((bench.take(missed), bench.sent()), (None, vec![]));
    bench.pass(Duration::from_micros(1));
    assert_eq!(bench.take(missed), Some((Position(1), Position(5))));
    let events = bench.tail[..2].to_vec();
    bench.tell(Input::Missed { result: Ok(Chunk { events, next: Position(3) }) });
    bench.pass(SECOND);
    assert_eq!(bench.sent(), [1, 2, 3, 4], "the rest is in the tail");
}

#[test]
fn a_stop_ends_after_the_last_attempt_is_saved() {
    let mut bench = Bench::new();
    bench.append();
    bench.tell(Input::News);
    let deliver = |request: &Request| match request {
        Request::Deliver { attempt, .. } => Some(*attempt),
        _ => None,
    };
    let save = |request: &Request| if let Request::Save { .. } = request { Some(()) } else { None };
    let attempt = bench.take(deliver).unwrap();
    bench.tell(Input::Stop);
    bench.append();
    bench.tell(Input::News);
    bench.tell(Reply::Outcomes { attempt, outcomes: vec![Outcome::Delivered] }.into());
    while bench.take(save).is_some() {
        assert_eq!(bench.driver.end(), None, "its save is under way");
        bench.tell(Input::Saved { result: Ok(()) });
    }
    assert_eq!((bench.driver.end(), bench.sent()), (Some(End::InOrder), vec![]));
}

#[test]
fn a_stop_ends_after_a_quarter_of_a_minute_at_the_latest() {
    let mut bench = Bench::new();
    bench.append();
    bench.tell(Input::News);
    bench.tell(Input::Stop);
    bench.tell(Input::Saved { result: Err(unavailable().into()) });
    bench.pass(15 * SECOND - Duration::from_micros(1));
    assert_eq!(bench.driver.end(), None);
    bench.pass(Duration::from_micros(1));
    assert_eq!(bench.driver.end(), Some(End::TooLate));
}

#[test]
fn a_change_read_during_a_stop_starts_no_work() {
    let mut bench = Bench::new();
    bench.changed(2, SubscriptionStatus::Active);
    bench.version = 3;
    bench.append();
    bench.tell(Input::News);
    bench.tell(Input::Stop);
    bench.changed(3, SubscriptionStatus::Active);
    assert_eq!(bench.sent(), [0; 0]);
}

/// Found by simulation (seed 9074): what was to be read again was due for ever.
#[test]
fn a_stop_reads_nothing_again() {
    let mut bench = Bench::new();
    bench.version = 2;
    bench.append();
    bench.tell(Input::News);
    assert_eq!(bench.changes(), Some(1));
    bench.tell(Input::Changed { result: Err(unavailable()) });
    bench.tell(Input::Stop);
    bench.now = bench.now + 2 * SECOND;
    bench.tell(Input::Timeout);
    assert_eq!(bench.changes(), None);
    assert!(bench.driver.poll_timeout().is_none_or(|at| at > bench.now), "due in the past");
}

/// Whoever takes the shard up again reads all subscriptions but that one.
#[test]
fn a_change_that_cannot_be_read_ends_the_tenure() {
    let mut bench = Bench::new();
    bench.version = 2;
    bench.append();
    bench.tell(Input::News);
    assert_eq!(bench.changes(), Some(1));
    let unreadable = StoreError::Corrupt("a row of a later version".to_owned());
    bench.tell(Input::Changed { result: Err(unreadable) });
    assert_eq!(bench.driver.end(), Some(End::Fenced));
    assert_eq!(bench.sent(), [0; 0], "not even by its former configuration");
}

#[test]
fn a_suspension_is_retried_until_made_and_immediately_on_conflict() {
    let mut bench = Bench::new();
    bench.append();
    bench.tell(Input::News);
    let deliver =
        |request: &Request| if let Request::Deliver { attempt, .. } = request { Some(*attempt) } else { None };
    let suspend = |request: &Request| if let Request::Suspend { number, .. } = request { Some(*number) } else { None };
    let attempt = bench.take(deliver).unwrap();
    let Outcome::Failed(failure) = failed() else { panic!("it failed") };
    bench.tell(Reply::Outcomes { attempt, outcomes: vec![Outcome::Broken(failure)] }.into());
    let number = bench.take(suspend).unwrap();
    bench.tell(Input::Suspended { number, result: Err(store::ChangeError::Conflict) });
    assert_eq!(bench.take(suspend), Some(number));
    bench.tell(Input::Suspended { number, result: Err(unavailable().into()) });
    bench.pass(SECOND - Duration::from_micros(1));
    assert_eq!(bench.take(suspend), None);
    bench.pass(Duration::from_micros(1));
    assert_eq!(bench.take(suspend), Some(number));
    bench.tell(Input::Suspended { number, result: Ok(true) });
    bench.pass(60 * SECOND);
    assert_eq!(bench.take(suspend), None);
}

#[test]
fn the_log_is_trimmed_one_time_after_another() {
    let mut bench = Bench::new();
    let trim = |request: &Request| if let Request::Trim { .. } = request { Some(()) } else { None };
    bench.pass(60 * SECOND);
    assert_eq!(bench.take(trim), None, "the first is still under way");
    bench.tell(Input::Trimmed { result: Ok(Default::default()) });
    bench.pass(10 * SECOND);
    assert_eq!((bench.take(trim), bench.take(trim)), (Some(()), None));
}

#[test]
fn lacks_are_shown_until_ten_seconds_after_their_end() {
    let mut bench = Bench::new();
    bench.append();
    bench.tell(Input::News);
    let deliver =
        |request: &Request| if let Request::Deliver { attempt, .. } = request { Some(*attempt) } else { None };
    let show = |request: &Request| if let Request::Show { lacks } = request { Some(lacks.clone()) } else { None };
    let attempt = bench.take(deliver).unwrap();
    bench.tell(Reply::Outcomes { attempt, outcomes: vec![Outcome::Ours(Lack::FileDescriptors)] }.into());
    assert_eq!(bench.take(show), Some(vec![Lack::FileDescriptors]));
    bench.pass(2 * SECOND);
    let attempt = bench.take(deliver).unwrap();
    bench.tell(Reply::Outcomes { attempt, outcomes: vec![Outcome::Delivered] }.into());
    bench.pass(9 * SECOND);
    assert_eq!(bench.take(show), None);
    bench.pass(2 * SECOND);
    assert_eq!(bench.take(show), Some(vec![]));
    assert_eq!(bench.status().delivered_in_window, 1);
}

#[test]
fn shards_take_turns_with_their_first_trims() {
    let trim = |request: &Request| if let Request::Trim { .. } = request { Some(()) } else { None };
    assert_eq!(Bench::of_shard(Shard::FIRST).take(trim), Some(()), "the only shard of the embedded store");
    let mut bench = Bench::of_shard(Spread::CLUSTER.shard(32).unwrap());
    let half = engine::Settings::default().trim_every / 2;
    bench.pass(half - Duration::from_millis(1));
    assert_eq!(bench.take(trim), None);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.take(trim), Some(()));
}
