//! One look-up: both families of addresses, bounded, and whose trouble it is where nobody answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::outcome::Lack;
use futures_util::future::{Either, select};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::{Instant, timeout};

use super::system::{Dns, System};
use super::{Answer, LookupError};
use crate::lack;

/// How long a look-up may take, questions asked again included; leaves an attempt time to connect and to deliver.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(3_500);
/// When a look-up takes so long, it is looked whether name servers answer at all.
const SUSPICIOUS: Duration = Duration::from_millis(1_200);
/// When addresses of one family are there, those of the other are waited for this long.
const OTHER_FAMILY: Duration = Duration::from_millis(500);

/// However long an answer says that it is good for: a destination that moves is followed within this time.
const ANSWER_MAX_AGE: Duration = Duration::from_secs(300);
/// An answer that may be used once is used by all who ask at the same time.
const ANSWER_MIN_AGE: Duration = Duration::from_secs(1);
/// An answer of one family only, while the other was not to be had.
const HALF_ANSWER_MAX_AGE: Duration = Duration::from_secs(30);
/// A name that did not exist may come to exist.
const NO_ANSWER_MAX_AGE: Duration = Duration::from_secs(30);
const NO_ANSWER_USUAL_AGE: Duration = Duration::from_secs(5);
/// A name whose servers did not answer is not asked for again for this long, so that names that hang hold few places.
const HUNG_NAME_PAUSE: Duration = Duration::from_secs(10);

/// Addresses of one family, or why there are none.
type Half = Result<(Vec<IpAddr>, Duration), Trouble>;

/// Why a question has no answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Trouble {
    NotAName,
    /// There are no such records; good for so long.
    None(Duration),
    ServerFailure,
    /// Nobody answered.
    Silence,
    Lacks(Lack),
}

/// Looks a name up; the answer, and how long it is good for.
pub(super) async fn look_up(system: &System, name: &str) -> (Answer, Duration) {
    // The final dot keeps the system's search domains out of names that are complete.
    let complete = name.contains('.') && !name.ends_with('.');
    let Ok(asked) = Name::from_utf8(if complete { format!("{name}.") } else { name.to_owned() }) else {
        return (Err(LookupError::NotAName), NO_ANSWER_MAX_AGE);
    };
    let dns = system.dns();
    if let Some(addresses) = listed(&dns, &asked) {
        return (Ok(addresses), ANSWER_MAX_AGE);
    }
    let begun = Instant::now();
    let (found, answers) = {
        let asking = std::pin::pin!(timeout(LOOKUP_TIMEOUT, ask(&dns, &asked, system)));
        let suspicious = std::pin::pin!(async {
            tokio::time::sleep(SUSPICIOUS).await;
            system.answers_since(begun).await
        });
        match select(asking, suspicious).await {
            Either::Left((found, _)) => (found, None),
            Either::Right((answers, asking)) => (asking.await, Some(answers)),
        }
    };
    match found.unwrap_or(Err(Trouble::Silence)) {
        Ok((addresses, keep)) => (Ok(addresses.into()), keep),
        Err(Trouble::NotAName) => (Err(LookupError::NotAName), NO_ANSWER_MAX_AGE),
        Err(Trouble::None(keep)) => (Err(LookupError::NoAddress), keep),
        Err(Trouble::ServerFailure) => (Err(LookupError::ServerFailure), ANSWER_MIN_AGE),
        Err(Trouble::Lacks(lack)) => (Err(LookupError::Lacks(lack)), Duration::ZERO),
        Err(Trouble::Silence) if is_alone(system, begun, answers).await => {
            (Err(LookupError::TimedOut), HUNG_NAME_PAUSE)
        }
        Err(Trouble::Silence) => (Err(LookupError::Lacks(Lack::NameServers)), Duration::ZERO),
    }
}

/// Whether name servers answer, only not for this name. `answers`: what they said when they were asked about that
/// already.
async fn is_alone(system: &System, begun: Instant, answers: Option<bool>) -> bool {
    match answers {
        // They are not asked twice: whoever waits for this has little time left.
        Some(answers) => answers || system.has_answered_since(begun),
        None => system.answers_since(begun).await,
    }
}

