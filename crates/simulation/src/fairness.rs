//! Tenants that share a platform: a world with a tenant that uses everything at once, compared with its quiet twin.

mod tenants;

use std::collections::BTreeMap;

use store::KeepBounds;

use crate::mutation::Mutation;
use crate::oracle::State;
use crate::plan::{Plan, ReplayPlan, SECOND, SubscriptionPlan};
use crate::property::{Check, Property, hold};
use crate::receiver::Behaviour;
use crate::sharing::Resource;
use crate::world::{Totals, World};

use self::tenants::HOST_RATE;
pub use self::tenants::Hostility;

/// The hostile tenant.
const HOSTILE: u32 = 1;

/// The others.
const OTHERS: std::ops::RangeInclusive<u32> = 2..=4;

/// Index of the hostile tenant's well-behaved subscription.
const DECENT: usize = 6;

/// Duration of the traffic.
const TRAFFIC: u64 = 40 * SECOND;

/// Maximum slowdown of a tenant next to a hostile one.
const SLOWER_AT_MOST: f64 = 2.0;

/// Durations by tenant and kind: deliveries, or the use of a resource.
type Times = BTreeMap<(u32, Option<Resource>), Vec<u64>>;

/// Compares a world with a hostile tenant to its quiet twin.
pub fn play(seed: u64, hostility: Hostility, mutation: Option<Mutation>) -> Check<Totals> {
    let (quiet, _) = live(Plan::shared(seed, Hostility::NONE))?;
    let mut plan = Plan::shared(seed, hostility);
    plan.mutation = mutation;
    // Its replays don't disturb others either.
    plan.keep = KeepBounds { hours: u32::MAX / 2, bytes: u64::MAX / 2 };
    let hostile = (DECENT + 1..plan.subscriptions.len()).filter(|index| plan.subscriptions[*index].pim == HOSTILE);
    let replays = hostile.flat_map(|lane| {
        let starts = (TRAFFIC / 4..TRAFFIC).step_by(5 * SECOND as usize);
        starts.map(move |at| (at, ReplayPlan { lane: Some(lane), cancel: false }))
    });
    plan.replays = replays.collect();
    let (beside, totals) = live(plan)?;
    for ((pim, what), times) in &quiet {
        let judged = *pim != HOSTILE || hostility.leaves_connections();
        let Some(others) = beside.get(&(*pim, *what)).filter(|_| judged) else { continue };
        for percent in [50, 99] {
            let (alone, together) = (percentile(times, percent), percentile(others, percent));
            let slower = together as f64 / alone.max(1) as f64;
            hold(Property::OthersAreNotDisturbed, slower <= SLOWER_AT_MOST, || {
                let what = what.map_or("deliveries".to_owned(), |what| format!("{what:?}"));
                format!("PIM {pim}, {what}, {percent} %: {together} µs beside {hostility:?}, alone {alone} µs")
            })?;
        }
    }
    Ok(totals)
}

/// Plays a world, and returns its durations.
fn live(plan: Plan) -> Check<(Times, Totals)> {
    let sharing = plan.sharing.clone();
    let silent = sharing.as_ref().map(|sharing| sharing.silent_names.clone()).unwrap_or_default();
    let subscriptions = plan.subscriptions.clone();
    let receivers = plan.receivers.clone();
    let mut world = World::new(plan)?;
    world.live()?;
    host_rate_is_kept(&world, &subscriptions)?;
    for pim in OTHERS {
        let refused = world.refused(pim);
        hold(Property::OthersAreNotDisturbed, refused == 0, || {
            format!("{refused} requests of PIM {pim} were refused")
        })?;
    }
    let mut times = Times::new();
    for (index, subscription) in subscriptions.iter().enumerate() {
        let behaviour = receivers[subscription.receiver][0].1;
        let lane = world.lane(index);
        let good = matches!(behaviour, Behaviour::Good(_)) && !silent.contains(&subscription.receiver);
        hold(Property::WaitingIsNoFailure, !good || lane.failures_reported == 0 && lane.suspensions == 0, || {
            format!("subscription {index}: {} failures, although its endpoint answers in time", lane.failures_reported)
        })?;
        if !OTHERS.contains(&subscription.pim) && index != DECENT {
            continue;
        }
        hold(Property::OthersAreNotDisturbed, lane.suspensions == 0, || format!("subscription {index} was suspended"))?;
        let undelivered = lane.items.iter().find(|(_, item)| item.state != State::Delivered);
        hold(Property::OthersAreNotDisturbed, index == DECENT || undelivered.is_none(), || {
            format!("subscription {index}: not delivered: {undelivered:?}")
        })?;
        times.entry((subscription.pim, None)).or_default().extend(world.latencies(index));
    }
    for (index, one) in sharing.iter().flat_map(|sharing| &sharing.uses).enumerate() {
        if let Some(took) = world.use_took(index).filter(|_| one.pim != HOSTILE) {
            times.entry((one.pim, Some(one.what))).or_default().push(took);
        } else {
            hold(Property::OthersAreNotDisturbed, one.pim == HOSTILE, || format!("{one:?} never came to its turn"))?;
        }
    }
    Ok((times, world.totals()))
}

/// No second has more attempts of a PIM to a host than the rate allows.
fn host_rate_is_kept(world: &World, subscriptions: &[SubscriptionPlan]) -> Check {
    let mut sent: BTreeMap<(u32, usize), Vec<u64>> = BTreeMap::new();
    for attempt in world.sent().iter().chain(world.replayed()) {
        let subscription = &subscriptions[attempt.lane];
        sent.entry((subscription.pim, subscription.receiver)).or_default().push(attempt.at);
    }
    for ((pim, host), mut times) in sent {
        times.sort_unstable();
        let most = HOST_RATE as usize;
        let crowded = times.windows(most + 1).find(|some| some[most] - some[0] < SECOND);
        hold(Property::HostRateIsKept, crowded.is_none(), || {
            format!("PIM {pim} sent more than {most} events to host {host} in the second from {crowded:?} on")
        })?;
    }
    Ok(())
}

fn percentile(times: &[u64], percent: usize) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
