//! A hanging destination doesn't affect the others: a world is compared with its twin in which that destination is
//! healthy.

use std::collections::BTreeMap;

use domain::subscription::Options;
use simulation::plan::{MINUTE, Plan, SECOND, SubscriptionPlan};
use simulation::receiver::Behaviour;
use simulation::world::World;

/// Two PIMs and four subscriptions, the first one with the given destination.
fn world(seed: u64, first: Behaviour, topics: [bool; 4]) -> Plan {
    let subscription = |pim, receiver| SubscriptionPlan {
        pim,
        types: vec![0, 1, 2, 3],
        user: None,
        options: Options::default(),
        receiver,
    };
    let good = vec![(0, Behaviour::Good(20))];
    Plan {
        pims: 2,
        subscriptions: vec![subscription(1, 0), subscription(1, 1), subscription(1, 2), subscription(2, 3)],
        receivers: vec![vec![(0, first)], good.clone(), vec![(0, Behaviour::Throttling(9))], good],
        topics: topics.to_vec(),
        storage: Vec::new(),
        batches: (0..60).flat_map(|second| [(second * SECOND, 1, 12), (second * SECOND + 1000, 2, 5)]).collect(),
        incidents: Vec::new(),
        lasts: 20 * MINUTE,
        settings: engine::Settings::default(),
        tail_bytes: 1 << 24,
        races: false,
        ..Plan::of_endpoints(seed)
    }
}

/// Send times of each event, for all subscriptions but the first.
fn sent(plan: Plan) -> BTreeMap<(usize, u64), Vec<u64>> {
    let mut world = World::new(plan).unwrap_or_else(|violation| panic!("{violation}"));
    world.live().unwrap_or_else(|violation| panic!("{violation}"));
    let mut sent: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for one in world.sent().iter().filter(|one| one.lane > 0) {
        sent.entry((one.lane, one.position)).or_default().push(one.at);
    }
    sent
}

/// The others' events are sent at the same times, whatever happens to the first.
fn check(topics: [bool; 4]) {
    for seed in 0..3 {
        let well = sent(world(seed, Behaviour::Good(20), topics));
        for ill in [Behaviour::Hanging, Behaviour::Away, Behaviour::Flaky(80), Behaviour::Throttling(0)] {
            let beside = sent(world(seed, ill, topics));
            assert_eq!(well.len(), beside.len());
            for (event, times) in &well {
                let others = &beside[event];
                assert_eq!(times.len(), others.len(), "seed {seed}: {event:?} beside {ill:?}");
                for (time, other) in times.iter().zip(others) {
                    assert!(
                        time.abs_diff(*other) <= 1000,
                        "seed {seed}: {event:?} at {time} and {other} µs beside {ill:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_hanging_endpoint_leaves_the_others_latency_unchanged() {
    check([false; 4]);
    check([false, true, false, true]);
}

#[test]
fn a_hanging_topic_leaves_the_others_latency_unchanged() {
    check([true, false, false, false]);
    check([true, true, false, true]);
}