/// What the hosts file says.
fn listed(dns: &Dns, name: &Name) -> Option<Arc<[IpAddr]>> {
    let kinds = [RecordType::A, RecordType::AAAA];
    let found = kinds.map(|kind| dns.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
    let found: Vec<IpAddr> = found.iter().flatten().flat_map(addresses).collect();
    (!found.is_empty()).then(|| found.into())
}

fn addresses(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

/// Asks for both families. All addresses that are known are given, for all are judged; but one family that is answered
/// late or never does not hold up the other.
async fn ask(dns: &Dns, name: &Name, system: &System) -> Half {
    let Some(resolver) = &dns.resolver else { return Err(Trouble::Lacks(Lack::NameServers)) };
    let half = async |kind| {
        let found = resolver.lookup(name.clone(), kind).await;
        if is_answer(&found) && !is_answered_here(name) {
            system.heard();
        }
        of(found)
    };
    let (v4, v6) = (std::pin::pin!(half(RecordType::A)), std::pin::pin!(half(RecordType::AAAA)));
    let (first, other) = select(v4, v6).await.factor_first();
    match first {
        Ok((addresses, keep)) => match timeout(OTHER_FAMILY, other).await {
            Ok(other) => both(Ok((addresses, keep)), other),
            Err(_elapsed) => Ok((addresses, keep.min(HALF_ANSWER_MAX_AGE))),
        },
        Err(_) => both(first, other.await),
    }
}

fn both(one: Half, other: Half) -> Half {
    match (one, other) {
        (Ok((mut addresses, keep)), Ok((more, more_keep))) => {
            addresses.extend(more);
            Ok((addresses, keep.min(more_keep)))
        }
        (Ok(found), Err(Trouble::None(_))) | (Err(Trouble::None(_)), Ok(found)) => Ok(found),
        (Ok((addresses, keep)), Err(_)) | (Err(_), Ok((addresses, keep))) => {
            Ok((addresses, keep.min(HALF_ANSWER_MAX_AGE)))
        }
        // What says least about the name: the other may say that there is an address.
        (Err(one), Err(other)) => Err(one.max(other)),
    }
}

/// Whether the library knows the answer by itself (RFC 6761, 6762, 7686).
fn is_answered_here(name: &Name) -> bool {
    name.iter().next_back().is_some_and(|label| matches!(label, b"localhost" | b"local" | b"invalid" | b"onion"))
}

/// Whether a name server has said this.
pub(super) fn is_answer(found: &Result<Lookup, NetError>) -> bool {
    matches!(found, Ok(_) | Err(NetError::Dns(_)))
}

/// Whether a response without records says that there are none.
fn is_about_the_name(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

fn of(found: Result<Lookup, NetError>) -> Half {
    let error = match found {
        Ok(lookup) => {
            let addresses: Vec<IpAddr> = addresses(&lookup).collect();
            if addresses.is_empty() {
                return Err(Trouble::None(NO_ANSWER_USUAL_AGE));
            }
            let good_for = lookup.valid_until().saturating_duration_since(std::time::Instant::now());
            return Ok((addresses, good_for.clamp(ANSWER_MIN_AGE, ANSWER_MAX_AGE)));
        }
        Err(error) => error,
    };
    Err(match &error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if is_about_the_name(none.response_code) => {
            let age = none.negative_ttl.map_or(NO_ANSWER_USUAL_AGE, |seconds| Duration::from_secs(seconds.into()));
            Trouble::None(age.clamp(ANSWER_MIN_AGE, NO_ANSWER_MAX_AGE))
        }
        NetError::Dns(_) => Trouble::ServerFailure,
        NetError::Io(error) => lack::of_io(error).map_or(Trouble::Silence, Trouble::Lacks),
        NetError::Timeout | NetError::NoConnections | NetError::Busy => Trouble::Silence,
        NetError::Proto(_) | NetError::Message(_) | NetError::Msg(_) | NetError::ParseInt(_) => Trouble::NotAName,
        NetError::QueryCaseMismatch | NetError::ForeignClassRecord { .. } | NetError::Truncated => {
            Trouble::ServerFailure
        }
        // The enum may grow: what is new is not known to be about the name.
        _ => Trouble::ServerFailure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str, seconds: u64) -> Half {
        Ok((vec![address.parse().unwrap()], Duration::from_secs(seconds)))
    }

    fn check(one: Half, other: Half, expect: Half) {
        assert_eq!(both(one.clone(), other.clone()), expect);
        let swapped = both(other, one).map(|(mut addresses, keep)| {
            addresses.sort_unstable();
            (addresses, keep)
        });
        assert_eq!(swapped, expect);
    }

    #[test]
    fn what_both_families_say_together() {
        let two = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        check(found("192.0.2.1", 60), found("2001:db8::1", 40), Ok((two, Duration::from_secs(40))));
        check(found("192.0.2.1", 60), Err(Trouble::None(Duration::from_secs(5))), found("192.0.2.1", 60));
        // One that was not to be had is asked for again before long.
        check(found("192.0.2.1", 60), Err(Trouble::ServerFailure), found("192.0.2.1", 30));
        check(found("192.0.2.1", 60), Err(Trouble::Silence), found("192.0.2.1", 30));
        let none = Err(Trouble::None(Duration::from_secs(5)));
        check(none.clone(), none.clone(), none.clone());
        check(none.clone(), Err(Trouble::ServerFailure), Err(Trouble::ServerFailure));
        check(none, Err(Trouble::Silence), Err(Trouble::Silence));
        check(
            Err(Trouble::Silence),
            Err(Trouble::Lacks(Lack::FileDescriptors)),
            Err(Trouble::Lacks(Lack::FileDescriptors)),
        );
    }
}
