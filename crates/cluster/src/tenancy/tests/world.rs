//! A world of several nodes with clocks of their own over one table of leases. Nodes start, stop, hang and are killed.

use super::*;

/// A node's process.
struct Process {
    id: u128,
    tenancy: Tenancy,
    held: Vec<Shard>,
    /// Its clock: percent of the world's speed, and its start.
    clock: (u32, Duration),
    /// Until when it hangs.
    hangs_until: Duration,
    looks_at: Duration,
    renews_at: Duration,
    /// When it sent its last renewal, by its own clock.
    renewed: Duration,
}

impl Process {
    fn now(&self, world: Duration) -> Duration {
        self.clock.1 + world * self.clock.0 / 100
    }

    /// Whether it still sends: the owner stops early.
    fn sends(&self, world: Duration) -> bool {
        self.now(world).saturating_sub(self.renewed) < VALID - VALID / 5
    }
}

struct World {
    now: Duration,
    roll: Roll,
    processes: Vec<Process>,
    next: u128,
    random: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut roll = roll(&[], &[(None, 64)]);
        roll.leases.iter_mut().for_each(|lease| (lease.epoch, lease.beat) = (Epoch(0), 0));
        World { now: Duration::ZERO, roll, processes: Vec::new(), next: 1, random: seed }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn start(&mut self) {
        let id = self.next;
        self.next += 1;
        let clock = (98 + self.random(5) as u32, Duration::from_secs(self.random(100_000)));
        let mut process = Process {
            id,
            tenancy: Tenancy::new(node(id), VALID),
            held: Vec::new(),
            clock,
            hangs_until: Duration::ZERO,
            looks_at: self.now,
            renews_at: self.now,
            renewed: Duration::ZERO,
        };
        process.renewed = process.now(self.now);
        self.processes.push(process);
        self.roll.nodes.push(entered(node(id), 0));
    }

    fn kill(&mut self, place: usize) {
        self.processes.remove(place);
    }

    fn stop(&mut self, place: usize) {
        let of = node(self.processes.remove(place).id);
        self.roll.leases.iter_mut().filter(|lease| lease.owner == Some(of)).for_each(|lease| lease.owner = None);
        self.roll.nodes.retain(|node| node.id != of);
    }

    /// Advances by a tenth of a second.
    fn step(&mut self) {
        self.now += Duration::from_millis(100);
        for place in 0..self.processes.len() {
            if self.processes[place].hangs_until <= self.now {
                self.renew(place);
                self.look(place);
            }
        }
    }

    fn renew(&mut self, place: usize) {
        let process = &mut self.processes[place];
        if process.renews_at <= self.now {
            process.renews_at = self.now + VALID / 5;
            process.renewed = process.now(self.now);
            beat(&mut self.roll, process.id);
        }
    }

    fn look(&mut self, place: usize) {
        let process = &mut self.processes[place];
        if process.looks_at > self.now {
            return;
        }
        process.looks_at = self.now + LOOK;
        // What others have taken is dropped.
        let owner = |shard: &Shard| self.roll.leases[usize::from(shard.number())].owner;
        process.held.retain(|held| owner(held) == Some(node(process.id)));
        let decision = process.tenancy.decide(process.now(self.now), &self.roll, &process.held);
        process.held.retain(|held| !decision.give.contains(held));
        for shard in decision.give {
            self.roll.leases[usize::from(shard.number())].owner = None;
        }
        for lease in decision.take {
            self.take(place, lease);
        }
    }

    fn take(&mut self, place: usize, seen: Lease) {
        let taker = &self.processes[place];
        // Nobody else sends for it any more.
        for other in self.processes.iter().filter(|other| other.id != taker.id) {
            let owns = seen.owner == Some(node(other.id)) && other.held.contains(&seen.shard);
            assert!(!owns || !other.sends(self.now), "{} took {} from {}", taker.id, seen.shard, other.id);
        }
        let lease = &mut self.roll.leases[usize::from(seen.shard.number())];
        assert_eq!(*lease, seen);
        *lease = Lease { owner: Some(node(taker.id)), epoch: Epoch(seen.epoch.0 + 1), beat: seen.beat + 1, ..seen };
        self.processes[place].held.push(seen.shard);
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    /// Each shard has one owner, and all nodes have as many as the others.
    fn is_settled(&self) {
        let counts: Vec<usize> = self.processes.iter().map(|process| process.held.len()).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert_eq!((counts.iter().sum::<usize>(), most - least <= 1), (64, true), "{counts:?}");
        for lease in &self.roll.leases {
            let holders = self.processes.iter().filter(|process| process.held.contains(&lease.shard));
            let holders: Vec<_> = holders.map(|process| Some(node(process.id))).collect();
            assert_eq!(holders, [lease.owner]);
        }
    }
}

#[test]
fn a_killed_node_is_succeeded_within_eleven_seconds_and_a_stopped_one_at_the_next_look() {
    let mut world = World::new(1);
    for _ in 0..3 {
        world.start();
    }
    world.run(Duration::from_secs(30));
    world.is_settled();
    world.kill(1);
    world.run(Duration::from_secs(11));
    world.is_settled();
    world.stop(0);
    world.run(Duration::from_millis(600));
    world.is_settled();
    assert_eq!(world.processes[0].held.len(), 64);
}

#[test]
fn whatever_happens_shards_are_owned_once_and_evenly_in_the_end() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.start();
        for _ in 0..20 {
            let count = world.processes.len();
            let place = world.random(count as u64) as usize;
            match world.random(6) {
                0 | 1 if count < 5 => world.start(),
                2 if count > 1 => world.kill(place),
                3 if count > 1 => world.stop(place),
                _ => world.processes[place].hangs_until = world.now + Duration::from_millis(world.random(20_000)),
            }
            let pause = Duration::from_millis(world.random(8_000));
            world.run(pause);
        }
        world.run(Duration::from_secs(60));
        world.is_settled();
    }
}
