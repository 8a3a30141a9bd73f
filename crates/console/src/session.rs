//! Sessions: who is signed in, sealed in a cookie that every node can open.
//!
//! Nothing is stored on the server, so a session ends by time, by signing out (which deletes the cookie), or when the
//! API no longer accepts its credentials; these are checked again with every page.

use std::time::Duration;

use aws_lc_rs::{constant_time, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{Grant, Sealer, Settings};

/// A session ends this long after its last page.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends this long after it began.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// A cookie is renewed when it is this old.
const RENEWAL: Duration = Duration::from_secs(60);
/// Browsers discard larger cookies.
const MAX_COOKIE: usize = 3900;
/// Purpose of the seal.
const PURPOSE: &str = "console session";

/// Credentials of a session.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Who {
    /// Not signed in.
    Nobody,
    /// A client of a PIM: the values of the three headers.
    Integrator { pim_url: String, token: String, client_id: String },
    /// The operator.
    Operator { key: String },
    /// The bearer of a link, with the name of its subscriber.
    Link { grant: Grant, framed: bool, subscriber: String },
}

/// A session.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Credentials.
    pub(crate) who: Who,
    /// Forms must return it.
    csrf: String,
    /// In microseconds since the epoch.
    began: i64,
    seen: i64,
}

/// A session could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoSession {
    /// Credentials too long for a cookie.
    TooLong,
    /// The system provides no randomness.
    NoRandomness,
}

impl Session {
    /// A new session.
    pub(crate) fn begin(who: Who, now: Timestamp) -> Result<Session, NoSession> {
        let mut bytes = [0; 18];
        rand::fill(&mut bytes).map_err(|_| NoSession::NoRandomness)?;
        let now = now.as_micros();
        Ok(Session { who, csrf: URL_SAFE_NO_PAD.encode(bytes), began: now, seen: now })
    }

    /// The token for forms.
    pub(crate) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether a form returned the token of this session.
    pub(crate) fn is_csrf(&self, sent: &str) -> bool {
        constant_time::verify_slices_are_equal(self.csrf.as_bytes(), sent.as_bytes()).is_ok()
    }

    fn is_over(&self, now: Timestamp) -> bool {
        let since = |at: i64| now.since(Timestamp::from_micros(at));
        let link_ended = match &self.who {
            Who::Link { grant, .. } => now.as_micros() >= grant.until,
            Who::Nobody | Who::Integrator { .. } | Who::Operator { .. } => false,
        };
        since(self.seen) >= IDLE || since(self.began) >= LONGEST || link_ended
    }

    /// Whether its cookie is old enough to be renewed.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now.since(Timestamp::from_micros(self.seen)) >= RENEWAL
    }

    /// The same session, just used.
    pub(crate) fn used(&self, now: Timestamp) -> Session {
        Session { seen: now.as_micros(), ..self.clone() }
    }

    /// The session of a request, unless it is over.
    pub(crate) fn of(headers: &HeaderMap, sealer: &dyn Sealer, settings: &Settings, now: Timestamp) -> Option<Session> {
        let name = cookie_name(settings);
        let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut values = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(known, _)| *known == name);
        // Two cookies of one name: one of them is not ours.
        let (_, value) = values.next().filter(|_| values.next().is_none())?;
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let session: Session = serde_json::from_slice(&sealer.open(&sealed, PURPOSE)?).ok()?;
        (!session.is_over(now)).then_some(session)
    }

    /// `Set-Cookie` for the session.
    pub(crate) fn cookie(&self, sealer: &dyn Sealer, settings: &Settings) -> Result<HeaderValue, NoSession> {
        let plain = serde_json::to_vec(self).map_err(|_| NoSession::TooLong)?;
        let sealed = sealer.seal(&plain, PURPOSE).ok_or(NoSession::NoRandomness)?;
        let value = URL_SAFE_NO_PAD.encode(sealed);
        if value.len() > MAX_COOKIE {
            return Err(NoSession::TooLong);
        }
        let framed = matches!(self.who, Who::Link { framed: true, .. });
        let cookie = format!("{}={value}; {}", cookie_name(settings), attributes(settings, framed));
        HeaderValue::try_from(cookie).map_err(|_| NoSession::TooLong)
    }

    /// `Set-Cookie` that deletes the cookie.
    pub(crate) fn no_cookie(&self, settings: &Settings) -> Option<HeaderValue> {
        let framed = matches!(self.who, Who::Link { framed: true, .. });
        HeaderValue::try_from(format!("{}=; Max-Age=0; {}", cookie_name(settings), attributes(settings, framed))).ok()
    }
}

fn cookie_name(settings: &Settings) -> &'static str {
    if settings.secure { "__Secure-postrider_console" } else { "postrider_console" }
}

