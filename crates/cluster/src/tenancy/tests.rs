//! Single decisions, and several nodes that decide for themselves in a small world.

mod world;

use store::{Node, Profile, Spread};
use uuid::Uuid;

use super::*;

const VALID: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(500);

fn node(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

fn shard(number: u8) -> Shard {
    Spread::CLUSTER.shard(number).unwrap()
}

fn entered(id: NodeId, beat: u64) -> Node {
    let profile = Profile { address: None, version: "1".to_owned(), reads: 1, is_fit: true };
    Node { id, beat, profile }
}

/// Shards from 0 on, in runs of one owner each.
fn roll(nodes: &[u128], owners: &[(Option<u128>, usize)]) -> Roll {
    let owned = owners.iter().flat_map(|(owner, count)| std::iter::repeat_n(owner.map(node), *count));
    let lease = |(number, owner)| Lease { shard: shard(number), owner, epoch: Epoch(1), beat: 1 };
    Roll {
        nodes: nodes.iter().map(|id| entered(node(*id), 1)).collect(),
        leases: (0..).zip(owned).map(lease).collect(),
    }
}

/// One renewal of a node.
fn beat(roll: &mut Roll, of: u128) {
    roll.nodes.iter_mut().filter(|known| known.id == node(of)).for_each(|node| node.beat += 1);
    roll.leases.iter_mut().filter(|lease| lease.owner == Some(node(of))).for_each(|lease| lease.beat += 1);
}

fn shards(numbers: std::ops::Range<u8>) -> Vec<Shard> {
    numbers.map(shard).collect()
}

fn taken(decision: &Decision) -> Vec<Shard> {
    decision.take.iter().map(|lease| lease.shard).collect()
}

#[test]
fn a_lone_node_takes_everything_that_is_free_at_once() {
    let roll = roll(&[1], &[(None, 64)]);
    let decision = Tenancy::new(node(1), VALID).decide(Duration::ZERO, &roll, &[]);
    assert_eq!((decision.take, decision.give), (roll.leases, Vec::new()));
}

#[test]
fn free_shards_are_divided_in_the_order_of_ids() {
    let roll = roll(&[3, 1, 2], &[(None, 64)]);
    let first = |id| taken(&Tenancy::new(node(id), VALID).decide(Duration::ZERO, &roll, &[]));
    assert_eq!((first(1), first(2), first(3)), (shards(0..22), shards(22..43), shards(43..64)));
    assert_eq!(first(9), [], "it is not on the roll");
}

#[test]
fn shards_stay_with_their_owners_and_the_rest_goes_to_those_below_their_quota() {
    // 22, 21 and 21 are allotted; of the first one's 30, the first 22 stay.
    let roll = roll(&[1, 2, 3], &[(Some(1), 30), (Some(2), 20), (None, 14)]);
    let first = |id, held: Vec<Shard>| Tenancy::new(node(id), VALID).decide(Duration::ZERO, &roll, &held);
    assert_eq!(first(1, shards(0..30)), Decision::default(), "nothing is given as long as shards are free");
    // The surplus of the first one comes before: one of it goes to the second one.
    assert_eq!(taken(&first(2, shards(30..50))), []);
    assert_eq!(taken(&first(3, Vec::new())), shards(50..64));
}

#[test]
fn surplus_is_given_back_a_few_at_a_time_while_all_shards_have_owners() {
    let mut roll = roll(&[1, 2], &[(Some(1), 64)]);
    let mut tenancy = Tenancy::new(node(1), VALID);
    let held = shards(0..64);
    assert_eq!(tenancy.decide(Duration::ZERO, &roll, &held).give, shards(32..36));
    assert_eq!(tenancy.decide(LOOK, &roll, &held).give, [], "they are on their way");
    roll.leases[32].owner = None;
    let held: Vec<Shard> = held.into_iter().filter(|held| *held != shard(32)).collect();
    let decision = tenancy.decide(LOOK * 2, &roll, &held);
    assert_eq!((taken(&decision), decision.give), (Vec::new(), Vec::new()), "one is free: the other one takes it");
    roll.leases[32].owner = Some(node(2));
    assert_eq!(tenancy.decide(LOOK * 3, &roll, &held).give, shards(36..37));
}

#[test]
fn a_lease_runs_out_by_the_own_clock_once_it_was_seen_unchanged_for_its_time() {
    let mut roll = roll(&[1, 2], &[(Some(1), 32), (Some(2), 32)]);
    let mut tenancy = Tenancy::new(node(2), VALID);
    let held = shards(32..64);
    let mut look = |roll: &Roll, now: Duration| tenancy.decide(now, roll, &held);
    let mut now = Duration::from_secs(1_000);
    let start = now;
    while now < start + Duration::from_secs(30) {
        assert_eq!(look(&roll, now), Decision::default(), "at {now:?}");
        now += LOOK;
        beat(&mut roll, 2);
        if now.as_millis().is_multiple_of(2_000) {
            beat(&mut roll, 1);
        }
    }
    // From here on the first one is silent; it was seen last at this look.
    beat(&mut roll, 1);
    let last = now;
    while now < last + VALID {
        assert_eq!(look(&roll, now), Decision::default(), "at {now:?}");
        now += LOOK;
        beat(&mut roll, 2);
    }
    assert_eq!(taken(&look(&roll, now)), shards(0..32), "all at once");
}

#[test]
fn a_takeover_by_another_one_begins_a_new_lease() {
    let mut roll = roll(&[1], &[(Some(7), 64)]);
    let mut tenancy = Tenancy::new(node(1), VALID);
    for step in 0..19 {
        assert_eq!(tenancy.decide(LOOK * step, &roll, &[]), Decision::default());
    }
    // The epoch alone.
    roll.leases[5].epoch = Epoch(2);
    tenancy.decide(LOOK * 19, &roll, &[]);
    let taken = taken(&tenancy.decide(LOOK * 20, &roll, &[]));
    assert_eq!(taken.len(), 63);
    assert!(!taken.contains(&shard(5)));
}

#[test]
fn after_a_pause_everything_is_seen_anew() {
    let roll = roll(&[1], &[(Some(7), 64)]);
    let mut tenancy = Tenancy::new(node(1), VALID);
    assert_eq!(tenancy.decide(Duration::ZERO, &roll, &[]), Decision::default());
    // The process was stopped, or the store was away: the others had no chance to renew either.
    let back = Duration::from_secs(60);
    for step in 0..20 {
        assert_eq!(tenancy.decide(back + LOOK * step, &roll, &[]), Decision::default(), "look {step}");
    }
    assert_eq!(tenancy.decide(back + LOOK * 20, &roll, &[]).take.len(), 64);
}

#[test]
fn a_clock_that_stands_still_or_goes_back_takes_nothing_early() {
    let roll = roll(&[1], &[(Some(7), 64)]);
    let mut tenancy = Tenancy::new(node(1), VALID);
    for now in [5, 5, 4, 0, 4, 8, 12] {
        assert_eq!(tenancy.decide(Duration::from_secs(now), &roll, &[]), Decision::default());
    }
}

#[test]
fn own_leases_that_do_not_run_are_taken_anew_whatever_is_allotted() {
    let roll = roll(&[1, 2], &[(Some(1), 64)]);
    let decision = Tenancy::new(node(1), VALID).decide(Duration::ZERO, &roll, &shards(0..10));
    assert_eq!(taken(&decision), shards(10..64));
}

#[test]
fn what_others_leave_is_taken_after_a_further_second() {
    // The second one lives, but doesn't take its half.
    let mut roll = roll(&[1, 2], &[(Some(1), 32), (None, 32)]);
    let mut tenancy = Tenancy::new(node(1), VALID);
    for step in 0..=2 {
        assert_eq!(tenancy.decide(LOOK * step, &roll, &shards(0..32)), Decision::default(), "look {step}");
        beat(&mut roll, 2);
    }
    assert_eq!(taken(&tenancy.decide(LOOK * 3, &roll, &shards(0..32))), shards(32..64));
}

#[test]
fn a_node_that_is_not_fit_gives_its_shards_to_those_that_are() {
    let mut roll = roll(&[1, 2], &[(Some(1), 32), (Some(2), 32)]);
    roll.nodes[0].profile.is_fit = false;
    let first = |id, roll: &Roll, held: Vec<Shard>| Tenancy::new(node(id), VALID).decide(Duration::ZERO, roll, &held);
    assert_eq!(first(1, &roll, shards(0..32)).give, shards(0..4));
    assert_eq!(first(2, &roll, shards(32..64)), Decision::default());
    roll.leases[0].owner = None;
    assert_eq!(taken(&first(2, &roll, shards(32..64))), shards(0..1));
    let mut tenancy = Tenancy::new(node(1), VALID);
    for step in 0..5 {
        assert_eq!(tenancy.decide(LOOK * step, &roll, &shards(1..32)), Decision::default(), "not its to help");
        beat(&mut roll, 2);
    }
    roll.nodes[1].profile.is_fit = false;
    assert_eq!(taken(&first(1, &roll, shards(1..32))), shards(0..1), "nobody is fit");
}

#[test]
fn a_node_without_a_beat_counts_no_more() {
    let mut roll = roll(&[1, 2], &[(Some(1), 64)]);
    let mut tenancy = Tenancy::new(node(1), VALID);
    let held = shards(0..64);
    let mut given = 0;
    for step in 0..=20 {
        // While given shards have no new owner, it gives no others.
        given += tenancy.decide(LOOK * step, &roll, &held).give.len();
        beat(&mut roll, 1);
    }
    assert_eq!((given, tenancy.is_live(node(1)), tenancy.is_live(node(2))), (4, true, false));
    assert_eq!(Tenancy::new(node(1), VALID).decide(LOOK, &roll, &held).give.len(), 4);
    assert_eq!(tenancy.decide(LOOK * 21, &roll, &[]).give, []);
    assert_eq!(tenancy.decide(LOOK * 22, &roll, &held).give, [], "the only one keeps all");
}

#[test]
fn leases_of_processes_that_never_entered_are_respected() {
    // Such as one of an earlier version.
    let mut roll = roll(&[1], &[(Some(7), 64)]);
    let mut tenancy = Tenancy::new(node(1), VALID);
    for step in 0..100 {
        assert_eq!(tenancy.decide(LOOK * step, &roll, &[]), Decision::default());
        beat(&mut roll, 7);
    }
}
