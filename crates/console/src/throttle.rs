//! Limit of attempts to sign in, by network address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use domain::Timestamp;
use parking_lot::Mutex;

/// Attempts in a row, after a pause.
const BURST: u32 = 10;
/// Time until another attempt is allowed.
const PER_ATTEMPT: Duration = Duration::from_secs(6);
/// Maximum number of remembered addresses.
const MAX_ADDRESSES: usize = 10_000;

/// Remembers until when the attempts of each address are paid for.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<HashMap<IpAddr, Timestamp>>);

impl Throttle {
    /// Counts an attempt; the time to wait if there were too many.
    pub(crate) fn attempt(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Duration> {
        let Some(address) = address.map(network) else { return Ok(()) };
        let mut paid = self.0.lock();
        let until = paid.get(&address).copied().unwrap_or(now).max(now);
        let debt = until.since(now) + PER_ATTEMPT;
        if debt > PER_ATTEMPT * BURST {
            return Err(debt - PER_ATTEMPT * BURST);
        }
        if paid.len() >= MAX_ADDRESSES && !paid.contains_key(&address) {
            paid.retain(|_, until| *until > now);
            if paid.len() >= MAX_ADDRESSES
                && let Some(least) = paid.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address)
            {
                paid.remove(&least);
            }
        }
        paid.insert(address, until + PER_ATTEMPT);
        Ok(())
    }
}

/// The address, or the network of one typical customer with IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn an_address_has_a_few_attempts_and_then_one_at_a_time() {
        let throttle = Throttle::default();
        let one = Some("192.0.2.1".parse().unwrap());
        for _ in 0..BURST {
            assert_eq!(throttle.attempt(one, at(0)), Ok(()));
        }
        assert_eq!(throttle.attempt(one, at(0)), Err(PER_ATTEMPT));
        assert_eq!(throttle.attempt(Some("192.0.2.2".parse().unwrap()), at(0)), Ok(()));
        assert_eq!(throttle.attempt(one, at(6)), Ok(()));
        assert!(throttle.attempt(one, at(6)).is_err());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let throttle = Throttle::default();
        for host in 0..BURST {
            throttle.attempt(Some(format!("2001:db8::{host}").parse().unwrap()), at(0)).unwrap();
        }
        assert!(throttle.attempt(Some("2001:db8::ffff".parse().unwrap()), at(0)).is_err());
    }

    #[test]
    fn the_memory_is_bounded() {
        let throttle = Throttle::default();
        for host in 0..(MAX_ADDRESSES as u32 + 10) {
            throttle.attempt(Some(IpAddr::V4(host.into())), at(0)).unwrap();
        }
        assert!(throttle.0.lock().len() <= MAX_ADDRESSES);
    }
}