/// In a frame of another site, browsers send only cookies with `SameSite=None`, which must be `Secure`; `Partitioned`
/// keeps such a cookie within that site.
fn attributes(settings: &Settings, framed: bool) -> &'static str {
    match (settings.secure, framed) {
        (true, true) => "Path=/console; HttpOnly; Secure; SameSite=None; Partitioned",
        (true, false) => "Path=/console; HttpOnly; Secure; SameSite=Strict",
        (false, _) => "Path=/console; HttpOnly; SameSite=Strict",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Seals by a checksum: enough to see what the session does with a value that doesn't open.
    pub(crate) struct Checksum;

    fn sum(bytes: &[u8], purpose: &str) -> u8 {
        bytes.iter().chain(purpose.as_bytes()).fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte))
    }

    impl Sealer for Checksum {
        fn seal(&self, plain: &[u8], purpose: &str) -> Option<Vec<u8>> {
            Some([plain, &[sum(plain, purpose)]].concat())
        }

        fn open(&self, sealed: &[u8], purpose: &str) -> Option<Vec<u8>> {
            let (last, plain) = sealed.split_last()?;
            (*last == sum(plain, purpose)).then(|| plain.to_vec())
        }
    }

    pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn minutes(minutes: u64) -> Timestamp {
        NOW + Duration::from_secs(60 * minutes)
    }

    fn operator() -> Session {
        Session::begin(Who::Operator { key: "k".repeat(24) }, NOW).unwrap()
    }

    fn link(until: Timestamp, framed: bool) -> Session {
        let grant = Grant {
            pim: 1,
            client_id: "app".to_owned(),
            subscriber: "s".to_owned(),
            read_only: true,
            until: until.as_micros(),
        };
        Session::begin(Who::Link { grant, framed, subscriber: "Shop".to_owned() }, NOW).unwrap()
    }

    /// The request's headers with the cookie of `session`.
    fn sent_back(session: &Session, settings: &Settings) -> HeaderMap {
        let cookie = session.cookie(&Checksum, settings).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(format!("a=b; {pair}; c=d")).unwrap())])
    }

    #[track_caller]
    fn check_life(session: &Session, now: Timestamp, alive: bool) {
        let settings = Settings::default();
        let found = Session::of(&sent_back(session, &settings), &Checksum, &settings, now);
        assert_eq!(found.is_some_and(|found| found.csrf == session.csrf), alive, "{now}");
    }

    #[test]
    fn a_session_ends_when_it_is_idle_or_old() {
        check_life(&operator(), NOW, true);
        check_life(&operator(), minutes(29), true);
        check_life(&operator(), minutes(30), false);
        check_life(&operator().used(minutes(29)), minutes(58), true);
        check_life(&operator().used(minutes(719)), minutes(719), true);
        check_life(&operator().used(minutes(719)), minutes(720), false);
        check_life(&link(minutes(15), false), minutes(14), true);
        check_life(&link(minutes(15), false).used(minutes(14)), minutes(15), false);
    }

    #[test]
    fn a_changed_cookie_is_no_session() {
        let settings = Settings::default();
        let cookie = operator().cookie(&Checksum, &settings).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let open = |line: String| {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(line).unwrap())]);
            Session::of(&headers, &Checksum, &settings, NOW).is_some()
        };
        assert!(open(pair.to_owned()));
        let sealed = URL_SAFE_NO_PAD.decode(value).unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(!open(format!("{name}={}", URL_SAFE_NO_PAD.encode(changed))), "byte {index}");
        }
        assert!(!open(format!("{name}={}", &value[..value.len() - 4])));
        assert!(!open(format!("other={value}")));
        assert!(!open(format!("{pair}; {pair}")));
        assert!(!open(format!("{name}=")));
    }

    #[track_caller]
    fn check_cookie(session: &Session, secure: bool, expect: &str) {
        let settings = Settings { secure, ..Settings::default() };
        let cookie = session.cookie(&Checksum, &settings).unwrap();
        let cookie = cookie.to_str().unwrap().to_owned();
        assert_eq!(cookie.split_once("; ").unwrap().1, expect);
        assert_eq!(cookie.starts_with("__Secure-"), secure);
        let gone = session.no_cookie(&settings).unwrap();
        assert!(gone.to_str().unwrap().ends_with(&format!("=; Max-Age=0; {expect}")));
    }

    #[test]
    fn cookies_are_restricted() {
        check_cookie(&operator(), true, "Path=/console; HttpOnly; Secure; SameSite=Strict");
        check_cookie(&operator(), false, "Path=/console; HttpOnly; SameSite=Strict");
        check_cookie(&link(minutes(5), false), true, "Path=/console; HttpOnly; Secure; SameSite=Strict");
        let framed = "Path=/console; HttpOnly; Secure; SameSite=None; Partitioned";
        check_cookie(&link(minutes(5), true), true, framed);
        check_cookie(&link(minutes(5), true), false, "Path=/console; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn a_cookie_that_browsers_would_discard_is_refused() {
        let session = Session::begin(Who::Operator { key: "k".repeat(5000) }, NOW).unwrap();
        assert_eq!(session.cookie(&Checksum, &Settings::default()), Err(NoSession::TooLong));
    }

    #[test]
    fn each_session_has_its_own_token() {
        let (one, other) = (operator(), operator());
        assert!(one.is_csrf(one.csrf()));
        assert!(!one.is_csrf(other.csrf()));
        assert!(!one.is_csrf(""));
    }
}
