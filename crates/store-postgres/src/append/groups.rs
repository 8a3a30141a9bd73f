//! Which requests of a shard are committed together.

use std::time::Duration;

use domain::Event;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Request;

/// Bytes of events per group, so that no caller waits for a huge commit.
const GROUP_BYTES: usize = 2 << 20;
/// From this number of callers at the same time on, a group waits for those of the last one to return.
const CALLERS: usize = 8;
/// Longest wait, so that a commit that took seconds, or failed after them, delays no other.
const AT_MOST: Duration = Duration::from_millis(20);
/// Shorter commits are not worth a wait: timers have a resolution of a millisecond.
const WORTH_A_WAIT: Duration = Duration::from_millis(2);

/// Groups of requests. Producers that wait for their answer return together after a commit. Without a wait, the first
/// of them would be a group alone, and all others would wait for its commit.
pub(super) struct Groups {
    requests: mpsc::Receiver<Request>,
    /// Did not fit into the last group.
    held: Option<Request>,
    /// Requests of the last group, and those that waited for its end.
    callers: usize,
    /// Duration of the last commit.
    took: Duration,
}

impl Groups {
    pub(super) fn of(requests: mpsc::Receiver<Request>) -> Groups {
        Groups { requests, held: None, callers: 0, took: Duration::ZERO }
    }

    /// The last group had `size` requests, and its commit `took` this long.
    pub(super) fn committed(&mut self, size: usize, took: Duration) {
        self.callers = size + self.requests.len() + usize::from(self.held.is_some());
        self.took = took;
    }

    /// The next group; `None` once the queue is closed.
    pub(super) async fn next(&mut self) -> Option<Vec<Request>> {
        let first = match self.held.take() {
            Some(held) => held,
            None => self.requests.recv().await?,
        };
        let waits = self.callers >= CALLERS && self.took >= WORTH_A_WAIT;
        let until = Instant::now() + if waits { (self.took / 4).min(AT_MOST) } else { Duration::ZERO };
        let size = |request: &Request| request.events.iter().map(Event::size).sum::<usize>();
        let mut bytes = size(&first);
        let mut group = vec![first];
        loop {
            let next = match self.requests.try_recv() {
                Ok(next) => next,
                Err(_) if !waits || group.len() >= self.callers => return Some(group),
                Err(_) => match timeout_at(until, self.requests.recv()).await {
                    Ok(Some(next)) => next,
                    Ok(None) | Err(_) => return Some(group),
                },
            };
            bytes += size(&next);
            if bytes > GROUP_BYTES {
                self.held = Some(next);
                return Some(group);
            }
            group.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::PimId;
    use tokio::sync::oneshot;

    use super::super::{QUEUE, Queue};
    use super::*;

    const COMMIT: Duration = Duration::from_millis(12);

    fn request() -> Request {
        let event = store::conformance::sample::event("a");
        let (answer, _) = oneshot::channel();
        let keys = Vec::new();
        Request {
            pim: PimId(1),
            events: vec![event],
            keys,
            now: store::conformance::sample::at(0),
            conditions: Vec::new(),
            answer,
        }
    }

    /// Groups after one of `callers` requests with a commit of some duration, and the queue with as many again.
    fn after(callers: usize, took: Duration) -> (Groups, Queue) {
        let (queue, requests) = mpsc::channel(QUEUE);
        let mut groups = Groups::of(requests);
        groups.committed(callers, took);
        (groups, queue)
    }

    /// Sends a request each millisecond.
    fn trickle(queue: &Queue, requests: usize) {
        let queue = queue.clone();
        tokio::spawn(async move {
            for _ in 0..requests {
                _ = queue.send(request()).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_return_after_a_commit_are_one_group() {
        let (mut groups, queue) = after(8, COMMIT * 4);
        trickle(&queue, 8);
        assert_eq!(groups.next().await.map(|group| group.len()), Some(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_waits_for_a_quarter_of_a_commit_at_most() {
        let (mut groups, queue) = after(100, COMMIT);
        trickle(&queue, 100);
        let began = Instant::now();
        let size = groups.next().await.map(|group| group.len()).unwrap_or(0);
        assert_eq!(began.elapsed(), COMMIT / 4);
        assert!((3..=4).contains(&size), "{size}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_took_seconds_delays_no_other() {
        let (mut groups, queue) = after(100, Duration::from_secs(3));
        trickle(&queue, 1);
        let began = Instant::now();
        assert_eq!(groups.next().await.map(|group| group.len()), Some(1));
        assert_eq!(began.elapsed(), AT_MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn few_callers_and_quick_commits_wait_for_nobody() {
        for (callers, took) in [(CALLERS - 1, COMMIT), (100, WORTH_A_WAIT / 2)] {
            let (mut groups, queue) = after(callers, took);
            trickle(&queue, 3);
            let began = Instant::now();
            assert_eq!(groups.next().await.map(|group| group.len()), Some(1));
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    }
}
