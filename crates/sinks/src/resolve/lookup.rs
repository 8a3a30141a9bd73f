//! One look-up: both address families, bounded, and the attribution of missing responses.

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

/// Time limit of a look-up, repeated queries included; leaves an attempt time to connect and to deliver.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(3_500);
/// Duration of a look-up after which it is checked whether name servers respond at all.
const SUSPICIOUS: Duration = Duration::from_millis(1_200);
/// Once addresses of one family are known, those of the other are awaited this long.
const OTHER_FAMILY: Duration = Duration::from_millis(500);

/// Upper bound for an answer's validity: a destination that moves is followed within this time.
const ANSWER_MAX_AGE: Duration = Duration::from_secs(300);
/// An answer valid for a single use is shared by all concurrent callers.
const ANSWER_MIN_AGE: Duration = Duration::from_secs(1);
/// Validity of an answer with one family only, while the other was unavailable.
const HALF_ANSWER_MAX_AGE: Duration = Duration::from_secs(30);
/// A name that did not exist may be created.
const NO_ANSWER_MAX_AGE: Duration = Duration::from_secs(30);
const NO_ANSWER_USUAL_AGE: Duration = Duration::from_secs(5);
/// Pause before a name whose servers did not respond is queried again, so that hanging names hold few slots.
const HUNG_NAME_PAUSE: Duration = Duration::from_secs(10);

/// Addresses of one family, or the cause of their absence.
type Half = Result<(Vec<IpAddr>, Duration), Trouble>;

/// Cause of an unanswered query.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Trouble {
    NotAName,
    /// There are no such records; valid for this long.
    None(Duration),
    ServerFailure,
    /// No response.
    Silence,
    Lacks(Lack),
}

/// Looks up a name; returns the answer and its validity.
pub(super) async fn look_up(system: &System, name: &str) -> (Answer, Duration) {
    // The final dot keeps the system's search domains out of complete names.
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

/// Whether name servers respond, only not for this name. `answers`: the result of an earlier check, if any.
async fn is_alone(system: &System, begun: Instant, answers: Option<bool>) -> bool {
    match answers {
        // They are not queried twice: the caller has little time left.
        Some(answers) => answers || system.has_answered_since(begun),
        None => system.answers_since(begun).await,
    }
}

/// The addresses in the hosts file.
fn listed(dns: &Dns, name: &Name) -> Option<Arc<[IpAddr]>> {
    let kinds = [RecordType::A, RecordType::AAAA];
    let found = kinds.map(|kind| dns.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
    let found: Vec<IpAddr> = found.iter().flatten().flat_map(addresses).collect();
    (!found.is_empty()).then(|| found.into())
}

fn addresses(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

/// Queries both families. All known addresses are returned, because all are judged; but a family with a late or missing
/// response doesn't hold up the other.
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
        // The error that says least about the name: the other family may exist.
        (Err(one), Err(other)) => Err(one.max(other)),
    }
}

/// Whether the library answers by itself (RFC 6761, 6762, 7686).
fn is_answered_here(name: &Name) -> bool {
    name.iter().next_back().is_some_and(|label| matches!(label, b"localhost" | b"local" | b"invalid" | b"onion"))
}

/// Whether the result came from a name server.
pub(super) fn is_answer(found: &Result<Lookup, NetError>) -> bool {
    matches!(found, Ok(_) | Err(NetError::Dns(_)))
}

/// Whether a response without records means that there are none.
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
        // The enum may grow: new codes are not known to be about the name.
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
    fn answers_of_both_families_are_combined() {
        let two = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        check(found("192.0.2.1", 60), found("2001:db8::1", 40), Ok((two, Duration::from_secs(40))));
        check(found("192.0.2.1", 60), Err(Trouble::None(Duration::from_secs(5))), found("192.0.2.1", 60));
        // An unavailable family is queried again soon.
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
